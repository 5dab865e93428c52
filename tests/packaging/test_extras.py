"""What needs an extra that is not installed ends in a line that names it."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from nasface.cli.completion import completion
from nasface.cli.dashboard import dashboard
from nasface.data.crops import CropSettings
from nasface.data.sets.cofw import load_cofw
from nasface.inference.export import need
from nasface.search.registry import make_strategy
from nasface.search.storage import open_storage
from nasface.space.catalogue import load_space
from nasface.sweeps.nni_trial import run_trial
from nasface.tracking.workspace import build_workspace
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY


def _search(name: str) -> None:
    make_strategy(name, load_space("multipath_small"), seed=0)


def _cofw(folder: Path) -> None:
    for split in ("train", "test"):
        (folder / f"COFW_{split}_color.mat").write_bytes(b"")
    load_cofw(folder, "test", CropSettings(32))


def _proxy(_: Path) -> None:
    with open_storage("grpc://localhost:13000"):
        pass


def _completion(_: Path) -> None:
    completion("bash")


NEEDS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "completion": ("completion", "shtab", _completion),
    "dashboard": ("dashboard", "optuna_dashboard", lambda folder: dashboard(None, str(folder), None, "localhost", 80)),
    "export": ("export", "onnx", lambda _: need("onnx")),
    "storage proxy": ("grpc", "grpc", _proxy),
    "COFW": ("hdf5", "h5py", _cofw),
    "tuner": ("nni", "nni", lambda _: _search("nni/tpe")),
    "NNI trial": ("nni", "nni", lambda folder: run_trial("nme", [], folder)),
    "sampler": ("samplers", "cmaes", lambda _: _search("optuna/cmaes")),
    "W&B dashboard": ("workspace", "wandb_workspaces", lambda _: build_workspace("", "nasface", "nasface")),
}


@pytest.mark.parametrize("name", NEEDS)
def test_absent_extra_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra, module, use = NEEDS[name]
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]  # what makes an import fail
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    with pytest.raises(UserError) as raised:
        use(tmp_path)
    assert f"pip install 'nasface[{extra}]'" in str(raised.value)
