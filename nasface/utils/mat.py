"""MATLAB files: reading them, and numbers out of them, with errors that name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from nasface.utils.errors import UserError
from nasface.utils.reading import reading

FAR = 1e30
"""A number that is no place of anything, and near the end of what 32 bits hold; nothing that is not finite is below."""


def read_mat(path: str | Path, source: str) -> dict[str, Any]:
    """The variables of a mat file (up to version 7).

    Args:
        path: file.
        source: where the file may be had again, for the message.

    Raises:
        UserError: it is absent or does not read.
    """
    with reading(path, "is not a readable mat file", f"restore it from {source}"):
        try:
            return loadmat(path, verify_compressed_data_integrity=True)
        except NotImplementedError:  # scipy's way of saying that it is HDF5
            raise UserError(f"{path} is a mat file of version 7.3: save it in MATLAB with -v7") from None


def mat_numbers(
    content: dict[str, Any], key: str, shape: int | tuple[int, ...], path: str | Path, source: str
) -> np.ndarray:
    """The numbers of a variable of this shape, float64 whatever their type was; of any shape, and then in row-major
    order, where `shape` is their number.

    Raises:
        UserError: it is absent, or not such finite numbers.
    """
    if key not in content:
        raise UserError(f"{path} has no {key}: restore it from {source}")
    try:
        values = np.asarray(content[key])
        values = np.empty(0) if np.iscomplexobj(values) else values.astype(np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    shape, values = (shape, values) if isinstance(shape, tuple) else ((shape,), values.ravel())
    if values.shape != shape or not (np.abs(values) < FAR).all():
        raise UserError(f"{path}: {key} is not {' x '.join(map(str, shape))} finite numbers: restore it from {source}")
    return values
