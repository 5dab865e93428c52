"""A package of somebody else's: its network, strategy, path sampler, data set and benchmark join by entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
Answers = dict[str, tuple[int, str, str]]
GROUPS = ("networks", "strategies", "path_samplers", "data_sets", "benchmarks")
SEARCH = "search --on table --search.strategy their/hill --log.wandb off"
COMMANDS = {
    "networks": "list --network.input_size 32 --network.map_size 32",
    "benchmarks": "evaluate --list",
    "search": f"{SEARCH} --search.iterations 20 --search.settings.away 0.3",
    "unknown setting": f"{SEARCH} --search.settings.way 0.3",
}
PROGRAM = """
import contextlib, io, json, sys
from nasface.cli.main import main
answers = {}
for name, words in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main(words.split())
            code = 0
        except SystemExit as end:
            code = end.code
    answers[name] = code, output.getvalue(), errors.getvalue()
print(json.dumps(answers), flush=True)

from nasface.data.registry import DATA_SETS
from nasface.space.path_samplers import PATH_SAMPLERS
from nasface.testing import StrategyCase, check_strategy
assert "their_set" in DATA_SETS and "their_paths" in PATH_SAMPLERS
check_strategy(StrategyCase("their/hill", {"evaluations": 40, "away": 0.2}))
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """One Python that finds a folder of packages, as pip leaves it: most of its time goes to imports."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "theirs.py").write_text(CODE)
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = [f"[nasface.{group}]\ntheirs = theirs\n" for group in GROUPS]
    (info / "entry_points.txt").write_text("\n".join(points))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(folder)]), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(COMMANDS)],
        cwd=tmp_path_factory.mktemp("user"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def answers(process: subprocess.CompletedProcess[str]) -> Answers:
    """Exit status, output and messages of every command."""
    assert process.stdout, process.stderr
    return json.loads(process.stdout)


def test_its_network_is_listed(answers: Answers) -> None:
    code, output, errors = answers["networks"]
    assert code == 0, errors
    assert any(line.split()[:3] == ["their_net", "Doe,", "2030"] for line in output.splitlines())


def test_its_benchmark_is_listed(answers: Answers) -> None:
    code, output, errors = answers["benchmarks"]
    assert code == 0, errors
    assert "their_test: Theirs" in output and "aflw2000: AFLW2000-3D" in output


def test_its_strategy_searches(answers: Answers) -> None:
    code, output, errors = answers["search"]
    assert code == 0, errors
    assert "21 evaluations" in output
    code, _, errors = answers["unknown setting"]
    assert code == 2 and "its own, and their defaults, are: away (0.1); did you mean away?" in errors


def test_the_others_join_and_its_strategy_keeps_the_contract(process: subprocess.CompletedProcess[str]) -> None:
    assert process.returncode == 0, process.stderr
