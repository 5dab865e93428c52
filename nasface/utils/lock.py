"""One lock for what a single process at a time may write; the kernel frees it however its holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nasface.utils.errors import UserError, os_reason

_JOINING = 5.0  # seconds that a sharer waits for the first one, which is still putting the file in order


class Lock:
    """A lock that is held.

    Attributes:
        alone: no other process holds it.
    """

    def __init__(self, stream: IO[bytes], alone: bool) -> None:
        self._stream, self.alone = stream, alone

    def share(self) -> None:
        """Let the others in that share it."""
        fcntl.flock(self._stream, fcntl.LOCK_SH)


@contextmanager
def hold(
    path: Path, what: str, otherwise: str, *, wait: bool = False, shared: bool = False, remove: bool = True
) -> Iterator[Lock]:
    """Hold the lock of a file, which is made where absent. On a file system without locks nothing is held.

    Args:
        path: the file.
        what: holds such locks, for the message: "search".
        otherwise: what to do instead of waiting for the holder, for the message: "choose another folder".
        wait: until it is free.
        shared: by all that ask for it in this way; the first one is alone until it calls `Lock.share`.
        remove: the file is only a lock, and goes when the block ends.

    Raises:
        UserError: another process holds it, or the file cannot be written.
    """
    found = _lock(path, otherwise, wait, shared)
    if found is None:
        raise UserError(f"another {what} is writing to {path}: wait for it, or {otherwise}")
    stream, alone = found
    with stream:
        try:
            yield Lock(stream, alone)
        finally:
            if remove:
                path.unlink(missing_ok=True)


def lock_folder(folder: Path) -> int | None:
    """Lock a folder that is there until the descriptor that is returned is closed, or this process and those that it
    has forked end; None where another process holds it. On a file system without locks nothing is held.

    Raises:
        OSError: it cannot be opened.
    """
    found = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(found)
        return None
    except OSError:
        pass
    return found


def _lock(path: Path, otherwise: str, wait: bool, shared: bool) -> tuple[IO[bytes], bool] | None:
    """The locked file and whether this process is alone with it; None where another one has it."""
    while True:
        stream = _opened(path, otherwise)
        try:
            alone = _flock(stream, fcntl.LOCK_EX, wait)
        except OSError:
            return stream, not shared
        if not alone and not (shared and _join(stream)):
            stream.close()
            return None
        if _is_at(stream, path):
            return stream, alone
        stream.close()  # its last holder has removed this file


def _opened(path: Path, otherwise: str) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise UserError(f"cannot write {path}: {os_reason(error)}, or {otherwise}") from None


def _flock(stream: IO[bytes], kind: int, wait: bool = False) -> bool:
    try:
        fcntl.flock(stream, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _join(stream: IO[bytes]) -> bool:
    until = time.monotonic() + _JOINING
    while not _flock(stream, fcntl.LOCK_SH):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _is_at(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
