"""A figure of faces: predicted and true landmarks on the photographs, and the dense shape below, sorted by yaw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nasface.evaluation.test_faces import ShownFaces
from nasface.faces.drawing import PREDICTED, TRUE, shaded
from nasface.faces.landmarks import CLOSED_GROUPS, GROUPS, NUM_LANDMARKS
from nasface.report.figures import save_figure
from nasface.report.tables import signed_degrees

_SIDE = 1.75  # inches of one face
_TEXT = 0.24  # inches of the line above a face
_LEGEND = 0.32  # inches of the last line


def draw_results(
    images: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray | None = None,
    dense: np.ndarray | None = None,
    nme: np.ndarray | None = None,
    yaw: np.ndarray | None = None,
    path: str | Path | None = None,
    *,
    inside: np.ndarray | None = None,
    columns: int = 8,
) -> Figure:
    """Draw N faces side by side from yaw -90 to +90 degrees; further rows where there are more than `columns`.

    Landmarks, where they are 68, are joined to jaw, brows, nose, eyes and lips. Under each photograph is the dense
    shape over it, coloured by depth (bright is near), with light and shade from its own surface.

    Args:
        images: (N, S, S, 3) uint8 RGB.
        predicted: (N, 68, >=2) crop pixels.
        true: (N, M, >=2), of any points, or None where the truth is not known.
        dense: (N, 3, M, M) UV position maps in crop pixels, or None for no second row.
        nme: (N,) percent, or None.
        yaw: (N,) degrees by which the faces are sorted, or None to keep their order.
        path: where to save a PNG; None saves nothing.
        inside: (M, M) bool, the cells of the map that are skin; None draws all.
        columns: faces in a row.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        ValueError: no face, or arrays of different lengths.
        UserError: the file cannot be written.
    """
    count, size = len(images), images.shape[1] if len(images) else 0
    for name, array in (("predicted", predicted), ("true", true), ("dense", dense), ("nme", nme), ("yaw", yaw)):
        if array is not None and len(array) != count:
            raise ValueError(f"{name} is of {len(array)} faces, images of {count}")
    if count == 0:
        raise ValueError("there is no face to draw")
    order = np.arange(count) if yaw is None else np.argsort(yaw, kind="stable")
    columns = min(columns, count)
    rows, kinds = -(-count // columns), 1 if dense is None else 2
    width, height = columns * _SIDE, rows * (_TEXT + kinds * _SIDE) + _LEGEND
    figure = Figure(figsize=(width, height))
    for place, face in enumerate(order):
        row, column = divmod(place, columns)
        top = height - row * (_TEXT + kinds * _SIDE) - _TEXT
        axes = _cell(figure, column, top, size)
        axes.imshow(images[face])
        if true is not None:
            _draw_landmarks(axes, true[face], TRUE)
        _draw_landmarks(axes, predicted[face], PREDICTED)
        axes.set_title(_caption(face, nme, yaw), fontsize=8, pad=2.5)
        if dense is not None:
            axes = _cell(figure, column, top - _SIDE, size)
            picture = shaded(images[face], dense[face], inside)
            axes.imshow(picture, extent=(-0.5, size - 0.5, size - 0.5, -0.5))
    _draw_legend(figure, with_true=true is not None)
    return save_figure(figure, path)


def results_figure(faces: ShownFaces, path: str | Path) -> Figure:
    """Draw what a network found in the faces that its evaluation shows, as a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    arrays = faces.images, faces.predicted, faces.true, faces.dense, faces.nme, faces.yaw
    return draw_results(*arrays, path, inside=faces.inside)


def _cell(figure: Figure, column: int, top: float, size: int) -> Axes:
    """Axes of one picture whose upper edge is `top` inches above the figure's lower edge."""
    width, height = figure.get_size_inches()
    gap = 0.03
    axes = figure.add_axes(
        (
            (column * _SIDE + gap) / width,
            (top - _SIDE + gap) / height,
            (_SIDE - 2 * gap) / width,
            (_SIDE - 2 * gap) / height,
        )
    )
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    axes.set_autoscale_on(False)
    axes.axis("off")
    return axes


def _draw_landmarks(axes: Axes, points: np.ndarray, colour: str) -> None:
    for name, indices in GROUPS.items() if len(points) == NUM_LANDMARKS else ():
        closed: Sequence[int] = (*indices, indices[0]) if name in CLOSED_GROUPS else indices
        axes.plot(*points[list(closed), :2].T, color=colour, linewidth=0.9, alpha=0.9, solid_capstyle="round")
    axes.plot(*points[:, :2].T, linestyle="none", marker="o", markersize=1.5, markeredgewidth=0, color=colour)


def _caption(face: int, nme: np.ndarray | None, yaw: np.ndarray | None) -> str:
    parts = [] if yaw is None else [signed_degrees(float(yaw[face]))]
    return "  ".join(parts if nme is None else [*parts, f"NME {float(nme[face]):.1f} %"])


def _draw_legend(figure: Figure, *, with_true: bool) -> None:
    shown = [(PREDICTED, "predicted"), *([(TRUE, "ground truth")] if with_true else [])]
    handles = [
        Line2D([], [], color=colour, label=label, linewidth=1.6, marker="o", markersize=3) for colour, label in shown
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=8, borderaxespad=0.1)
