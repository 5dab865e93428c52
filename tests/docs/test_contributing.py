"""The files that CONTRIBUTING.md shows work as they stand there, and keep the contracts of their kind."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import yaml

from nasface.config import DataConfig, experiment_of
from nasface.data.registry import DATA_SETS
from nasface.data.registry import Request as SetRequest
from nasface.evaluation.benchmark import BENCHMARKS, Prediction, Request
from nasface.nets.registry import NETWORKS, BaselineSpec
from nasface.search.registry import STRATEGIES
from nasface.testing import StrategyCase, check_face_set, check_network, check_strategy
from tests.data.test_landmark_sets import write_plain
from tests.helpers.tiny import REPOSITORY

TEXT = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^### [^`\n]*: `([\w/.]+)`\n```\w+\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
Add = Callable[[str], None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Imports the example of a file; what it registers is forgotten at the end."""
    monkeypatch.syspath_prepend(tmp_path)
    modules: list[str] = []

    def add(path: str) -> None:
        modules.append(f"contributed_{path.removesuffix('.py').replace('/', '_')}")
        (tmp_path / f"{modules[-1]}.py").write_text(EXAMPLES[path])
        importlib.import_module(modules[-1])

    with ExitStack() as scopes:
        for registry in (NETWORKS, STRATEGIES, DATA_SETS, BENCHMARKS):
            scopes.enter_context(registry.scope())
        yield add
    for module in modules:
        sys.modules.pop(module, None)


def plain(folder: Path, **more: np.ndarray) -> str:
    write_plain(folder, ["a.png", "b.png"], 68, 2)
    with np.load(folder / "landmarks.npz") as arrays:
        np.savez(folder / "landmarks.npz", **arrays, **more)
    return str(folder)


def test_there_is_one_of_each_kind() -> None:
    assert [Path(path).parent.name for path in EXAMPLES] == [
        *("baselines", "strategies", "sets", "benchmarks"),
        "experiments",
    ]


def test_the_network(add: Add) -> None:
    add("nasface/nets/baselines/tiny.py")
    check_network(BaselineSpec("tiny", 32, 32))


def test_the_strategy(add: Add) -> None:
    add("nasface/search/strategies/climb.py")
    check_strategy(StrategyCase("climb", {"evaluations": 40, "moves": 2}))


def test_the_data_set(add: Add, tmp_path: Path) -> None:
    add("nasface/data/sets/mine.py")
    config = DataConfig(folders={"mine": plain(tmp_path / "mine", yaw=np.array([3.0, 70]))}, cache=str(tmp_path))
    faces = DATA_SETS.get("mine").read(SetRequest("mine", config, "test", 32, None, lambda _: lambda done, total: None))
    check_face_set("mine", faces)
    assert faces.yaw.tolist() == [3, 70]


def test_the_benchmark(add: Add, tmp_path: Path) -> None:
    add("nasface/evaluation/benchmarks/mine.py")
    root = plain(tmp_path / "mine", box=np.array([[20.0, 20, 120, 120]] * 2))
    opened = BENCHMARKS.get("mine").open(Request("mine", 32, Path(root)))
    truth = np.concatenate([opened.faces.landmarks[..., :2], np.full((2, 68, 1), np.nan)], axis=2)
    ((right,), (wrong,)) = (opened.measure(Prediction(found)) for found in (truth, truth + 1))
    assert right.values.tolist() == [0, 0] and (wrong.values > 1).all() and list(opened.names) == ["a.png", "b.png"]


def test_the_recipe() -> None:
    experiment = experiment_of(yaml.safe_load(EXAMPLES["experiments/mine.yaml"]))
    assert experiment.name == "mine" and experiment.search.strategy == "random"
