"""Scores of children: against a plain derived network, and untouched by reuse, order and early rejection."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from nasface.config import MultipathConfig, SearchConfig
from nasface.data.augment import normalise
from nasface.evaluation.supernet import EvaluationFaces, SupernetEvaluator
from nasface.nets.anchor_head import AnchorHead
from nasface.nets.multipath import MultipathNetwork, Supernet
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategy import Outcome, Proposal
from nasface.space.space import MultipathSpace
from nasface.training.uv_target import UVTarget
from tests.helpers.toy import MAP, SIZE, toy_basis, toy_faces

SPACE = MultipathSpace(name="test", layers=5, scales=3, connections=(2, 6))


@pytest.fixture(scope="module", params=["anchors", "cells"])
def supernet(request: pytest.FixtureRequest) -> Supernet:
    torch.manual_seed(0)
    network = Supernet(SPACE, MultipathConfig(input_size=SIZE, map_size=MAP, width=8, head_width=8, head=request.param))
    # Members whose scores differ from the start.
    torch.nn.init.normal_(network.head.last.weight, std=0.1 if request.param == "cells" else 1.0)
    if isinstance(network.head, AnchorHead):
        torch.nn.init.normal_(network.head.lift.weight)
    return network


def make_evaluator(supernet: Supernet, chunk: int = 7, **settings: bool) -> SupernetEvaluator:
    uv = UVTarget(toy_basis(), SIZE)
    faces = toy_faces(31, seed=1)
    tensors = EvaluationFaces(
        normalise(torch.from_numpy(faces.images)),
        *(torch.from_numpy(a) for a in (faces.landmarks, faces.box, faces.yaw)),
    )
    calibration = normalise(torch.from_numpy(toy_faces(16, seed=2).images))
    return SupernetEvaluator(supernet, uv, calibration, tensors, SearchConfig(chunk=chunk, **settings))


def plain_score(supernet: Supernet, architecture: object) -> float:
    """Slow reference: derive the child, calibrate it in one training-mode pass, evaluate it face by face."""
    child: MultipathNetwork = copy.deepcopy(supernet).child(architecture)
    for module in child.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    uv, faces = UVTarget(toy_basis(), SIZE), toy_faces(31, seed=1)
    with torch.no_grad():
        child.train()(normalise(torch.from_numpy(toy_faces(16, seed=2).images)))
        child.eval()
        bins: list[list[float]] = [[], [], []]
        for image, landmarks, box, yaw in zip(faces.images, faces.landmarks, faces.box, faces.yaw, strict=True):
            maps = uv.to_pixels(child(normalise(torch.from_numpy(image[None]))))
            error = (uv.landmarks(maps)[0, :, :2].numpy() - landmarks[:, :2]).astype(float)
            nme = 100 * np.linalg.norm(error, axis=1).mean() / np.sqrt(box.prod())
            bins[0 if abs(yaw) <= 30 else 1 if abs(yaw) <= 60 else 2].append(nme)
    return float(np.mean([np.mean(values) for values in bins]))


def members(count: int) -> list[Proposal]:
    rng = np.random.default_rng(0)
    return [Proposal(SPACE.random_architecture(rng)) for _ in range(count)]


def test_score_is_that_of_the_derived_network(supernet: Supernet) -> None:
    evaluator = make_evaluator(supernet)
    for proposal in members(4):
        outcome = evaluator(proposal)
        assert outcome.complete
        assert outcome.penalty == pytest.approx(plain_score(supernet, proposal.architecture), rel=1e-5)
        assert outcome.penalty == pytest.approx(np.mean(outcome.details["nme"]), rel=1e-12)


@pytest.mark.parametrize("penalty", ["all", "30-60"])
def test_another_mean_is_the_penalty(supernet: Supernet, penalty: str) -> None:
    evaluator, usual = make_evaluator(supernet, penalty=penalty), make_evaluator(supernet)
    for proposal in members(2):
        outcome, other = evaluator(proposal), usual(proposal)
        told = {"all": other.details["nme_all"], "30-60": other.details["nme"][1]}
        assert outcome.penalty == pytest.approx(told[penalty], rel=1e-6)
        assert outcome.penalty != pytest.approx(other.penalty, rel=1e-4)


def test_order_of_candidates_changes_no_score(supernet: Supernet) -> None:
    proposals = members(6)
    forward, backward = make_evaluator(supernet), make_evaluator(supernet)
    first = [forward(proposal).penalty for proposal in proposals]
    second = [backward(proposal).penalty for proposal in reversed(proposals)]
    assert first == second[::-1]
    assert len(set(first)) == len(first)


def test_evaluation_leaves_the_supernet_as_it_was(supernet: Supernet) -> None:
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    make_evaluator(supernet)(members(1)[0])
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, before[name]), name


def run_samos(evaluate: SupernetEvaluator, iterations: int = 60) -> tuple[SAMOS, list[Outcome]]:
    # A low temperature makes most of the run greedy, where rejections happen.
    strategy = SAMOS(SPACE, seed=3, iterations=iterations, temperature=4.0, factor=0.8)
    outcomes = []
    while (proposal := strategy.ask()) is not None:
        outcomes.append(evaluate(proposal))
        strategy.tell(proposal, outcomes[-1])
    return strategy, outcomes


def test_reuse_gives_bit_identical_scores(supernet: Supernet) -> None:
    plain, full = run_samos(make_evaluator(supernet, reuse=False, early_rejection=False))
    evaluator = make_evaluator(supernet, reuse=True, early_rejection=False)
    reusing, same = run_samos(evaluator)
    assert [outcome.penalty for outcome in same] == [outcome.penalty for outcome in full]
    assert plain.steps == reusing.steps
    assert 0.1 < evaluator.saved < 1


def test_early_rejection_keeps_the_trajectory(supernet: Supernet) -> None:
    # Small chunks: neighbours' errors lie close together, so a rejection is settled by the last faces.
    plain, full = run_samos(make_evaluator(supernet, chunk=2, reuse=False, early_rejection=False))
    evaluator = make_evaluator(supernet, chunk=2)
    early, outcomes = run_samos(evaluator)
    assert [(step.digest, step.accepted) for step in early.steps] == [
        (step.digest, step.accepted) for step in plain.steps
    ]
    assert early.best == plain.best
    assert any(not outcome.complete for outcome in outcomes), "nothing was rejected early: the test shows nothing"
    assert evaluator.saved > 0.1


def test_threads_give_bit_identical_scores(supernet: Supernet, threads: None) -> None:
    trajectories = []
    for count in (1, 3):
        torch.set_num_threads(count)
        evaluator = make_evaluator(supernet, chunk=2)
        samos, outcomes = run_samos(evaluator, iterations=30)
        details = [{name: value for name, value in one.details.items() if name != "calibration_s"} for one in outcomes]
        trajectories.append((samos.steps, [one.penalty for one in outcomes], details))
    assert trajectories[0] == trajectories[1]
    assert not all(one.complete for one in outcomes), "no evaluation was stopped"


@pytest.fixture
def threads() -> Iterator[None]:
    """Leaves PyTorch's threads as they were."""
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


def test_nothing_is_saved_without_reuse_and_rejection(supernet: Supernet) -> None:
    evaluator = make_evaluator(supernet, reuse=False, early_rejection=False)
    for proposal in members(2) * 2:
        evaluator(proposal)
    assert evaluator.saved == pytest.approx(0)


def test_same_member_again_costs_the_head_only(supernet: Supernet) -> None:
    evaluator = make_evaluator(supernet)
    proposal = members(1)[0]
    first = evaluator(proposal)
    executed = evaluator.executed_macs
    again = evaluator(proposal)
    assert again.penalty == first.penalty
    assert evaluator.executed_macs - executed < 0.5 * executed
