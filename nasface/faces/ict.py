"""ICT-FaceKit's light face model: 100 identity modes of scans and 53 ARKit-like expressions, MIT licence.

The folder FaceXModel of https://github.com/ICT-VGL/ICT-FaceKit (405 MB; Li et al., CVPR 2020, "Learning Formation of
Physically-Based Face Attributes"), as its Scripts/face_model_io.py reads it:

    generic_neutral_mesh.obj                 26,719 vertices; the first 9,409 and the first 9,230 polygons are the face
    identity000.obj ... identity099.obj      the neutral mesh with one identity mode added
    <expression>.obj                         the neutral mesh with one expression added
    vertex_indices.json                      "expressions": the names of the expressions, in order

The 68 landmarks are the README's Multi-PIE list. Centimetres; x right on a frontal face, y up, z toward the camera.
Identity coefficients have unit variance, expressions are meant for [0, 1].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.faces.morphable import MorphableModel
from nasface.faces.uv_layout import outward, symmetric, upright_chart
from nasface.utils.errors import UserError
from nasface.utils.progress import Progress
from nasface.utils.reading import read_json, reading

NEUTRAL_FILE, CONFIG_FILE = "generic_neutral_mesh.obj", "vertex_indices.json"
FACE_VERTICES = 9409
"""The vertices of the face; head, eyes, teeth and lashes follow."""
PUBLISHED = "https://github.com/ICT-VGL/ICT-FaceKit (FaceXModel)"

# fmt: off
LANDMARKS = np.array([
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509,
    978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360,
    1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
])
# fmt: on


def load_ict(
    folder: str | Path,
    *,
    landmarks: np.ndarray = LANDMARKS,
    face_vertices: int = FACE_VERTICES,
    progress: Progress | None = None,
) -> MorphableModel:
    """The face of the model in FaceXModel (its first `face_vertices`, without head, eyes and teeth, with 68 `landmarks`
    among them), on its own UV layout made upright and symmetric. `progress` is called with (files read, files): there
    are 154.

    Raises:
        UserError: a file is absent, damaged, or has another number of vertices; the message names it.
    """
    folder = Path(folder)
    neutral = folder / NEUTRAL_FILE
    mean = read_vertices(neutral)
    if len(mean) < face_vertices or landmarks.max() >= face_vertices:
        raise UserError(f"{neutral} has {len(mean)} vertices, fewer than the face's: restore it from {PUBLISHED}")
    polygons, uv = read_polygons(neutral, face_vertices)
    identities = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    if not identities:
        raise UserError(f"{folder} holds no identity000.obj: restore it from {PUBLISHED}")
    expressions = [folder / f"{name}.obj" for name in _expressions(folder / CONFIG_FILE)]
    files = [*identities, *expressions]
    basis = np.empty((face_vertices, 3, len(files)), dtype=np.float32)
    for index, path in enumerate(files):
        moved = read_vertices(path)
        if moved.shape != mean.shape:
            raise UserError(f"{path} has {len(moved)} vertices, not {len(mean)}: restore it from {PUBLISHED}")
        basis[..., index] = (moved - mean)[:face_vertices]
        if progress is not None:
            progress(index + 1, len(files))
    chart = upright_chart(uv, landmarks)
    std = np.full(len(files), 0.5, dtype=np.float32)
    std[: len(identities)] = 1.0
    face = mean[:face_vertices].astype(np.float32)
    return MorphableModel(
        name="ict",
        mean=face,
        basis=basis,
        coefficient_std=std,
        identity_count=len(identities),
        triangles=outward(polygons, face),
        uv=chart.astype(np.float32),
        landmark_uv=symmetric(chart[landmarks]),
        landmark_vertices=landmarks,
    )


def read_vertices(path: Path) -> np.ndarray:
    """The vertices (V, 3) float64 of an obj file; a UserError where one does not parse."""
    lines = [line[2:] for line in _lines(path) if line.startswith("v ")]
    try:
        values = np.array(" ".join(lines).split(), dtype=np.float64)
    except ValueError:
        values = np.empty(0)
    if not lines or len(values) != 3 * len(lines) or not np.isfinite(values).all():
        raise UserError(f"{path} holds no vertices of three numbers: restore it from {PUBLISHED}")
    return values.reshape(-1, 3)


def read_polygons(path: Path, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (T, 3) among the first vertices of an obj file, and the UV (vertices, 2) of those, NaN where none; a
    UserError where a line does not parse, or points beyond the file.

    Polygons are split into fans; a vertex on a seam keeps the UV of its first corner.
    """
    texture: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    uv = np.full((vertices, 2), np.nan)
    try:
        lines = _lines(path)
        texture = [[float(value) for value in line.split()[1:3]] for line in lines if line.startswith("vt ")]
        for line in lines:
            if not line.startswith("f "):
                continue
            corners = [[int(part) - 1 for part in corner.split("/")[:2]] for corner in line.split()[1:]]
            polygon = [corner[0] for corner in corners]
            if max(polygon) >= vertices:
                continue
            for vertex, place in corners:
                if np.isnan(uv[vertex, 0]):
                    uv[vertex] = texture[place]
            triangles += [(polygon[0], b, c) for b, c in zip(polygon[1:-1], polygon[2:], strict=True)]
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} is not a readable obj file with UV ({error}): restore it from {PUBLISHED}") from None
    if not triangles:
        raise UserError(f"{path} holds no polygon of the face: restore it from {PUBLISHED}")
    return np.array(triangles), uv


def _expressions(path: Path) -> list[str]:
    names = read_json(path, f"restore it from {PUBLISHED}").get("expressions")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path} does not name the expressions: restore it from {PUBLISHED}")
    return names


def _lines(path: Path) -> list[str]:
    with reading(path, "is not a readable text", f"restore it from {PUBLISHED}"):
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
