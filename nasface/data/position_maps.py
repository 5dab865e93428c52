"""300W-LP's UV position maps as files, as PRNet's training takes them.

Of each photograph the square around the face at 256 x 256, and the 256 x 256 grid of the surface's positions in it
(Feng et al. 2018, "Joint 3D Face Reconstruction and Dense Alignment with Position Map Regression Network", section
3.1; made as YadiraF/face3d, examples/8_generate_posmap_300WLP.py):

    OUTPUT/<SUBSET>/<NAME>.jpg     crop, (256, 256) RGB
    OUTPUT/<SUBSET>/<NAME>.npy     (256, 256, 3) float32: x, y, z of the surface at each cell, 0 off the layout
    OUTPUT/position_maps.json      settings; a folder holds the maps of one

Cell (row, column) lies at BFM_UV's u = column / 255, v = 1 - row / 255: face and neck, the mouth closed. PRNet's
uv_kpt_ind.txt, face_ind.txt and weight masks hold for them. x and y are pixels of the crop counted from 0, z pixels
from the farthest vertex, growing toward the camera. The square's side is 1.5 times the mean of width and height of
the 68 landmarks' box, moved and resized by up to a tenth.

Differences from face3d: positions are where the picture shows them (face3d's lie a pixel to the right of it and one
above, see `nasface.faces.conventions`); squares lie on whole pixels of the photograph; and the moves depend on the
name of the picture only, so that the files are the same however often and by however many processes they are made.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from nasface.data.crops import crop_square, is_face_box, resize_image
from nasface.data.sets.w300lp import (
    Parameters,
    check_copy,
    face_name,
    find_images,
    model_coefficients,
    model_digest,
    read_parameters,
)
from nasface.faces.bfm import BaselMesh, keypoints_of
from nasface.faces.camera import crop_similarity, pose_from_300wlp, project, transform_pose
from nasface.faces.rasterize import rasterize
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write, write_text
from nasface.utils.image_workers import in_processes
from nasface.utils.images import decode_image
from nasface.utils.lock import hold
from nasface.utils.progress import Progress
from nasface.utils.reading import beside

MAP_SIZE = 256
CROP_FACTOR = 1.5
"""Side of the square in units of the mean of width and height of the landmarks' box."""

_VERSION = 1  # to be raised when the files of the same settings change
_SETTINGS = "position_maps.json"
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class UVCells:
    """Where each cell of a map lies on a mesh.

    Attributes:
        cells: (M,) flat indices of the cells on the layout.
        corners: (M, 3) vertices of each one's triangle.
        weights: (M, 3) float32 barycentric weights.
    """

    cells: np.ndarray
    corners: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Moves:
    """How squares are moved around their faces.

    Attributes:
        jitter: by up to this part of the box's size along each axis, and the side is changed by up to this part; from 0
            (they stay where they are) to below 1.
        seed: another seed moves the squares otherwise.

    Raises:
        UserError: the jitter is out of range.
    """

    jitter: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.jitter < 1:
            raise UserError(
                f"a jitter of {self.jitter:g} is not possible: give a part of the face's size, from 0 to below 1"
            )


def write_position_maps(
    root: str | Path,
    mesh: BaselMesh,
    output: str | Path,
    moves: Moves = Moves(),
    *,
    flipped: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Make the files of the whole set that are not there yet; how many faces it has, and how many were made. One map
    takes 0.8 MB.

    Args:
        root: 300W_LP, or the folder around it.
        mesh: of the model, by `load_bfm_mesh`.
        flipped: take the _Flip folders too.
        workers: processes, 0: one per core; the files do not depend on it.
        progress: called with (faces done, faces), first with those of an earlier, interrupted run.

    Raises:
        UserError: a file is absent or damaged, `output` holds maps of other settings or cannot be written.
    """
    images = find_images(root, flipped)
    output = Path(output)
    if _target(output, images[0]).resolve() == images[0].with_suffix("").resolve():
        raise UserError(f"{output} is the set itself, and its pictures would be replaced: choose another --output")
    with hold(output / ".lock", "preparation", "choose another --output", wait=True):
        _keep_settings(output, moves, model_digest(mesh.model, keypoints_of(mesh.model)))
    photographs = _photographs(images)
    missing = {name: faces for name, faces in photographs.items() if not all(_is_made(output, i) for i in faces)}
    todo = sum(not _is_made(output, image) for faces in missing.values() for image in faces)
    done = len(images) - todo
    if progress is not None and done:
        progress(done, len(images))
    cells = uv_cells(mesh)

    def make(photograph: str) -> int:
        return _make(missing[photograph], output, mesh, cells, moves)

    for made in in_processes(make, list(missing), workers or available_cores()):
        done += made
        if progress is not None:
            progress(done, len(images))
    return len(images), todo


def uv_cells(mesh: BaselMesh, size: int = MAP_SIZE) -> UVCells:
    """Where the cells of a `size` x `size` map lie on a mesh."""
    flat = np.concatenate([mesh.uv * (size - 1), np.zeros((len(mesh.uv), 1))], axis=1)
    index, weights, _ = rasterize(flat, mesh.triangles, size)
    cells = np.flatnonzero(index.ravel() >= 0)
    return UVCells(cells, mesh.triangles[index.ravel()[cells]], weights.reshape(-1, 3)[cells])


def position_map(cells: UVCells, points: np.ndarray, size: int = MAP_SIZE) -> np.ndarray:
    """The map (size, size, 3) float32 of the mesh's vertices (V, 3) in crop pixels."""
    flat = np.zeros((size * size, 3), dtype=np.float32)
    flat[cells.cells] = np.einsum("mk,mkc->mc", cells.weights, points[cells.corners])
    return flat.reshape(size, size, 3)


def face_crop(
    mesh: BaselMesh, parameters: Parameters, image: np.ndarray, moves: Moves, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """The crop (256, 256, 3) uint8 around a face of a photograph (H, W, 3) uint8, and the vertices (V, 3) float32 of
    the model in it, the least z 0; the picture's name decides on the square's move."""
    coefficients = model_coefficients(parameters, mesh.model).astype(np.float32)
    # Not a product of matrices: BLAS would start threads of its own in every process.
    vertices = mesh.model.mean + np.einsum("vck,k->vc", mesh.model.basis, coefficients)
    pose = pose_from_300wlp(parameters.pose, image.shape[0])
    (left, top), side = square_around(project(pose, vertices[mesh.model.landmark_vertices]), moves, name)
    crop = resize_image(crop_square(image, left, top, side), MAP_SIZE)
    centre = (left + (side - 1) / 2, top + (side - 1) / 2)
    points = project(transform_pose(pose, crop_similarity(centre, side, MAP_SIZE)), vertices)
    points[:, 2] -= points[:, 2].min()
    return crop, points


def square_around(landmarks: np.ndarray, moves: Moves, name: str) -> tuple[tuple[int, int], int]:
    """First pixel and side of the square around landmarks (68, 3) in the photograph."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    if not is_face_box(low, high):
        raise UserError(f"the face in {name} is not one of pixels: restore its .mat")
    size = float((high - low).mean())
    digest = hashlib.blake2b(f"{moves.seed} {name}".encode(), digest_size=24).digest()
    across, down, zoom = moves.jitter * (2 * np.frombuffer(digest, dtype="<u8") / 2.0**64 - 1)
    side = max(1, round(CROP_FACTOR * size * (1 + zoom)))
    corner = (low + high) / 2 + size * np.array([across, down]) - (side - 1) / 2
    return (round(corner[0]), round(corner[1])), side


def _make(images: Sequence[Path], output: Path, mesh: BaselMesh, cells: UVCells, moves: Moves) -> int:
    """Make what is missing of a photograph's versions; how many files that were."""
    parameters = [read_parameters(beside(image, ".mat")) for image in images]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pt2d, which is not used here
        check_copy(images, parameters)
    made = 0
    for image, entry in zip(images, parameters, strict=True):
        if not _is_made(output, image):
            crop, points = face_crop(mesh, entry, decode_image(image), moves, f"{image.parent.name}/{image.stem}")
            _write(_target(output, image), crop, position_map(cells, points))
            made += 1
    return made


def _write(target: Path, crop: np.ndarray, positions: np.ndarray) -> None:
    coded = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    with atomic_write(target.with_suffix(".jpg")) as path:
        path.write_bytes(coded.tobytes())
    # Last: where the map is, the crop is.
    with atomic_write(target.with_suffix(".npy")) as path, path.open("wb") as stream:
        np.save(stream, positions)


def _target(output: Path, image: Path) -> Path:
    return output / image.parent.name / image.stem


def _is_made(output: Path, image: Path) -> bool:
    target = _target(output, image)
    return target.with_suffix(".npy").is_file() and target.with_suffix(".jpg").is_file()


def _photographs(images: Sequence[Path]) -> dict[str, list[Path]]:
    """Images by their face, the mirrored ones apart."""
    groups: dict[str, list[Path]] = {}
    for image in images:
        groups.setdefault(f"{image.parent.name}/{face_name(image)}", []).append(image)
    return groups


def _keep_settings(output: Path, moves: Moves, model: str) -> None:
    """Note in the folder what the files depend on beside the photographs (`model` is the morphable model's digest); a
    UserError where it holds maps of others."""
    settings = asdict(moves) | {"model": model, "version": _VERSION}
    path, text = output / _SETTINGS, json.dumps(settings, indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise UserError(f"{output} holds maps of another model or of other settings ({_SETTINGS}): give another output")
    write_text(path, text)
