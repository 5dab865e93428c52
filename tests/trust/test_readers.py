"""Files that break readers of their kind: one line that names the file, and no memory taken for what is not there."""

from __future__ import annotations

import io
import os
import pickle
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nasface.data.crops import CropSettings
from nasface.data.sets.aflw2000 import find_pairs
from nasface.data.sets.pts import load_pts, read_pts
from nasface.data.sets.w300lp import find_images
from nasface.nets.weights import read_weights
from nasface.utils.errors import UserError
from nasface.utils.files import load_pickle
from nasface.utils.images import decode_image
from nasface.utils.mat import read_mat
from nasface.utils.npy import read_npy, read_npz
from nasface.utils.reading import read_json, read_lines
from nasface.utils.run_files import read_summary
from nasface.utils.torch7 import load_t7
from nasface.utils.yaml_files import load_yaml
from tests.data.test_aflw2000 import write_pair

READERS: dict[str, Callable[[Path], object]] = {
    "picture": decode_image,
    "pickle": load_pickle,
    "t7": load_t7,
    "npy": lambda path: read_npy(path, (None,), "get another"),
    "npz": lambda path: read_npz(path, "get another"),
    "mat": lambda path: read_mat(path, "its source"),
    "pts": read_pts,
    "list": lambda path: read_lines(path, "is not a list", "get another"),
    "json": lambda path: read_json(path, "get another"),
    "weights": lambda path: read_weights(path, "network"),
    "yaml": load_yaml,
}


@pytest.fixture
def little_memory() -> Iterator[None]:
    """An address space that has no room for what the files below announce."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refused(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(UserError) as error:
        read(path)
    message = str(error.value)
    assert path.name in message and "\n" not in message
    return message


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_a_device_and_a_folder_are_no_files(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        assert "a pipe, socket or device" in refused(READERS[kind], path)
    assert "a folder" in refused(READERS[kind], tmp_path)


def t7(*parts: bytes) -> bytes:
    return b"".join(parts)


def _string(text: str) -> bytes:
    return struct.pack("<i", len(text)) + text.encode()


def _tensor(name: str, sizes: list[int], strides: list[int], storage: bytes, offset: int = 1) -> bytes:
    numbers = struct.pack(f"<{2 * len(sizes) + 1}q", *sizes, *strides, offset)
    return struct.pack("<ii", 4, 1) + _string("V 1") + _string(name) + struct.pack("<i", len(sizes)) + numbers + storage


def _storage(name: str, content: bytes, count: int) -> bytes:
    return struct.pack("<ii", 4, 2) + _string("V 1") + _string(name) + struct.pack("<q", count) + content


DOUBLES = _storage("torch.DoubleStorage", bytes(32), 4)


@pytest.mark.parametrize(
    "content",
    [
        _tensor("torch.DoubleTensor", [3], [2**62 + 2**40], DOUBLES),
        _tensor("torch.DoubleTensor", [2**62, 4], [0, 1], DOUBLES),
        _tensor("torch.DoubleTensor", [5], [1], DOUBLES),
        _tensor("torch.DoubleTensor", [4], [1], DOUBLES, offset=2**63 - 1),
        _tensor("torch.DoubleTensor", [32], [1], _storage("torch.ByteStorage", bytes(32), 32)),
        _tensor("torch.ByteTensor", [64], [1], struct.pack("<i", 2) + _string("x" * 8)),
        _storage("torch.DoubleStorage", b"", 2**60),
    ],
)
def test_a_tensor_of_torch7_stays_within_its_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.t7").write_bytes(content)
    refused(load_t7, tmp_path / "a.t7")


def _object_array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}]), allow_pickle=True)
    return stream.getvalue()


def _header(shape: str) -> bytes:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)


NPY = [_header("(1000000000000,)"), _header("(-1,)"), _header("(4, 4"), _header("(2, 3)"), _object_array()]


@pytest.mark.parametrize("content", NPY)
def test_an_array_is_no_larger_than_its_file(content: bytes, tmp_path: Path, little_memory: None) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    refused(READERS["npy"], tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    refused(READERS["npz"], tmp_path / "a.npz")
    shutil.copy(tmp_path / "a.npz", tmp_path / "a.npy")
    refused(READERS["npy"], tmp_path / "a.npy")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04Nr\xff\xff\xff\xff.",
        b"\x80\x04B\xff\xff\xff\x7fab.",
        b"cnumpy\nndarray\n((I1000000000000\ntS'f8'\ntR.",
        b"c_codecs\nencode\n(S'a'\nS'hex'\ntR.",
        b"c_codecs\nencode\n(S'a'\nS'nothing'\ntR.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"(" * 100_000 + b".",
        b"I" + b"9" * 5000 + b"\n.",
    ],
)
def test_a_pickle_takes_no_memory_and_runs_no_code(content: bytes, tmp_path: Path, little_memory: None) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    refused(load_pickle, tmp_path / "a.pkl")


class _Type:
    """A type of numpy, with a state of the file's choice."""

    def __init__(self, code: str, state: tuple) -> None:
        self.code, self.state = code, state

    def __reduce__(self) -> tuple:
        return np.dtype, (self.code, False, True), self.state


class _Array:
    def __init__(self, dtype: object, content: bytes) -> None:
        self.dtype, self.content = dtype, content

    def __reduce__(self) -> tuple:
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, (2,), self.dtype, False, self.content)


@pytest.mark.parametrize(
    "dtype",
    [
        _Type("O8", (3, "|", None, None, None, -1, -1, 0)),  # bytes of the file as the addresses of objects
        _Type("V8", (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)),
        _Type("f8", (3, "<", None, None, None, 1 << 40, -1, 0)),
        _Type("f8", (3, "<", None, None, None, -1, -1, 63)),
        _Type("f8", (4, "<", None, None, None, -1, -1, 0, None)),
        _Type("f8", ()),
        np.dtype("O"),
        np.dtype([("a", "f8")]),
    ],
)
def test_a_pickle_makes_no_types_of_its_own(dtype: object, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": _Array(dtype, b"A" * 16)}, 2))
    refused(load_pickle, tmp_path / "a.pkl")


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2", "S5", "U3", "?", "c8"])
def test_types_of_honest_pickles(dtype: str, tmp_path: Path) -> None:
    values = np.ones((2, 3)).astype(dtype)
    for protocol in (0, 2, 4):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol))
        found = load_pickle(tmp_path / "a.pkl")
        assert found.dtype == values.dtype.newbyteorder("=") and np.array_equal(found, values)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_honest_pickles_are_read(protocol: int, tmp_path: Path) -> None:
    record = {"a": np.arange(6.0).reshape(2, 3), "b": np.float32(2), "c": [1, None, "x"]}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(record, protocol))
    found = load_pickle(tmp_path / "a.pkl")
    np.testing.assert_array_equal(found["a"], record["a"])
    assert found["b"] == 2 and found["c"] == record["c"]


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"[1]", b'{"a": 1', b"\xff\xfe", b"", b'{"a": 1' + b"0" * 5000 + b"}"]
)
def test_a_record_in_json_is_one_object(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_bytes(content)
    refused(lambda path: read_summary(path.parent), tmp_path / "summary.json")


def test_points_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.pts"
    for head in ("version: 1\nn_points: 2\n", "VERSION: 1\r\nN_POINTS : 2\r\n", "\ufeffn_points:2\n"):
        path.write_text(head + "{\n1 2\n3 4\n}\n", encoding="utf-8")
        np.testing.assert_array_equal(read_pts(path), [[0, 1], [2, 3]])
    for content in ("", "{\n1 2\n}\n", "n_points: many\n{\n1 2\n}\n"):
        path.write_text(content)
        assert "no line n_points: 68" in refused(read_pts, path)
    for number in ("1e300", "-1e7", "nan", "inf"):
        path.write_text(f"n_points: 1\n{{\n{number} 2\n}}\n")
        assert "does not hold rows of 2 or 3 numbers" in refused(read_pts, path)


def test_a_byte_order_mark_belongs_to_no_name(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg\n\n b.jpg \n", encoding="utf-8-sig")
    assert READERS["list"](tmp_path / "list.txt") == ["a.jpg", "b.jpg"]


def _untidy(folder: Path, pairs: list[Path]) -> None:
    """As a Mac and a camera leave it: a `._` beside every file, and endings in upper case."""
    for path in list(folder.iterdir()):
        (folder / f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    for path in pairs:
        path.rename(path.with_suffix(path.suffix.upper()))


def test_untidy_folders_are_read(tmp_path: Path) -> None:
    wild, w300lp, points = (tmp_path / name for name in ("AFLW2000", "300W_LP", "pts"))
    wild.mkdir()
    for index in range(2):
        write_pair(wild, index)
    jpg, mat = sorted(wild.glob("*.jpg")), sorted(wild.glob("*.mat"))
    shutil.copytree(wild, w300lp / "AFW")
    _untidy(w300lp / "AFW", [w300lp / "AFW" / jpg[0].name, w300lp / "AFW" / mat[1].name])
    _untidy(wild, [jpg[0], mat[1]])
    assert len(find_pairs(wild)) == len(find_images(w300lp)) == 2
    points.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        rows = "\n".join(f"{x:.1f} {y:.1f}" for x, y in rng.uniform(2, 7, (68, 2)))
        (points / f"{name}.pts").write_text(f"n_points: 68\n{{\n{rows}\n}}\n")
        shutil.copy(jpg[1], points / f"{name}.jpg")
    _untidy(points, [points / "a.jpg", points / "b.pts"])
    assert len(load_pts(points, CropSettings(32))) == 2
