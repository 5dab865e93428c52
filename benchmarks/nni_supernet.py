"""The multi-path space out of NNI's own parts, and its supernet trained by NNI's `RandomOneShot` (extra `nni`).

Source: github.com/microsoft/nni 3.0, nni/nas/oneshot/pytorch/strategy.py and sampling.py, nni/nas/nn/pytorch/choice.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import pytorch_lightning as pl
import torch
from nni.nas.evaluator.pytorch import Lightning, LightningModule, Trainer
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import RandomOneShot
from torch import Tensor, nn

from nasface.config import OptimizerConfig
from nasface.data.module import BatchSettings, FaceDataModule
from nasface.nets.layers.blocks import node_sum
from nasface.nets.multipath import Connection, Supernet, connection_name
from nasface.pipelines.supernet import fresh_supernet
from nasface.pipelines.workspace import Workspace
from nasface.space.space import OPERATIONS, MultipathSpace
from nasface.tracking.progress import TrainingProgress
from nasface.training.face_task import FaceModule
from nasface.training.fit import interruptible, make_trainer
from nasface.training.targets.uv import uv_loss
from nasface.training.uv_target import UVTarget

_OPERATION = ".operation.hpm."
"""Between a connection's name and its HPM block's, in the names of NNI's weights."""


class Nothing(nn.Module):
    """No connection: no face's features, (B, C, H, W) -> (0, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:0]


class ChosenConnection(nn.Module):
    """A supernet's connection whose operation NNI chooses; None where it chooses none.

    Args:
        label: of NNI's choice.
        connection: whose HPM block and change of scale it takes.
    """

    def __init__(self, label: str, connection: Connection) -> None:
        super().__init__()
        candidates = dict(zip(OPERATIONS, (Nothing(), nn.Identity(), connection.hpm), strict=True))
        self.operation = LayerChoice(candidates, label=label)
        self.resample = connection.resample

    def forward(self, x: Tensor) -> Tensor | None:
        x = self.operation(x)
        return self.resample(x) if len(x) else None


class NNISpace(ModelSpace):
    """The space of a supernet: every connection is a choice of its own, so its codes are all 3^connections.

    A node that nothing reaches gives nothing on, which is what a child without its dead connections does. Dead ends are
    computed, as in any model of NNI's. Where no path reaches the output the head sees zeros: the map is then the same
    for all faces.

    Args:
        supernet: its modules are taken, first weights included.

    Attributes:
        passes: batches that went through it,
        pathless: those of them for which no path reached the output, and
        computed: connections that they went through.
    """

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.space = supernet.space
        self.stem, self.head = supernet.stem, supernet.head
        self.connections = nn.ModuleDict(
            {name: ChosenConnection(name, connection) for name, connection in supernet.connections.items()}
        )
        self.passes = self.pathless = self.computed = 0

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, 3, S, S) to UV maps (B, 3, M, M) in the head's units."""
        stem = self.stem(image)
        values: list[Tensor | None] = [stem]
        for gap in range(self.space.layers):
            values = [self._node(gap, target, values) for target in range(self.space.gap_shape(gap)[1])]
        self.passes += 1
        self.pathless += values[0] is None
        return self.head(torch.zeros_like(stem) if values[0] is None else values[0])

    def _node(self, gap: int, target: int, sources: Sequence[Tensor | None]) -> Tensor | None:
        arriving = [
            self.connections[connection_name(gap, source, target)](features)
            for source, features in enumerate(sources)
            if features is not None
        ]
        arriving = [features for features in arriving if features is not None]
        self.computed += len(arriving)
        return node_sum(arriving) if arriving else None


def connection_labels(space: MultipathSpace) -> list[str]:
    """The labels of NNI's choices in the order of a code."""
    shapes = [space.gap_shape(gap) for gap in range(space.layers)]
    return [
        connection_name(gap, source, target)
        for gap, (sources, targets) in enumerate(shapes)
        for source in range(sources)
        for target in range(targets)
    ]


def sample_of(space: MultipathSpace, codes: Sequence[int]) -> dict[str, str]:
    """A code as NNI's sample: choice's label -> operation."""
    return {label: OPERATIONS[code] for label, code in zip(connection_labels(space), codes, strict=True)}


def codes_of(space: MultipathSpace, sample: Mapping[str, str]) -> tuple[int, ...]:
    """Inverse of `sample_of`."""
    return tuple(OPERATIONS.index(sample[label]) for label in connection_labels(space))


def reaches_output(space: MultipathSpace, sample: Mapping[str, str]) -> bool:
    """Whether a sample has a path from the stem to the output."""
    return any(space.canonical(codes_of(space, sample)))


class NNITask(FaceModule, LightningModule):
    """What `SupernetTask` minimises, for the one child that NNI has chosen.

    NNI runs it inside a module of its own, which asks it for its optimizer and schedule, but not how to clip.
    """

    def __init__(self, uv: UVTarget, loss: str, optimizer: OptimizerConfig, total_steps: int) -> None:
        super().__init__(uv, optimizer, total_steps)
        self.kind = loss

    def training_step(self, batch: dict[str, Tensor], _index: int) -> Tensor:
        maps = self.model(batch["image"])
        loss = self.finite(uv_loss(maps, self.uv.target_units(batch), self.uv.weight, self.kind))
        self.log("supernet/loss", loss, prog_bar=True)
        return loss


class _Progress(TrainingProgress):
    """Of the task inside NNI's module."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module.training_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: object) -> None:
        super().on_train_batch_end(trainer, pl_module.training_module, *rest)


def train_space(workspace: Workspace, only_paths: bool, callbacks: Sequence[pl.Callback] = ()) -> NNISpace:
    """The workspace's supernet from the first weights, batches and settings of `train_supernet`, trained by NNI.

    NNI draws its choices from generators that it seeds by the clock: two trainings are never the same.

    Args:
        only_paths: whether NNI shall draw again where no path reaches the output (`RandomOneShot(filter=...)`).

    Raises:
        UserError: the loss became no number.
    """
    logging.getLogger("nni").setLevel(logging.CRITICAL)
    experiment, faces = workspace.experiment, workspace.faces
    config, optimizer = experiment.supernet, experiment.supernet.optimizer
    model = NNISpace(fresh_supernet(workspace))
    steps = config.steps * config.accumulate
    batches = BatchSettings(config.batch_size, steps, experiment.seed, config.augmentation)
    data = FaceDataModule(faces.train, faces.val, batches)
    trainer = make_trainer(
        experiment.device,
        kind=Trainer,
        max_epochs=1,
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=optimizer.clip or None,
        gradient_clip_algorithm="norm",
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[_Progress("NNI trains its supernet", config.steps), *callbacks],
    )
    evaluator = Lightning(NNITask(workspace.uv, config.loss, optimizer, config.steps), trainer, datamodule=data)
    strategy = RandomOneShot(filter=partial(reaches_output, model.space) if only_paths else None)
    with interruptible(trainer):
        strategy(RawFormatModelSpace(model, evaluator), SequentialExecutionEngine())
    return model


def as_supernet(model: NNISpace, supernet: Supernet) -> Supernet:
    """`supernet` with NNI's trained weights."""
    supernet.load_state_dict({name.replace(_OPERATION, ".hpm."): value for name, value in model.state_dict().items()})
    return supernet
