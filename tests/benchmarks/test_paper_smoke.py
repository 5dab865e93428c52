"""experiments/paper.yaml: the paper's numbers, and two steps and one evaluation at its full sizes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.common import parse
from benchmarks.paper_smoke import OPTIONS, STEPS, report, results, smaller, smoke
from nasface.config import Experiment
from nasface.nets.cost import on_meta
from nasface.nets.multipath import Supernet
from nasface.pipelines.scoring import make_search_strategy
from nasface.search.strategies.samos import SAMOS
from nasface.space.catalogue import load_space


@pytest.fixture(scope="module")
def paper() -> Experiment:
    return parse("", OPTIONS, ["--experiment", "paper"]).experiment


def test_numbers_are_the_papers(paper: Experiment) -> None:
    space = load_space(paper.space)
    assert (space.layers, space.scales) == (10, 4)
    assert (paper.network.input_size, paper.network.map_size) == (256, 256)
    assert (paper.supernet.sampler, paper.supernet.children, paper.supernet.whole) == ("mnus", 4, 0.0)
    for training in (paper.supernet, paper.retrain):
        optimizer = training.optimizer
        assert (optimizer.lr, optimizer.schedule, optimizer.weight_decay) == (1e-3, "constant", 0.0)
    search = paper.search
    assert (search.strategy, search.iterations, search.settings) == ("samos", 200, SAMOS.PAPER)
    assert (paper.data.train, paper.data.test) == ("w300lp", "aflw2000")
    assert paper.data.train_count == 0, "all of 300W-LP"


def test_sizes_fit_the_space_and_the_search_can_be_made(paper: Experiment) -> None:
    space = load_space(paper.space)
    paper.network.check(space.scales, space.name)
    assert make_search_strategy(paper, space).progress == (0, 201)


def test_smoke_run(paper: Experiment, tmp_path: Path) -> None:
    small = smaller(paper, batch=1, faces=3, folder=tmp_path)
    # Smaller in faces and steps, in nothing else.
    assert (small.space, small.network, small.supernet.children) == (paper.space, paper.network, 4)
    result = smoke(small)
    with on_meta():
        supernet = Supernet(load_space(paper.space), paper.network)
    assert result.supernet_parameters == sum(parameter.numel() for parameter in supernet.parameters())
    assert 0 < result.cost.parameters < result.supernet_parameters
    assert result.outcome.complete and math.isfinite(result.outcome.penalty) and result.outcome.penalty > 0
    assert result.outcome.details["faces"] == 3
    assert min(result.training_peak, result.evaluation_peak) > 2**27
    text = report(result, paper, small)
    assert f"{STEPS} steps of batch 1 (the experiment's: {paper.supernet.batch_size})" in text
    assert results(result, paper, small)["member_macs"] == result.cost.macs
