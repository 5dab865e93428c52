"""The command as a user meets it: help, settings, the whole way on tiny settings, kill and resume."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from nasface import __version__
from nasface.cli.command import Command as Definition
from nasface.cli.commands import COMMANDS, GROUPS, load_command
from nasface.cli.messages import setting_names
from nasface.data.registry import DATA_SETS
from nasface.search.registry import STRATEGIES, own_settings
from nasface.space.record import load_record
from tests.faces.ddfa_files import write_assets
from tests.helpers.forked import Forked, fork_command
from tests.helpers.tiny import REPOSITORY, Command, Result, finish, settings, start

NAMES = tuple(COMMANDS)
WITH_EXPERIMENT = tuple(name for name in NAMES if load_command(name).settings is not None)
SLOW = ("torch", "lightning", "cv2", "optuna", "matplotlib")


# Help and settings ---------------------------------------------------------------------------------------------------


def entries(text: str) -> dict[str, str]:
    """What a help says of every setting, by its name."""
    parts = re.split(r"^  --(?=\w)", text.split("options:", 1)[1], flags=re.MULTILINE)[1:]
    return {re.match(r"[\w.-]+", part).group(): " ".join(part.split("\n\n")[0].split()) for part in parts}


@pytest.mark.parametrize("name", NAMES)
def test_help_lists_every_setting_with_meaning_and_default(nasface: Command, name: str) -> None:
    result = nasface(*name.split(), "--help-all" if name in WITH_EXPERIMENT else "--help")
    assert result.code == 0 and not result.errors
    text = " ".join(result.output.split("options:", 1)[1].split())
    for setting in set(setting_names(name)) - {"experiment", "config"}:
        entry = re.search(rf" --{re.escape(setting)} .*?default: ", text)
        assert entry, f"{setting} has no default in the help"
        meaning = entry.group().split("(type:")[0].split(maxsplit=2)
        assert len(meaning) == 3 and meaning[2].strip(), f"{setting} has no meaning in the help: {meaning}"


@pytest.mark.parametrize("name", WITH_EXPERIMENT)
def test_help_shows_the_main_settings_alone(nasface: Command, name: str) -> None:
    command = load_command(name)
    shown, every = (entries(nasface(*name.split(), flag).output) for flag in ("--help", "--help-all"))
    assert set(shown) == {*command.options} | {"help-all", "config"} | set(command.settings)
    assert len(set(command.settings)) == len(command.settings) <= 25
    assert set(command.settings) < set(every) and all(every[setting] == shown[setting] for setting in shown)


def test_help_all_of_a_search_lists_the_settings_of_every_strategy(nasface: Command) -> None:
    every, title = nasface("search", "--help-all").output, "settings of one strategy:"
    assert title not in nasface("search", "--help").output and title not in nasface("retrain", "--help-all").output
    text = " ".join(every.split(title)[1].split())
    for name in STRATEGIES.names():
        assert f"{name}," in text or f"{name}:" in text or f"{name} have none" in text
        for key, setting in own_settings(name).items():
            assert setting.meaning, f"the docstring of {name} says nothing of {key}"
            entry = f"--search.settings.{key} {key.upper()} {setting.meaning} (type: {setting.kind}, default: "
            assert f"{entry}{setting.default})" in text


def test_help_all_names_the_data_sets(nasface: Command) -> None:
    line = f"data sets (--data.train, --data.test): {', '.join(DATA_SETS.names())}"
    assert line in nasface("retrain", "--help-all").output and line not in nasface("retrain", "--help").output


def test_help_of_the_command_itself(nasface: Command) -> None:
    for arguments in ((), ("--help",)):
        result = nasface(*arguments)
        assert result.code == 0
        text = " ".join(result.output.split())
        plain = [entry.help for name, entry in COMMANDS.items() if " " not in name]
        assert all(help in text for help in (*plain, *GROUPS.values()))


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_names_its_commands(nasface: Command, group: str) -> None:
    result = nasface(group, "--help")
    text = " ".join(result.output.split())
    assert result.code == 0
    for name, entry in COMMANDS.items():
        if name.startswith(f"{group} "):
            assert name.split()[1] in text and entry.help in text


def test_help_imports_nothing_slow() -> None:
    """Every help in one process of its own, which then names what it has imported."""
    code = f"""
import contextlib, io, sys
from nasface.cli.main import main
for words in {[[], ["--help"], ["--version"], *([*name.split(), "--help"] for name in (*NAMES, *GROUPS))]}:
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        main(words)
    assert printed.getvalue().strip(), words
    print(" ".join(words), sorted(set({SLOW}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == len(NAMES) + len(GROUPS) + 3, done.stderr
    assert [line for line in lines if not line.endswith("[]")] == []


def test_version(nasface: Command) -> None:
    result = nasface("--version")
    assert (result.code, result.output) == (0, f"nasface {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("search --supernet.stepz 3", "unknown setting --supernet.stepz; did you mean supernet.steps?"),
        ("search --supernet.stepz=3", "unknown setting --supernet.stepz"),
        ("search --frobnicate 3", "unknown setting --frobnicate; see nasface search --help"),
        ("retrain --ini supernet", "unknown setting --ini; did you mean init?"),
        ("search surplus", "unknown setting surplus"),
        ("search --supernet.steps many", "supernet.steps: must be a whole number of at least 1"),
        ("search --supernet.steps 0", "supernet.steps: must be a whole number of at least 1"),
        ("search --supernet.optimizer.lr high", "supernet.optimizer.lr: must be a number greater than 0"),
        ("search --search.reuse perhaps", "search.reuse: must be true or false, not perhaps"),
        ("search --seed -1", "seed: must be a whole number, not negative"),
        ("search --supernet.loss l3", "supernet.loss: must be one of 'l1', 'l2', 'distance', not l3"),
        ("search --supernet.augmentation.flip 2", "supernet.augmentation.flip: must be a number from 0 to 1"),
        ("search --search.reuse", "--search.reuse needs a value"),
        ("search --resume", "runs holds no unfinished search run of these settings"),
        ("search --space marble", "unknown space 'marble': choose one of multipath, multipath_small, multipath_wide"),
        ("search --experiment marble", "unknown experiment 'marble': give one of ablation_cpu, aflw, "),
        ("search --search.strategy marble", "unknown strategy 'marble'; known are: evolution, local, nni/evolution"),
        ("search --supernet.sampler marble", "unknown path sampler 'marble'; known are: mnus, uniform"),
        ("search --network.widths [8,8]", "network.widths has 2 numbers but space 'multipath_wide' has 4 scales"),
        ("search --device.accelerator abacus", "the device settings do not fit this machine"),
        ("search --device.precision 3-mixed", "the device settings do not fit this machine"),
        ("search --config absent.yaml", "cannot read the settings absent.yaml: No such file"),
        ("marble", "unknown command 'marble'; known are: 'search', "),
        ("retrain --arch preset/marble", "unknown preset 'preset/marble'; known are: preset/hourglass"),
        ("retrain --arch absent.json", "absent.json does not exist"),
        ("draw --arch absent.json", "absent.json does not exist"),
        ("draw --experiment smoke", "unknown setting"),
        ("data", "which command? give one of build,prepare,preview,video-preview; see nasface data --help"),
        ("predict", "input is missing; see nasface predict --help"),
        ("data marble", "unknown command 'marble'; known are: 'build', "),
        ("data build --coun 3", "unknown setting --coun; did you mean count?; see nasface data build --help"),
        ("data build --split night", "split: must be one of 'train', 'val', 'test', not night"),
        ("data build --size 4", "synthetic faces of 4 pixels cannot be drawn: choose 16 to 1024"),
        ("data preview --map_size 3", "UV maps of 3 cells are of no use here: choose 8 to 512"),
        ("space --space marble", "unknown space 'marble'"),
        ("search --resume true", "holds no unfinished search run of these settings: start it without --resume"),
    ],
)
def test_wrong_arguments_are_one_line(nasface: Command, arguments: str, message: str) -> None:
    result = nasface(*arguments.split())
    assert result.code == 2
    assert result.line.startswith("nasface: ") and message in result.line
    assert list(nasface.folder.iterdir()) == [], "something was begun before the complaint"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("supernet:\n  stepz: 3\n", "unknown setting supernet.stepz; did you mean supernet.steps?"),
        ("frobnicate: 3\n", "unknown setting frobnicate"),
        ("arch: best.json\n", "unknown setting arch"),
        ("supernet:\n  steps: many\n", "supernet.steps: must be a whole number of at least 1"),
        ("seed: 1.5\n", "seed: must be a whole number, not negative"),
        ("supernet: 3\n", "mine.yaml: supernet must be a section of settings (sampler, children"),
        ("supernet:\n  optimizer:\n", "mine.yaml: supernet.optimizer must be a section of settings (lr, "),
        ("- 1\n", "mine.yaml holds no settings"),
        ("", "mine.yaml holds no settings"),
        ("name: [\n", "mine.yaml is not YAML at line 2, column 1: correct it"),
        ("name: \xff\n", "mine.yaml is not YAML"),
    ],
)
def test_wrong_settings_in_a_file_are_one_line(nasface: Command, content: str, message: str) -> None:
    (nasface.folder / "mine.yaml").write_text(content, encoding="latin1")
    for flag in ("--config", "--experiment"):
        result = nasface("search", flag, "mine.yaml")
        assert result.code == 2
        assert result.line.startswith("nasface: ") and message in result.line


def test_settings_of_files_and_flags_in_the_order_given(nasface: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, own = {}, load_command("search")

    @functools.wraps(own.run)
    def record(experiment: object, **_: object) -> None:
        taken["experiment"] = experiment

    monkeypatch.setattr("nasface.cli.search.COMMAND", Definition(record, own.settings))
    (nasface.folder / "mine.yaml").write_text("supernet:\n  steps: 77\n  repeats: [1, 3]\n")
    result = nasface("search", "--experiment", "smoke", "--config", "mine.yaml", "--supernet.batch_size=5")
    assert result.code == 0, result.errors
    found = taken["experiment"]
    assert (found.name, found.supernet.steps, found.supernet.batch_size) == ("smoke", 77, 5)
    assert found.supernet.repeats == [1, 3] and found.supernet.children == 2
    # Python's own numbers: samplers and YAML take no others.
    assert {type(found.supernet.steps), *map(type, found.supernet.repeats)} == {int}


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (
            "--data.train ddfa --data.test aflw2000",
            "data/3ddfa/Model_PAF.pkl does not exist: 3DDFA's assets are published at https://",
        ),
        (
            "--data.train ddfa --data.test aflw2000",
            "data folder data/aflw_120x120 does not exist: give it by --data.ddfa, or put 3DDFA's training set",
        ),
        (
            "--data.train w300lp --data.test aflw2000",
            "300W-LP folder data/300W_LP does not exist: give it by --data.w300lp; it is published at http",
        ),
        ("--data.test aflw2000", "AFLW2000-3D folder data/AFLW2000 does not exist: give it by --data.aflw2000, of"),
    ],
)
def test_data_that_is_absent_is_named_with_its_source(nasface: Command, settings: str, missing: str) -> None:
    if "3ddfa/" not in missing:
        write_assets(nasface.folder / "data" / "3ddfa")
    result = nasface.tiny("search", *settings.split())
    assert result.code == 2 and missing in result.line


def test_space_counts(nasface: Command) -> None:
    result = nasface("space", "--space", "multipath_small")
    assert result.code == 0 and not result.errors
    assert "multipath_small: L=5, D=3, 33 connections" in result.output
    assert "raw codes          5.6e15" in result.output
    assert "widths             16, 24, 32, 40, 48, 64" in nasface("space", "--space", "multipath_wide").output
    assert f"raw codes          {3**33}" in nasface("space", "--space", "multipath_small", "--exact", "true").output


def test_the_module_is_the_command(tmp_path: Path) -> None:
    result = finish(start(["space", "--spice", "x"], tmp_path))
    assert result.code == 2 and result.output == ""
    assert result.line == "nasface: unknown setting --spice; did you mean space?; see nasface space --help"


# The whole way -------------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def essence(path: Path) -> tuple[object, ...]:
    record = load_record(path)
    return record.architecture.codes, record.scores


def test_search_then_retrain(nasface: Command) -> None:
    result = nasface.tiny("search")
    assert result.code == 0, result.errors
    assert not result.errors, "more than progress bars on stderr"
    run, best = only_run(nasface.folder), nasface.folder / "best.json"
    kept = {path.name for path in nasface.folder.iterdir()}
    assert kept == {"runs", "best.json"}
    expected = {"experiment.yaml", "summary.json", "best.json", "architecture.png", "architecture.svg"}
    expected |= {"supernet/supernet.pt", "supernet/last.ckpt", "search/journal.log", "metrics.csv"}
    assert set(contents(run)) - {"search/journal.log.lock"} == expected
    assert best.read_bytes() == (run / "best.json").read_bytes()

    record, summary = load_record(best), json.loads((run / "summary.json").read_text())
    assert record.provenance["run"] == f"runs/{run.name}" and record.provenance["strategy"] == "samos"
    assert {"data_s", "supernet_s", "calibration_s", "search_s"} <= summary["costs"].keys()
    assert record.provenance["costs"] == summary["costs"]
    assert summary["finished"] is True and summary["search"]["penalty"] == record.scores["penalty"]
    assert record.scores["penalty"] == pytest.approx(sum(record.scores["nme"]) / 3)
    assert yaml.safe_load((run / "experiment.yaml").read_text())["supernet"]["steps"] == 4
    for what in ("found    best.json", "NME (%)", "costs    data", f"run      runs/{run.name}", "architecture.png"):
        assert what in result.output
    assert "next     make retrain ARCH=best.json" in result.output

    check_second_search(nasface, run)
    check_retrain(nasface, record.architecture.digest)


def check_second_search(nasface: Command, first: Path) -> None:
    """A search without resume makes a run of its own, and leaves the first as it was."""
    before = contents(first)
    assert nasface.tiny("search").code == 0
    assert len(list((nasface.folder / "runs").iterdir())) == 2
    assert contents(first) == before
    assert essence(nasface.folder / "best.json") == essence(first / "best.json"), "equal seeds, unequal results"


def check_retrain(nasface: Command, digest: str) -> None:
    # No settings but the cache's: those of the search's run are taken.
    result = nasface("retrain", "--log.wandb", "off")
    assert result.code == 0, result.errors
    assert "(9 faces)" in result.output, "the search's settings were not taken"
    head, _, row = [line for line in result.output.splitlines() if re.search(r"mean|---|searched", line)][-3:]
    assert re.split(r"\s{2,}", head.strip()) == [
        *("[0,30]", "[30,60]", "[60,90]", "mean", "all", "dense", "roughness", "parameters", "MACs", "CPU latency")
    ]
    figures = [float(value) for value in re.findall(r"\d+\.\d+", row)[:5]]
    assert figures[3] == pytest.approx(sum(figures[:3]) / 3, abs=0.02)
    run = max((nasface.folder / "runs").glob("*-retrain-*"))
    assert run.name.endswith(digest)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["costs"]["retrain_s"] >= 0 and summary["finished"] is True
    assert summary["result"]["mean"] == pytest.approx(figures[3], abs=0.01)
    assert torch.load(run / "network.pt", weights_only=True)["kind"] == "network"

    started = nasface("retrain", "--log.wandb", "off", "--init", "supernet", "--label", "tuned", "--run", "tuned")
    assert started.code == 0, started.errors
    assert "tuned" in started.output and (nasface.folder / "runs" / "tuned" / "network.pt").exists()


def test_search_takes_other_strategies_and_samplers(nasface: Command) -> None:
    result = nasface.tiny(
        "search", "--search.strategy", "random", "--supernet.sampler", "uniform", "--output", "a.json"
    )
    assert result.code == 0, result.errors
    provenance = load_record(nasface.folder / "a.json").provenance
    assert (provenance["strategy"], provenance["sampler"]) == ("random", "uniform")
    assert not (nasface.folder / "best.json").exists()


@pytest.mark.parametrize("arch", ["random", "preset/hourglass"])
def test_retrain_of_other_networks(nasface: Command, arch: str) -> None:
    space = ("--space", "multipath") if arch != "random" else ()
    sizes = [f"--network.{name}={value}" for name, value in {"input_size": 32, "map_size": 32, "width": 8}.items()]
    result = nasface.tiny("retrain", "--arch", arch, *space, *sizes)
    assert result.code == 0, result.errors
    assert f"\n{arch}" in result.output


def test_draw(nasface: Command) -> None:
    for name, start_of_file in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        result = nasface("draw", "--arch", "preset/hourglass", "--output", name)
        assert (result.code, result.output) == (0, f"{name}\n")
        assert (nasface.folder / name).read_bytes().startswith(start_of_file)


# Kill and resume -----------------------------------------------------------------------------------------------------

LONG = ("--supernet.steps", "20", "--search.iterations", "44", "--search.early_rejection", "false")


def kill_when(process: Forked, reached: Callable[[], bool]) -> None:
    """SIGKILL as soon as something is reached, which must be before the process ends."""
    limit = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, process.finish().errors
        assert time.monotonic() < limit
        time.sleep(0.002)
    process.kill()


def in_training(folder: Path) -> bool:
    return any(folder.glob("runs/*/supernet/last.ckpt"))


def in_search(folder: Path) -> bool:
    journals = list(folder.glob("runs/*/search/journal.log"))
    return bool(journals) and journals[0].read_bytes().count(b'"complete"') >= 4


def journal_of(folder: Path) -> list[float]:
    lines = (only_run(folder) / "search" / "journal.log").read_text().splitlines()
    penalties = (json.loads(line).get("user_attrs", {}).get("penalty") for line in lines)
    return [penalty for penalty in penalties if penalty is not None]


def test_a_killed_search_ends_as_the_uninterrupted_one(
    nasface: Command, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {"training": in_training, "searching": in_search}
    folders = {name: nasface.folder / name for name in ("whole", *cases)}
    for folder in folders.values():
        folder.mkdir()

    def search(name: str, *more: str) -> Result:
        monkeypatch.chdir(folders[name])
        return nasface.tiny("search", *LONG, *more)

    whole = search("whole")  # first and alone: the others find the faces made
    assert whole.code == 0, whole.errors
    processes = {name: fork_command(["search", *settings("search", cache), *LONG], folders[name]) for name in cases}
    try:
        for name, reached in cases.items():
            kill_when(processes[name], lambda folder=folders[name], reached=reached: reached(folder))
    finally:
        for process in processes.values():
            process.close()
    for name in cases:
        killed = only_run(folders[name])
        assert not (folders[name] / "best.json").exists()
        assert (killed / "supernet" / "supernet.pt").exists() == (name == "searching")
        result = search(name, "--resume", "true")
        assert result.code == 0, result.errors
        assert only_run(folders[name]) == killed, "it began anew"
        assert journal_of(folders[name]) == journal_of(folders["whole"])
        assert essence(folders[name] / "best.json") == essence(folders["whole"] / "best.json")
        assert json.loads((killed / "summary.json").read_text())["finished"] is True
    assert len(journal_of(folders["whole"])) > 30
    again = search("searching", "--resume", "true")
    assert again.code == 2 and "holds no unfinished search run" in again.line
