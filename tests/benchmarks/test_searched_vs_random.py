"""Random members in the band, trainings that are not repeated, and the comparison's arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import searched_vs_random
from benchmarks.searched_vs_random import (
    Comparison,
    Job,
    compare,
    comparison_table,
    draw_members,
    experiment_of,
    main,
    make_jobs,
    mean_rows,
    read_arguments,
    run_jobs,
    verdict,
)
from nasface.evaluation.costs import MemberCosts
from nasface.nets.multipath import MemberSpec
from nasface.pipelines.retrain import Retrained
from nasface.report.tables import NMERow
from nasface.runs.run import open_run
from nasface.space.catalogue import load_space
from nasface.space.record import load_architecture
from nasface.space.space import Architecture
from nasface.utils.errors import UserError
from tests.benchmarks.toy import NETWORK, SPACE, toy_experiment, toy_workspace


def some_member(seed: int = 0) -> Architecture:
    return SPACE.random_architecture(np.random.default_rng(seed))


def extreme_member(largest: bool) -> Architecture:
    rng = np.random.default_rng(0)
    members = [SPACE.random_architecture(rng) for _ in range(400)]
    return sorted(members, key=MemberCosts(SPACE, NETWORK).macs)[-1 if largest else 0]


def test_members_are_different_members_in_the_band() -> None:
    searched = some_member()
    drawn = draw_members(SPACE, NETWORK, searched, 8, 0.2, 0)
    target = MemberSpec(searched, NETWORK).cost()[1]
    assert len({member.digest for member in drawn.members} | {searched.digest}) == 9
    for member in drawn.members:
        assert SPACE.is_member(member.codes)
        assert abs(MemberSpec(member, NETWORK).cost()[1] - target) <= 0.2 * target
    assert "walk" not in drawn.method and drawn.method.startswith("8 uniform")


def test_members_are_a_function_of_the_seed_and_more_of_them_keep_the_first() -> None:
    searched = some_member()
    few, many, other = (draw_members(SPACE, NETWORK, searched, n, 0.2, s).members for n, s in ((3, 0), (6, 0), (3, 1)))
    assert many[:3] == few != other


@pytest.mark.parametrize("largest", [False, True])
def test_a_band_that_draws_miss_is_entered_by_a_walk_that_says_so(largest: bool) -> None:
    searched = extreme_member(largest)
    drawn = draw_members(SPACE, NETWORK, searched, 3, 0.02, 0, draws=1)
    target = MemberSpec(searched, NETWORK).cost()[1]
    assert len({member.digest for member in drawn.members}) == 3
    for member in drawn.members:
        assert SPACE.is_member(member.codes)
        assert abs(MemberSpec(member, NETWORK).cost()[1] - target) <= 0.02 * target
    assert "3 by a random walk" in drawn.method and "not exactly uniform" in drawn.method


def test_a_band_that_is_not_reached_is_an_error_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched_vs_random, "WALK", 1)
    with pytest.raises(UserError, match="--tolerance"):
        draw_members(SPACE, NETWORK, extreme_member(largest=True), 20, 0.0, 0, draws=1)


def row(mean: float, name: str = "") -> NMERow:
    return NMERow(name, (mean - 1, mean, mean + 1), mean, mean + 0.5, 10, 20, 3.0)


def fake_retrain(calls: list[tuple[str, int]], error: Callable[[Architecture, int], float]) -> Callable[..., Retrained]:
    def retrain(workspace: object, spec: MemberSpec, run: object, label: str = "") -> Retrained:
        architecture, seed = spec.architecture, workspace.experiment.seed
        assert workspace.experiment.log.wandb == "off"
        run.update_summary(something=1)
        calls.append((architecture.digest, seed))
        return Retrained(None, replace(row(error(architecture, seed), label), train_s=1.5))

    return retrain


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Trainings that were done, none of them real."""
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(searched_vs_random, "prepare", lambda *_: toy_workspace(tmp_path))
    monkeypatch.setattr(searched_vs_random, "retrain", fake_retrain(done, lambda _, seed: 5.0 + seed))
    return done


def test_a_finished_training_is_not_repeated(calls: list[tuple[str, int]], tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path)
    networks = [("searched", some_member(0)), ("random 1", some_member(1))]
    jobs = make_jobs(experiment, networks, [0, 1], tmp_path / "out")
    run_jobs(experiment, SPACE, jobs[:3], workers=1)
    assert calls == [(some_member(0).digest, 0), (some_member(1).digest, 0), (some_member(0).digest, 1)]
    assert [job.load() is not None for job in jobs] == [True, True, True, False]
    assert jobs[2].load()["row"]["mean"] == 6.0
    assert not (jobs[0].folder / jobs[0].key).exists(), "its checkpoints are gone"
    run_jobs(experiment, SPACE, jobs, workers=1)
    assert calls[3:] == [(some_member(1).digest, 1)]


def test_a_killed_training_leaves_no_result(
    calls: list[tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = toy_experiment(tmp_path)
    (job,) = make_jobs(experiment, [("searched", some_member())], [0], tmp_path / "out")

    def killed(_workspace: object, _architecture: object, run: object, label: str = "") -> None:
        run.update_summary(something=1)
        raise KeyboardInterrupt

    monkeypatch.setattr(searched_vs_random, "retrain", killed)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(experiment, SPACE, [job], workers=1)
    assert job.load() is None
    assert (job.folder / job.key).exists(), "the checkpoint is what the next run goes on from"


def test_a_result_belongs_to_its_settings_network_and_seed(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path)

    def key(experiment: object = experiment, member: int = 0, seed: int = 0) -> str:
        return make_jobs(experiment, [("x", some_member(member))], [seed], tmp_path)[0].key

    longer = replace(experiment, retrain=replace(experiment.retrain, steps=3))
    faces = replace(experiment, data=replace(experiment.data, train_count=7))
    elsewhere = replace(experiment, output="other.json", data=replace(experiment.data, cache="elsewhere"))
    assert len({key(), key(longer), key(faces), key(member=1), key(seed=1)}) == 5
    assert key(elsewhere) == key()


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    job = Job("x", some_member(), 0, tmp_path, "key")
    for text in ("{", '{"row": {"bins": [1, 2, 3]}}', "[]"):
        job.result.write_text(text)
        with pytest.raises(UserError, match=r"key\.json is damaged"):
            job.load()


def test_comparison_by_hand() -> None:
    item = Comparison(0, 4.0, (3.0, 4.5, 6.0))
    assert item.mean == pytest.approx(4.5)
    assert item.deviation == pytest.approx(1.5)
    assert item.difference == pytest.approx(-0.5)
    assert item.beaten == 2
    worse = Comparison(1, 5.0, (4.0, 4.0, 4.0))
    lines = comparison_table([item, worse]).splitlines()[2:]
    assert lines[0].split() == ["0", "4.000", "4.500", "±", "1.500", "-0.500", "2", "of", "3"]
    assert lines[2].split()[:4] == ["all", "4.500", "4.250", "+0.250"]
    assert lines[2].split()[-3:] == ["2", "of", "6"]
    assert verdict([item, worse]) == (
        "The searched network is 0.250 points of NME worse than the mean of the random ones,"
        " and better in 1 of 2 seeds."
    )


def test_rows_are_compared_seed_by_seed() -> None:
    searched, random = [row(1.0), row(2.0)], [[row(3.0), row(5.0)], [row(4.0), row(8.0)]]
    assert compare(searched, random, [7, 9]) == [Comparison(7, 1.0, (3.0, 4.0)), Comparison(9, 2.0, (5.0, 8.0))]
    first, second = mean_rows(random, "mean")
    assert (first.bins, first.mean, first.all) == ((2.5, 3.5, 4.5), 3.5, 4.0)
    assert (second.name, second.mean, second.parameters, second.macs) == ("mean", 6.5, 10, 20)


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """best.json as a search leaves it, with its run."""
    experiment = replace(toy_experiment(tmp_path), space="multipath_small", seed=4)
    run = open_run("search", experiment, "test", resume=False, run_id="one")
    path = tmp_path / "best.json"
    member = load_space("multipath_small").random_architecture(np.random.default_rng(0))
    member.save(
        path, {"run": str(run.folder), "experiment": "toy", "network": asdict(NETWORK), "strategy": "samos"}, {}
    )
    return path


def test_settings_are_those_of_the_search(best: Path, tmp_path: Path) -> None:
    experiment, own = read_arguments(["--arch", str(best), "--steps", "1", "--seeds", "3", "5"])
    assert (experiment.seed, experiment.network, own["seeds"]) == (4, NETWORK, [3, 5])
    assert (experiment.retrain.steps, experiment.retrain.evaluate_every) == (1, 1)
    assert experiment_of(str(best)) == tmp_path / "one" / "experiment.yaml"
    named, _ = read_arguments(["--arch", str(best), "--experiment", "smoke"])
    assert named.name == "smoke"
    for arguments, words in (
        (["--seeds", "1", "1"], "--seeds"),
        (["--members", "0"], "--members"),
        (["--workers", "0"], "--workers"),
    ):
        with pytest.raises(UserError, match=words):
            read_arguments(["--arch", str(best), *arguments])


def test_whole_command(
    calls: list[tuple[str, int]],
    best: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    searched = load_architecture(best)
    monkeypatch.setattr(
        searched_vs_random,
        "retrain",
        fake_retrain(calls, lambda network, seed: seed + (3.0 if network.digest == searched.digest else 4.0)),
    )
    assert main(["--arch", str(best), "--members", "2", "--seeds", "0", "1"]) == 0
    text = capsys.readouterr().out
    assert len(calls) == 6
    assert "1.000 points of NME better" in text and "better in 2 of 2 seeds" in text
    for name in ("searched", "random 1", "random 2", "mean of the random"):
        assert f"\n{name}" in text
    written = json.loads((tmp_path / "benchmarks" / "searched_vs_random.json").read_text())
    assert [item["difference"] for item in written["seeds"]] == [-1.0, -1.0]
    assert len(written["trainings"]) == 6 and written["verdict"] in text
    assert main(["--arch", str(best), "--members", "2", "--seeds", "0", "1"]) == 0
    assert len(calls) == 6
