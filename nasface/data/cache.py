"""Decoded photographs in memory, and face sets kept on disk, so that nothing is decoded twice."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nasface.data.face_set import FaceSet, alone_with, load_face_set, save_face_set
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError
from nasface.utils.progress import Progress

IN_MEMORY = 1 << 30
"""Bytes of decoded images beyond which they go to a file while a set is built."""


def fill_images(out: np.ndarray, make: Callable[[int], np.ndarray], progress: Progress | None = None) -> None:
    """Set out[i] = make(i) for every i, on a few threads (decoders release the interpreter lock)."""
    total = len(out)

    def work(index: int) -> None:
        out[index] = make(index)

    workers = min(8, available_cores())
    with ThreadPoolExecutor(workers) as pool:
        # Windows of bounded length: 630,000 pending futures would take more memory than the images of a small set, and
        # a bad file should end the work soon.
        for start in range(0, total, 1024):
            for done, _ in enumerate(pool.map(work, range(start, min(start + 1024, total))), start + 1):
                if progress is not None:
                    progress(done, total)


@contextmanager
def image_buffer(count: int, size: int, folder: str | Path | None) -> Iterator[np.ndarray]:
    """An uninitialised (count, size, size, 3) uint8 array; a large one lives in a temporary file in `folder`, if given;
    a UserError where the disk is full."""
    shape = (count, size, size, 3)
    total = int(np.prod(shape))
    if folder is None or total < IN_MEMORY:
        yield np.empty(shape, dtype=np.uint8)
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".images-") as stream:
        try:
            # Reserved first: writing to a mapped file on a full disk kills the process without a message.
            os.posix_fallocate(stream.fileno(), 0, total)
        except OSError as error:
            raise UserError(f"{folder}: {total >> 20} MiB for decoded images: {error.strerror}; free space") from None
        yield np.memmap(stream, dtype=np.uint8, mode="r+", shape=shape)


def fingerprint(files: Iterable[Path], *settings: object) -> str:
    """16 hex digits that change when one of the files (place, length, time of change) or a setting does.

    Raises:
        UserError: a file does not exist.
    """
    digest = hashlib.sha256(repr(settings).encode())
    places: dict[Path, Path] = {}  # to resolve each of 630,000 images would take longer than to look at it
    for path in files:
        try:
            state = path.stat()
        except OSError as error:
            fault = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise UserError(f"{path} {fault}: restore it or take it off the list") from None
        parent = path.parent
        if parent not in places:
            places[parent] = parent.resolve()
        place = str(places[parent] / path.name)
        digest.update(repr((place, state.st_size, state.st_mtime_ns)).encode())
    return digest.hexdigest()[:16]


def cached_face_set(cache_dir: str | Path | None, name: str, build: Callable[[], FaceSet]) -> FaceSet:
    """The face set kept as `cache_dir`/`name`, memory-mapped; built and kept first where it is absent or damaged, by
    one process while others wait for it.

    Without a cache folder it is built in memory each time.
    """
    if cache_dir is None:
        return build()
    folder = Path(cache_dir) / name
    if (found := _whole(folder)) is not None:
        return found
    with alone_with(folder):
        if (found := _whole(folder)) is not None:  # another process has made it while this one waited
            return found
        save_face_set(folder, build())
        return load_face_set(folder)


def _whole(folder: Path) -> FaceSet | None:
    """The face set in a folder; None where it is absent or damaged: of data that is at hand, a damaged copy is no
    reason to stop."""
    if not folder.is_dir():
        return None
    try:
        return load_face_set(folder)
    except UserError:
        return None
