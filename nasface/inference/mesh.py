"""A face's mesh in a file: Wavefront OBJ with the photograph as its texture, or PLY with a colour at each vertex."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from nasface.faces.surface import Surface
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write, write_text


def write_mesh(
    path: str | Path, dense: np.ndarray, surface: Surface, image: np.ndarray, texture_size: int = 256
) -> None:
    """Write NAME.obj, NAME.mtl and the texture NAME.texture.png, or NAME.ply.

    In the names of material and texture, which the OBJ holds, `_` stands for what is no letter of ASCII, digit, dot or
    dash, and a digest follows where there was such.

    Vertices are in pixels of the photograph with y up and z toward the camera, so that any viewer shows the face
    upright; the UV chart is the position map's.

    Args:
        path: NAME.obj or NAME.ply.
        dense: (3, M, M) UV position map in pixels of the photograph.
        surface: its mesh.
        image: (H, W, 3) uint8 RGB, the photograph.
        texture_size: side of the texture in pixels.

    Raises:
        UserError: another ending, or a file cannot be written.
    """
    path = Path(path)
    points = surface.vertices(dense)
    vertices = points * [1.0, -1.0, 1.0] + [0.0, image.shape[0] - 1.0, 0.0]
    if path.suffix == ".ply":
        _write_ply(path, vertices, surface.triangles, _read(image, *points[None, :, :2].T)[:, 0])
    elif path.suffix == ".obj":
        with atomic_write(_write_obj(path, vertices, surface)) as temporary:
            Image.fromarray(texture(dense, image, texture_size)).save(temporary, format="png")
    else:
        raise UserError(f"a mesh is written as .obj or .ply, not as {path.name}: give another ending")


def _write_obj(path: Path, vertices: np.ndarray, surface: Surface) -> Path:
    """Write the mesh and its material; the texture's path."""
    # In a name of the format's own words only: viewers split at spaces, and take text for ASCII.
    name = re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII)
    name += "" if name == path.stem else f"-{hashlib.sha256(path.stem.encode('utf-8', 'replace')).hexdigest()[:8]}"
    lines = [f"mtllib {name}.mtl", "usemtl face"]
    lines += [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in vertices]
    lines += [f"vt {u:.5f} {1 - v:.5f}" for u, v in surface.uv]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in surface.triangles + 1]
    write_text(path, "\n".join(lines) + "\n")
    write_text(path.with_name(f"{name}.mtl"), f"newmtl face\nKa 1 1 1\nKd 1 1 1\nillum 0\nmap_Kd {name}.texture.png\n")
    return path.with_name(f"{name}.texture.png")  # NAME.png may be the photograph


def _write_ply(path: Path, vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray) -> None:
    points = np.zeros(len(vertices), dtype=[("place", "<f4", 3), ("colour", "u1", 3)])
    points["place"], points["colour"] = vertices, colours
    faces = np.zeros(len(triangles), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, triangles
    properties = [*(f"float {axis}" for axis in "xyz"), *(f"uchar {colour}" for colour in ("red", "green", "blue"))]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(points)}",
        *(f"property {one}" for one in properties),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    with atomic_write(path) as temporary:
        temporary.write_bytes("\n".join(header).encode() + points.tobytes() + faces.tobytes())


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
    return _read(image, across, down)


def _read(image: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The photograph's colours (..., 3) at places of it, black outside."""
    x, y = (np.ascontiguousarray(axis, dtype=np.float32) for axis in (across, down))
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
