"""Reading and writing files safely: atomic writes, restricted unpickling."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nasface.utils.errors import UserError, os_reason, without_passwords
from nasface.utils.reading import reading

_Unpickler: Any = pickle._Unpickler  # Python's own


class _ArrayUnpickler(_Unpickler):
    """Of what a pickle may call, only what makes arrays of plain numbers and texts, and nothing that takes more memory
    than the file has.

    Python's own unpickler, not that in C: a type of numpy takes any state, also one by which bytes of the file become
    addresses of objects, and only here is it seen before that.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.size = len(content)
        self.allowed = {
            ("numpy", "ndarray"): _NDARRAY,
            ("numpy", "dtype"): _plain_dtype,
            ("multiarray", "_reconstruct"): _empty,
            ("multiarray", "scalar"): self._scalar,
            ("_codecs", "encode"): _encoded,
        }

    def load_build(self) -> None:
        *_, instance, state = self.stack
        if isinstance(instance, np.dtype):
            _check_state(instance, state)
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str) -> Any:
        short = re.sub(r"^numpy\._?core\.", "", module)
        if (short, name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return self.allowed[short, name]

    def _scalar(self, dtype: np.dtype, content: bytes) -> Any:
        return np.frombuffer(content, dtype, 1)[0] if dtype.itemsize <= self.size else None


_NDARRAY = object()  # stands for the class, which a pickle names and must not call


def _plain_dtype(code: Any, *_: object) -> np.dtype:
    found = np.dtype(code, False, True)  # a copy: what follows sets its state
    if found.hasobject or found.names or found.subdtype or found.kind in "mM":
        raise pickle.UnpicklingError(f"an array of {found}")
    return found


def _check_state(dtype: np.dtype, state: Any) -> None:
    """Refuse all but what numpy writes of such a type: version, order of bytes, no parts, size, alignment, flags."""
    plain = isinstance(state, tuple) and len(state) == 8 and state[0] == 3 and state[2:5] == (None, None, None)
    if not plain or state[1] not in ("<", ">", "|", "=") or state[5] not in (-1, dtype.itemsize):
        raise pickle.UnpicklingError(f"an unknown state of the type {dtype}")
    if state[6] not in (-1, dtype.alignment) or state[7] != dtype.flags:
        raise pickle.UnpicklingError(f"an unknown state of the type {dtype}")


def _empty(kind: object, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    if kind is not _NDARRAY or shape != (0,):
        raise pickle.UnpicklingError("an array that is not empty before it is filled")
    return np.empty(0, np.dtype("i1"))


def _encoded(text: str, codec: str) -> bytes:
    if codec != "latin1":
        raise pickle.UnpicklingError(f"text in {codec}")
    return text.encode("latin1")


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of plain containers, numbers and numpy arrays; code in it is refused, never run.

    Python 2 pickles (3DDFA's) are read with latin1.

    Raises:
        UserError: the file is absent, truncated, or holds anything else.
    """
    with reading(path, "is not a readable pickle of arrays", "restore it from its source"):
        content = Path(path).read_bytes()
        for code, place, _ in pickletools.genops(content):
            if "PUT" in code.name and isinstance(place, int) and place > len(content):
                raise ValueError(f"its memo has a place {place}")  # the C unpickler makes so many at once
        return _ArrayUnpickler(content).load()


def load_array(path: str | Path) -> np.ndarray:
    """Read a pickle that is one numpy array.

    Raises:
        UserError: as `load_pickle`, and when the content is something else.
    """
    content = load_pickle(path)
    if not isinstance(content, np.ndarray):
        raise UserError(f"{path} holds a {type(content).__name__}, not one array: is it the right file?")
    return content


_inputs: set[str] = set()


@contextmanager
def kept(paths: Iterable[str | Path]) -> Iterator[None]:
    """Files that are read within the block, and that no output may replace; a UserError says so before any work."""
    before = set(_inputs)
    _inputs.update(os.path.realpath(path) for path in paths)
    try:
        yield
    finally:
        _inputs.intersection_update(before)


def check_output(path: str | Path) -> None:
    """Refuse an output that would replace what is `kept`, or what is no file.

    Raises:
        UserError: it would.
    """
    if os.path.dirname(os.path.abspath(path)) in ("/dev", "/proc/self/fd") or (
        os.path.exists(path) and not os.path.isfile(path)
    ):
        raise UserError(f"cannot write {path}: it is a folder or a device; choose a file")
    if os.path.realpath(path) in _inputs:
        raise UserError(f"{path} is an input, and the output would replace it: choose another output")


def check_output_folder(path: str | Path) -> None:
    """Refuse a folder of outputs that is a file, or lies in one.

    Raises:
        UserError: it is.
    """
    path = Path(path)
    there = next((place for place in (path, *path.parents) if place.exists()), path)
    if there.exists() and not there.is_dir():
        raise UserError(f"cannot write {path}: {there} is no folder; choose another")


@contextmanager
def atomic_write(path: str | Path, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well it is renamed to `path`, else removed.

    The earlier file stays whole whatever happens in between. Others may read the new one unless it is `private`.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    check_output(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(path, error) from None
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp files are private; a result is meant to be read like any other file.
        temporary.chmod(0o600 if private else 0o666 & ~_umask())
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
    return UserError(f"cannot write {path}: {os_reason(error)}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, values: Any) -> None:
    """Write JSON atomically; see `atomic_write`."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically, for its owner alone where it holds a password; see `atomic_write`."""
    with atomic_write(path, private=without_passwords(text) != text) as temporary:
        # The names of files need not be text.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
