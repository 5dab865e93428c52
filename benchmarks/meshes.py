"""A picture of faces and their meshes: photographs in rows; the overlay, and the mesh from both sides, of each network.

    python -m benchmarks.meshes PHOTO... --weights nasface-m mb05_120x120.pth --output meshes.png

Without photographs it draws those of the README, which are in the public domain: Grace Hopper (US Navy, comes with
matplotlib) and, where scikit-image is installed, Eileen Collins (NASA).
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from matplotlib import cbook
from PIL import Image

import nasface
from nasface.data.crops import crop_square
from nasface.faces.camera import euler_to_matrix
from nasface.faces.drawing import vertex_normals
from nasface.faces.rasterize import rasterize
from nasface.faces.surface import folded_edges
from nasface.utils.ending import one_line
from nasface.utils.errors import UserError
from nasface.utils.images import decode_image

TURNS = (-35.0, 35.0)  # degrees of yaw at which a mesh is seen
_LIGHT = np.array([-0.35, 0.5, 0.8]) / np.linalg.norm([-0.35, 0.5, 0.8])
_CLAY, _GROUND = np.array([214.0, 204.0, 194.0]), 255


def public_photographs() -> list[Path]:
    """Photographs in the public domain that this environment has."""
    found = [Path(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))]
    package = find_spec("skimage")
    places = package.submodule_search_locations if package is not None else None
    return found + [path for place in places or () if (path := Path(place) / "data" / "astronaut.png").is_file()]


def mesh_picture(face: nasface.Face, turn: float, side: int, textured: bool = False) -> np.ndarray:
    """A face's mesh (side, side, 3) uint8, turned out of its own pose's frame by degrees of yaw."""
    assert face.image is not None
    points = face.vertices.astype(float) * [1.0, -1.0, 1.0]
    middle = (points.min(0) + points.max(0)) / 2
    upright = euler_to_matrix(np.array([0.0, turn, 0.0])) @ euler_to_matrix(face.angles).T
    points = (points - middle) @ upright.T
    points *= 0.8 * side / np.ptp(points[:, :2], axis=0).max()
    points[:, :2] -= (points[:, :2].min(0) + points[:, :2].max(0)) / 2
    points = points * [1.0, -1.0, 1.0] + [side / 2, side / 2, 0.0]
    index, weights, _ = rasterize(points, face.triangles, side)
    seen = index >= 0
    corners, parts = face.triangles[index[seen]], weights[seen][..., None]
    normals = (vertex_normals(points * [1.0, -1.0, 1.0], face.triangles)[corners] * parts).sum(1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    light = (0.3 + 0.75 * np.clip(normals @ _LIGHT, 0, 1))[:, None]
    x, y = (np.ascontiguousarray(face.vertices[None, :, k]) for k in (0, 1))
    colours = cv2.remap(face.image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0].astype(float)
    skin = (colours[corners] * parts).sum(1) * (0.75 + 0.25 * light) if textured else _CLAY * light
    picture = np.full((side, side, 3), _GROUND, np.uint8)
    picture[seen] = np.clip(skin, 0, 255)
    return picture


def row(photograph: Path, aligners: list[nasface.FaceAligner], side: int) -> np.ndarray | None:
    """The largest face of a photograph; None where none is found."""
    image = decode_image(photograph, upright=True)
    found = [aligner.predict(image) for aligner in aligners]
    if not all(found):
        return None
    x, y, width, height = found[0][0].box
    window = round(1.7 * max(width, height))
    left, top = round(x + width / 2 - window / 2), round(y + height / 2 - 0.56 * window)

    def tile(pixels: np.ndarray) -> np.ndarray:
        return cv2.resize(crop_square(pixels, left, top, window), (side, side), interpolation=cv2.INTER_AREA)

    big = 2 * side  # drawn at twice the size, so that edges are soft
    tiles = [tile(image)]
    for face, *_ in found:
        tiles.append(tile(face.draw()))
        meshes = [mesh_picture(face, TURNS[0], big, textured=True), *(mesh_picture(face, turn, big) for turn in TURNS)]
        tiles += [cv2.resize(mesh, (side, side), interpolation=cv2.INTER_AREA) for mesh in meshes]
        folds = folded_edges(face.vertices, face.triangles)
        print(f"{photograph.name:28s} {face!r}, edges folded by more than 120 degrees: {folds}")
    return np.hstack(tiles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", nargs="*", type=Path)
    parser.add_argument("--weights", nargs="+", default=["nasface-m"], help="as nasface predict takes them")
    parser.add_argument("--output", type=Path, default=Path("meshes.jpg"))
    parser.add_argument("--side", type=int, default=240, help="of a tile in pixels")
    arguments = parser.parse_args()
    aligners = [nasface.load(weights) for weights in arguments.weights]
    rows = [row(path, aligners, arguments.side) for path in arguments.photographs or public_photographs()]
    if not (kept := [one for one in rows if one is not None]):
        raise UserError("no face was found: give photographs with faces")
    Image.fromarray(np.vstack(kept)).save(arguments.output, quality=88)
    print(f"written  {arguments.output}")


if __name__ == "__main__":
    with one_line("error"):
        main()
