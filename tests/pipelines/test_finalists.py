"""The short trainings that decide among the best members of a search."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nasface.config import Experiment, OptimizerConfig, RetrainConfig
from nasface.pipelines.finalists import Finalist, short_settings, shortlist
from nasface.search.strategy import Outcome, Proposal
from nasface.search.study import Evaluation
from nasface.space.neighbours import random_neighbour
from nasface.space.record import load_record
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from tests.helpers.tiny import Command

SPACE = MultipathSpace("toy", layers=4, scales=3)


def evaluations(count: int, seed: int = 0) -> list[Evaluation]:
    """Walks of neighbours from a random member, with random penalties."""
    rng = np.random.default_rng(seed)
    member, found = SPACE.random_architecture(rng), []
    for number in range(count):
        outcome = Outcome(float(rng.uniform(5, 10)), complete=bool(number % 5))
        found.append(Evaluation(number, Proposal(member), outcome, 0.1, {}, replayed=False))
        member = random_neighbour(member, rng)
    return found


def distances(chosen: list[Evaluation]) -> list[int]:
    codes = [np.array(one.architecture.canonical.codes) for one in chosen]
    return [int((first != second).sum()) for n, first in enumerate(codes) for second in codes[:n]]


def test_the_best_member_leads_a_list_of_different_ones() -> None:
    found = evaluations(60)
    chosen = shortlist(found, 4, 6)
    penalties = [one.outcome.penalty for one in chosen]
    complete = [one for one in found if one.outcome.complete]
    assert penalties == sorted(penalties) and penalties[0] == min(one.outcome.penalty for one in complete)
    assert all(one.outcome.complete for one in chosen)
    assert min(distances(chosen)) >= 6
    # Greedy: whoever is left out and is better than the last one is too near to someone on the list.
    for one in complete:
        if one not in chosen and one.outcome.penalty < penalties[-1]:
            assert min(distances([one, better])[0] for better in chosen) < 6


def test_a_full_list_comes_before_the_distance() -> None:
    found = evaluations(12)
    complete = [one for one in found if one.outcome.complete]
    assert len(shortlist(found, 5, 1000)) == 5
    assert len(shortlist(found, 100, 1000)) == len({one.architecture.digest for one in complete})
    plain = shortlist(found, 3, 0)
    assert [one.outcome.penalty for one in plain] == sorted(one.outcome.penalty for one in complete)[:3]


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    finalist = Finalist(SPACE.random_architecture(np.random.default_rng(0)), None, tmp_path / "abc")
    assert finalist.nme() is None
    with atomic_write(tmp_path / "abc.json") as temporary:
        temporary.write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"abc\.json cannot be read"):
        finalist.nme()


def test_finalists_are_trained_for_their_steps_whatever_the_retraining_counts_in() -> None:
    optimizer = OptimizerConfig(schedule="steps", milestones=[30, 40])
    retrain = RetrainConfig(epochs=50, batch_size=32, optimizer=optimizer, videos=2)
    short = short_settings(Experiment(retrain=retrain), faces=6400).retrain
    assert (short.steps, short.epochs, short.optimizer.milestones) == (150, None, [90, 120])
    assert short.videos == 0, "videos are of test faces, which a search has no part in"


def test_finalists_of_several_objectives_are_refused(nasface: Command) -> None:
    options = ("--finalists.count", "2", "--search.strategy", "nsga2", "--search.objectives", "[penalty,macs]")
    failed = nasface.tiny("search", *options)
    assert failed.code == 2 and "finalists.count is for one objective" in failed.line


def test_the_best_finalist_is_written(nasface: Command) -> None:
    options = ("--finalists.count", "2", "--finalists.steps", "2", "--finalists.workers", "1")
    result = nasface.tiny("search", *options)
    assert result.code == 0, result.errors
    (run,) = (nasface.folder / "runs").iterdir()
    summary = json.loads((run / "summary.json").read_text())
    members = summary["finalists"]["members"]
    best = min(members, key=lambda one: one["nme"])
    record = load_record(run / "best.json")
    assert len(members) == 2 and record.architecture.digest == best["digest"]
    assert record.scores["penalty"] == best["penalty"] and summary["costs"]["finalists_s"] > 0
    assert "2 members trained for 2 steps" in result.output
    # Their results are kept, their checkpoints are not.
    left = sorted(path.name for path in (run / "search" / "finalists").iterdir() if path.suffix != ".log")
    assert left == sorted(f"{one['digest']}.json" for one in members)
