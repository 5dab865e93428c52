"""What finished runs left in their folders, read for a report; nothing is written there."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypedDict

import optuna
from optuna.storages import BaseStorage

from nasface.evaluation.test_faces import FILE as TEST_FACES
from nasface.evaluation.test_faces import TestFaces, load_test_faces
from nasface.report.tables import NMERow
from nasface.runs.metrics import read_metrics
from nasface.search.storage import check_evaluation, open_storage
from nasface.space.record import Record, load_record
from nasface.utils.errors import UserError
from nasface.utils.reading import read_json, reading
from nasface.utils.run_files import JOURNAL, nearest_run, read_summary, settings_file, summary_file
from nasface.utils.schema import Finite, checked
from nasface.utils.yaml_files import load_yaml

RANKING = "ranking.json"
Metrics = Mapping[str, tuple[Sequence[int], Sequence[float]]]


@dataclass(frozen=True)
class RankingRun:
    """How a supernet ranks members that were trained on their own, too.

    Attributes:
        id: the folder's name.
        supernet: NME (%) of each member with the supernet's weights.
        alone: NME (%) of each after a training of its own.
        kendall, spearman: rank correlations.
    """

    id: str
    supernet: Sequence[float]
    alone: Sequence[float]
    kendall: float
    spearman: float


@dataclass(frozen=True)
class ExperimentRun:
    """What a search and a retraining have in common.

    Attributes:
        id: the folder's name.
        settings: of its experiment, nested as in the YAML file.
        summary: costs, and counts or the table's row.
    """

    id: str
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]

    @property
    def command(self) -> str:
        """The command line that started it; empty where an older version has not kept it."""
        return shlex.join(["nasface", *words]) if (words := self.summary.get("arguments")) else ""


@dataclass(frozen=True)
class SearchRun(ExperimentRun):
    """A search.

    Attributes:
        best: the architecture that it found, or None where it has not ended.
        evaluations: records of the study, in order: penalty, complete, seconds, status, details.
        ranking: of its supernet, where its folder has one.
        metrics: steps and values of what was logged, by name.
    """

    best: Record | None
    evaluations: Sequence[Mapping[str, Any]]
    ranking: RankingRun | None = None
    metrics: Metrics = field(default_factory=dict)


@dataclass(frozen=True)
class RetrainRun(ExperimentRun):
    """A training of one network.

    Attributes:
        faces: what it does on the test faces, or None where that was not recorded.
        metrics: steps and values of what was logged, by name.
    """

    faces: TestFaces | None
    metrics: Metrics = field(default_factory=dict)

    @property
    def result(self) -> Mapping[str, Any]:
        """The table's row: name, bins, mean, all, parameters, macs, latency_ms."""
        return self.summary["result"]

    @property
    def row(self) -> NMERow:
        """The same, with the seconds of the training."""
        return row_of(self.result["name"], self.summary)


class _Result(TypedDict):
    """A row of the field's table; a yaw bin without faces has no error."""

    name: str
    bins: list[float | None]
    mean: float | None
    all: float | None


class _Row(_Result, total=False):
    """What older runs may lack."""

    parameters: Finite
    macs: Finite
    latency_ms: float | None
    dense: float | None
    roughness: float | None


AnyRun = SearchRun | RetrainRun | RankingRun


def row_of(name: str, summary: Mapping[str, Any]) -> NMERow:
    """The table's row of a retraining under a name, of its summary."""
    known: dict[str, Any] = {entry.name: summary["result"].get(entry.name) for entry in fields(NMERow)}
    return NMERow(**known | {"name": name, "train_s": summary.get("costs", {}).get("retrain_s")})


def read_runs(folder: str | Path) -> list[AnyRun]:
    """The records of a run's folder; of a comparison, those of its trainings that have ended.

    Raises:
        UserError: as `read_run`.
    """
    rows = sorted(Path(folder).glob(f"networks/*/{summary_file('').name}"))
    if not rows or not settings_file(folder).is_file():
        return [read_run(folder)]
    settings = _settings(settings_file(folder))
    found = [(path.parent, read_summary(path.parent)) for path in rows]
    return [
        _retraining(row, {**settings, "seed": row.name.rpartition("seed")[2]}, summary)
        for row, summary in found
        if summary.get("result") is not None
    ]


def read_run(folder: str | Path) -> AnyRun:
    """The records of a run's folder.

    Raises:
        UserError: it is no run, has not ended a step that can be shown, or a file is damaged.
    """
    run = Path(folder)
    ranking = _ranking(run / RANKING) if (run / RANKING).is_file() else None
    if ranking is not None and not settings_file(run).is_file():
        return ranking
    if not settings_file(run).is_file():
        what = "a sweep, which has a table of its own" if (run / "sweep.yaml").is_file() else "no run"
        raise UserError(
            f"{folder} is {what} (it has no experiment.yaml): give searches or retrainings of runs/{nearest_run(run)}"
        )
    settings, summary = _settings(settings_file(run)), read_summary(run)
    if summary.get("command") == "search":
        best = run / "best.json"
        return SearchRun(
            run.resolve().name,
            settings,
            summary,
            load_record(best) if best.is_file() else None,
            _evaluations(run, settings),
            ranking,
            read_metrics(run),
        )
    return _retraining(run, settings, summary)


def _retraining(run: Path, settings: Mapping[str, Any], summary: Mapping[str, Any]) -> RetrainRun:
    result = summary.get("result")
    if result is None:
        raise UserError(f"{run} has no result yet: finish it by `nasface {summary.get('command')} --resume true`")
    with reading(summary_file(run), "cannot be read", "restore it"):
        checked(_Row, result, "result")
    faces = run / TEST_FACES
    shown = load_test_faces(faces) if faces.is_file() else None
    return RetrainRun(run.resolve().name, settings, summary, shown, read_metrics(run))


def _ranking(path: Path) -> RankingRun:
    content = read_json(path, "rank the members again")
    with reading(path, "is damaged", "rank the members again"):
        supernet, alone = ([float(member[key]) for member in content["members"]] for key in ("supernet", "alone"))
        kendall, spearman = float(content["kendall"]), float(content["spearman"])
    return RankingRun(path.parent.resolve().name, supernet, alone, kendall, spearman)


def _settings(path: Path) -> Mapping[str, Any]:
    content = load_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} cannot be read (no mapping of settings): restore it")
    return content


def _evaluations(run: Path, settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """From the search's database or journal; a search that is running may write to it meanwhile."""
    storage = (settings.get("search") or {}).get("storage") or ""
    if storage:
        return _recorded(storage, run.resolve().name, storage)
    journal = run / JOURNAL
    if not journal.is_file():
        return []
    with tempfile.TemporaryDirectory() as folder:  # of a copy: opening a journal mends it
        copy = Path(shutil.copy(journal, folder))
        try:
            with open_storage(copy) as store:
                names = optuna.get_all_study_names(store)
                return _recorded(store, names[0], journal) if names else []
        except UserError as error:
            raise UserError(str(error).replace(str(copy), str(journal))) from None


def _recorded(storage: str | BaseStorage, name: str, place: str | Path) -> list[Mapping[str, Any]]:
    try:
        trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    except Exception as error:  # many drivers, many exceptions
        raise UserError(f"the search's record {place} cannot be read: {str(error).splitlines()[0]}") from None
    return [check_evaluation(trial) for trial in trials if "penalty" in trial.user_attrs]
