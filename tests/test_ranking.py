"""Rank correlations against brute force, and the two kinds of scores that they are taken of."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.ranking import answer, chosen_members, ranking_table, read_arguments
from nasface.data.augment import normalise
from nasface.evaluation.ranking import Ranking, calibrated_scores, member_maps, shared_scores
from nasface.evaluation.supernet import EvaluationFaces, make_evaluator
from nasface.nets.multipath import Supernet
from nasface.search.strategy import Proposal
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
from tests.benchmarks.toy import NETWORK, SPACE, toy_supernet, toy_workspace
from tests.toy_table import toy_table


def ranking(supernet: list[float], alone: list[float]) -> Ranking:
    return Ranking(tuple(map(str, range(len(alone)))), tuple(supernet), tuple(alone))


def test_kendall_by_counting_pairs() -> None:
    rng = np.random.default_rng(1)
    alone = rng.permutation(25).astype(float)
    supernet = alone + 12 * rng.normal(size=25)
    signs = [
        np.sign((supernet[i] - supernet[j]) * (alone[i] - alone[j])) for i, j in itertools.combinations(range(25), 2)
    ]
    one = ranking(list(supernet), list(alone))
    assert one.kendall == pytest.approx(np.mean(signs))
    ranks = [np.argsort(np.argsort(values)) for values in (supernet, alone)]
    assert one.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1])
    low, high = one.interval()
    assert -1 <= low < one.kendall < high <= 1


def test_edges_of_the_scale() -> None:
    values = [float(value) for value in range(20)]
    assert ranking(values, values).kendall == pytest.approx(1) and ranking(values, values).p_value < 1e-6
    assert ranking(values, values[::-1]).spearman == pytest.approx(-1)
    flat = ranking([1.0] * 20, values)
    assert (flat.kendall, flat.spearman, flat.p_value) == (0.0, 0.0, 1.0)
    with pytest.raises(UserError, match="at least 20 members, not 19"):
        ranking(values[:19], values[:19])


def test_the_record() -> None:
    values = [float(value) for value in range(20)]
    record = ranking(values, values).record()
    assert record["members"][3] == {"hash": "3", "supernet": 3.0, "alone": 3.0}
    assert record["kendall"] == pytest.approx(1) and record["spearman"] == pytest.approx(1)


def test_scores_are_those_of_the_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    workspace, supernet = toy_workspace(tmp_path_factory.mktemp("runs")), toy_supernet()
    rng = np.random.default_rng(0)
    members = [SPACE.random_architecture(rng) for _ in range(3)]
    images = normalise(torch.from_numpy(workspace.faces.train.images))
    with torch.no_grad():
        for member in members:
            maps = member_maps(supernet.eval(), member, images)
            assert torch.allclose(maps, supernet.child(member).eval()(images), atol=1e-5)
    evaluate = make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment)
    assert calibrated_scores(
        make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment), members
    ) == [evaluate(Proposal(one)).penalty for one in members]
    before = copy.deepcopy(supernet.state_dict())
    faces = EvaluationFaces.of(workspace.faces.val)
    shared = shared_scores(supernet, workspace.uv, images, faces, members, seed=1, averaged=4)
    again = shared_scores(supernet, workspace.uv, images, faces, members[::-1], seed=1, averaged=4)
    assert shared == again[::-1]  # what was scored before leaves no trace
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert shared_scores(supernet, workspace.uv, images, faces, members, seed=2, averaged=4) != shared


def test_shared_statistics_are_the_members_own_where_there_is_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Averaged over one draw, which is the member itself, sharing and calibrating are the same."""
    space = MultipathSpace("line", layers=2, scales=1)
    torch.manual_seed(0)
    supernet = Supernet(space, NETWORK)
    torch.nn.init.normal_(supernet.head.conv2.weight, std=0.1)
    workspace = replace(toy_workspace(tmp_path_factory.mktemp("runs")), space=space)
    member = space.member(0)
    order = np.random.default_rng([workspace.experiment.seed, 2]).permutation(len(workspace.faces.train))[:8]
    images = normalise(torch.from_numpy(workspace.faces.train.images[order]))
    (calibrated,) = calibrated_scores(
        make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment), [member]
    )
    faces = EvaluationFaces.of(workspace.faces.val)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MultipathSpace, "random_architecture", lambda self, rng: member)
        (shared,) = shared_scores(supernet, workspace.uv, images, faces, [member], averaged=1)
    assert shared == pytest.approx(calibrated, rel=1e-5)


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
