"""One face of a photograph, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nasface.faces.rasterize import depth_buffer, faces_camera
from nasface.faces.surface import Surface
from nasface.inference.detection import Box, Detection, as_box
from nasface.inference.mesh import write_mesh
from nasface.inference.overlay import draw_faces
from nasface.utils.errors import UserError

_HIDDEN = 0.02  # of the face's side: what lies less than this behind the nearest surface is seen


@dataclass(frozen=True, repr=False)
class Face:
    """One face, in pixels of its photograph (x right, y down, z toward the camera, first pixel's centre = 0).

        >>> face = nasface.load().predict("photo.jpg")[0]
        >>> face
        Face(box=(212, 98, 301, 322), pitch=-4, yaw=12, roll=1, score=0.98)
        >>> face.save("face.ply")

    Attributes:
        landmarks: (68, 3) float32, iBUG order; NaN depth where the network has none.
        dense: (3, M, M) float32 UV position map, or None where the network has no dense shape.
        angles: (3,) pitch, yaw, roll in degrees (`nasface.faces.camera`: positive yaw turns the nose to the image's
            left).
        crop: x, y of the first pixel and side of the square that the network saw.
        detection: the box that it started from.
        surface: what joins the points of `dense` to a mesh.
        image: (H, W, 3) uint8 RGB, the photograph.
    """

    landmarks: np.ndarray
    dense: np.ndarray | None
    angles: np.ndarray
    crop: tuple[int, int, int]
    detection: Detection
    surface: Surface | None = field(default=None)
    image: np.ndarray | None = field(default=None)

    def __repr__(self) -> str:
        pitch, yaw, roll = (round(float(angle)) for angle in self.angles)
        score = self.detection.score
        return (
            f"Face(box={tuple(round(value) for value in self.box)}, pitch={pitch}, yaw={yaw}, roll={roll},"
            f" score={None if score is None else round(score, 2)})"
        )

    @property
    def box(self) -> Box:
        """x, y, width, height around the landmarks."""
        low, high = self.landmarks[:, :2].min(0), self.landmarks[:, :2].max(0)
        return as_box((*low, *(high - low)))

    @property
    def has_mesh(self) -> bool:
        """Whether the network found a dense shape."""
        return self.dense is not None and self.surface is not None

    @property
    def vertices(self) -> np.ndarray:
        """(V, 3) float32: the points of the mesh, which covers the skin from forehead to chin and ear to ear.

        Raises:
            UserError: the network has no dense shape.
        """
        dense, surface = self._mesh()
        return surface.vertices(dense)

    @property
    def triangles(self) -> np.ndarray:
        """(T, 3) int32 indices of `vertices`; eyes and mouth are open. Errors as `vertices`."""
        return self._mesh()[1].triangles

    @property
    def visible(self) -> np.ndarray:
        """(V,) bool: the vertices that the camera sees, which no other part of the face hides. Errors as `vertices`."""
        vertices, triangles = self.vertices, self.triangles
        near = depth_buffer(vertices, triangles).sees(vertices, _HIDDEN * max(self.box[2:]))
        return faces_camera(vertices, triangles) & near

    def save(self, path: str | Path) -> None:
        """Write the mesh: NAME.obj with its texture in NAME.png, or NAME.ply with a colour at each vertex; y is up.

        Raises:
            UserError: the ending is another, the file cannot be written, or the network has no dense shape.
        """
        dense, surface = self._mesh()
        write_mesh(path, dense, surface, self._photograph())

    def draw(self, opacity: float = 0.4) -> np.ndarray:
        """A copy of the photograph, (H, W, 3) uint8 RGB, with dense shape, landmarks and axes drawn on it.

        Args:
            opacity: of the dense shape, 0..1.
        """
        return draw_faces(self._photograph(), [self], opacity)

    def as_dict(self, dense: bool = False) -> dict[str, Any]:
        """What predictions.json holds of it; None where there is no depth."""
        known = bool(np.isfinite(self.landmarks[:, 2]).all())
        points = self.landmarks if known else self.landmarks[:, :2]
        result = {
            "landmarks": [[round(float(value), 3) for value in point] for point in points],
            **{name: round(float(v), 2) for name, v in zip(("pitch", "yaw", "roll"), self.angles, strict=True)},
            "box": [round(value, 2) for value in self.box],
            "crop": list(self.crop),
            "detected": [round(value, 2) for value in self.detection.box],
            "score": None if self.detection.score is None else round(self.detection.score, 4),
        }
        if dense and self.dense is not None:
            result["dense"] = np.round(self.dense.astype(float), 2).tolist()
        return result

    def _mesh(self) -> tuple[np.ndarray, Surface]:
        if self.dense is None or self.surface is None:
            raise UserError("this network finds no dense shape, so that there is no mesh: use one of UV maps or 3DMMs")
        return self.dense, self.surface

    def _photograph(self) -> np.ndarray:
        if self.image is None:
            raise UserError("this face has lost its photograph: take it from `predict`")
        return self.image
