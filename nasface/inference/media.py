"""What `nasface predict` reads and writes: photographs, folders of them, videos."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from nasface.inference.aligner import Boxes, FaceAligner
from nasface.inference.face import Face
from nasface.inference.five_points import aligned_crop
from nasface.inference.following import FaceFollower
from nasface.inference.overlay import draw_faces
from nasface.utils.errors import UserError, os_reason
from nasface.utils.files import atomic_write, check_output, write_text
from nasface.utils.images import decode_image
from nasface.utils.progress import Progress
from nasface.utils.reading import files_in, require_file

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
_COUNTED = (".mp4", ".mov", ".m4v", ".avi")  # others only say how long they are
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")

# OpenCV and its FFmpeg would comment on every damaged block.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
(getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)  # moved in OpenCV 5


@dataclass(frozen=True)
class Wanted:
    """What is written beside the JSON.

    Attributes:
        overlay: the faces drawn over image or video.
        obj: a mesh of each face as OBJ, for images.
        ply: the same as PLY.
        aligned: side of crops normalised by five points; 0 writes none.
        dense: the dense shape in the JSON, too.
        smooth: share of the earlier frame in a video's shapes, 0..1.
        beside: image or video, and beside it the same with the faces drawn over it.
    """

    overlay: bool = True
    obj: bool = True
    ply: bool = False
    aligned: int = 0
    dense: bool = False
    smooth: float = 0.0
    beside: bool = False


class Found(NamedTuple):
    """How many faces a file holds, over all frames of a video, and how many frames; 0 of a photograph."""

    faces: int
    frames: int


def find_inputs(*paths: str | Path) -> list[Path]:
    """The files themselves, and folders' images and videos in the order of their names.

    Raises:
        UserError: one is absent, a folder holds none, or two have one name, so that their output would have, too.
    """
    found: dict[str, Path] = {}
    for path in (one for given in paths for one in _inputs_at(Path(given))):
        other = found.setdefault(path.name, path)
        if other.absolute() != path.absolute():
            raise UserError(f"{other} and {path} have one name: align them apart, each with an --output of its own")
    return list(found.values())


def _inputs_at(path: Path) -> list[Path]:
    if path.is_dir():
        found = files_in(path, *IMAGES, *VIDEOS)
        if not found:
            raise UserError(f"{path} holds no image ({', '.join(IMAGES)}) and no video ({', '.join(VIDEOS)})")
        return found
    if not path.exists():
        raise UserError(f"{path} does not exist: give an image, a folder of images, or a video")
    return [path]


def predict_image(aligner: FaceAligner, path: Path, folder: Path, wanted: Wanted, boxes: Boxes) -> Found:
    """Write what is wanted of one photograph into `folder`."""
    image = decode_image(path, upright=True)
    faces = aligner.predict(image, boxes)
    record = {"image": path.name, "width": image.shape[1], "height": image.shape[0]}
    record |= {"faces": [face.as_dict(wanted.dense) for face in faces]}
    write_text(folder / f"{path.name}.json", json.dumps(record, allow_nan=False) + "\n")
    drawn = draw_faces(image, faces) if wanted.overlay or wanted.beside else image
    if wanted.overlay:
        _write_png(folder / f"{path.name}.overlay.png", drawn)
    if wanted.beside:
        _write_png(folder / f"{path.name}.beside.png", np.hstack([image, drawn]))
    for number, face in enumerate(faces):
        for ending in [kind for kind in ("obj", "ply") if getattr(wanted, kind) and face.dense is not None]:
            face.save(folder / f"{path.name}-{number}.{ending}")
        if wanted.aligned:
            _write_aligned(folder / f"{path.name}-{number}.aligned.png", image, face, wanted.aligned)
    return Found(len(faces), 0)


def predict_video(
    aligner: FaceAligner, path: Path, folder: Path, wanted: Wanted, boxes: Boxes, progress: Progress | None = None
) -> Found:
    """Write the faces of every frame, and the video with them drawn on it.

    Args:
        progress: called with (frames done, frames); a file may not say how many it has.
    """
    require_file(path, "give a file that holds a video")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise UserError(f"{path} does not open as a video: convert it to an MP4 that plays")
    total = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    rate = float(capture.get(cv2.CAP_PROP_FPS)) or 25.0
    follow, frames, count = FaceFollower(aligner, boxes, wanted.smooth), 0, 0
    with atomic_write(folder / f"{path.name}.json") as record_file:
        with (
            record_file.open("w", encoding="utf-8") as record,
            video_writer(folder / f"{path.name}.overlay.mp4", rate, wanted.overlay) as write,
            video_writer(folder / f"{path.name}.beside.mp4", rate, wanted.beside) as write_beside,
        ):
            about = {"video": path.name, "frames_per_second": rate, "smooth": wanted.smooth}
            record.write(f'{json.dumps(about)[:-1]}, "frames": [')  # frame by frame: an hour of them fills the memory
            for number, image in enumerate(_frames(capture)):
                faces, frames = follow(image), number + 1
                count += len(faces)
                found = [face.as_dict(wanted.dense) for face in faces]
                frame = {"frame": number, "scene": follow.scene, "faces": found}
                record.write(f"{', ' if number else ''}{json.dumps(frame, allow_nan=False)}")
                drawn = draw_faces(image, faces) if wanted.overlay or wanted.beside else image
                write(drawn)
                write_beside(np.hstack([image, drawn]) if wanted.beside else image)
                for place, face in enumerate(faces if wanted.aligned else ()):
                    name = f"{path.name}-{number:06d}-{place}.aligned.png"
                    _write_aligned(folder / name, image, face, wanted.aligned)
                if progress is not None:
                    progress(frames, max(total, frames))
            record.write("]}\n")
        if not frames:
            raise UserError(f"{path} holds no frame that decodes: convert it to an MP4 that plays")
        if frames < total - (path.suffix.lower() not in _COUNTED):
            said = f"{path}: only {frames} of its {total} frames could be read, it is cut off or damaged"
            print(said, file=sys.stderr)
    capture.release()
    return Found(count, frames)


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        whole, frame = capture.read()
        if not whole:
            return
        yield np.ascontiguousarray(frame[..., ::-1])


def _write_aligned(path: Path, image: np.ndarray, face: Face, size: int) -> None:
    try:
        crop = aligned_crop(image, face.landmarks, size)
    except ValueError as error:
        raise UserError(f"{path} cannot be made ({error}): the network needs more training") from None
    _write_png(path, crop)


@contextmanager
def video_writer(path: Path, rate: float, wanted: bool) -> Iterator[Callable[[np.ndarray], None]]:
    """Gives what writes frames (H, W, 3) RGB to a file that appears when all are written; the first one sets the
    size."""
    check_output(path)
    # Of this process alone: another one may be writing a video of that name.
    partial, writer, count = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4"), cv2.VideoWriter(), 0

    def write(frame: np.ndarray) -> None:
        nonlocal count
        if not wanted:
            return
        count += 1
        if not writer.isOpened():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not writer.open(str(partial), cv2.VideoWriter.fourcc(*"mp4v"), rate, (frame.shape[1], frame.shape[0])):
                raise UserError(f"cannot write {path}: OpenCV has no MP4 writer here; set --overlay false")
        writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def whole() -> bool:
        """Whether the file is: the writer does not say what the disk has not taken."""
        end, size = 0, partial.stat().st_size
        with partial.open("rb") as stream:  # the boxes of an MP4, each with its length in front, must fill the file
            while 0 <= end < size and (head := stream.read(16)):
                length = int.from_bytes(head[:4]) if head[:4] != b"\0\0\0\1" else int.from_bytes(head[8:])
                end = stream.seek(end + length) if length >= 8 else -1
        written = cv2.VideoCapture(str(partial)) if end == size else None
        return written is not None and int(written.get(cv2.CAP_PROP_FRAME_COUNT)) == count

    try:
        yield write
        writer.release()
        if count:
            if not whole():
                raise UserError(
                    f"cannot write {path}: the disk is full, or its size is limited (ulimit -f); free space"
                )
            partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {os_reason(error)}") from None
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


def _write_png(path: Path, image: np.ndarray) -> None:
    with atomic_write(path) as temporary:
        # More takes many times as long as aligning a photograph's faces does, and saves a sixth of the bytes.
        Image.fromarray(image).save(temporary, format="png", compress_level=1)
