"""The benchmark of a supernet's ranking: which members it takes, and what its table answers."""

from __future__ import annotations

import pytest

from benchmarks.ranking import answer, chosen_members, matching_table, ranking_table, read_arguments
from nasface.config import Experiment, MultipathConfig
from nasface.utils.errors import UserError
from tests.helpers.toy_table import toy_table


def test_members_are_drawn_once() -> None:
    table = toy_table()
    chosen = chosen_members(table, 30)
    assert len({one.digest for one in chosen}) == 30 and chosen[:20] == chosen_members(table, 20)
    assert len(chosen_members(table, 0)) == len(table.by_member)
    with pytest.raises(UserError, match="has 19 members"):
        chosen_members(toy_table(count=19), 0)


def result(sampler: str, steps: int, low: float, tau: float = 0.5, way: str = "calibrated", seed: int = 0) -> dict:
    return {
        "sampler": sampler,
        "steps": steps,
        "seed": seed,
        "batch_norm": way,
        "kendall": tau,
        "kendall_95": [low, 0.9],
        "spearman": tau,
        "supernet_mean": 10.0,
        "supernet_s": 4.0,
    }


def test_the_answer_is_the_length_from_which_on_all_are_positive() -> None:
    results = [
        result("mnus", 10, 0.1),
        result("mnus", 20, -0.1),
        result("mnus", 40, 0.1),
        result("mnus", 40, 0.2, seed=1),
        result("mnus", 10, -0.5, way="shared"),
        result("uniform", 10, 0.3),
        result("uniform", 40, 0.3),
        result("uniform", 40, -0.3, seed=1),
    ]
    assert answer(results) == [
        "mnus: tau is clearly above zero for every seed from 40 steps on",
        "uniform: tau is clearly above zero for every seed at none of these lengths",
    ]
    lines = ranking_table(results).splitlines()
    assert len(lines) == 2 + 6
    assert any(line.split()[:2] == ["mnus", "40"] and "+0.500, +0.500" in line for line in lines)


def test_settings_that_cannot_be() -> None:
    experiment, own = read_arguments([])
    assert experiment.name == "table" and own["steps"] == [200, 800, 3200]
    for arguments in (["--members", "19"], ["--steps", "0"], ["--samplers", "mnus", "mnus"]):
        with pytest.raises(UserError, match=arguments[0]):
            read_arguments(arguments)


def test_a_table_of_other_sizes_says_which() -> None:
    with pytest.raises(UserError, match="of other sizes: give --network.resample pool, or their experiment"):
        matching_table("bands", Experiment(network=MultipathConfig(resample="cells")))
