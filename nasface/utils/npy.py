"""Arrays of .npy and .npz files, with errors that name the file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from nasface.utils.errors import UserError


def read_npy(path: str | Path, shape: tuple[int | None, ...], mend: str) -> np.ndarray:
    """The numbers of a file, float64.

    Args:
        path: file.
        shape: that they must have; None stands for any length.
        mend: what to do where they have not, for the message.

    Raises:
        UserError: it is absent, does not read, or does not hold finite numbers of the shape.
    """
    try:
        values = np.load(path, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise UserError(f"{path} is not a readable .npy of numbers ({error}): {mend}") from None
    fits = len(values.shape) == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, values.shape, strict=True)
    )
    if not fits or not np.isfinite(values).all():
        expected = " x ".join("any" if length is None else str(length) for length in shape)
        raise UserError(f"{path} is {values.shape}, not finite numbers of shape {expected}: {mend}")
    return values


def read_npz(path: str | Path, mend: str) -> dict[str, np.ndarray]:
    """The arrays of a file by name; a UserError that ends in `mend` where it is absent or does not read."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return {key: content[key] for key in content.files}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {mend}") from None
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is not a readable .npz of plain arrays ({error}): {mend}") from None
