"""Running a LightningModule: trainer, checkpoints that resume exactly, and the clock of what training costs."""

from __future__ import annotations

import ctypes
import gc
import logging
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators import AcceleratorRegistry, CPUAccelerator
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.strategies import StrategyRegistry

from nasface.config import DeviceConfig
from nasface.data.module import FaceDataModule
from nasface.nets.weights import write_record
from nasface.training.face_task import LOG_EVERY
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError, nearest, os_reason
from nasface.utils.tensors import read_tensors

CHECKPOINT = "last.ckpt"


class TrainingClock(pl.Callback):
    """Seconds of training, summed over a run and its resumed parts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._advance()

    def _advance(self) -> None:
        if self._since is not None:
            now = time.perf_counter()
            self.seconds, self._since = self.seconds + now - self._since, now

    def state_dict(self) -> dict[str, Any]:
        self._advance()
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = float(state_dict["seconds"])


@dataclass(frozen=True)
class TrainingPlan:
    """How far a training goes, and where it keeps how far it is.

    Attributes:
        folder: of its checkpoint.
        identity: what is trained, as the checkpoint records it; a checkpoint of anything else is refused.
        steps: of the optimizer.
        accumulate: batches of a step.
        validate: look at the validation faces after every epoch.
    """

    folder: Path
    identity: str
    steps: int
    accumulate: int = 1
    validate: bool = True


def fit(
    module: pl.LightningModule,
    data: FaceDataModule,
    plan: TrainingPlan,
    device: DeviceConfig,
    callbacks: Sequence[pl.Callback] = (),
    logger: Logger | None = None,
) -> float:
    """Train, going on from the plan's checkpoint where there is one; returns the seconds that it took.

    A checkpoint is written after every epoch of `data` and holds weights, optimizer, schedule and step; since batches
    and children are functions of the step, a resumed training is the uninterrupted one.

    Raises:
        UserError: an unreadable checkpoint or one of another identity, a loss that is no number, a full disk, one face
            a step where batch norm needs more.
    """
    if device.threads:
        torch.set_num_threads(device.threads)
    folder, checkpoint, batches = plan.folder, plan.folder / CHECKPOINT, plan.steps * plan.accumulate
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {os_reason(error)}") from None
    for unfinished in folder.glob(f".{CHECKPOINT}.*"):
        unfinished.unlink(missing_ok=True)  # left by a kill in the middle of a write
    clock = TrainingClock()
    trainer = make_trainer(
        device,
        max_epochs=-(-batches // data.batches.steps_per_epoch),
        # With manual optimisation, accumulating is the module's own matter.
        accumulate_grad_batches=plan.accumulate if module.automatic_optimization else 1,
        limit_val_batches=None if plan.validate else 0,
        logger=logger or False,
        plugins=[_AtomicCheckpoints()],
        callbacks=[
            *callbacks,
            clock,
            _Stop(batches, data.batches.steps_per_epoch),
            _Identity(plan.identity),
            ModelCheckpoint(
                dirpath=folder,
                filename="last",
                every_n_epochs=1,
                save_top_k=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ],
    )
    resume = checkpoint if checkpoint.exists() else None
    if resume is not None:
        check_identity(resume, plan.identity)
    try:
        with interruptible(trainer):
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {os_reason(error)}, then resume") from None
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UserError("this network's batch norm needs several faces a step: choose a larger batch_size") from None
    return clock.seconds


@contextmanager
def interruptible(trainer: pl.Trainer) -> Iterator[None]:
    """Ctrl-C as a KeyboardInterrupt: Lightning answers it by leaving the program, and is deaf to a second one."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def release_memory() -> None:
    """Give what a training has freed back to the system, where libc can: it would count beside what a search keeps."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


_MOST_DEVICES = 4096  # Lightning makes a list of them
_MOST_THREADS = 1024  # OpenMP's stack has no room for many more


class _Misfit(ValueError):
    """Settings that no machine, or not this one, has room for."""


def make_trainer(device: DeviceConfig, *, kind: Callable[..., pl.Trainer] = pl.Trainer, **settings: Any) -> pl.Trainer:
    """A Lightning Trainer (of a `kind`) on `device` without Lightning's own bars and summaries; a UserError where this
    machine has no such device."""
    _quiet()
    devices = str(device.devices)
    defaults: dict[str, Any] = {
        "accelerator": device.accelerator,
        "devices": int(devices) if devices.isdigit() else devices,
        "num_nodes": device.num_nodes,
        "strategy": device.strategy,
        "precision": device.precision,
        "max_epochs": -1,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": LOG_EVERY,
    }
    try:
        if devices.isdigit() and int(devices) > _MOST_DEVICES:
            raise ValueError(f"more than {_MOST_DEVICES} devices")
        if device.precision not in _PRECISIONS:
            raise ValueError(f"no precision {device.precision}")
        if device.threads > _MOST_THREADS:
            raise _Misfit(f"threads must be a whole number from 0 to {_MOST_THREADS}")
        trainer = kind(**(defaults | settings))
        if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > 4 * available_cores():
            raise _Misfit(f"{trainer.num_devices} processes are too many for the {available_cores()} cores")
        return trainer
    except Exception as error:  # Lightning's and torch's are many
        default = vars(DeviceConfig())
        given = [f"device.{name} {value}" for name, value in vars(device).items() if value != default[name]]
        named = ", ".join(given) or "device.accelerator auto"
        reason = "its package is not here" if isinstance(error, ImportError) else _misfit(device)
        reason = str(error) if isinstance(error, _Misfit) else reason
        raise UserError(f"the device settings do not fit this machine: {named} ({reason}); correct them") from None


# Lightning has others, which would change the weights' type: landmarks and positions need float32.
_PRECISIONS = ["32-true", "bf16-mixed", "16-mixed", "32", "bf16", "16"]


def _misfit(device: DeviceConfig) -> str:
    """Why Lightning refuses settings, in our words."""
    known = {
        "accelerator": ["auto", "gpu", *sorted(AcceleratorRegistry.available_accelerators())],
        "strategy": ["auto", *StrategyRegistry.available_strategies()],
        "precision": _PRECISIONS,
    }
    for name, names in known.items():
        if (value := getattr(device, name)) not in names:
            return f"{name} must be one of {', '.join(names[:10])}{nearest(value, names)}"
    if not re.fullmatch(r"auto|-1|[1-9]\d{0,3}|\[?\d+(, *\d+)+,?\]?", str(device.devices)):
        return f"devices must be auto, or a whole number from 1 to {_MOST_DEVICES}"
    return "this machine has no such device or too few, or the settings do not go together"


class _AtomicCheckpoints(TorchCheckpointIO):
    """Lightning writes a checkpoint in the system's temporary folder first, from where a move to another disk is a copy
    that a kill can cut short; this one is renamed within its own folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        if not Path(path).parent.is_dir():
            raise UserError(f"{Path(path).parent} was removed while it was in use: start the command again")
        write_record(path, checkpoint)


class _Stop(pl.Callback):
    """Ends the training after so many batches, which may lie within an epoch.

    Lightning's own `max_steps` does not do: with it, a checkpoint of an epoch's end is resumed inside that epoch, which
    shifts the order of the batches. Its `global_step` does not do either: it counts every optimizer's steps.
    """

    def __init__(self, batches: int, per_epoch: int) -> None:
        self.batches, self.per_epoch = batches, per_epoch

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.current_epoch * self.per_epoch + batch_idx + 1 >= self.batches:
            trainer.should_stop = True


class _Identity(pl.Callback):
    """Writes into every checkpoint what it belongs to."""

    def __init__(self, identity: str) -> None:
        self.identity = identity

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["nasface_identity"] = self.identity


def check_identity(checkpoint: Path, identity: str) -> None:
    """Raise a UserError where a checkpoint cannot be read or is not of `identity`."""
    mend = "remove it to train again from the start"
    found = read_tensors(checkpoint, "cannot be read", mend).get("nasface_identity")
    if found != identity:
        raise UserError(
            f"checkpoint {checkpoint} is of {found!r}, not of {identity!r}: remove it, or use its own settings"
        )


def _quiet() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*log_every_n_steps.*",
        ".*Checkpoint directory.*",
        ".*Experiment logs directory.*",
        ".*isinstance.treespec.*",
        ".*have no `validation_step`.*",
    ):
        warnings.filterwarnings("ignore", message)
