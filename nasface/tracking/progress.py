"""Progress bars with the time left, one for each stage."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from tqdm import tqdm

if TYPE_CHECKING:
    from nasface.training.face_task import FaceModule

_FORMAT = "{desc:<28} {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


_open: weakref.WeakSet[tqdm] = weakref.WeakSet()


def stage_bar(description: str, total: int | None = None, initial: int = 0) -> tqdm:
    """An empty bar for a stage."""
    bar = tqdm(total=total, initial=initial, desc=description, bar_format=_FORMAT, dynamic_ncols=True, mininterval=0.5)
    _open.add(bar)
    return bar


def close_bars() -> None:
    """End the line of every bar that an error has left open, so that a message has a line of its own."""
    for bar in list(_open):
        bar.close()
    _open.clear()


def progress_for(description: str) -> Callable[[int, int], None]:
    """A callback (done, total) behind a bar that appears with its first call and closes when all is done."""
    bar: tqdm | None = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = stage_bar(description, total)
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return progress


class TrainingProgress(pl.Callback):
    """One bar over all optimizer steps of a training, with the running loss and the last validation error."""

    def __init__(self, description: str, total_steps: int) -> None:
        self.description, self.total_steps = description, total_steps
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: FaceModule) -> None:
        if trainer.is_global_zero:
            self._bar = stage_bar(self.description, self.total_steps, pl_module.steps_done)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: FaceModule, *_: Any) -> None:
        if self._bar is None:
            return
        self._bar.update(pl_module.steps_done - self._bar.n)
        metrics = trainer.progress_bar_metrics
        self._bar.set_postfix(
            {name.split("/")[-1]: f"{float(value):.4g}" for name, value in metrics.items() if name != "v_num"},
            refresh=False,
        )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
