"""Reading and writing files safely: atomic writes, restricted unpickling."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nasface.utils.errors import UserError

# Everything that an honest file of arrays needs; numpy moved its modules between 1.x and 2.x, hence both spellings.
_PICKLE_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("_codecs", "encode"),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PICKLE_ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of plain containers, numbers and numpy arrays; code in it is refused, never run.

    Python 2 pickles (3DDFA's) are read with latin1.

    Raises:
        UserError: the file is absent, truncated, or holds anything else.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            return _ArrayUnpickler(stream, encoding="latin1").load()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a readable pickle of arrays ({error}): restore it from its source") from None


def load_array(path: str | Path) -> np.ndarray:
    """Read a pickle that is one numpy array.

    Raises:
        UserError: as `load_pickle`, and when the content is something else.
    """
    content = load_pickle(path)
    if not isinstance(content, np.ndarray):
        raise UserError(f"{path} holds a {type(content).__name__}, not one array: is it the right file?")
    return content


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well it is renamed to `path`, else removed.

    The earlier file stays whole whatever happens in between.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(path, error) from None
    temporary = Path(name)
    try:
        yield temporary
        _fsync(temporary)
        # mkstemp files are private; a result is meant to be read like any other file.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; when the block ends well it takes `path`'s place, else it is removed.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            # A folder cannot be replaced in one step: the earlier one moves aside first and is dropped last.
            earlier = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            os.replace(path, earlier)
            os.replace(temporary, path)
            shutil.rmtree(earlier)
        else:
            os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror or error}; free space or choose another folder")


def _fsync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, values: Any) -> None:
    """Write JSON atomically; see `atomic_write`."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically; see `atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
