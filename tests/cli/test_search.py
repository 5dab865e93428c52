"""`nasface search` with several workers, limits and objectives, as a user meets it."""

from __future__ import annotations

import json
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest

from nasface.config import Experiment, MultipathConfig
from nasface.pipelines.architectures import resolve_network
from nasface.search.storage import open_storage
from nasface.space.record import load_record
from tests.helpers.forked import fork_command
from tests.helpers.tiny import REPOSITORY, Command, children_of, is_alive, settings


@pytest.fixture
def nasface(nasface: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # for the workers
    return nasface


def summary_of(nasface: Command, run: str) -> dict[str, object]:
    return json.loads((nasface.folder / "runs" / run / "summary.json").read_text())


def test_two_workers_with_a_limit(nasface: Command) -> None:
    limits = ("--search.max_parameters", "2.8e4", "--search.strategy", "random", "--search.iterations", "9")
    result = nasface.tiny("search", *limits, "--workers", "2", "--run", "two")
    assert result.code == 0, result.errors
    summary = summary_of(nasface, "two")
    assert (summary["search"]["evaluations"], summary["search"]["unique"], summary["search"]["duplicate"]) == (
        10,
        10,
        0,
    )
    assert summary["search"]["rejected"]["parameters"] > 0 and 1 <= len(summary["search"]["workers"]) <= 2
    assert {"torch", "device"} <= summary["environment"].keys() and summary["seeds"] == {"experiment": 0}
    found = load_record(nasface.folder / "best.json")
    assert found.scores["parameters"] <= 2.8e4
    assert "above max_parameters never evaluated" in result.output
    assert "nasface search-worker --storage" in result.output
    # Random search draws the same members for any number of workers, so its winner is the same; one process finds it.
    alone = nasface.tiny("search", *limits, "--run", "alone", "--output", "alone.json")
    assert alone.code == 0, alone.errors
    assert load_record(nasface.folder / "alone.json").architecture.codes == found.architecture.codes
    check_complaints(nasface)


def check_complaints(nasface: Command) -> None:
    journal = str(nasface.folder / "runs" / "two" / "search" / "journal.log")
    result = nasface("search-worker", "--storage", journal)  # finished: it finds nothing to do
    assert result.code == 0 and "10 evaluations, 0 of them here" in result.output
    alone = str(nasface.folder / "runs" / "alone" / "search" / "journal.log")
    for arguments, message in (
        (("search-worker",), "--storage is missing"),
        (("search-worker", "--storage", alone), "holds no studies of several workers"),
        (
            ("search-worker", "--storage", journal, "--study", "x"),
            "holds no study 'x' of several workers; it holds: two",
        ),
        (
            ("search-worker", "--storage", "grpc://localhost:x"),
            "is not grpc://host:port" if find_spec("grpc") else "needs the package grpcio",
        ),
    ):
        result = nasface(*arguments)
        assert result.code == 2 and message in result.line


def test_a_supernet_of_a_space_of_several_widths_has_one(nasface: Command) -> None:
    space = (REPOSITORY / "search_spaces" / "multipath_small.yaml").read_text().replace("multipath_small", "wide")
    (nasface.folder / "wide.yaml").write_text(f"{space}widths: [16, 24]\n")
    result = nasface.tiny("search", "--space", "wide.yaml", "--network.width", "8", "--run", "wide")
    assert result.code == 0, result.errors
    assert "width    8 (network.width): a supernet has one" in result.output
    found = load_record(nasface.folder / "best.json")
    assert "width" not in found.provenance, "it was given, so that a retraining may have another"
    _, network, _ = resolve_network(Experiment(), "best.json")
    assert network.cost() == (found.scores["parameters"], found.scores["macs"])
    wider = Experiment(network=MultipathConfig(width=16))
    assert resolve_network(wider, "best.json")[0].network.width == 16


def test_a_limit_that_no_member_keeps_comes_out_before_the_training(nasface: Command) -> None:
    result = nasface.tiny("search", "--search.max_parameters", "100", "--run", "none")
    assert result.code == 2 and "parameters <= 100 was found: raise the limit" in result.line
    assert not (nasface.folder / "runs" / "none" / "supernet").exists()


def test_a_front(nasface: Command) -> None:
    settings = (
        "--search.strategy",
        "nsga2",
        "--search.settings.population",
        "4",
        "--search.objectives",
        "[penalty,macs]",
    )
    for name in ("small_12.json", "small_13.json", "small_99.json", "small_12.txt", "best_1.json"):
        (nasface.folder / name).write_text("{}")  # two of an earlier front of thirteen, and another search's
    for number in range(1, 12):
        (nasface.folder / f"small_{number}.json").write_text("{}")
    result = nasface.tiny("search", *settings, "--search.iterations", "11", "--output", "small.json", "--run", "front")
    assert result.code == 0, result.errors
    left = {path.name for path in nasface.folder.glob("*_*.*")}
    run = nasface.folder / "runs" / "front"
    records = [load_record(path) for path in sorted(run.glob("best_*.json"))]
    points = [(record.scores["penalty"], record.scores["macs"]) for record in records]
    own = {f"small_{number}.json" for number in range(1, len(points) + 1)}
    assert left == own | {"small_99.json", "small_12.txt", "best_1.json"}
    assert (nasface.folder / "best_1.json").read_text() == "{}"
    assert points == sorted(points) and [macs for _, macs in points] == sorted((m for _, m in points), reverse=True)
    assert points[0][0] == load_record(run / "best.json").scores["penalty"]
    assert (run / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert f"front    {len(points)} members" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--search.objectives [macs]", "objectives must begin with penalty"),
        ("--search.objectives [penalty,weight]", "unknown cost 'weight'; known are: macs, parameters"),
        (
            "--search.strategy random --search.settings.chains 2",
            "search.settings.chains is no setting of the strategy 'random', which has none of its own",
        ),
        ("--search.strategy random --search.chains 2", "search.settings.chains is no setting of the strategy 'random'"),
        (
            "--search.settings.temprature 2",
            "search.settings.temprature is no setting of the strategy 'samos'; its own, and their defaults, are:"
            " temperature (0.1), factor (1.0), starts (16), presets (True), balanced (True), chains (1),"
            " acceptance (0.0), restart_after (0), moves (1); did you mean temperature?",
        ),
        ("--search.settings.chains 1.5", "search.settings.chains: must be a whole number, not 1.5"),
        ("--search.settings.factor much", "search.settings.factor: must be a number, not much"),
        ("--search.settings 3", "search.settings: "),
        ("--search.strategy nni/marble", "unknown strategy 'nni/marble'"),
        (
            "--search.strategy optuna/cmaes --search.objectives [penalty,macs]",
            "optuna/cmaes minimises one objective" if find_spec("cmaes") else "needs the package cmaes",
        ),
        ("--search.max_macs -1", "search.max_macs: must be a number, not negative"),
        ("--search.penalty 30", "search.penalty: must be one of 'mean', 'all', '0-30', '30-60', '60-90'"),
        ("--workers -1", "must be a whole number, not negative"),
    ],
)
def test_wrong_settings_are_one_line(nasface: Command, arguments: str, message: str) -> None:
    result = nasface("search", *arguments.split())
    assert result.code == 2 and message in result.line
    assert list(nasface.folder.iterdir()) == []


def test_dashboard(nasface: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna_dashboard")
    result = nasface("dashboard")
    assert result.code == 2 and "runs holds no search" in result.line
    result = nasface("dashboard", "--storage", "absent.log")
    assert result.code == 2 and "absent.log does not exist" in result.line
    import optuna_dashboard

    served: list[object] = []
    monkeypatch.setattr(optuna_dashboard, "run_server", lambda storage, **where: served.append((storage, where)))
    result = nasface("dashboard", "--storage", "sqlite:///s.db", "--port", "9000")
    assert result.code == 0 and "http://localhost:9000" in result.output
    assert served == [("sqlite:///s.db", {"host": "localhost", "port": 9000})]
    monkeypatch.setattr("nasface.cli.dashboard.find_spec", lambda name: None)
    result = nasface("dashboard")
    assert result.code == 2 and "pip install 'nasface[dashboard]'" in result.line


def test_a_search_that_is_asked_to_end_takes_its_workers_along(nasface: Command, cache: Path) -> None:
    long = ("--search.strategy", "random", "--search.iterations", "2000", "--workers", "2", "--run", "two")
    process = fork_command(["search", *settings("search", cache), *long], nasface.folder)
    journal, limit = nasface.folder / "runs" / "two" / "search" / "journal.log", time.monotonic() + 240
    while not journal.exists() or journal.read_bytes().count(b'"complete"') < 2:
        assert process.poll() is None, process.finish().errors
        assert time.monotonic() < limit
        time.sleep(0.05)
    workers = children_of(process)
    process.send(signal.SIGTERM)
    result = process.finish()
    assert result.code == 143 and len(workers) == 2 and not any(map(is_alive, workers))
    assert result.errors[-1] == "nasface: terminated; the same command with --resume true goes on from here"
    with open_storage(journal) as store:
        states = [trial.state for trial in optuna.load_study(study_name="two", storage=store).get_trials()]
    assert optuna.trial.TrialState.RUNNING not in states, "a worker that is asked to end gives its member back"
