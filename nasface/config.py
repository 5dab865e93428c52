"""Every setting of an experiment, typed, with its meaning and default; `nasface <command> --help` prints them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from nasface.data.augment import AugmentConfig
from nasface.data.sources import DataConfig
from nasface.nets.multipath import MultipathConfig
from nasface.training.face_task import OptimizerConfig
from nasface.training.fit import DeviceConfig
from nasface.training.targets.heatmap import HeatmapConfig
from nasface.training.targets.parameters import ParametersConfig
from nasface.training.targets.volume import VolumeConfig
from nasface.utils.errors import UserError


@dataclass(frozen=True)
class SupernetConfig:
    """Training of the supernet.

    Attributes:
        sampler: how the children of a step are drawn: `mnus` (unbiased, the paper's) or `uniform`.
        children: K, children a step; 4 in the paper. With 2 and `repeats` of 1 every connection is trained exactly once
            in a step, by either child, and a step costs half.
        repeats: how often each connection of an inner gap is taken by the children of one step; drawn per step from
            these. A child holds repeats / K of a gap's connections: a half by default, as most members that the search
            visits. (The paper's Fig. 2 has a quarter, of which 2 or 3 are left once dead ends are dropped.)
        last_repeats: the same of the last gap, which joins all scales to the output, as in nearly all members that the
            search visits; as `repeats` where empty.
        steps: optimizer steps.
        batch_size: faces a step (of one process, before accumulation).
        accumulate: batches whose gradients make one optimizer step.
        loss: `l1`, `l2` or `distance`.
        checkpoint_every: steps between checkpoints; a killed training goes on from the last one.
        optimizer: Adam and its schedule.
        augmentation: of the training faces.
    """

    sampler: str = "mnus"
    children: PositiveInt = 2
    repeats: list[PositiveInt] = field(default_factory=lambda: [1])
    last_repeats: PositiveInt | None = 2
    steps: PositiveInt = 1500
    batch_size: PositiveInt = 16
    accumulate: PositiveInt = 1
    loss: Literal["l1", "l2", "distance"] = "distance"
    checkpoint_every: PositiveInt = 50
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3))
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class SearchConfig:
    """The search on the trained supernet.

    Attributes:
        strategy: `samos` (simulated annealing, the paper's), `random`, `random-sample` (one draw), `evolution`
            (regularized), `spos` (its evolution), `local`, `nsga2` (several objectives), a sampler of Optuna such as
            `optuna/tpe`, or a tuner of NNI such as `nni/tpe`.
        iterations: candidates that the search looks at.
        temperature: SAMOS's first temperature.
        factor: by which the temperature falls after every iteration.
        acceptance: share of worse candidates that SAMOS's first temperature shall accept; it is then calibrated on the
            first 20 candidates. 0 takes `temperature`.
        chains: SAMOS's walks side by side; so many workers can be busy.
        restart_after: candidates without a better one after which a walk of SAMOS starts again; 0 for never.
        moves: random moves from a member to SAMOS's candidate.
        population: members of a generation of `evolution`, `spos` and `nsga2`; 0 for the strategy's own number.
        penalty: what the search minimises, NME (%) on the validation faces: `mean` of the yaw bins, or one bin.
        objectives: several for a Pareto front: penalty, and any of macs, parameters, memory (bytes), latency (ms, one
            thread), latency_all (all threads). `nsga2` and Optuna's samplers minimise all of them.
        max_macs: greatest number of multiply-adds of a candidate; 0 for any.
        max_parameters: greatest number of parameters; 0 for any.
        max_memory: greatest peak of its activations for one image, in bytes; 0 for any.
        calibration: training faces on which a candidate's batch norm is calibrated.
        chunk: validation faces that are run together.
        reuse: keep what a candidate shares with the last accepted one.
        early_rejection: stop an evaluation whose rejection is certain.
        storage: Optuna storage URL (a database's, or grpc://host:port of a storage proxy), or a journal file; a
            journal file in the run's folder where empty.
    """

    strategy: str = "samos"
    iterations: PositiveInt = 200
    temperature: PositiveFloat = 1024.0
    factor: float = 0.85
    acceptance: float = 0.0
    chains: PositiveInt = 1
    restart_after: NonNegativeInt = 0
    moves: PositiveInt = 1
    population: NonNegativeInt = 0
    penalty: Literal["mean", "0-30", "30-60", "60-90"] = "mean"
    objectives: list[str] = field(default_factory=lambda: ["penalty"])
    max_macs: NonNegativeFloat = 0.0
    max_parameters: NonNegativeFloat = 0.0
    max_memory: NonNegativeFloat = 0.0
    calibration: PositiveInt = 128
    chunk: PositiveInt = 25
    reuse: bool = True
    early_rejection: bool = True
    storage: str = ""


@dataclass(frozen=True)
class FinalistsConfig:
    """Short trainings that decide among the best members of a search; not part of the MONAS paper, and off by default.

    Attributes:
        count: members on the shortlist; 0 takes the member with the lowest penalty, as the paper does.
        steps: optimizer steps of each training, which is otherwise as the retraining.
        distance: connections in which the members of the shortlist differ from each other, as far as the search has
            met such members.
        workers: trainings side by side, each with one thread; 0 for one a core.
    """

    count: NonNegativeInt = 0
    steps: PositiveInt = 150
    distance: NonNegativeInt = 24
    workers: NonNegativeInt = 0


@dataclass(frozen=True)
class RetrainConfig:
    """Training of one network from scratch.

    Attributes:
        steps: optimizer steps.
        batch_size: faces a step (of one process, before accumulation).
        accumulate: batches whose gradients make one optimizer step.
        loss: `l1`, `l2` or `distance`.
        evaluate_every: steps between validations and checkpoints.
        videos: test faces of which short videos are made to measure stability; 0 leaves it out.
        optimizer: Adam and its schedule.
        augmentation: of the training faces.
    """

    steps: PositiveInt = 1800
    batch_size: PositiveInt = 32
    accumulate: PositiveInt = 1
    loss: Literal["l1", "l2", "distance"] = "distance"
    evaluate_every: PositiveInt = 600
    videos: NonNegativeInt = 0
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=2e-3))
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class CompareConfig:
    """Networks that are compared under one protocol.

    Attributes:
        networks: what `retrain --arch` takes, each with `@SCALE` behind it where its widths shall be multiplied, then
            settings of its own (of retrain, volume, heatmap, parameters), then its name in the table where that shall
            be another: `hourglass2@0.25`, `mobilenet@0.5 parameters.objective=vdc as Baseline VDC`. The searched
            network (the experiment's `output`) is left out where no search has written it yet.
        seeds: of the trainings; several give a mean and a deviation.
    """

    networks: list[str] = field(
        default_factory=lambda: ["best.json", "random", "preset/hourglass", "preset/prnet", "preset/hrnet"]
    )
    seeds: list[NonNegativeInt] = field(default_factory=lambda: [0])


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
        finalists: short trainings after it.
        retrain: training of one network.
        compare: which networks `nasface compare` trains.
        volume: of networks that regress volumes.
        heatmap: of networks that regress heatmaps.
        parameters: of networks that regress 3DMM parameters.
        device: where it runs.
        log: logging.
    """

    name: str = "default"
    space: str = "multipath"
    seed: NonNegativeInt = 0
    runs: str = "runs"
    output: str = "best.json"
    data: DataConfig = field(default_factory=DataConfig)
    network: MultipathConfig = field(default_factory=MultipathConfig)
    supernet: SupernetConfig = field(default_factory=SupernetConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    finalists: FinalistsConfig = field(default_factory=FinalistsConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    heatmap: HeatmapConfig = field(default_factory=HeatmapConfig)
    parameters: ParametersConfig = field(default_factory=ParametersConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, _plain(getattr(self, entry.name)))


def _plain(value: Any) -> Any:
    """Settings as plain numbers: the command line's parser has number types of its own."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)})
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(value) if isinstance(value, int) else float(value)


EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


def experiment_file(name: str) -> Path:
    """The YAML file of an experiment, by its name in experiments/ or by its path.

    Raises:
        UserError: there is none.
    """
    for path in (EXPERIMENTS / f"{name}.yaml", Path(name)):
        if name and path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in EXPERIMENTS.glob("*.yaml")))
    raise UserError(f"unknown experiment {name!r}: give one of {known}, or a YAML file's path")
