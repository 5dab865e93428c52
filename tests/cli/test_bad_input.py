"""What a user can get wrong, through the command: one line that names the thing and the mend, a non-zero exit, and
earlier results byte for byte as they were."""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from nasface.training.supernet import SupernetTask
from tests.data.test_aflw2000 import write_pair
from tests.data.test_ddfa import write_set
from tests.faces.ddfa_files import write_assets
from tests.helpers.tiny import Command, Result, settings


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder in which a search has ended, with its best.json and its run `first`."""
    from nasface.cli.main import main

    folder = tmp_path_factory.mktemp("searched")
    before = Path.cwd()
    os.chdir(folder)
    try:
        main([*("search", *settings("search", cache)), "--run", "first"])
    finally:
        os.chdir(before)
    return folder


class Earlier:
    """The results that a mistake must leave as they are."""

    def __init__(self, folder: Path, command: Command) -> None:
        self.folder, self.command = folder, command
        self.before = self.contents()

    def contents(self) -> dict[str, bytes]:
        paths = [self.folder / "best.json", *sorted((self.folder / "runs" / "first").rglob("*"))]
        return {str(path): path.read_bytes() for path in paths if path.is_file()}

    def __call__(self, *arguments: str, but: tuple[str, ...] = ()) -> Result:
        """A command that must fail in one line; returns it once that and the earlier results are checked."""
        return self.check(self.command(*arguments), but)

    def check(self, result: Result, but: tuple[str, ...] = ()) -> Result:
        assert result.code not in (0, None)
        assert result.line.startswith("nasface: ") and "Traceback" not in result.output
        after = self.contents()
        for name, content in self.before.items():
            assert name.endswith(but or "\0") or after[name] == content, f"{name} was changed"
        return result


@pytest.fixture
def earlier(
    searched: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Earlier:
    folder = tmp_path / "work"
    shutil.copytree(searched, folder)
    monkeypatch.chdir(folder)
    return Earlier(folder, Command(folder, cache, capsys))


def tiny(earlier: Earlier, name: str, *more: str) -> list[str]:
    return [name, *settings(name, earlier.command.cache), *more]


# Architectures -------------------------------------------------------------------------------------------------------


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edited(text: str) -> str:
        record = json.loads(text)
        change(record)
        return json.dumps(record)

    return edited


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "mine.json is not JSON at line "),
        (lambda text: "", "mine.json is empty: restore it, or search again"),
        (lambda text: "[]", "mine.json must hold one JSON object"),
        (lambda text: "\x00\x01", "mine.json is not JSON"),
        (
            _edit(lambda record: record.update(code=[re.sub("[12]", "0", line) for line in record["code"]])),
            "not a connected network",
        ),
        (_edit(lambda record: record["code"].pop()), "has 4 gaps"),
        (
            _edit(lambda record: record.update(code=[line.replace("2", "7") for line in record["code"]])),
            "is no operation",
        ),
        (_edit(lambda record: record.update(colour=1)), 'unknown key "colour"'),
        (_edit(lambda record: record.pop("space")), 'the key "space" is missing'),
        (_edit(lambda record: record["space"].update(layers="many")), "must be a whole number"),
        (_edit(lambda record: record.update(provenance=3)), '"provenance" must be an object'),
    ],
)
def test_malformed_architectures(earlier: Earlier, damage: Callable[[str], str], message: str) -> None:
    text = damage((earlier.folder / "best.json").read_text())
    (earlier.folder / "mine.json").write_text(text)
    for command in ("retrain", "draw"):
        result = earlier(command, "--arch", "mine.json")
        assert message in result.line and "mine.json" in result.line
    assert list((earlier.folder / "runs").iterdir()) == [earlier.folder / "runs" / "first"], "a run was begun"


# Settings ------------------------------------------------------------------------------------------------------------


def test_unknown_space_and_setting(earlier: Earlier) -> None:
    assert "unknown space 'marble': choose one of" in earlier("search", "--space", "marble").line
    assert "unknown setting" in earlier("search", "--marble", "1").line
    (earlier.folder / "mine.yaml").write_text("name: mine\nlayers: 4\nscales: 2\n")
    assert 'mine.yaml: the key "connections" is missing' in earlier("search", "--space", "mine.yaml").line


# Data ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small folders in the formats of 3DDFA and AFLW2000-3D."""
    folder = tmp_path_factory.mktemp("photographs")
    write_assets(folder / "assets")
    write_set(folder / "ddfa", folder / "assets")
    (folder / "aflw").mkdir()
    for index in range(3):
        write_pair(folder / "aflw", index)
    return folder


@pytest.fixture
def data(photographs: Path, tmp_path: Path) -> Path:
    shutil.copytree(photographs, tmp_path / "data")
    return tmp_path / "data"


def real(earlier: Earlier, data: Path, *more: str) -> list[str]:
    return [
        *tiny(
            earlier, "search", "--data.train", "ddfa", "--data.test", "aflw2000", "--data.cache", str(data / "cache")
        ),
        *("--data.ddfa", str(data / "ddfa"), "--data.ddfa_assets", str(data / "assets")),
        *("--data.aflw2000", str(data / "aflw"), *more),
    ]


def test_the_photographs_are_good_as_they_are(earlier: Earlier, data: Path) -> None:
    """Else the tests below would show nothing."""
    result = earlier.command(*real(earlier, data, "--output", "real.json"))
    assert result.code == 0, result.errors
    assert (earlier.folder / "real.json").exists()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _shorten(path: Path) -> None:
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes())[:-1]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: _empty(data / "ddfa"), "ddfa"),
        (lambda data: shutil.rmtree(data / "ddfa"), "ddfa"),
        (lambda data: shutil.rmtree(data / "assets"), "assets"),
        (lambda data: _empty(data / "aflw"), "aflw"),
        (lambda data: shutil.rmtree(data / "aflw"), "aflw"),
        (lambda data: shutil.rmtree(data / "ddfa" / "images"), "images"),
        (lambda data: _truncate(data / "ddfa" / "images" / "face3.jpg"), "face3.jpg"),
        (lambda data: (data / "ddfa" / "images" / "face3.jpg").write_bytes(b""), "face3.jpg"),
        (lambda data: (data / "ddfa" / "images" / "face3.jpg").unlink(), "face3.jpg"),
        (lambda data: cv2.imwrite(str(data / "ddfa" / "images" / "face3.jpg"), np.zeros((9, 7, 3))), "face3.jpg"),
        (lambda data: _shorten(data / "ddfa" / "param_norm_train.pkl"), "param_norm_train.pkl"),
        (lambda data: _truncate(data / "ddfa" / "param_norm_val.pkl"), "param_norm_val.pkl"),
        (lambda data: (data / "ddfa" / "list.train").write_text(""), "list.train"),
        (lambda data: _truncate(data / "assets" / "Model_PAF.pkl"), "Model_PAF.pkl"),
        (lambda data: _truncate(data / "aflw" / "image01.jpg"), "image01.jpg"),
        (lambda data: _truncate(data / "aflw" / "image01.mat"), "image01.mat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_data_is_named(earlier: Earlier, data: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(data)
    result = earlier(*real(earlier, data))
    assert message in result.line
    assert result.line.rpartition(":")[2].strip() or ";" in result.line, "no mend is named"


class Touch:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["ddfa/param_norm_train.pkl", "assets/Model_PAF.pkl"])
def test_code_in_a_pickle_is_refused_and_not_run(earlier: Earlier, data: Path, tmp_path: Path, name: str) -> None:
    (data / name).write_bytes(pickle.dumps(Touch(tmp_path / "proof")))
    result = earlier(*real(earlier, data))
    assert Path(name).name in result.line and "not allowed" in result.line
    assert not (tmp_path / "proof").exists()


# Checkpoints ---------------------------------------------------------------------------------------------------------


def unfinished(earlier: Earlier) -> Path:
    """Make the first run one that was killed after its supernet's training."""
    run = earlier.folder / "runs" / "first"
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "finished": False}))
    shutil.rmtree(run / "search")
    earlier.before = earlier.contents()
    return run


@pytest.mark.parametrize("damage", ["truncated", "space", "code"])
def test_a_damaged_supernet(earlier: Earlier, tmp_path: Path, damage: str) -> None:
    supernet = unfinished(earlier) / "supernet" / "supernet.pt"
    if damage == "truncated":
        _truncate(supernet)
    elif damage == "space":
        torch.save({**torch.load(supernet, weights_only=True), "layers": 9}, supernet)
    else:
        torch.save({"kind": "supernet", "state": Touch(tmp_path / "proof")}, supernet)
    earlier.before = earlier.contents()
    resumed = earlier(*tiny(earlier, "search", "--resume", "true"), but=("summary.json",))
    tuned = earlier("retrain", "--init", "supernet", "--log.wandb", "off", but=("summary.json",))
    for result in (resumed, tuned):
        assert "supernet.pt" in result.line
        assert ("use the space" if damage == "space" else "train again or restore it") in result.line
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("damage", ["truncated", "space"])
def test_a_damaged_checkpoint(earlier: Earlier, damage: str) -> None:
    run = unfinished(earlier)
    (run / "supernet" / "supernet.pt").unlink()
    checkpoint = run / "supernet" / "last.ckpt"
    if damage == "truncated":
        _truncate(checkpoint)
    else:
        torch.save({**torch.load(checkpoint, weights_only=True), "nasface_identity": "supernet 9x9"}, checkpoint)
    earlier.before = earlier.contents()
    result = earlier(*tiny(earlier, "search", "--resume", "true"), but=("summary.json",))
    assert "last.ckpt" in result.line and "remove it" in result.line


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["search", "retrain"])
def test_a_loss_that_is_no_number(earlier: Earlier, name: str) -> None:
    stage = {"search": "supernet", "retrain": "retrain"}[name]
    wild = {"lr": "1e30", "clip": "0", "schedule": "constant"}
    result = earlier(*tiny(earlier, name), *(f"--{stage}.optimizer.{key}={value}" for key, value in wild.items()))
    assert "the training loss became" in result.line and "lower the learning rate (now 1e+30)" in result.line


# A full disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["best.json", "supernet.pt", "last.ckpt", "architecture.png", "summary.json"])
def test_a_full_disk(earlier: Earlier, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """The rename is where the file would take its place; what was written before stays."""
    replace, failed = os.replace, []

    def full(source: Any, target: Any, **more: Any) -> None:
        if Path(target).name == at:
            failed.append(target)
            raise OSError(28, "No space left on device")
        replace(source, target, **more)

    monkeypatch.setattr("os.replace", full)
    result = earlier(*tiny(earlier, "search", "--run", "second"))
    assert failed, f"{at} was never written: the test shows nothing"
    assert at in result.line and "No space left on device" in result.line and "free space" in result.line
    left = [path for path in earlier.folder.rglob(".*") if path.is_file()]
    assert left == [], "something was left behind"


def test_a_disk_that_takes_no_more(earlier: Earlier) -> None:
    """A real limit of the system: no file of this process grows beyond 60 kB, and a supernet is larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert hard == resource.RLIM_INFINITY and signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN
    resource.setrlimit(resource.RLIMIT_FSIZE, (60000, hard))
    try:
        result = earlier(*tiny(earlier, "search", "--run", "second"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "runs/second/supernet/last.ckpt: File too large; raise the limit" in result.line
    assert not any((earlier.folder / "runs" / "second" / "supernet").iterdir())


def test_a_folder_that_cannot_be_written(earlier: Earlier) -> None:
    (earlier.folder / "taken").write_text("a file, not a folder")
    result = earlier(*tiny(earlier, "search", "--runs", "taken"))
    assert "cannot make taken/" in result.line


# An error of nobody's making is still no traceback on the screen of a user who pressed Ctrl-C ------------------------


def test_an_interrupted_training_says_how_to_go_on(earlier: Earlier, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: Iterator[int] = iter(range(100))
    plain = SupernetTask.training_step

    def interrupted(self: SupernetTask, *arguments: Any) -> torch.Tensor:
        if next(steps) == 2:
            raise KeyboardInterrupt
        return plain(self, *arguments)

    monkeypatch.setattr(SupernetTask, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)  # Python's own, or none where the tests run in the background
    result = earlier(*tiny(earlier, "search", "--run", "second"))
    assert result.code == 130 and signal.getsignal(signal.SIGINT) is handler
    assert result.line == "nasface: interrupted; the same command with --resume true goes on from here"
