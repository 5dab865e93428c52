"""Every setting of an experiment, typed, with its meaning and default; `nasface <command> --help` prints them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nasface.data.augment import AugmentConfig
from nasface.nets.multipath import MultipathConfig
from nasface.tasks.uv import OptimizerConfig


@dataclass(frozen=True)
class DataConfig:
    """Where the faces come from.

    Attributes:
        train: training faces: `synthetic` (rendered on this machine from the embedded head) or `ddfa` (3DDFA's released layout).
        test: test faces: `synthetic` or `aflw2000` (AFLW2000-3D).
        cache: folder in which rendered and decoded faces are kept.
        train_count: synthetic training faces.
        val_count: faces for validation, which is all that a search sees.
        test_count: synthetic test faces.
        ddfa: folder in 3DDFA's layout (images, list, parameters).
        ddfa_assets: folder of 3DDFA's morphable model files.
        aflw2000: folder of AFLW2000-3D (jpg and mat pairs).
        train_limit: use only the first faces of the training list; 0 uses all.
    """

    train: Literal["synthetic", "ddfa"] = "synthetic"
    test: Literal["synthetic", "aflw2000"] = "synthetic"
    cache: str = "cache"
    train_count: int = 6000
    val_count: int = 400
    test_count: int = 1000
    ddfa: str = "../shared/data/aflw_120x120"
    ddfa_assets: str = "../shared/data/3ddfa"
    aflw2000: str = "../shared/data/aflw2000_sample/AFLW2000"
    train_limit: int = 0


@dataclass(frozen=True)
class SupernetConfig:
    """Training of the supernet.

    Attributes:
        sampler: how the children of a step are drawn: `mnus` (unbiased, the paper's) or `uniform`.
        children: K, children a step.
        repeats: how often each connection of a gap is taken by the children of one step; drawn per step from these.
        steps: optimizer steps.
        batch_size: faces a step (of one process, before accumulation).
        accumulate: batches whose gradients make one optimizer step.
        loss: `l1`, `l2` or `distance`.
        checkpoint_every: steps between checkpoints; a killed training goes on from the last one.
        optimizer: Adam and its schedule.
        augmentation: of the training faces.
    """

    sampler: str = "mnus"
    children: int = 4
    repeats: list[int] = field(default_factory=lambda: [1, 2])
    steps: int = 1000
    batch_size: int = 32
    accumulate: int = 1
    loss: Literal["l1", "l2", "distance"] = "distance"
    checkpoint_every: int = 50
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class SearchConfig:
    """The search on the trained supernet.

    Attributes:
        strategy: `samos` (simulated annealing, the paper's) or `random`.
        iterations: candidates that the search looks at.
        temperature: SAMOS's first temperature.
        factor: by which the temperature falls after every iteration.
        calibration: training faces on which a candidate's batch norm is calibrated.
        chunk: validation faces that are run together.
        reuse: keep what a candidate shares with the last accepted one.
        early_rejection: stop an evaluation whose rejection is certain.
        storage: Optuna storage URL; a journal file in the run's folder where empty.
    """

    strategy: str = "samos"
    iterations: int = 200
    temperature: float = 1024.0
    factor: float = 0.85
    calibration: int = 128
    chunk: int = 50
    reuse: bool = True
    early_rejection: bool = True
    storage: str = ""


@dataclass(frozen=True)
class RetrainConfig:
    """Training of one network from scratch.

    Attributes:
        steps: optimizer steps.
        batch_size: faces a step (of one process, before accumulation).
        accumulate: batches whose gradients make one optimizer step.
        loss: `l1`, `l2` or `distance`.
        evaluate_every: steps between validations and checkpoints.
        optimizer: Adam and its schedule.
        augmentation: of the training faces.
    """

    steps: int = 3000
    batch_size: int = 32
    accumulate: int = 1
    loss: Literal["l1", "l2", "distance"] = "distance"
    evaluate_every: int = 500
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3))
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class DeviceConfig:
    """Lightning's Trainer settings.

    Attributes:
        accelerator: `auto`, `cpu`, `gpu`, ...
        devices: how many, or `auto`.
        num_nodes: machines.
        strategy: `auto`, or `ddp_find_unused_parameters_true` for several processes (a step uses only its children's weights).
        precision: `32-true`, `bf16-mixed`, ...
        threads: CPU threads of one process; 0 leaves it to torch.
    """

    accelerator: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    threads: int = 0


@dataclass(frozen=True)
class LogConfig:
    """Weights & Biases.

    Attributes:
        wandb: `auto` (online with an account, else offline files), `online`, `offline` or `off`.
        project: W&B project.
    """

    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    project: str = "nasface"


@dataclass(frozen=True)
class Experiment:
    """One experiment: data, space, network sizes, supernet training, search, retraining.

    Attributes:
        name: of the experiment.
        space: architecture space: a name in search_spaces/ or a path to a YAML file.
        seed: of everything that is drawn.
        runs: folder of the runs.
        output: where the search leaves the architecture that it found.
        data: faces.
        network: sizes.
        supernet: supernet training.
        search: search.
        retrain: training of one network.
        device: where it runs.
        log: logging.
    """

    name: str = "default"
    space: str = "multipath"
    seed: int = 0
    runs: str = "runs"
    output: str = "best.json"
    data: DataConfig = field(default_factory=DataConfig)
    network: MultipathConfig = field(default_factory=MultipathConfig)
    supernet: SupernetConfig = field(default_factory=SupernetConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    log: LogConfig = field(default_factory=LogConfig)
