"""Honest files of every kind, damaged in every way: each reader accepts or refuses them in one line that names the
file; anything else is a violation. Kinds whose package is not installed (ONNX, HDF5) are left out, and it says so.

    python -m benchmarks.fuzz --cases 2000
"""

from __future__ import annotations

import argparse
import json
import pickle
import signal
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from nasface.config import MultipathConfig
from nasface.data.crops import CropSettings
from nasface.data.sets.aflw2000 import read_annotation
from nasface.data.sets.cofw import load_cofw
from nasface.data.sets.pts import read_pts
from nasface.evaluation.test_faces import load_test_faces
from nasface.inference.exported import load_onnx
from nasface.inference.media import Wanted, predict_video
from nasface.nets.registry import create_network
from nasface.nets.weights import load_network, save_weights, weights_record
from nasface.search.storage import open_storage
from nasface.space.catalogue import load_space
from nasface.space.presets import load_preset
from nasface.space.record import load_record
from nasface.space.space import MultipathSpace
from nasface.tabular.table import MemberTable, TrainedMember, load_table
from nasface.utils.ending import one_line
from nasface.utils.errors import UserError
from nasface.utils.files import load_pickle
from nasface.utils.images import decode_image
from nasface.utils.npy import read_npy, read_npz
from nasface.utils.reading import read_lines
from nasface.utils.run_files import read_summary
from nasface.utils.torch7 import load_t7

SECONDS = 20
"""A reader that takes longer hangs."""


def _journal(path: Path) -> None:
    with open_storage(path) as store:
        store.get_all_studies()


def _video(path: Path) -> None:
    blind = SimpleNamespace(detector=None, predict=lambda *_: [])
    predict_video(cast(Any, blind), path, path.parent / "out", Wanted(overlay=False), [])


def _onnx(path: Path) -> None:
    aligner = load_onnx(path, lambda _: [])
    aligner.predict(np.zeros((20, 20, 3), np.uint8), [(2.0, 2.0, 18.0, 18.0)])


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "picture": ("a.png", decode_image),
    "pickle": ("a.pkl", load_pickle),
    "t7": ("a.t7", load_t7),
    "npy": ("a.npy", lambda path: read_npy(path, (None, None), "get another")),
    "npz": ("a.npz", lambda path: read_npz(path, "get another")),
    "test faces": ("faces.npz", load_test_faces),
    "mat": ("a.mat", read_annotation),
    "pts": ("a.pts", read_pts),
    "list": ("a.txt", lambda path: read_lines(path, "is not a list", "get another")),
    "summary": ("summary.json", lambda path: read_summary(path.parent)),
    "architecture": ("best.json", load_record),
    "space": ("space.yaml", load_space),
    "weights": ("network.pt", load_network),
    "journal": ("journal.log", _journal),
    "safetensors": ("a.safetensors", load_network),
    "table": ("a.parquet", load_table),
    "video": ("a.mp4", _video),
    "onnx": ("a.onnx", _onnx),
    "hdf5": ("COFW_test_color.mat", lambda path: load_cofw(path.parent, "test", CropSettings(16))),
}
NEEDS = {"onnx": ("onnx", "onnxruntime"), "hdf5": ("h5py",)}
"""Packages of extras; a kind is left out where one is absent."""
ABSENT = {kind: name for kind, names in NEEDS.items() for name in names if find_spec(name) is None}
KINDS = [kind for kind in READERS if kind not in ABSENT]


def write_honest(folder: Path) -> dict[str, bytes]:
    """An honest file of every kind."""
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 50, (68, 3))
    Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8)).save(folder / "a.png")
    (folder / "a.pkl").write_bytes(pickle.dumps({"a": points, "b": [1, "x", None]}, 2))
    storage = struct.pack("<iii3si", 4, 2, 3, b"V 1", 19) + b"torch.DoubleStorage" + struct.pack("<q4d", 4, 1, 2, 3, 4)
    head = struct.pack("<iii3si", 4, 1, 3, b"V 1", 18) + b"torch.DoubleTensor"
    (folder / "a.t7").write_bytes(head + struct.pack("<i5q", 2, 2, 2, 2, 1, 1) + storage)
    np.save(folder / "a.npy", points)
    np.savez(folder / "a.npz", points=points, names=np.array(["a"]))
    faces = {"nme": np.ones(3, np.float32), "yaw": np.ones(3, np.float32), "example": np.arange(2)}
    faces |= {name: np.zeros((2, 68, 3), np.float32) for name in ("predicted", "true")}
    faces |= {"dense": np.zeros(0, np.float32), "inside": np.ones((4, 4), bool), "images": np.zeros((2, 8, 8, 3), "u1")}
    np.savez(folder / "faces.npz", **faces)
    savemat(folder / "a.mat", {"pt3d_68": points.T, "Pose_Para": rng.normal(size=(1, 7))})
    rows = "\n".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
    (folder / "a.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    (folder / "a.txt").write_text("a.jpg\nb.jpg\n")
    row = {"name": "a", "bins": [1.0, 2.0, None], "mean": 1.5, "all": 1.4}
    (folder / "summary.json").write_text(json.dumps({"command": "retrain", "costs": {"data_s": 1.0}, "result": row}))
    load_preset("hrnet").save(folder / "best.json", {"run": "runs/a"}, {"penalty": 1.0})
    (folder / "space.yaml").write_text("name: mine\nlayers: 4\nscales: 2\nconnections: [1, 2]\n")
    torch.manual_seed(0)
    save_weights(folder / "network.pt", create_network("prnet", 32, 32, 0.0625))
    (folder / "journal.log").write_text('{"op_code": 0, "worker_id": "a", "study_name": "s", "directions": [1]}\n')
    record = {"nasface": json.dumps({**_weights(folder / "network.pt"), "faces": {}})}
    save_file(load_network(folder / "network.pt").state_dict(), folder / "a.safetensors", record)
    _write_table(folder / "a.parquet")
    film = cv2.VideoWriter(str(folder / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (32, 24))
    for _ in range(6):
        film.write(rng.integers(0, 255, (24, 32, 3), np.uint8))
    film.release()
    if "onnx" in KINDS:
        _write_onnx(folder / "a.onnx", points)
    if "hdf5" in KINDS:
        _write_cofw(folder / "COFW_test_color.mat", points)
    return {READERS[kind][0]: (folder / READERS[kind][0]).read_bytes() for kind in KINDS}


def _weights(path: Path) -> dict[str, Any]:
    return {name: value for name, value in weights_record(load_network(path)).items() if name not in ("state", "faces")}


def _write_table(path: Path) -> None:
    space = MultipathSpace("toy", layers=3, scales=2)
    members = [space.member(rank) for rank in range(3)]
    errors = (1.0,) * 5
    trained = (TrainedMember(one.digest, "".join(map(str, one.codes)), 0, 9, 9, errors, errors, 0.5) for one in members)
    MemberTable(space, tuple(trained), {"network": asdict(MultipathConfig(input_size=32, map_size=16))}).save(path)


def _write_onnx(path: Path, points: np.ndarray) -> None:
    """The same landmarks whatever the picture."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 16, 16])
    landmarks = helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["batch", 68, 3])
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=1),  # (B, 3, 1, 1)
        helper.make_node("Squeeze", ["mean", "last"], ["row"]),
        helper.make_node("Transpose", ["row"], ["column"], perm=[0, 2, 1]),
        helper.make_node("Add", ["column", "points"], ["landmarks"]),
    ]
    constants = {"last": np.array([3], np.int64), "points": points[None].astype(np.float32)}
    kept = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "face", [image], [landmarks], kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def _write_cofw(path: Path, points: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        references = file.create_dataset("IsT", (1, 2), h5py.ref_dtype)
        for place in range(2):
            references[0, place] = file.create_dataset(f"#refs#/{place}", data=np.full((3, 64, 64), 90, np.uint8)).ref
        labels = np.concatenate([points[:29, 0], points[:29, 1], np.zeros(29)])
        file["phisT"] = np.stack([labels, labels], axis=1)


_NUMBERS = (0, 1, 0x7F, 0xFF)
_WORDS = (b"null", b"-1", b"1e999", b"NaN", b"[" * 3000, b'"x"', b"99999999999999999999", b"{}", b"\xff\xfe", b"")


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content cut off, with bytes changed, parts repeated or left out, or a word in place of another."""
    kind, length = rng.integers(6), max(len(content), 1)
    # Half of all damage is in the first bytes: headers announce sizes.
    start, end = np.sort(rng.integers(0, min(length, 400) if rng.random() < 0.5 else length, 2)).tolist()
    if kind == 0:
        return content[:start]
    if kind == 1:
        changed = bytearray(content)
        for place in rng.integers(0, length, rng.integers(1, 9)) if content else ():
            changed[place] = rng.choice(_NUMBERS)
        return bytes(changed)
    if kind == 2:
        return content[:start] + bytes([rng.choice(_NUMBERS)]) * 8 + content[start + 8 :]
    if kind == 3:
        return content[:end] + content[start:]
    if kind == 4:
        return content[:start] + content[end:]
    return content[:start] + _WORDS[rng.integers(len(_WORDS))] + content[min(end, start + 12) :]


def violation(read: Callable[[Path], Any], path: Path) -> str | None:
    """What a reader does wrong with a file; empty where it accepts it, None where it refuses it rightly."""

    def hangs(*_: object) -> None:
        raise TimeoutError(f"no answer in {SECONDS} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(SECONDS)
    try:
        read(path)
    except UserError as error:
        return None if path.name in str(error) and "\n" not in str(error) else f"message: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return ""


def fuzz(cases: int, seed: int = 0) -> tuple[int, int, list[str]]:
    """Refused and accepted files, and violations, of `cases` files spread over all readers."""
    refused = accepted = 0
    violations = []
    with tempfile.TemporaryDirectory() as folder:
        honest = write_honest(Path(folder))
        for name, read in (READERS[kind] for kind in KINDS):
            if said := violation(read, Path(folder, name)) or "":
                violations.append(f"{name} as written: {said}")
        for case in range(cases):
            name, read = READERS[KINDS[case % len(KINDS)]]
            Path(folder, name).write_bytes(damaged(honest[name], np.random.default_rng([seed, case])))
            said = violation(read, Path(folder, name))
            refused, accepted = refused + (said is None), accepted + (said == "")
            if said:
                violations.append(f"case {case}, {name}: {said[:200]}")
    return refused, accepted, violations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    refused, accepted, violations = fuzz(arguments.cases, arguments.seed)
    print(*(f"left out {kind}: {name} is not installed" for kind, name in ABSENT.items()), sep="\n")
    print(*violations, f"refused {refused}, accepted {accepted}, violations {len(violations)}", sep="\n")
    sys.exit(bool(violations))


if __name__ == "__main__":
    with one_line("error"):
        main()
