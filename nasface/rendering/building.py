"""A face set made face by face by several processes, in a folder that survives a kill.

The arrays lie at their full length in `NAME.part` from the start; the processes write their faces into them, chunk by
chunk, and note each finished chunk in `done.npy`. A killed build goes on with the chunks that are not noted. When all
are, the folder gets its description and takes its name in one step.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nasface.data.face_set import FaceSet, alone_with, load_face_set, write_meta
from nasface.utils.errors import UserError, os_reason
from nasface.utils.image_workers import in_processes

CHUNK = 32
"""Faces that are made between two notes of progress."""
_DONE = "done.npy"

Make = Callable[[int], Mapping[str, Any]]
"""Of a face's index: its entry of every array."""


def build_face_set(
    folder: str | Path, make: Make, count: int, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> FaceSet:
    """The face set in `folder`, memory-mapped; made, or finished, first if it is not whole.

    Args:
        folder: its last part is the set's name.
        make: gives face `index`, from 0 to count - 1, as a pure function.
        count: faces.
        workers: processes; the files do not depend on it.
        progress: called with (faces done, count), first with those of an earlier, interrupted build.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    folder = Path(folder)
    if not folder.exists():
        with alone_with(folder):
            if not folder.exists():  # another process may have made it while this one waited
                _build(folder, make, count, workers, progress)
    return load_face_set(folder)


def _build(folder: Path, make: Make, count: int, workers: int, progress: Callable[[int, int], None] | None) -> None:
    part = folder.with_name(f"{folder.name}.part")
    try:
        done = _prepare(part, make, count)
        missing = np.flatnonzero(np.asarray(done) == 0).tolist()
        finished = count - sum(len(_faces_of(chunk, count)) for chunk in missing)
        if finished and progress is not None:
            progress(finished, count)
        for chunk in in_processes(partial(_fill, part, make, count), missing, workers):
            finished += len(_faces_of(chunk, count))
            if progress is not None:
                progress(finished, count)
        (part / _DONE).unlink()
        write_meta(part, folder.name)
        os.replace(part, folder)
    except OSError as error:
        raise UserError(f"cannot write {part}: {os_reason(error)}, or another cache") from None


def _prepare(part: Path, make: Make, count: int) -> np.ndarray:
    """The notes of an interrupted build, or new files and empty notes."""
    chunks = -(-count // CHUNK)
    try:
        done = np.load(part / _DONE, mmap_mode="r+")
        if done.shape == (chunks,):
            return done
    except (OSError, ValueError, EOFError):
        pass
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    first = {key: np.asarray(value) for key, value in make(0).items()}
    for key, value in first.items():
        _allocate(part / f"{key}.npy", value.dtype, (count, *value.shape))
    _allocate(part / f".{_DONE}", np.dtype(np.uint8), (chunks,))
    os.replace(part / f".{_DONE}", part / _DONE)  # last: its presence says that the others are whole
    return np.load(part / _DONE, mmap_mode="r+")


def _allocate(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """An array file of zeros, its space reserved: writing to a mapped file on a full disk would kill the process."""
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def _faces_of(chunk: int, count: int) -> range:
    return range(chunk * CHUNK, min((chunk + 1) * CHUNK, count))


def _fill(part: Path, make: Make, count: int, chunk: int) -> int:
    """Make the faces of one chunk, then note it."""
    done = np.load(part / _DONE, mmap_mode="r+")
    paths = [path for path in part.glob("*.npy") if path.name != _DONE]
    arrays = {path.stem: np.load(path, mmap_mode="r+") for path in paths}
    for index in _faces_of(chunk, count):
        for key, value in make(index).items():
            arrays[key][index] = value
    done[chunk] = 1
    return chunk
