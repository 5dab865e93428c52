"""A figure of a recurrent network's steps: the heat maps that it saw and drew, and the landmarks that they stand for.

Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps for Large-pose Face Alignment", BMVC 2018, Fig. 5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nasface.evaluation.evolution_steps import EvolutionSteps
from nasface.faces.drawing import PREDICTED, TRUE
from nasface.report.figures import save_figure

_SIDE = 1.6  # inches of one picture
_DIM = 0.45  # of the photograph's light, beside which the maps are seen


def draw_evolution(steps: EvolutionSteps, path: str | Path | None = None) -> Figure:
    """Draw what a network makes of faces: a row for each, a column for each step.

    The first column is the photograph with true (blue) and found (orange) landmarks; then come the heat maps of the
    mean face, where it starts, and those after each step, over the darkened photograph.

    Args:
        steps: of the faces.
        path: where to save a PNG; None saves nothing.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        UserError: the file cannot be written.
    """
    maps = steps.maps
    rows, columns = len(steps.images), len(maps) + 1
    layout = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=(columns * _SIDE, rows * _SIDE + 0.25), layout=layout)
    grid = figure.subplots(rows, columns, squeeze=False)
    titles = ["landmarks", "mean face", *(f"step {step}" for step in range(1, len(maps)))]
    for row, axes_row in enumerate(grid):
        image = steps.images[row] / 255.0
        for column, axes in enumerate(axes_row):
            axes.set_axis_off()
            heat = np.broadcast_to(maps[column - 1][row], image.shape) if column else 0.0
            axes.imshow(np.clip(_DIM * image + heat, 0, 1) if column else image, interpolation="nearest")
            if row == 0:
                axes.set_title(titles[column], fontsize=9)
        for points, colour in ((steps.true[row], TRUE), (steps.landmarks[row], PREDICTED)):
            axes_row[0].scatter(*points[:, :2].T, s=3, color=colour, linewidths=0)
        axes_row[0].set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    return save_figure(figure, path)
