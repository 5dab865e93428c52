"""Figures that a finished training leaves beside its checkpoint, drawn by a callback."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytorch_lightning as pl

from nasface.evaluation.evolution_steps import evolution_steps
from nasface.nets.baselines.evolution import Evolution
from nasface.report.evolution import draw_evolution
from nasface.report.selection import draw_selection
from nasface.training.face_task import FaceTask
from nasface.training.targets.meta_joint import BRANCHES


class TrainingFigures(pl.Callback):
    """Draws what only some trainings have: a recurrent network's steps on validation faces (steps.png), and the losses
    that meta-joint optimisation selected (selection.png)."""

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        folder = getattr(trainer.checkpoint_callback, "dirpath", None)
        if not (trainer.is_global_zero and folder):
            return
        network = cast(FaceTask, pl_module).network
        if isinstance(network, Evolution):
            faces = trainer.datamodule.val  # type: ignore[attr-defined]  # Lightning sets it without declaring it
            draw_evolution(evolution_steps(network, faces), Path(folder) / "steps.png")
        if selections := getattr(pl_module, "selections", None):
            draw_selection(selections, BRANCHES, Path(folder) / "selection.png")
