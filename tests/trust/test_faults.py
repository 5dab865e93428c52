"""Full disks, limits of the system, outputs that are no files, readers that are gone: one line, and nothing half."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nasface.config import Experiment, MultipathConfig
from nasface.inference.export import export_network
from nasface.inference.media import Wanted, predict_video, video_writer
from nasface.nets.multipath import MemberSpec
from nasface.nets.weights import save_weights
from nasface.pipelines.architectures import member
from nasface.runs.run import open_run
from nasface.search.storage import open_storage
from nasface.search.workers import read_about
from nasface.training.fit import _AtomicCheckpoints
from nasface.utils.errors import UserError, lacks_memory
from nasface.utils.files import write_text
from nasface.utils.reading import read_text
from tests.helpers.tiny import REPOSITORY, Command
from tests.helpers.toy_table import toy_table


@contextmanager
def limit(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = MultipathConfig(input_size=32, map_size=32, width=8, head_width=16)
    path = tmp_path_factory.mktemp("weights") / "network.pt"
    save_weights(path, MemberSpec(member("preset/prnet"), sizes).build())
    return path


@pytest.mark.parametrize("kind", ["torchscript", "safetensors"])
def test_an_export_that_does_not_fit(weights: Path, tmp_path: Path, kind: str) -> None:
    output = tmp_path / "network.bin"
    with limit(resource.RLIMIT_FSIZE, 4096), pytest.raises(UserError, match=f"cannot write {output}.*ulimit -f"):
        export_network(weights, output, kind, "embedded")
    assert not list(tmp_path.iterdir())


def test_a_table_that_does_not_fit(tmp_path: Path) -> None:
    table, path = toy_table(), tmp_path / "t.parquet"
    table.save(path)
    before = path.read_bytes()
    with limit(resource.RLIMIT_FSIZE, len(before) - 1), pytest.raises(UserError, match=f"cannot write {path}"):
        table.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def video(path: Path, frames: int = 12) -> Path:
    rng = np.random.default_rng(0)
    with video_writer(path, 25.0, True) as write:
        for _ in range(frames):
            write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    return path


def test_two_commands_write_a_video_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with video_writer(path, 25.0, True) as write:
        other = os.fork()
        if not other:
            try:
                video(path, frames=5)
                os._exit(0)
            finally:
                os._exit(1)
        for _ in range(12):
            write(np.zeros((48, 64, 3), dtype=np.uint8))
        assert os.waitpid(other, 0)[1] == 0
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert list(tmp_path.iterdir()) == [path]


class _NoFaces:
    detector = None

    def predict(self, *_: object) -> list[object]:
        return []


def test_a_video_that_does_not_fit(tmp_path: Path) -> None:
    size = video(tmp_path / "good.mp4").stat().st_size
    for most in (1000, size // 2, size - 8):
        with limit(resource.RLIMIT_FSIZE, most), pytest.raises(UserError, match=r"cannot write .*bad.mp4"):
            video(tmp_path / "bad.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["good.mp4"]
    with pytest.raises(UserError, match="it is a folder or a device"):
        video(Path("/dev/full"))


def test_a_video_that_is_cut_off_says_how_much_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = video(tmp_path / "whole.avi.mp4")
    content = bytearray(path.read_bytes())
    start = content.find(b"mdat")
    content[start + len(content) // 2 : content.rfind(b"moov") - 4] = bytes(
        content.rfind(b"moov") - 4 - start - len(content) // 2
    )
    (tmp_path / "cut.mp4").write_bytes(content)
    wanted, found = Wanted(overlay=False), {}
    for name in ("whole.avi.mp4", "cut.mp4"):
        found[name] = predict_video(_NoFaces(), tmp_path / name, tmp_path / "out", wanted, [])  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert found["whole.avi.mp4"].frames == 12 and found["cut.mp4"].frames < 12
    assert f"cut.mp4: only {found['cut.mp4'].frames} of its 12 frames could be read" in said and "whole" not in said


def test_too_many_open_files_are_no_fault_of_a_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "a")
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    with limit(resource.RLIMIT_NOFILE, used):
        spare = []
        with pytest.raises(OSError, match="Too many"):
            while True:
                spare.append(open(os.devnull))  # noqa: SIM115
        with pytest.raises(UserError, match=f"cannot read {tmp_path}/a.txt: Too many open files; raise .*ulimit -n"):
            read_text(tmp_path / "a.txt", "is no text", "remove the set")
        with pytest.raises(UserError, match=f"cannot write {tmp_path}/b.txt: Too many open files; raise .*ulimit -n"):
            write_text(tmp_path / "b.txt", "b")
        for stream in spare:
            stream.close()
    with pytest.raises(UserError, match="it is a folder or a device"):
        write_text(tmp_path, "b")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("std::bad_alloc")])
def test_want_of_memory_has_many_words(error: Exception) -> None:
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**52)
    assert lacks_memory(real.value) and not lacks_memory(RuntimeError("shapes differ"))
    outer = ValueError("while reading")
    outer.__cause__ = error
    assert lacks_memory(outer) == (not isinstance(error, torch.OutOfMemoryError)) or lacks_memory(error)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_an_output_that_is_full_or_closed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    code = "import sys; from nasface.cli.main import main; main(['space', '--space', 'table'])"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=-1, env=environment, check=False)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"No space left" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=-1, env=environment, check=False)
    os.close(writer)
    assert done.returncode == 141 and not done.stderr


def test_a_run_that_is_removed_underneath(tmp_path: Path) -> None:
    run = open_run("search", Experiment(runs=str(tmp_path)), "m", False, "r")
    for path in sorted(run.folder.iterdir()):
        path.unlink()
    run.folder.rmdir()
    with pytest.raises(UserError, match="r was removed while it was in use"):
        run.update_summary(finished=True)
    with pytest.raises(UserError, match="was removed while it was in use"):
        _AtomicCheckpoints().save_checkpoint({}, run.path("retrain", "last.ckpt"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["typo.log", "sqlite:///typo.db", "no/typo.log"])
def test_a_worker_makes_no_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{name} does not exist"):
        read_about(name, None)
    assert not list(tmp_path.iterdir())
    if "no/" not in name:
        with open_storage(name, shared=True):
            pass
        with pytest.raises(UserError, match="holds no studies"):
            read_about(name, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--search.strategy smos", "did you mean samos"),
        ("--search.strategy smos --on table", "did you mean samos"),
        ("--search.strategy optuna/bruteforce", "optuna/bruteforce cannot enumerate"),
        ("--search.storage postgresql://user:secret@127.0.0.1:1/x", "cannot open"),
        ("--search.storage sqlite:////no/such/folder/s.db", "cannot open the database"),
        ("--search.storage nosuch://host/x", "cannot open the database"),
        ("--output /dev/full", "it is a folder or a device"),
        ("--search.settings.chain 2", "did you mean chains"),
    ],
)
def test_a_search_that_cannot_be_leaves_no_run(nasface: Command, arguments: str, message: str) -> None:
    result = nasface("search", "--space", "multipath_small", "--device.accelerator", "cpu", *arguments.split())
    assert result.code == 2 and message in result.line and "secret" not in result.line
    assert not list(nasface.folder.iterdir())
