"""What trainings log, kept in the run's metrics.csv beside whatever W&B has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl

from nasface.runs.metrics import append_metrics, begin_metrics

if TYPE_CHECKING:
    from nasface.training.face_task import FaceModule

_TRAINING, _VALIDATION = ("train/", "supernet/"), ("val/",)


class TrainingMetrics(pl.Callback):
    """Keeps the losses of the steps that `FaceModule.logs`, and every validation's errors. A resumed training goes on
    after its checkpoint's step: what was logged behind it goes, so that no step is there twice.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._step = folder, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._step = cast("FaceModule", pl_module).steps_done
        if trainer.is_global_zero:
            begin_metrics(self.folder, _TRAINING + _VALIDATION, self._step)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        module = cast("FaceModule", pl_module)
        before, self._step = self._step, module.steps_done
        if self._step > before and module.logs(self._step):
            self._append(trainer, _TRAINING)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._append(trainer, _VALIDATION)

    def _append(self, trainer: pl.Trainer, names: tuple[str, ...]) -> None:
        if trainer.is_global_zero:
            figures = trainer.callback_metrics.items()
            append_metrics(
                self.folder, {name: float(value) for name, value in figures if name.startswith(names)}, self._step
            )
