from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nasface.config import ParametersConfig
from nasface.evaluation.evolution_steps import evolution_steps
from nasface.nets.registry import create_network
from nasface.report.evolution import draw_evolution
from nasface.tracking.training_figures import TrainingFigures
from tests.helpers.toy import MAP, SIZE, toy_faces
from tests.training.parameter_training import parameters_task, run


def test_a_column_for_each_step(tmp_path: Path) -> None:
    network = parameters_task(ParametersConfig(), "dhm", 0.1).network.train()
    figure = draw_evolution(evolution_steps(network, toy_faces(6), count=3), tmp_path / "e.png")
    assert network.training
    assert len(figure.axes) == 3 * (1 + 1 + 4)
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles == ["landmarks", "mean face", "step 1", "step 2", "step 3", "step 4"]
    pictures = [axes.images[0].get_array() for axes in figure.axes[1:6]]
    assert all(picture.shape == (SIZE, SIZE, 3) for picture in pictures)
    assert not np.allclose(pictures[0], pictures[4])
    assert (tmp_path / "e.png").read_bytes()[:4] == b"\x89PNG"


def test_flat_maps_are_drawn_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    figure = draw_evolution(evolution_steps(create_network("dhm_2drnn", SIZE, MAP, 0.1), toy_faces(3), count=2))
    assert len(figure.axes) == 2 * 6


def test_a_training_draws_its_steps(tmp_path: Path) -> None:
    for name in ("dhm", "dhm_landmarks"):
        run(parameters_task(ParametersConfig(), name, 0.05, steps=1), tmp_path / name, 1, callbacks=[TrainingFigures()])
        assert (tmp_path / name / "steps.png").is_file()
