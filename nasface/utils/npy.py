"""Arrays of .npy and .npz files, with errors that name the file."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from nasface.utils.errors import UserError
from nasface.utils.reading import reading

_EXPANSION = 1032  # most that deflate can do


def read_npy(path: str | Path, shape: tuple[int | None, ...], mend: str) -> np.ndarray:
    """The numbers of a file, float64.

    Args:
        path: file.
        shape: that they must have; None stands for any length.
        mend: what to do where they have not, for the message.

    Raises:
        UserError: it is absent, does not read, or does not hold finite numbers of the shape.
    """
    with reading(path, "is not a readable .npy of numbers", mend):
        values = read_array(path, mend).astype(np.float64)
    fits = len(values.shape) == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, values.shape, strict=True)
    )
    if not fits or not np.isfinite(values).all():
        expected = " x ".join("any" if length is None else str(length) for length in shape)
        raise UserError(f"{path} is {values.shape}, not finite numbers of shape {expected}: {mend}")
    return values


def read_npz(path: str | Path, mend: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file.

    Raises:
        UserError: see `reading`; it holds objects, or announces more than it can hold.
    """
    with reading(path, "is not a readable .npz of plain arrays", mend), zipfile.ZipFile(path) as archive:
        found = {}
        for entry in archive.infolist():
            if entry.file_size > _EXPANSION * max(entry.compress_size, 1):
                raise ValueError(f"{entry.filename} announces {entry.file_size} bytes")
            with archive.open(entry) as stream:
                found[entry.filename.removesuffix(".npy")] = _array(stream, entry.file_size)
        return found


def read_array(path: str | Path, mend: str) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        UserError: as `read_npz`.
    """
    with reading(path, "is not a readable .npy of numbers", mend), Path(path).open("rb") as stream:
        return _array(stream, os.fstat(stream.fileno()).st_size)


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    """The array of a stream of `size` bytes, which its header must announce."""
    form = np.lib.format
    version = form.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version}")
    read_header = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    announced, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if dtype.hasobject or announced != held or min(shape, default=0) < 0:
        raise ValueError(f"objects, or {announced} bytes announced and {held} held")
    stream.seek(0)
    return form.read_array(stream, allow_pickle=False)
