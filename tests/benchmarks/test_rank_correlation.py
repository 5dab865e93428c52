"""Rank correlations against brute force, and the two kinds of scores that they are taken of."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.rank_correlation import Ranking, calibrated_scores, member_maps, shared_scores
from nasface.data.augment import normalise
from nasface.evaluation.supernet import EvaluationFaces, make_evaluator
from nasface.nets.multipath import Supernet
from nasface.pipelines.workspace import Workspace
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError
from tests.benchmarks.toy import NETWORK, SPACE, toy_supernet, toy_workspace


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


def test_two_members_that_change_places() -> None:
    """Counted by hand: of 190 pairs one is the other way round; of 20 ranks two are off by one."""
    alone = [float(value) for value in range(20)]
    one = ranking([*alone[:7], alone[8], alone[7], *alone[9:]], alone)
    assert one.kendall == pytest.approx((189 - 1) / 190)
    assert one.spearman == pytest.approx(1 - 6 * 2 / (20 * (20**2 - 1)))


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
    before = copy.deepcopy(supernet.state_dict())
    faces = EvaluationFaces.of(workspace.faces.val)
    shared = shared_scores(supernet, workspace.uv, images, faces, members, seed=1, averaged=4)
    again = shared_scores(supernet, workspace.uv, images, faces, members[::-1], seed=1, averaged=4)
    assert shared == again[::-1]  # what was scored before leaves no trace
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert shared_scores(supernet, workspace.uv, images, faces, members, seed=2, averaged=4) != shared


def test_calibrated_scores_are_those_of_children_with_statistics_of_their_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Against a child network whose batch norm saw the calibration faces, and an NME written out face by face."""
    workspace, supernet = toy_workspace(tmp_path_factory.mktemp("runs")), toy_supernet()
    members = [SPACE.random_architecture(np.random.default_rng(seed)) for seed in range(3)]
    evaluate = make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment)
    scores = calibrated_scores(evaluate, members)
    assert scores == pytest.approx([_child_penalty(supernet, member, workspace) for member in members], rel=1e-4)
    assert len(set(scores)) == 3


def _child_penalty(supernet: Supernet, member: Architecture, workspace: Workspace) -> float:
    faces, config = workspace.faces, workspace.experiment
    order = np.random.default_rng([config.seed, 2]).permutation(len(faces.train))[: config.search.calibration]
    child = supernet.child(member).train()
    for norm in (module for module in child.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = None  # statistics of the calibration faces alone
        norm.reset_running_stats()
    errors: dict[int, list[float]] = {0: [], 30: [], 60: []}
    with torch.no_grad():
        child(normalise(torch.from_numpy(faces.train.images[order])))
        found = workspace.uv.read(child.eval()(normalise(torch.from_numpy(faces.val.images)))).landmarks.numpy()
    for predicted, true, box, yaw in zip(found, faces.val.landmarks, faces.val.box, faces.val.yaw, strict=True):
        distance = np.sqrt(((predicted[:, :2] - true[:, :2]) ** 2).sum(1)).mean()
        errors[30 * int(abs(yaw) // 30)].append(100 * distance / math.sqrt(box[0] * box[1]))
    return float(np.mean([np.mean(one) for one in errors.values()]))


def test_shared_statistics_are_the_members_own_where_there_is_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Averaged over one draw, which is the member itself, sharing and calibrating are the same."""
    space = MultipathSpace("line", layers=2, scales=1)
    torch.manual_seed(0)
    supernet = Supernet(space, NETWORK)
    torch.nn.init.normal_(supernet.head.last.weight, std=0.1)
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
