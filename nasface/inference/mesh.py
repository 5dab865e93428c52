"""A face's dense shape as a Wavefront OBJ with UV coordinates and the photograph as its texture."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from nasface.faces.uv import grid_triangles
from nasface.utils.files import atomic_write, write_text


def write_obj(
    path: str | Path, dense: np.ndarray, inside: np.ndarray | None, image: np.ndarray, texture_size: int = 256
) -> None:
    """Write NAME.obj, NAME.mtl and the texture NAME.png; in the names of the last two, which the first one holds, `_`
    stands for what is no letter of ASCII, digit, dot or dash, and a digest follows where there was such.

    Vertices are in pixels of the photograph with y up and z toward the camera, so that any viewer shows the face
    upright; the UV chart is the position map's.

    Args:
        path: NAME.obj.
        dense: (3, M, M) UV position map in pixels of the photograph.
        inside: (M, M) bool, the cells that are skin; None writes all.
        image: (H, W, 3) uint8 RGB, the photograph.
        texture_size: side of the texture in pixels.

    Raises:
        UserError: a file cannot be written.
    """
    path = Path(path)
    rows, columns = dense.shape[1:]
    inside = np.ones((rows, columns), dtype=bool) if inside is None else inside
    triangles = grid_triangles(inside)
    used, numbers = np.unique(triangles, return_inverse=True)
    vertices = dense.reshape(3, -1).T[used] * [1.0, -1.0, 1.0] + [0.0, image.shape[0] - 1.0, 0.0]
    uv = np.stack([used % columns / (columns - 1), 1 - used // columns / (rows - 1)], -1)
    # In a name of the format's own words only: viewers split at spaces, and take text for ASCII.
    name = re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)
    name += "" if name == path.stem else f"-{hashlib.sha256(path.stem.encode('utf-8', 'replace')).hexdigest()[:8]}"
    material = path.with_name(f"{name}.mtl")
    lines = [f"mtllib {material.name}", "usemtl face"]
    lines += [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in vertices]
    lines += [f"vt {u:.5f} {v:.5f}" for u, v in uv]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in numbers.reshape(triangles.shape) + 1]
    write_text(path, "\n".join(lines) + "\n")
    write_text(material, f"newmtl face\nKa 1 1 1\nKd 1 1 1\nillum 0\nmap_Kd {name}.png\n")
    with atomic_write(path.with_name(f"{name}.png")) as temporary:
        Image.fromarray(texture(dense, image, texture_size)).save(temporary, format="png")


def texture(dense: np.ndarray, image: np.ndarray, size: int) -> np.ndarray:
    """The photograph (H, W, 3) read at every point of the chart: (size, size, 3) uint8.

    Vertex (row r, column c) of the map is at u = c / (M - 1), v = r / (M - 1), the middle of the texture's first pixel
    at 0.5 / size.
    """
    rows, columns = dense.shape[1:]
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(line * (columns - 1), line * (rows - 1))
    across, down = (
        cv2.remap(np.ascontiguousarray(axis), x, y, cv2.INTER_LINEAR) for axis in dense[:2].astype(np.float32)
    )
    return cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
