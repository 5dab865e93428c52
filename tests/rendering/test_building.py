"""Builds by several processes: the same bytes, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nasface.rendering.building import CHUNK, build_face_set
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY

COUNT = 3 * CHUNK + 5


def make(index: int, gate: Path | None = None, log: Path | None = None) -> dict[str, np.ndarray]:
    """A face; of those behind the first chunks, none before the file `gate` is there."""
    while gate is not None and index >= 2 * CHUNK and not gate.exists():
        time.sleep(0.01)
    if log is not None:
        with log.open("a") as stream:
            stream.write(f"{index}\n")
    rng = np.random.default_rng(index)
    return {
        "images": rng.integers(0, 256, (16, 16, 3), dtype=np.uint8),
        "landmarks": rng.normal(size=(68, 3)).astype(np.float32),
        "yaw": np.float32(index),
        "box": np.ones(2, np.float32),
    }


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("workers", [2, 3])
def test_files_do_not_depend_on_the_number_of_workers(tmp_path: Path, workers: int) -> None:
    alone = build_face_set(tmp_path / "1" / "set", make, COUNT)
    build_face_set(tmp_path / "many" / "set", make, COUNT, workers=workers)
    assert content(tmp_path / "1" / "set") == content(tmp_path / "many" / "set")
    np.testing.assert_array_equal(alone.yaw, np.arange(COUNT))
    assert [path.name for path in (tmp_path / "many").iterdir()] == ["set"]


def test_an_interrupted_build_goes_on(tmp_path: Path) -> None:
    log, calls = tmp_path / "log", []

    def interrupt(done: int, total: int) -> None:
        calls.append((done, total))
        if done == 2 * CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_face_set(tmp_path / "set", partial(make, log=log), COUNT, progress=interrupt)
    assert not (tmp_path / "set").exists()
    log.unlink()
    build_face_set(
        tmp_path / "set", partial(make, log=log), COUNT, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(n, COUNT) for n in (CHUNK, 2 * CHUNK, 2 * CHUNK, 3 * CHUNK, COUNT)]
    assert log.read_text().split() == [str(i) for i in range(2 * CHUNK, COUNT)]
    build_face_set(tmp_path / "whole" / "set", make, COUNT)
    assert content(tmp_path / "set") == content(tmp_path / "whole" / "set")


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    command = (
        "from pathlib import Path; from functools import partial; from tests.rendering.test_building import *;"
        f"build_face_set(Path({str(tmp_path)!r}) / 'set', partial(make, gate=Path('never')), COUNT, workers=2)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", command], env=environment, cwd=tmp_path)
    notes = tmp_path / "set.part" / "done.npy"
    deadline = time.monotonic() + 60
    while not (notes.exists() and np.load(notes).any()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.5)  # orphaned workers notice
    done = np.load(notes)
    assert done.any() and not done.all()
    build_face_set(tmp_path / "set", make, COUNT)
    build_face_set(tmp_path / "whole" / "set", make, COUNT)
    assert content(tmp_path / "set") == content(tmp_path / "whole" / "set")


def test_damaged_notes_start_anew(tmp_path: Path) -> None:
    part = tmp_path / "set.part"
    part.mkdir()
    (part / "done.npy").write_bytes(b"\x93NUMPY")
    (part / "images.npy").write_bytes(b"nothing")
    np.testing.assert_array_equal(build_face_set(tmp_path / "set", make, 5).yaw, np.arange(5))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        build_face_set(tmp_path / "file" / "set", make, 3)
