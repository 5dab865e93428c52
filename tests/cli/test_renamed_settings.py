"""Settings under former names, and a strategy's own settings from several places."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nasface.cli.parser import read_arguments
from nasface.cli.settings_files import _experiment_of_architecture
from nasface.config import RENAMED_SETTINGS, Experiment, SearchConfig, current_settings, recorded_settings
from nasface.runs.run import open_run, settings_file
from nasface.search.strategies.samos import SAMOS
from nasface.utils.errors import UserError

# As the former version wrote an experiment.yaml.
FORMER = {
    "strategy": "samos",
    "iterations": 200,
    "temperature": 1024.0,
    "factor": 0.85,
    "acceptance": 0.0,
    "chains": 1,
    "restart_after": 0,
    "moves": 1,
    "population": 0,
    "penalty": "mean",
}


def search_of(*arguments: str) -> SearchConfig:
    return read_arguments(["search", *arguments])[1]["experiment"].search


def write(path: Path, **search: object) -> str:
    path.write_text(yaml.safe_dump({"search": search}))
    return str(path)


def test_former_names_on_the_command_line() -> None:
    assert search_of("--search.temperature", "0.1", "--search.chains=4").settings == {"temperature": 0.1, "chains": 4}
    found = search_of("--search.strategy", "spos", "--search.population", "16.0")
    assert found.settings == {"population": 16.0}


def test_former_names_in_files(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", **FORMER)
    assert search_of("--config", first) == SearchConfig()
    changed = write(tmp_path / "b.yaml", **FORMER | {"temperature": 0.5, "moves": 2})
    assert search_of("--config", changed).settings == {"temperature": 0.5, "moves": 2}
    assert search_of(f"--config={changed}", "--search.settings.moves", "3").settings == {"temperature": 0.5, "moves": 3}
    own = write(tmp_path / "own.yaml", strategy="samos", temperature=1024.0)
    assert search_of("--config", own).settings == {"temperature": 1024.0}, "a default of then that was meant"
    # Another strategy took no notice of SAMOS's settings then, and does not now.
    assert search_of("--config", changed, "--search.strategy", "random").settings == {}
    evolution = write(tmp_path / "c.yaml", **FORMER | {"strategy": "evolution", "population": 8, "temperature": 0.5})
    assert search_of("--config", evolution).settings == {"population": 8}
    assert search_of("--config", evolution, "--search.strategy", "nsga2").settings == {"population": 8}


def test_every_former_name_is_one_of_a_strategy() -> None:
    from nasface.search.registry import own_settings

    for former, entry in RENAMED_SETTINGS.items():
        name = entry.name.removeprefix("search.settings.")
        assert former == f"search.{name}"
        for strategy in entry.strategies:
            known = own_settings(strategy)
            default = SAMOS.PAPER.get(name, known[name].default) if strategy == "samos" else known[name].default
            assert default == entry.default or (name == "population" and entry.default == 0)


def test_settings_of_several_files_win_one_by_one(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", strategy="samos", settings={"temperature": 1e-5, "factor": 0.9})
    second = write(tmp_path / "b.yaml", settings={"factor": 0.5}, iterations=3)
    found = search_of("--config", first, "--config", second)
    assert found.settings == {"temperature": 1e-5, "factor": 0.5} and found.iterations == 3
    found = search_of("--config", first, "--search.settings", "{chains: 2}")
    assert found.settings == {"chains": 2}, "a mapping replaces all of them"


def test_settings_belong_to_the_strategy_beside_them(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", strategy="samos", settings={"temperature": 0.1})
    second = write(tmp_path / "b.yaml", strategy="spos", settings={"top": 4})
    assert search_of("--config", first, "--search.strategy", "random").settings == {}
    assert search_of("--config", first, "--config", second).settings == {"top": 4}
    found = search_of("--search.strategy", "spos", "--config", first)
    assert (found.strategy, found.settings) == ("samos", {"temperature": 0.1}), "a later file wins over a flag"
    with pytest.raises(UserError, match="search.settings.top is no setting of the strategy 'samos'"):
        search_of("--config", first, "--search.settings.top", "3")


def test_the_last_architecture_brings_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("nasface.pipelines.architectures.recorded_experiment", asked.append)
    for arguments in (["--arch", "one.json", "--arch=two.json"], ["--arch=two.json"], []):
        assert _experiment_of_architecture(arguments) == []
    assert asked == ["two.json", "two.json", "best.json"]


def test_a_run_of_the_former_version_resumes(tmp_path: Path) -> None:
    experiment = Experiment(runs=str(tmp_path))
    run = open_run("search", experiment, "m", False, "mine")
    recorded = yaml.safe_load(settings_file(run.folder).read_text())
    former = FORMER | {name: value for name, value in recorded["search"].items() if name != "settings"}
    settings_file(run.folder).write_text(yaml.safe_dump(recorded | {"search": former}))
    assert open_run("search", experiment, "m", True, "mine").id == "mine"
    assert open_run("search", experiment, "m", True, None).id == "mine"
    warm = Experiment(runs=str(tmp_path), search=SearchConfig(settings={"temperature": 8.0}))
    with pytest.raises(UserError, match=r"other settings \(search.settings.temperature: None, now 8.0\)"):
        open_run("search", warm, "m", True, "mine")


def test_current_settings_leave_others_alone() -> None:
    for content in ({}, {"seed": 1}, {"search": {"iterations": 3}}, {"search": None}):
        assert current_settings(content) is content


def test_what_an_earlier_version_could_only_have() -> None:
    now = recorded_settings(Experiment())
    then = {name: dict(section) if isinstance(section, dict) else section for name, section in now.items()}
    del then["supernet"]["whole"], then["network"]["resample"]
    assert current_settings(then)["supernet"] == now["supernet"] | {"whole": 0.0}
    assert current_settings(then)["network"] == now["network"] | {"resample": "cells"}
    assert current_settings(now) == now
    users = {"supernet": then["supernet"], "network": then["network"]}  # a file of settings, not the record of a run
    assert current_settings(users) is users
    assert current_settings(now | {"supernet": 3})["supernet"] == 3
