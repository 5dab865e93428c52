"""Progress bars with the time left, one for each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytorch_lightning as pl
from tqdm import tqdm

from nasface.utils.progress import stage_bar

if TYPE_CHECKING:
    from nasface.search.strategy import Strategy
    from nasface.search.study import Evaluation
    from nasface.training.face_task import FaceModule


class TrainingProgress(pl.Callback):
    """One bar over all optimizer steps of a training, with the running loss and the last validation error."""

    def __init__(self, description: str, total_steps: int) -> None:
        self.description, self.total_steps = description, total_steps
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._bar = stage_bar(self.description, self.total_steps, _steps_done(pl_module))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if self._bar is None:
            return
        self._bar.update(_steps_done(pl_module) - self._bar.n)
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


def _steps_done(module: pl.LightningModule) -> int:
    return cast("FaceModule", module).steps_done


class SearchProgress:
    """A bar over the search's iterations with the time left and the incumbent's penalty.

        with SearchProgress("searching", strategy.progress[1]) as bar:
            run_study(..., callbacks=[bar.on_evaluation], progress=bar.on_progress)

    Args:
        description: what stands before the bar.
        total: iterations, in the strategy's unit.
    """

    def __init__(self, description: str, total: int) -> None:
        self._bar = stage_bar(description, total)

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def on_evaluation(self, evaluation: Evaluation, strategy: Strategy) -> None:
        """A callback of `run_study`: shows the incumbent."""
        del evaluation
        if strategy.best is not None:
            self._bar.set_postfix_str(f"best {strategy.best[1]:.3f} %", refresh=False)

    def on_progress(self, done: int, total: int) -> None:
        """The progress callback of `run_study`."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
