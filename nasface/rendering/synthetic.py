"""The embedded data set: faces drawn from the embedded head with exact geometry.

Face `index` of a split is a pure function of (seed, split, index). Ground truth is exact: the stored pose and
coefficients give the vertices, the landmarks and the UV position map. The crop is the evaluation's: a square around
the landmarks' box, its side about 1.45 times the longer one (3DDFA's benchmarkCrop.m takes sqrt(2)), jittered as a
detector's would be. Test and validation follow AFLW2000-3D's yaw bins.

The camera is scaled orthographic, as 300W-LP's `Pose_Para` with its "focal length" f, which is a scale: a pose of 3 x 4
numbers is then the whole truth. Scale varies from face to face; the distortion of a near camera is not drawn, since no
such pose could describe it, and labels are exact here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numba import njit

from nasface.data.face_set import FaceSet
from nasface.data.registry import Labels, Request, Split, register_data_set
from nasface.faces.camera import make_pose, project
from nasface.faces.landmarks import bounding_box
from nasface.faces.morphable import MATERIALS, MorphableModel, load_embedded_head, load_head_surface
from nasface.faces.rasterize import DepthBuffer, depth_buffer, faces_camera
from nasface.rendering.building import build_face_set
from nasface.rendering.painter import paint
from nasface.rendering.painting.looks import LOOKS, Domain
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError

RENDERER_VERSION = 4
"""Raised whenever the same (seed, split, index) gives another face, so that cached sets are drawn anew."""

SPLITS: tuple[Split, ...] = ("train", "val", "test")
DOMAINS: tuple[Domain, ...] = tuple(LOOKS)
YAW_BINS = ((0.0, 30.0, 1306), (30.0, 60.0, 462), (60.0, 90.0, 232))
"""AFLW2000-3D's bins of |yaw| in degrees and its faces in each (3DDFA's AFLW2000-3D-new.pose.npy)."""
CROP_FACTOR = 1.45

_MAX_SIZE = 1024
_IDENTITY_SPREAD = 0.9  # identities are drawn a little tighter than the model's own spread: its tails are caricatures


@dataclass(frozen=True)
class SyntheticFaces:
    """Which faces a set holds: everything that decides over them but the renderer's version.

    Attributes:
        split: "train", "val" or "test"; the people in them differ.
        count: number of faces, 1 or more.
        image_size: side of the images in pixels, 16 to 1024.
        seed: >= 0; another seed is another set.
        domain: `studio`, or `wild`: another look, other people, and 2D labels only (z of the landmarks is NaN; no
            pose, coefficients or vertices).

    Raises:
        UserError: a value is out of range.
    """

    split: Split
    count: int
    image_size: int
    seed: int
    domain: Domain = "studio"

    def __post_init__(self) -> None:
        for kind, value, known in (("split", self.split, SPLITS), ("domain", self.domain, DOMAINS)):
            if value not in known:
                raise UserError(f"unknown {kind} {value!r}: choose one of {', '.join(known)}")
        if self.count < 1:
            raise UserError(f"a synthetic set of {self.count} faces is empty: ask for 1 or more")
        if not 16 <= self.image_size <= _MAX_SIZE:
            raise UserError(f"synthetic faces of {self.image_size} pixels cannot be drawn: choose 16 to {_MAX_SIZE}")
        if self.seed < 0:
            raise UserError(f"seed {self.seed} is negative: choose 0 or more")

    @property
    def name(self) -> str:
        """What the set's folder in a cache is called."""
        look = "" if self.domain == "studio" else f"-{self.domain}"
        return f"synthetic{look}-{self.split}-{self.count}-{self.image_size}px-seed{self.seed}-v{RENDERER_VERSION}"


@dataclass(frozen=True)
class Face:
    """One drawn face; lengths in crop pixels."""

    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(68, 3) float32."""
    yaw: float
    """Degrees, signed."""
    pose: np.ndarray
    """(3, 4) float32."""
    coefficients: np.ndarray
    """(K,) float32."""
    visible: np.ndarray
    """(68,) bool: not hidden by the head itself (hair, glasses and occluders do not count)."""
    visible_vertices: np.ndarray
    """(ceil(V / 8),) uint8: the same of every vertex, as np.packbits packs it."""


def build_synthetic(
    faces: SyntheticFaces,
    cache_dir: str | Path,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> FaceSet:
    """The faces as a set that is memory-mapped from `cache_dir`; drawn first if it is not there.

        >>> train = build_synthetic(SyntheticFaces("train", count=6000, image_size=64, seed=0), "cache")
        >>> train.images.shape
        (6000, 64, 64, 3)

    Args:
        faces: which ones.
        cache_dir: where sets are kept, one folder each, named after every setting and the renderer's version.
        progress: called with (faces done, count) as they are drawn.
        workers: processes, one per core by default; the files do not depend on their number.

    Raises:
        UserError: the cache cannot be written or read.
    """
    make = partial(_entries, faces)
    return build_face_set(Path(cache_dir) / faces.name, make, faces.count, workers or available_cores(), progress)


def draw_face(
    seed: int, split: Split, index: int, image_size: int, clean: bool = False, domain: Domain = "studio"
) -> Face:
    """Face `index` of a split; `clean` leaves out what covers the face and the camera's defects, with the same
    geometry."""
    rng = _generator(seed, split, index, domain)
    head = load_embedded_head()
    yaw = _yaw(rng, split, index)
    fade = 1 - abs(yaw) / 180
    angles = np.array([np.clip(rng.normal(-5, 14), -45, 35) * fade, yaw, np.clip(rng.normal(0, 15), -50, 50)])
    coefficients = _coefficients(rng, head)
    vertices = _add_modes(head.mean.reshape(-1), _modes(), coefficients).reshape(-1, 3)
    pose = _crop_pose(rng, head, vertices, angles, split, image_size)
    projected = project(pose, vertices).astype(np.float32)
    image = paint(rng, vertices, pose, image_size, domain, rough=not clean)
    visible, vertices_visible = _visible(projected, pose)
    landmarks = projected[head.landmark_vertices]
    return Face(image, landmarks, yaw, pose, coefficients, visible, np.packbits(vertices_visible))


def face_yaw(seed: int, split: Split, index: int, domain: Domain = "studio") -> float:
    """Yaw in degrees of the face that `draw_face` would draw, known without drawing it."""
    return _yaw(_generator(seed, split, index, domain), split, index)


def _entries(faces: SyntheticFaces, index: int) -> dict[str, np.ndarray]:
    """A face as a row of a set's arrays; `wild` keeps what a 2D annotation holds."""
    face = draw_face(faces.seed, faces.split, index, faces.image_size, domain=faces.domain)
    entries = {
        "images": face.image,
        "landmarks": face.landmarks,
        "yaw": np.asarray(face.yaw, np.float32),
        "box": bounding_box(face.landmarks),
        "visible": face.visible,
    }
    if faces.domain == "wild":
        entries["landmarks"] = face.landmarks * np.array([1, 1, np.nan], np.float32)
        return entries
    return entries | {"pose": face.pose, "coefficients": face.coefficients, "visible_vertices": face.visible_vertices}


def _generator(seed: int, split: Split, index: int, domain: Domain) -> np.random.Generator:
    """Every domain, split and index has people of its own."""
    key = [seed, SPLITS.index(split), index] + ([] if domain == "studio" else [DOMAINS.index(domain)])
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _yaw(rng: np.random.Generator, split: Split, index: int) -> float:
    sign = 1.0 if rng.random() < 0.5 else -1.0
    if split == "train":
        # Nearly as many profiles as frontal faces: they are harder, and as heavy in the benchmark's mean.
        return sign * float(rng.uniform(0, 90) if rng.random() < 0.7 else min(abs(rng.normal(0, 25)), 90))
    # The golden ratio's multiples fill [0, 1) evenly: the bins hold their shares whatever the number of faces.
    position = (index + 0.5) * 0.6180339887498949 % 1.0
    ends = np.cumsum([number for _, _, number in YAW_BINS])
    low, high, _ = YAW_BINS[int(np.searchsorted(ends / ends[-1], position, side="right"))]
    return sign * float(rng.uniform(low, high))


@lru_cache(maxsize=1)
def _units() -> dict[str, int]:
    first = load_embedded_head().identity_count
    return {name: first + i for i, name in enumerate(load_head_surface().expression_names)}


@lru_cache(maxsize=1)
def _gestures() -> list[list[int]]:
    """Expression units in groups that a face moves together: left with right, gaze apart."""
    units = _units()
    sideways = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
    skipped = ("eyeLook", "eyeBlink", "tongueOut", "jawOpen", "mouthClose", "mouthSmile", *sideways)
    plain = [name for name in units if not name.startswith(skipped)]
    groups = [[units[n], units[n[:-4] + "Right"]] for n in plain if n.endswith("Left")]
    groups += [[units[n]] for n in plain if not n.endswith(("Left", "Right"))]
    return groups + [[units[n]] for n in sideways]


def _coefficients(rng: np.random.Generator, head: MorphableModel) -> np.ndarray:
    """Identity from the model's distribution; expression sparse: often neutral, else a few units, with gaze."""
    coefficients = np.zeros(head.coefficient_count)
    identity = np.clip(rng.normal(0, _IDENTITY_SPREAD, head.identity_count), -2.2, 2.2)
    coefficients[: head.identity_count] = identity
    units = _units()

    def move(names: tuple[str, ...], amount: float) -> None:
        for name in names:
            coefficients[units[name]] = np.clip(amount * rng.uniform(0.8, 1.2), 0, 1)

    if rng.random() < 0.3:
        move(("jawOpen",), rng.beta(1.1, 2.2))
    if rng.random() < 0.45:
        smile = rng.beta(1.5, 1.2)
        move(_both("mouthSmile"), smile)
        move(_both("cheekSquint"), smile * rng.random())
        if rng.random() < 0.7:  # teeth are shown
            move(_both("mouthUpperUp"), smile * rng.uniform(0.4, 1.0))
            move(_both("mouthLowerDown"), smile * rng.uniform(0, 0.6))
            move(_both("mouthStretch"), smile * rng.uniform(0, 0.5))
            move(("jawOpen",), rng.uniform(0, 0.35))
    if rng.random() < 0.15:
        move(_both("eyeBlink"), rng.uniform(0.3, 1))
    if rng.random() < 0.6:
        for group in rng.permutation(len(_gestures()))[: rng.integers(1, 4)]:
            amount = rng.beta(1.2, 2.0)
            for unit in _gestures()[group]:
                coefficients[unit] = np.clip(amount * rng.uniform(0.7, 1.3), 0, 1)
    across, up = rng.normal(0, 0.35, 2)
    move(("eyeLookInLeft", "eyeLookOutRight"), max(across, 0))
    move(("eyeLookOutLeft", "eyeLookInRight"), max(-across, 0))
    move(("eyeLookUpLeft", "eyeLookUpRight"), max(up, 0))
    move(("eyeLookDownLeft", "eyeLookDownRight"), max(-up, 0))
    return coefficients.astype(np.float32)


def _both(name: str) -> tuple[str, str]:
    """An expression unit of the left side and of the right one."""
    return f"{name}Left", f"{name}Right"


@lru_cache(maxsize=1)
def _modes() -> np.ndarray:
    """The head's modes as contiguous rows (K, 3 V)."""
    return np.ascontiguousarray(load_embedded_head().basis.reshape(-1, load_embedded_head().coefficient_count).T)


@njit(cache=True, nogil=True)
def _add_modes(mean: np.ndarray, modes: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    # Not `MorphableModel.vertices`: BLAS would start threads of its own in every worker, and most expression
    # coefficients are 0.
    total = mean.copy()
    for k in range(len(coefficients)):
        if coefficients[k] != 0.0:
            for i in range(len(total)):
                total[i] += coefficients[k] * modes[k, i]
    return total


@lru_cache(maxsize=1)
def _chart_vertices() -> np.ndarray:
    return np.flatnonzero(np.isfinite(load_embedded_head().uv).all(axis=1))


def _crop_pose(
    rng: np.random.Generator, head: MorphableModel, vertices: np.ndarray, angles: np.ndarray, split: Split, size: int
) -> np.ndarray:
    """The pose in the crop around the face's own landmarks; z has zero mean over the face's vertices."""
    unit = project(make_pose(1.0, angles, np.zeros(3)), vertices)
    points = unit[head.landmark_vertices, :2]
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    loose = split == "train"
    zoom = np.clip(np.exp(rng.normal(0, 0.08 if loose else 0.03)), 0.8, 1.25)
    shift = np.clip(rng.normal(0, 0.04 if loose else 0.02, 2), -0.1, 0.1) * size
    scale = zoom * size / (CROP_FACTOR * bounding_box(points).max())
    target = (size - 1) / 2 + shift - scale * middle
    depth = -scale * unit[_chart_vertices(), 2].mean()
    return make_pose(scale, angles, np.array([target[0], target[1], depth]))


@lru_cache(maxsize=1)
def _skin_triangles() -> np.ndarray:
    return load_embedded_head().triangles[load_head_surface().materials <= MATERIALS.index("plain")]


def visibility_buffer(coefficients: np.ndarray, pose: np.ndarray) -> DepthBuffer:
    """The z-buffer of a face's skin: which points on it, or before it, a camera sees.

    Args:
        coefficients: (K,); pose: (3, 4).
    """
    vertices = _add_modes(load_embedded_head().mean.reshape(-1), _modes(), coefficients).reshape(-1, 3)
    return depth_buffer(project(pose, vertices), _skin_triangles())


def _visible(projected: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the landmarks (68,) and of all vertices (V,): not hidden by the head itself."""
    head = load_embedded_head()
    buffer = depth_buffer(projected, _skin_triangles())
    unit = float(np.linalg.norm(pose[0, :3]))
    # The eyelids' landmarks lie up to a tenth of the model's unit under their folds.
    landmarks = buffer.sees(projected[head.landmark_vertices], 0.12 * unit)
    return landmarks, buffer.sees(projected, 0.005 * unit) & faces_camera(projected, head.triangles)


TRAIN_COUNT = 6000
"""Training faces that are rendered where `data.train_count` is empty."""


@register_data_set(
    "synthetic",
    splits=("train", "val", "test"),
    labels=Labels(depth=True),
    model=lambda config: load_embedded_head(),
    other_head=True,
)
def synthetic(request: Request) -> FaceSet:
    """Faces drawn from the embedded head; those of `data.domain` are test faces only."""
    config, split, count = request.config, request.split, request.count
    if split == "train" and config.train_count is None:
        count = TRAIN_COUNT
    if count < 1:
        raise UserError(f"data.{split}_count must be at least 1 for synthetic faces, not {count}")
    domain = config.domain if split == "test" else "studio"
    faces = SyntheticFaces(split, count, request.image_size, config.seed, domain)
    return build_synthetic(faces, config.cache, request.progress_for(f"rendering {split} faces"))
