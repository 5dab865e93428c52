from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasface.utils.errors import UserError
from nasface.utils.npy import read_npy, read_npz


def test_numbers_of_any_type_and_length(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.uint8).reshape(3, 2))
    for shape in ((3, 2), (None, 2), (3, None)):
        values = read_npy(tmp_path / "a.npy", shape, "")
        assert values.dtype == np.float64 and values.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("shape", [(2, 2), (3,), (3, 2, 1), (None, 3)])
def test_another_shape_is_named(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    with pytest.raises(UserError, match=r"a\.npy is \(3, 2\), not finite numbers of shape .*: get another"):
        read_npy(tmp_path / "a.npy", shape, "get another")


@pytest.mark.parametrize("content", [np.array([1.0, np.nan]), np.array(["a", "b"]), np.array([{}, 1], dtype=object)])
def test_what_is_no_number_is_named(tmp_path: Path, content: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(UserError, match=r"a\.npy is "):
        read_npy(tmp_path / "a.npy", (2,), "get another")


def test_an_absent_or_damaged_file_is_named(tmp_path: Path) -> None:
    for message in (r"a\.npy does not exist", r"a\.npy is not a readable"):
        with pytest.raises(UserError, match=message):
            read_npy(tmp_path / "a.npy", (2,), "get another")
        (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")


def test_arrays_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(UserError, match=r"a\.npz does not exist: get another"):
        read_npz(path, "get another")
    np.savez(path, one=np.arange(3), two=np.array(["a"]))
    found = read_npz(path, "get another")
    assert found.keys() == {"one", "two"} and found["one"].tolist() == [0, 1, 2]
    for damaged in (path.read_bytes()[:100], b"no"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.npz is not a readable .npz .*: get another"):
            read_npz(path, "get another")
    np.savez(path, one=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"a\.npz is not a readable .npz"):
        read_npz(path, "get another")
