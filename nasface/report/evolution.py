"""A figure of a recurrent network's steps: the heat maps that it saw and drew, and the landmarks that they stand for.

Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps for Large-pose Face Alignment", BMVC 2018, Fig. 5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from nasface.data.augment import normalise
from nasface.data.face_set import FaceSet
from nasface.faces.drawing import PREDICTED, TRUE
from nasface.nets.baselines.evolution import Evolution
from nasface.report.faces import spread_over_yaw
from nasface.utils.files import atomic_write

_SIDE = 1.6  # inches of one picture
_DIM = 0.45  # of the photograph's light, beside which the maps are seen


def draw_evolution(
    network: Evolution, faces: FaceSet, path: str | Path | None = None, count: int = 4, dpi: int = 130
) -> Figure:
    """Draw what a network makes of faces that cover the range of yaw: a row for each, a column for each step.

    The first column is the photograph with true (blue) and found (orange) landmarks; then come the heat maps of the
    mean face, where it starts, and those after each step, over the darkened photograph.

    Args:
        network: it stays in its mode.
        faces: of the network's image size.
        path: where to save a PNG; None saves nothing.
        count: faces in the figure.
        dpi: pixels an inch.

    Returns:
        The figure. It belongs to no window and to no global state.

    Raises:
        UserError: the file cannot be written.
    """
    chosen = faces.subset(spread_over_yaw(faces.yaw, count))
    maps, landmarks = _steps(network, chosen)
    rows, columns = len(chosen), len(maps) + 1
    figure = Figure(figsize=(columns * _SIDE, rows * _SIDE + 0.25), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid = figure.subplots(rows, columns, squeeze=False)
    titles = ["landmarks", "mean face", *(f"step {step}" for step in range(1, len(maps)))]
    for row, axes_row in enumerate(grid):
        image = chosen.images[row] / 255.0
        for column, axes in enumerate(axes_row):
            axes.set_axis_off()
            axes.imshow(image if column == 0 else _over(image, maps[column - 1][row]), interpolation="nearest")
            if row == 0:
                axes.set_title(titles[column], fontsize=9)
        for points, colour in ((chosen.landmarks[row], TRUE), (landmarks[row], PREDICTED)):
            axes_row[0].scatter(*points[:, :2].T, s=3, color=colour, linewidths=0)
        axes_row[0].set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    if path is not None:
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format="png", dpi=dpi, facecolor="white")
    return figure


@torch.no_grad()
def _steps(network: Evolution, faces: FaceSet) -> tuple[list[np.ndarray], np.ndarray]:
    """Heat maps (N, S, S, 1 or 3) before and after each step, and the last landmarks (N, 68, 3)."""
    training, device = network.training, next(network.parameters()).device
    vectors = network.eval().evolve(normalise(torch.from_numpy(np.array(faces.images))).to(device))
    network.train(training)
    maps = [network.heat_maps(vector).permute(0, 2, 3, 1).cpu().numpy() for vector in vectors]
    return maps, network.vector.landmarks(vectors[-1]).cpu().numpy()


def _over(image: np.ndarray, maps: np.ndarray) -> np.ndarray:
    return np.clip(_DIM * image + np.broadcast_to(maps, image.shape), 0, 1)
