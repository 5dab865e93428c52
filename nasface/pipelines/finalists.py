"""Short trainings that decide among the best members of a search.

Not part of the MONAS paper, which takes the member with the lowest penalty on the supernet, and off unless
`finalists.count` asks for it. Members differ widely in how fast they learn on their own weights, of which shared
weights show only a part. The shortlist comes from the search, so that the supernet decides what is worth a training;
the validation faces decide among its members.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasface.config import Experiment, FinalistsConfig
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.pipelines.retrain import validate_training
from nasface.pipelines.workers import train_side_by_side
from nasface.pipelines.workspace import Workspace
from nasface.runs.run import Run
from nasface.search.study import Evaluation, StudyResult
from nasface.training.optimizers import of_steps
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.progress import stage_bar
from nasface.utils.reading import read_json, reading
from nasface.utils.schema import checked


def shortlist(evaluations: Sequence[Evaluation], count: int, distance: int) -> list[Evaluation]:
    """The members with the lowest penalties that differ from each other.

    A search ends among neighbours, which train alike: every member of the list differs from those before it in at
    least `distance` connections. Where too few do, the distance is halved until the list is full.

    Args:
        evaluations: of a search; those that stopped early are left out.
        count: length of the list.
        distance: connections whose operations differ.
    """
    ranked = sorted((one for one in evaluations if one.outcome.complete), key=lambda one: one.outcome.penalty)
    codes = np.array([one.architecture.canonical.codes for one in ranked])
    chosen: list[int] = []
    while True:
        for place in range(len(ranked)):
            if len(chosen) == count:
                break
            if place not in chosen and all((codes[place] != codes[other]).sum() >= distance for other in chosen):
                chosen.append(place)
        if len(chosen) >= min(count, len(ranked)) or distance <= 1:
            return [ranked[place] for place in sorted(chosen)]
        distance //= 2


@dataclass(frozen=True)
class Finalist:
    """One short training.

    Attributes:
        spec: what is trained.
        experiment: the settings of the training.
        folder: keeps the checkpoint while it runs, and its error afterwards.
    """

    spec: NetworkSpec
    experiment: Experiment
    folder: Path

    @property
    def _file(self) -> Path:
        return self.folder.with_suffix(".json")

    def train(self, workspace: Workspace) -> None:
        """Train it, or go on where it was, and record its error on the validation faces."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = replace(workspace, experiment=self.experiment)
        write_json(self._file, {"nme": validate_training(own, self.spec, Run(self.folder))})
        shutil.rmtree(self.folder, ignore_errors=True)

    def nme(self) -> float | None:
        """What the search minimises (%), after the training; None before."""
        if not self._file.exists():
            return None
        mend = "delete it, and --resume trains again"
        with reading(self._file, "cannot be read", mend):
            return float(checked(float, read_json(self._file, mend).get("nme"), "nme"))


def short_settings(experiment: Experiment, faces: int) -> Experiment:
    """The retraining's settings with the finalists' number of steps, on so many faces; without videos, which are of
    test faces."""
    steps = experiment.finalists.steps
    return replace(
        experiment,
        retrain=replace(of_steps(experiment.retrain, steps, faces), evaluate_every=steps, videos=0),
        log=replace(experiment.log, wandb="off"),
    )


def decide(workspace: Workspace, run: Run, result: StudyResult) -> StudyResult:
    """The search's result with the best finalist in the place of the member with the lowest penalty.

    The errors of all of them are in the run's summary. What is trained already is kept.
    """
    config: FinalistsConfig = workspace.experiment.finalists
    if not config.count or len(workspace.experiment.search.objectives) > 1:
        return result
    candidates = shortlist(result.evaluations, config.count, config.distance)
    if len(candidates) < 2:
        return result
    settings = short_settings(workspace.experiment, len(workspace.faces.train))
    folder = run.path("search", "finalists")
    finalists = [
        Finalist(MemberSpec(one.architecture, settings.network), settings, folder / one.architecture.digest)
        for one in candidates
    ]
    with run.timed("finalists_s"):
        _train_all(workspace, finalists, folder, config.workers or available_cores())
    table: list[dict[str, Any]] = [
        {"digest": one.architecture.digest, "penalty": one.outcome.penalty, "nme": finalist.nme()}
        for one, finalist in zip(candidates, finalists, strict=True)
    ]
    run.update_summary(finalists={"steps": config.steps, "members": table})
    best = min(
        (number for number in range(len(table)) if table[number]["nme"] is not None), key=lambda n: table[n]["nme"]
    )
    return replace(result, best=candidates[best].architecture, penalty=candidates[best].outcome.penalty)


def _train_all(workspace: Workspace, finalists: Sequence[Finalist], folder: Path, workers: int) -> None:
    """Train what is not on record; a finalist whose numbers became infinite stays without an error."""
    waiting = [finalist for finalist in finalists if finalist.nme() is None]
    if not waiting:
        return
    # One thread each: two trainings side by side are faster than one after the other with two threads.
    settings = replace(workspace.experiment, device=replace(workspace.experiment.device, threads=1))
    failed: list[UserError] = []
    with stage_bar("training finalists", len(finalists), len(finalists) - len(waiting)) as bar:
        for _, error in train_side_by_side(settings, waiting, folder, min(workers, len(waiting))):
            bar.update(1)
            if error is not None:
                failed.append(error)
    if len(failed) == len(finalists):
        raise failed[0]
