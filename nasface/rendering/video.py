"""Short videos out of still images: a fitted face turns, moves and blurs a little from frame to frame.

Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment", ECCV 2020, section 2.4: frame j is noise and
motion blur of x_j, with x_j a similarity T and a face profiling F of x_{j-1}. Profiling is that of Zhu et al., "Face
Alignment Across Large Poses: A 3D Solution", CVPR 2016, section 4: the face's mesh and a background mesh of anchors
around it, which have a depth, too, are turned together and drawn with a z-buffer, each with the pixels that it had.

The changes are summed over the frames and every frame is drawn from the still image, so that it is resampled once.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from nasface.config import VideoConfig
from nasface.faces.camera import euler_to_matrix
from nasface.faces.morphable import MorphableModel
from nasface.utils.errors import UserError

_RINGS = (1.0, 1.15, 1.4, 1.8, 2.6)
"""Distances of the anchors from the face's middle, in those of its outline."""
_SPOKES = 48  # anchors of a ring
_SMOOTH = 0.25  # deviation of a change from frame to frame, in parts of its strength
_FLIP_Y = np.diag([1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Motion:
    """Where the frames of a video are, relative to the still image; n entries each, the first ones zero.

    Attributes:
        turn: (n, 2) degrees added to pitch and yaw.
        roll: (n,) degrees, clockwise in the image.
        scale: (n,) logarithms of the size.
        shift: (n, 2) pixels.
    """

    turn: np.ndarray
    roll: np.ndarray
    scale: np.ndarray
    shift: np.ndarray

    def similarity(self, frame: int, centre: np.ndarray) -> np.ndarray:
        """(2, 3), image to image, about `centre` (2,)."""
        angle, size = np.deg2rad(self.roll[frame]), np.exp(self.scale[frame])
        linear = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.column_stack((linear, centre - linear @ centre + self.shift[frame]))


def draw_motion(rng: np.random.Generator, config: VideoConfig, yaw: float, size: int) -> Motion:
    """A smooth motion: each change has a pace of its own that varies little from frame to frame.

    Args:
        rng: source of the draws.
        config: strengths.
        yaw: of the still face: its sign is the direction in which it turns, 0 leaves that to chance.
        size: side of the image.
    """
    strengths = np.array([config.pitch, config.yaw, config.roll, np.log1p(config.scale), *2 * [config.shift * size]])
    if config.random:
        path = (config.frames - 1) * strengths * rng.uniform(-1, 1, (config.frames, 6))
        path[0] = 0
        return Motion(path[:, :2], path[:, 2], path[:, 3], path[:, 4:])
    pace = rng.uniform(-1, 1, 6)
    pace[1] = np.copysign(pace[1], yaw) if yaw else pace[1]
    paces = pace + _SMOOTH * rng.normal(size=(config.frames - 1, 6)).cumsum(axis=0) / np.sqrt(config.frames)
    if yaw:
        paces[:, 1] = np.copysign(paces[:, 1], yaw)
    path = np.concatenate((np.zeros((1, 6)), (strengths * np.clip(paces, -1, 1)).cumsum(axis=0)))
    return Motion(path[:, :2], path[:, 2], path[:, 3], path[:, 4:])


@dataclass(frozen=True)
class ProfilingMesh:
    """A still image as a mesh with depth: its face, and anchors around it.

    Attributes:
        points: (P, 3) crop pixels; the face's vertices first.
        triangles: (T, 3) int32.
        firmness: (P,) how far a point turns with the face: 1 on it, 0 at the image's border.
        centre: (3,) crop pixels about which it turns.
    """

    points: np.ndarray
    triangles: np.ndarray
    firmness: np.ndarray
    centre: np.ndarray

    def moved(self, rotation: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """The points (P, 3) after a rotation (3, 3) of the face about its centre and a similarity (2, 3) of the
        image."""
        turned = (self.points - self.centre) @ rotation.T + self.centre
        turned = self.points + self.firmness[:, None] * (turned - self.points)
        size = np.sqrt(np.linalg.det(similarity[:, :2]))
        return np.column_stack((turned[:, :2] @ similarity[:, :2].T + similarity[:, 2], size * turned[:, 2]))


def profiling_mesh(vertices: np.ndarray, triangles: np.ndarray, size: int) -> ProfilingMesh:
    """The mesh of an image whose face has these vertices.

    Triangles that show their back are left out: their pixels are another surface's. The anchors lie on rings about the
    face's outline, the last beyond the image. The depth of the first ring is the outline's own; outward it goes over to
    one plane behind the face, and the turn fades.

    Args:
        vertices: (V, 3) crop pixels.
        triangles: (T, 3).
        size: side of the image.
    """
    from scipy.spatial import Delaunay

    edges = np.diff(vertices[triangles][..., :2], axis=1)
    # y points down: seen from outside, corners go around clockwise.
    triangles = triangles[edges[:, 0, 0] * edges[:, 1, 1] < edges[:, 0, 1] * edges[:, 1, 0]]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    centre = (low + high) / 2
    directions = np.linspace(0, 2 * np.pi, _SPOKES, endpoint=False)
    spokes = np.column_stack((np.cos(directions), np.sin(directions)))
    reach = (vertices[:, :2] - centre[:2]) @ spokes.T
    outline = vertices[reach.argmax(axis=0)]
    behind = outline[:, 2].min()
    border = 1.5 * size  # beyond every corner
    rings, firmness = [], []
    for ring in _RINGS:
        fade = 1 - (ring - 1) / (_RINGS[-1] - 1)
        places = centre[:2] + ring * (outline[:, :2] - centre[:2])
        rings.append(np.column_stack((places, behind + fade * (outline[:, 2] - behind))))
        firmness.append(np.full(_SPOKES, fade))
    far = centre[:2] + border * spokes
    rings.append(np.column_stack((far, np.full(_SPOKES, behind))))
    firmness.append(np.zeros(_SPOKES))
    anchors = np.concatenate(rings)
    background = Delaunay(anchors[:, :2]).simplices + len(vertices)
    return ProfilingMesh(
        np.concatenate((vertices, anchors)).astype(np.float64),
        np.concatenate((triangles, background)).astype(np.int32),
        np.concatenate((np.ones(len(vertices)), *firmness)),
        centre.astype(np.float64),
    )


def render_mesh(image: np.ndarray, mesh: ProfilingMesh, moved: np.ndarray) -> np.ndarray:
    """The image (S, S, C) with its mesh's points at `moved` (P, 3), drawn with a z-buffer; what the mesh leaves open
    keeps its pixels."""
    from nasface.faces.rasterize import rasterize

    size = image.shape[0]
    index, weights, _ = rasterize(moved, mesh.triangles, size)
    corners = mesh.triangles[np.maximum(index, 0)]
    source = (weights[..., None] * mesh.points[corners][..., :2]).sum(axis=2)
    row, column = np.indices(index.shape)
    source = np.where(index[..., None] < 0, np.stack((column, row), axis=-1), source).astype(np.float32)
    return cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def moved_pose(pose: np.ndarray, rotation: np.ndarray, centre: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """The pose (3, 4) of the face after what `ProfilingMesh.moved` does to it."""
    size = np.sqrt(np.linalg.det(similarity[:, :2]))
    plane = np.diag([0.0, 0.0, size])
    plane[:2, :2] = similarity[:, :2]
    column = plane @ (rotation @ (pose[:, 3] - centre) + centre) + np.append(similarity[:, 2], 0.0)
    return np.column_stack((plane @ rotation @ pose[:, :3], column))


def motion_blur(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """The image smeared over `length` pixels in the direction of `angle` (radians)."""
    if length < 1:
        return image
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), dtype=np.float32)
    for place in np.linspace(-length / 2, length / 2, 4 * side):
        x, y = side // 2 + place * np.cos(angle), side // 2 + place * np.sin(angle)
        kernel[int(round(y)), int(round(x))] += 1
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class ShortVideos:
    """Makes short videos of faces with a morphable model.

    Attributes:
        model: of the faces.
        config: strengths.
    """

    model: MorphableModel
    config: VideoConfig

    def stills(self, batch_size: int) -> int:
        """Still images of a batch of `batch_size` frames.

        Raises:
            UserError: it is no whole number of videos.
        """
        if batch_size % self.config.frames:
            raise UserError(f"batch_size {batch_size} is no multiple of the {self.config.frames} frames of a video")
        return batch_size // self.config.frames

    def video(
        self, image: np.ndarray, coefficients: np.ndarray, pose: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """One still image as n frames; the first is the still image itself.

        Args:
            image: (S, S, 3), uint8 or float32 of that range.
            coefficients: (K,).
            pose: (3, 4), model to crop pixels.
            rng: source of the draws.

        Returns:
            Frames (n, S, S, 3) of the image's type and their poses (n, 3, 4) float32.
        """
        size, pose = image.shape[0], pose.astype(np.float64)
        vertices = self.model.vertices(coefficients) @ pose[:, :3].T + pose[:, 3]
        mesh = profiling_mesh(vertices, self.model.triangles, size)
        nose = pose[:, :3] @ np.array([0.0, 0.0, 1.0])  # positive yaw turns it to the left
        motion = draw_motion(rng, self.config, -float(nose[0]), size)
        frames, poses = [image], [pose]
        for frame in range(1, self.config.frames):
            pitch, yaw = motion.turn[frame]
            rotation = _FLIP_Y @ euler_to_matrix(np.array([pitch, yaw, 0.0])) @ _FLIP_Y
            similarity = motion.similarity(frame, mesh.centre[:2])
            drawn = render_mesh(image, mesh, mesh.moved(rotation, similarity))
            frames.append(self._camera(drawn, rng))
            poses.append(moved_pose(pose, rotation, mesh.centre, similarity))
        return np.stack(frames), np.stack(poses).astype(np.float32)

    def of_batch(self, batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
        """A training batch of stills (B, ...), augmented and not mirrored, as the frames (B n, ...) of their videos,
        those of a face one after the other; a pure function of its arguments."""
        images = (batch["image"].permute(0, 2, 3, 1).cpu().numpy() * 128 + 127.5).clip(0, 255)
        shapes, views = (batch[name].cpu().numpy() for name in ("coefficients", "pose"))
        made = [
            self.video(np.ascontiguousarray(image), shape, pose, np.random.default_rng([seed, number]))
            for number, (image, shape, pose) in enumerate(zip(images, shapes, views, strict=True))
        ]
        frames, poses = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*made, strict=True))
        result = {name: values.repeat_interleave(self.config.frames, 0) for name, values in batch.items()}
        image = ((frames.permute(0, 3, 1, 2) - 127.5) / 128).to(batch["image"])
        return result | {"image": image.contiguous(), "pose": poses.to(batch["pose"])}

    def _camera(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Noise, then motion blur."""
        deviation = rng.uniform(0, self.config.noise)
        noisy = image.astype(np.float32) + deviation * rng.standard_normal(image.shape, dtype=np.float32)
        length = rng.uniform(0, self.config.blur * len(image))
        blurred = np.clip(motion_blur(noisy, length, rng.uniform(0, np.pi)), 0, 255)
        return np.rint(blurred).astype(image.dtype) if image.dtype == np.uint8 else blurred
