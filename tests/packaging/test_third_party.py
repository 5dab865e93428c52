"""A package of somebody else's: its network, strategy, path sampler, data set and benchmark join by entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.tiny import REPOSITORY

CODE = '''
from nasface.data.face_set import FaceSet
from nasface.data.registry import Labels, Request, register_data_set
from nasface.evaluation.benchmark import BenchmarkFaces, Request as Wanted, register_benchmark
from nasface.nets.baselines.hourglass import HourglassUV
from nasface.nets.network import UV_MAP
from nasface.nets.registry import register_network
from nasface.search.budget import BudgetedStrategy
from nasface.search.registry import register
from nasface.space.path_samplers import UniformPaths, register_path_sampler


@register_network("their_net", paper="Doe, 2030", target=UV_MAP)
def their_net(spec):
    return HourglassUV(spec, stacks=1)


@register
class Hill(BudgetedStrategy):
    name = "their/hill"

    def __init__(self, space, seed=0, evaluations=200, away: float = 0.1, constraints=()):
        super().__init__(space, seed, evaluations, constraints)
        self.away = away

    def _settings(self):
        return super()._settings() | {"away": self.away}

    def _next(self):
        if self.best is None or self._rng.random() < self.away:
            return self._propose_exact(self._draw())
        return self._propose_exact(self._draw_new_neighbour(self.best[0]))

    def _learn(self, proposal, outcome):
        """The base knows the best one already."""


register_path_sampler("their_paths")(UniformPaths)


@register_data_set("their_set", splits=("test",), labels=Labels(21), published="https://example.org")
def their_set(request: Request) -> FaceSet:
    raise NotImplementedError


@register_benchmark("their_test", set="Theirs", points="21", protocol="NME", source="Doe, 2030", holds="faces.npz")
def their_test(request: Wanted) -> BenchmarkFaces:
    raise NotImplementedError
'''
GROUPS = ("networks", "strategies", "path_samplers", "data_sets", "benchmarks")
CHECK = """
from nasface.data.registry import DATA_SETS
from nasface.space.path_samplers import PATH_SAMPLERS
from nasface.testing import StrategyCase, check_strategy
assert "their_set" in DATA_SETS and "their_paths" in PATH_SAMPLERS
check_strategy(StrategyCase("their/hill", {"evaluations": 40, "away": 0.2}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages, as pip leaves it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "theirs.py").write_text(CODE)
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = [f"[nasface.{group}]\ntheirs = theirs\n" for group in GROUPS]
    (info / "entry_points.txt").write_text("\n".join(points))
    return folder


def python(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(REPOSITORY), str(site)])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_its_network_is_listed(site: Path, tmp_path: Path) -> None:
    result = python(site, tmp_path, "-m", "nasface", "list", "--network.input_size", "32", "--network.map_size", "32")
    assert result.returncode == 0, result.stderr
    assert any(line.split()[:3] == ["their_net", "Doe,", "2030"] for line in result.stdout.splitlines())


def test_its_benchmark_is_listed(site: Path, tmp_path: Path) -> None:
    result = python(site, tmp_path, "-m", "nasface", "evaluate", "--list")
    assert result.returncode == 0, result.stderr
    assert "their_test: Theirs" in result.stdout and "aflw2000: AFLW2000-3D" in result.stdout


def test_its_strategy_searches(site: Path, tmp_path: Path) -> None:
    search = ("-m", "nasface", "search", "--on", "table", "--search.strategy", "their/hill", "--log.wandb", "off")
    result = python(site, tmp_path, *search, "--search.iterations", "20", "--search.settings.away", "0.3")
    assert result.returncode == 0, result.stderr
    assert "21 evaluations" in result.stdout
    result = python(site, tmp_path, *search, "--search.settings.way", "0.3")
    assert (
        result.returncode == 2 and "its own, and their defaults, are: away (0.1); did you mean away?" in result.stderr
    )


def test_the_others_join_and_its_strategy_keeps_the_contract(site: Path, tmp_path: Path) -> None:
    result = python(site, tmp_path, "-c", CHECK)
    assert result.returncode == 0, result.stderr
