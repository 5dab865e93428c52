"""Inputs that nobody gives on purpose: pipes, names that are no text, settings without a value, numbers without end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from nasface.cli.parser import read_arguments
from nasface.config import MultipathConfig
from nasface.inference.load import load_weights
from nasface.inference.media import Wanted, predict_video
from nasface.nets.multipath import MemberSpec
from nasface.nets.weights import save_weights
from nasface.pipelines.architectures import member
from nasface.tabular.table import load_table
from nasface.utils.errors import UserError
from tests.helpers.tiny import Command


@pytest.mark.parametrize("name", ["a.mp4", "a.onnx", "a.pth", "a.pt", "a.parquet"])
def test_a_pipe_is_no_input(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{name} is a pipe, socket or device, not a file"):
        if path.suffix == ".mp4":
            predict_video(None, path, tmp_path, Wanted(), [])  # type: ignore[arg-type]
        elif path.suffix == ".parquet":
            load_table(path)
        else:
            load_weights(path, arch="mobilenet" if path.suffix == ".pth" else None)


@pytest.mark.parametrize("words", ["retrain --arch {}", "search --on supernet --search.storage {}"])
def test_a_pipe_is_no_argument(words: str, tmp_path: Path, nasface: Command) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    result = nasface(*words.format(tmp_path / "pipe.json").split())
    assert result.code == 2 and "pipe.json is a pipe, socket or device, not a file" in result.line


@pytest.mark.parametrize("faces", [4, "x", {"folder": 3, "experiment": {}}, {"folder": "", "experiment": 1}])
def test_what_weights_say_of_their_faces(tmp_path: Path, faces: object) -> None:
    sizes = MultipathConfig(input_size=32, map_size=32, width=8, head_width=16)
    path = tmp_path / "network.pt"
    save_weights(path, MemberSpec(member("preset/prnet"), sizes).build(), faces)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="network.pt does not describe a network \\(faces"):
        load_weights(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("retrain: {steps: }", "retrain.steps: must be a whole number of at least 1, and has no value"),
        (
            "retrain: {optimizer: {factor: null}}",
            "retrain.optimizer.factor: must be a number greater than 0, and has no value",
        ),
        (
            "supernet: {optimizer: {lr: null}}",
            "supernet.optimizer.lr: must be a number greater than 0, and has no value",
        ),
        ("search: {reuse: ~}", "search.reuse: must be true or false, and has no value"),
        ("name:", "name: must be text, and has no value"),
        (f"seed: {'9' * 400}", "seed: must be less than 2^32, not 999"),
        ("compare: {seeds: [1, 4294967296]}", "compare.seeds: must be less than 2^32, not 4294967296"),
        (f"data: {{train_count: {10**30}}}", "data.train_count: must be less than 2^63, not 1000"),
        ('runs: "a\\0b"', "runs: 'a\\x00b' holds a zero byte"),
        ("search: {storage: 'sql://u:se cret@h/d'}", "search.storage: a space ends a URL: write %20 in its place"),
    ],
)
def test_settings_that_no_library_takes(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as refusal:
        read_arguments(["retrain", "--arch", "random", "--config", str(path)])
    assert message in str(refusal.value)


@pytest.mark.parametrize("content", ["1: 2", "retrain: {1.5: 2}", "on: 3"])
def test_names_that_are_no_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.yaml").write_text(content)
    with pytest.raises(UserError, match="settings.yaml: (1|1.5|True) is not the name of a setting"):
        read_arguments(["retrain", "--arch", "random", "--config", str(tmp_path / "settings.yaml")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("retrain --arch random --retrain.batch_size 100000", "batch_size 100000 is more than the "),
        (
            "retrain --arch mobilenet_x05 --retrain.batch_size 1 --network.input_size 32 --network.map_size 32",
            "batch norm needs several faces a step",
        ),
        (
            "retrain --arch random --device.precision bf16-true",
            "precision must be one of 32-true, bf16-mixed, 16-mixed",
        ),
        ("retrain --arch random --retrain.augmentation.shift 1e9", "shift: must be a number from 0 to 1, not 1e9"),
        ("retrain --arch random --device.threads 1000000", "threads must be a whole number from 0 to 1024"),
        ("retrain --arch random --device.devices 4000", "4000 processes are too many for the "),
        ("retrain --arch=", "'' does not exist: give the JSON file of an architecture"),
        ("retrain --arch random ", "an argument is empty: leave it out"),
        (f"retrain --arch random --run {'x' * 300}", "is no id: give at most 100 letters"),
        ("compare --compare.seeds []", "compare.seeds must name at least one seed, and none twice, not []"),
        ("compare --compare.seeds [1,1]", "compare.seeds must name at least one seed, and none twice, not [1, 1]"),
        ("compare --compare.networks ['random|as|']", "'random as ' has no name behind its `as`"),
        ("compare --compare.networks [prnet@0]", "the scale of prnet must be a number greater than 0, not 0.0"),
        (
            "compare --compare.networks ['random|retrain.steps=many']",
            "compare.networks: retrain.steps=many: retrain.steps: must be a whole number of at least 1",
        ),
        ("search --on supernet --search.storage mysql://host/d", "no driver is installed for mysql://host/d: give"),
        ("search --on trainings --halving.steps []", "halving.steps is empty: give the steps"),
        ("search --network.width 20", "network.width must be a positive multiple of 8, not 20"),
        (
            "search --on trainings --search.max_parameters 100",
            "parameters <= 100, and no less than 0.75 of the macs (halving.share), and 8 (halving.candidates) are to"
            " begin: raise search.max_parameters, or lower search.max_macs",
        ),
    ],
)
def test_experiments_beyond_reason(words: str, message: str, nasface: Command) -> None:
    result = nasface.tiny(*(word.replace("|", " ") for word in words.split(" ")))
    assert result.code == 2 and message in result.line


def test_sizes_and_ports_beyond_reason(nasface: Command) -> None:
    result = nasface("data", "preview", "--columns", "100000", "--rows", "100000")
    assert result.code == 2 and "faces are too many for a sheet: choose 1000 at most" in result.line
    result = nasface("demo", "--port", "99999")
    assert result.code == 2 and "cannot listen on port 99999 (they end at 65535)" in result.line


@pytest.mark.parametrize("words", ["--supernet.last_repeats null", "--label null", "--data.train_count null"])
def test_what_may_be_empty_still_may(words: str) -> None:
    assert read_arguments(["retrain", "--arch", "random", *words.split()])


def test_a_command_may_leave_out_a_list() -> None:
    assert read_arguments(["evaluate", "--list"])[1]["weights"] is None


def test_a_name_that_is_no_text(nasface: Command) -> None:
    place = Path(os.fsdecode(b"\xff\xfe"))
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    Image.new("RGB", (64, 64)).save(place / os.fsdecode(b"\xff.jpg"))
    result = nasface("predict", str(place), "--output", str(place / "out"), "--box", "image")
    assert result.code == 0 and "\\udcff" in result.output
    assert len(list((place / "out").iterdir())) == 5
