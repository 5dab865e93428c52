"""Exported networks compute what PyTorch computes, for any batch; safetensors files are read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nasface.inference import export
from nasface.inference.trained import load_task
from nasface.utils.errors import UserError
from tests.helpers.toy import SIZE
from tests.inference.world import toy_weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    toy_weights(tmp_path / "network.pt")
    return tmp_path / "network.pt"


def test_torchscript_needs_nothing_else(weights: Path, tmp_path: Path) -> None:
    _, parity = export.export_network(weights, tmp_path / "n.pt", "torchscript")
    assert {(entry.output, entry.batch) for entry in parity} == {(n, b) for n in ("landmarks", "dense") for b in (1, 3)}
    image = torch.rand(5, 3, SIZE, SIZE)
    landmarks, dense = torch.jit.load(str(tmp_path / "n.pt"))(image)
    expected = load_task(weights).task(image)
    torch.testing.assert_close(landmarks, expected.landmarks)
    torch.testing.assert_close(dense, expected.dense)


def test_onnx_of_any_batch(weights: Path, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    trained, parity = export.export_network(weights, tmp_path / "n.onnx", "onnx")
    assert max(entry.difference for entry in parity) < 1e-4
    image = torch.rand(5, 3, SIZE, SIZE)
    landmarks, dense = export.onnx_session(tmp_path / "n.onnx", 1).run(None, {"image": image.numpy()})
    expected = trained.task(image)
    np.testing.assert_allclose(landmarks, expected.landmarks.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(dense, expected.dense.detach().numpy(), atol=1e-4)


def test_safetensors_is_a_weights_file(weights: Path, tmp_path: Path) -> None:
    export.export_network(weights, tmp_path / "n.safetensors", "safetensors")
    image = torch.rand(2, 3, SIZE, SIZE)
    ours, theirs = (load_task(path).task(image).landmarks for path in (weights, tmp_path / "n.safetensors"))
    assert torch.equal(ours, theirs)
    content = (tmp_path / "n.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="not a readable weights file"):
        load_task(tmp_path / "cut.safetensors")


def test_half_is_for_safetensors_and_nearly_the_same(weights: Path, tmp_path: Path) -> None:
    for half in (False, True):
        export.export_network(weights, tmp_path / f"{half}.safetensors", "safetensors", half=half)
    image = torch.rand(2, 3, SIZE, SIZE)
    whole, short = (load_task(tmp_path / f"{half}.safetensors").task(image).landmarks for half in (False, True))
    assert 0 < (whole - short).abs().max() < 0.1
    assert (tmp_path / "True.safetensors").stat().st_size < (tmp_path / "False.safetensors").stat().st_size
    with pytest.raises(UserError, match="--half is for --format safetensors"):
        export.export_network(weights, tmp_path / "n.pt", "torchscript", half=True)


def test_a_network_that_differs_is_refused(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        export, "_write_torchscript", lambda network, *_: lambda images: [v.detach() + 0.1 for v in network(images)]
    )
    with pytest.raises(UserError, match="differs from PyTorch by 0.1"):
        export.export_network(weights, tmp_path / "n.pt", "torchscript")
    assert not (tmp_path / "n.pt").exists()


def test_missing_packages_name_the_extra() -> None:
    with pytest.raises(UserError, match=r"nasface\[export\]"):
        export.need("a_package_that_nobody_has")
