"""Runs: new ones take nothing from others, resumed ones are those of the same settings."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nasface.config import DeviceConfig, Experiment, LogConfig, SearchConfig
from nasface.runs.run import is_first_process, open_run, settings_file, started_by
from nasface.utils.errors import UserError
from nasface.utils.files import write_json


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment(runs=str(tmp_path / "runs"), search=SearchConfig(settings={"temperature": 1e-5}))


def test_a_new_run_keeps_its_settings(experiment: Experiment) -> None:
    run = open_run("search", experiment, "multipath", False, None)
    assert run.id.endswith("-search-multipath")
    kept = yaml.safe_load(settings_file(run.folder).read_text())
    assert kept["search"]["settings"]["temperature"] == 1e-5 and kept["supernet"]["optimizer"]["lr"] == 5e-3
    began = {"command": "search", "label": "multipath", "init": "scratch", "finished": False}
    assert run.read_summary() == began


def test_a_new_run_keeps_the_words_that_started_it(experiment: Experiment) -> None:
    with started_by(["search", "--search.storage", "postgresql://me:secret@host/db"]):
        run = open_run("search", experiment, "m", False, "told")
    assert run.read_summary()["arguments"][:2] == ["search", "--search.storage"]
    assert "secret" not in run.path("summary.json").read_text()
    assert "arguments" not in open_run("search", experiment, "m", False, "untold").read_summary()


def test_two_runs_of_the_same_second_are_two(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda _: "20250101-000000")
    folders = [open_run("search", experiment, "m", False, None).folder.name for _ in range(3)]
    assert folders == ["20250101-000000-search-m", "20250101-000000-search-m+2", "20250101-000000-search-m+3"]


def test_a_taken_id_is_refused(experiment: Experiment) -> None:
    open_run("search", experiment, "m", False, "mine")
    with pytest.raises(UserError, match="mine exists: go on with it by --resume true, or choose another --run"):
        open_run("search", experiment, "m", False, "mine")


def test_resume_takes_the_newest_unfinished_run_of_the_same_settings(experiment: Experiment) -> None:
    ids = ["old", "new", "finished", "retrain", "other", "elsewhere"]
    for age, name in enumerate(ids):
        command = "retrain" if name == "retrain" else "search"
        settings = replace(experiment, seed=1) if name == "other" else experiment
        run = open_run(command, settings, "n" if name == "elsewhere" else "m", False, name)
        os.utime(settings_file(run.folder), (age, age))
    open_run("search", experiment, "m", True, "finished").update_summary(finished=True)
    assert open_run("search", experiment, "m", True, None).id == "new"
    assert open_run("search", replace(experiment, seed=1), "m", True, None).id == "other"
    assert open_run("retrain", experiment, "m", True, None).id == "retrain"
    with pytest.raises(UserError, match="no unfinished search run of these settings: start it without --resume"):
        open_run("search", replace(experiment, seed=2), "m", True, None)


def test_resume_takes_no_run_that_is_being_removed(experiment: Experiment) -> None:
    run = open_run("search", experiment, "m", False, "gone")
    run.folder.rename(run.folder.with_name(".gone.abc12345"))
    with pytest.raises(UserError, match="no unfinished search run"):
        open_run("search", experiment, "m", True, None)


def test_resume_takes_no_run_that_ends_while_it_waits(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run("search", experiment, "m", False, "ending")

    def wait(_: Path) -> bool:
        run.update_summary(finished=True)
        return True

    monkeypatch.setattr("nasface.utils.held_folders.hold_folder", wait)
    with pytest.raises(UserError, match="no unfinished search run"):
        open_run("search", experiment, "m", True, None)


def test_resume_of_a_named_run(experiment: Experiment) -> None:
    run = open_run("search", experiment, "m", False, "mine")
    assert open_run("search", experiment, "m", True, "mine").folder == run.folder
    with pytest.raises(UserError, match="no run .*other to resume"):
        open_run("search", experiment, "m", True, "other")
    changed = replace(experiment, search=replace(experiment.search, iterations=7))
    with pytest.raises(UserError, match=r"other settings \(search.iterations: 200, now 7\)"):
        open_run("search", changed, "m", True, "mine")


def test_resume_of_what_began_otherwise(experiment: Experiment) -> None:
    run = open_run("retrain", experiment, "net", False, "mine", init="supernet.pt")
    assert open_run("retrain", experiment, "net", True, None, init="supernet.pt").folder == run.folder
    with pytest.raises(UserError, match="no unfinished retrain run"):
        open_run("retrain", experiment, "net", True, None)
    with pytest.raises(UserError, match="mine began from the weights supernet.pt, not scratch: resume it with its own"):
        open_run("retrain", experiment, "net", True, "mine")
    with pytest.raises(UserError, match="mine is of net, not other"):
        open_run("retrain", experiment, "other", True, "mine", init="supernet.pt")
    del (former := run.read_summary())["init"]  # of a version that did not record it
    write_json(run.folder / "summary.json", former)
    assert open_run("retrain", experiment, "net", True, None).folder == run.folder


def test_a_setting_that_an_earlier_version_did_not_have_is_at_its_default(experiment: Experiment) -> None:
    run = open_run("retrain", experiment, "net", False, "begun")
    settings = yaml.safe_load(settings_file(run.folder).read_text())
    del settings["retrain"]["landmarks"], settings["halving"]
    settings_file(run.folder).write_text(yaml.safe_dump(settings))
    assert open_run("retrain", experiment, "net", True, None).folder == run.folder
    weighed = replace(experiment, retrain=replace(experiment.retrain, landmarks=2.0))
    with pytest.raises(UserError, match=r"other settings \(retrain.landmarks: 0.0, now 2.0\)"):
        open_run("retrain", weighed, "net", True, "begun")


def test_device_and_logging_may_change(experiment: Experiment) -> None:
    open_run("search", experiment, "m", False, "mine")
    elsewhere = replace(experiment, output="x.json", device=DeviceConfig(threads=3), log=LogConfig(wandb="off"))
    assert open_run("search", elsewhere, "m", True, None).id == "mine"


def test_summaries_merge(experiment: Experiment) -> None:
    run = open_run("search", experiment, "m", False, None)
    run.update_summary(costs={"a_s": 1.0}, result=[1])
    run.update_summary(costs={"b_s": 2.0}, result=[2])
    summary = json.loads(run.path("summary.json").read_text())
    assert summary["costs"] == {"a_s": 1.0, "b_s": 2.0} and summary["result"] == [2]


@pytest.mark.parametrize("content", ["{", "[1, 2]", "\xff"])
def test_a_damaged_summary_is_named(experiment: Experiment, content: str) -> None:
    run = open_run("search", experiment, "m", False, None)
    run.path("summary.json").write_text(content, encoding="latin1")
    with pytest.raises(UserError, match="summary.json cannot be read"):
        run.update_summary(finished=True)


@pytest.mark.parametrize("content", ["a: [", "- 1", "\xff"])
def test_damaged_settings_are_named(experiment: Experiment, content: str) -> None:
    run = open_run("search", experiment, "m", False, "mine")
    run.path("experiment.yaml").write_text(content, encoding="latin1")
    with pytest.raises(UserError, match="experiment.yaml cannot be read"):
        open_run("search", experiment, "m", True, "mine")


# Several processes of one training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_the_other_processes_of_a_training_write_nothing(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    run = open_run("retrain", experiment, "a", resume=False, run_id="mine")
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    monkeypatch.setenv(number, "1")
    for resume in (False, True):
        other = open_run("retrain", replace(experiment, seed=1), "a", resume, run_id="mine")
        assert other == run
        other.update_summary(finished=True)
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before


def test_processes_that_lightning_starts_know_the_run(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """They begin with the environment of the first one, in which `open_run` leaves the run's id."""
    monkeypatch.setenv("NASFACE_RUN", "")
    run = open_run("retrain", experiment, "a", resume=False, run_id=None)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert open_run("retrain", experiment, "a", resume=False, run_id=None) == run
    monkeypatch.setenv("NASFACE_RUN", "")
    with pytest.raises(UserError, match="which run is it. give --run NAME"):
        open_run("retrain", experiment, "a", resume=False, run_id=None)


def test_the_first_process_is_the_only_one_or_has_number_0(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert is_first_process()
    monkeypatch.setenv("RANK", "0")
    assert is_first_process()
    monkeypatch.setenv("RANK", "3")
    assert not is_first_process()
