"""A contact sheet of short synthetic videos: a row for each face, the frames from left to right."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.config import VideoConfig
from nasface.faces.camera import split_pose
from nasface.faces.morphable import load_embedded_head
from nasface.rendering.preview import enlarge, spread_over_yaw, with_landmarks, write_sheet
from nasface.rendering.synthetic import SyntheticFaces, draw_face
from nasface.rendering.video import ShortVideos
from nasface.utils.errors import UserError


def draw_video_preview(path: str | Path, config: VideoConfig, size: int, seed: int, rows: int) -> None:
    """Write a PNG of `rows` videos of training faces over yaw, each frame with its landmarks; the still is the first.

    Args:
        path: PNG.
        config: the videos.
        size, seed: as for `SyntheticFaces`.
        rows: faces.

    Raises:
        UserError: a setting is out of range, or the file cannot be written.
    """
    stills = SyntheticFaces("train", rows, size, seed)
    if config.frames < 2:
        raise UserError("a video has 2 frames or more: give --video.frames")
    head = load_embedded_head()
    videos, lines = ShortVideos(head, config), []
    for index in spread_over_yaw(stills, rows)[0]:
        face = draw_face(seed, "train", int(index), size)
        rng = np.random.default_rng([seed, int(index)])
        frames, poses = videos.video(face.image, face.coefficients, face.pose, rng)
        vertices = head.vertices(face.coefficients)[head.landmark_vertices]
        pictures = []
        for frame, pose in zip(frames, poses, strict=True):
            landmarks = (vertices @ pose[:, :3].T + pose[:, 3]).astype(np.float32)
            yaw = float(split_pose(pose)[1][1])
            labelled = with_landmarks(frame, landmarks, face.visible, yaw)
            pictures.append(np.concatenate((enlarge(frame), labelled)))
        lines.append(np.concatenate(pictures, axis=1))
    write_sheet(path, lines)
