"""Trained networks for other programs: ONNX, TorchScript, safetensors, each compared with PyTorch when it is made.

ONNX and TorchScript files take images (B, 3, S, S) float32, RGB, (value - 127.5) / 128, for any B, and give `landmarks`
(B, 68, 3), or (B, 68, 2) of a network without depth, where the network has it `dense`, the UV position map (B, 3, M,
M), both in crop pixels, and `pose` (B, 3, 4), see `nasface.inference.head_pose`. They say so in their metadata
(`export_metadata`). A safetensors file holds the weights, and in its metadata what `nasface.load` needs.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from nasface import __version__
from nasface.data.augment import MEAN, STD
from nasface.data.crops import CROP_MARGIN
from nasface.inference.aligner import DETECTED_DOWN, DETECTED_SIDE
from nasface.inference.head_pose import HeadPose
from nasface.inference.trained import TrainedTask, load_task
from nasface.nets.network import Network
from nasface.nets.short_tensors import shorten
from nasface.nets.weights import weights_record
from nasface.utils.errors import UserError, first_line
from nasface.utils.files import atomic_write

FORMATS = {"onnx": ".onnx", "torchscript": ".pt", "safetensors": ".safetensors"}
TOLERANCE = 1e-4
"""Greatest difference from PyTorch in crop pixels, in units of the crop's side or 1 pixel, whichever is more."""
HALF_TOLERANCE = 5e-3
"""The same of weights with 16 bits."""
IMAGE_SIZE = "image_size"
"""The file in an archive of TorchScript that holds the side of the network's images."""
METADATA = "metadata.json"
"""That which holds what `export_metadata` gives."""
_BATCHES = (1, 3)  # an export that has one batch size built in fails the second


@dataclass(frozen=True)
class Parity:
    """How an exported network compares with PyTorch on one batch.

    Attributes:
        output: name.
        batch: images.
        difference: greatest absolute difference in crop pixels (of weights: in their own unit).
    """

    output: str
    batch: int
    difference: float


class ExportedNetwork(nn.Module):
    """A task as a plain function of images, which exporters can follow.

    Args:
        trained: the task.
    """

    def __init__(self, trained: TrainedTask) -> None:
        super().__init__()
        self.task = trained.task.eval().requires_grad_(False)
        with torch.inference_mode():
            depth = self.task(torch.zeros(1, 3, trained.input_size, trained.input_size)).landmarks[..., 2]
        self.coordinates = 2 if depth.isnan().all() else 3
        self.head_pose = HeadPose(trained.mean_landmarks)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.task(image)
        landmarks = found.landmarks[..., : self.coordinates]
        pose = self.head_pose(landmarks)
        return (landmarks, pose) if found.dense is None else (landmarks, found.dense, pose)


def export_network(
    weights: str | Path, path: str | Path, kind: str, model: str | None = None, half: bool = False
) -> tuple[TrainedTask, list[Parity]]:
    """Write a trained network in another format and compare the file with PyTorch.

    Args:
        weights: as `load_task`.
        path: file to write; it appears once its parity is shown.
        kind: one of `FORMATS`.
        model: as `load_task`.
        half: weights of safetensors with 16 bits or 8, at less than half the size, see `nasface.nets.short_tensors`.

    Raises:
        UserError: a package is missing, a file cannot be read or written, or the parity is worse than `TOLERANCE`.
    """
    if half and kind != "safetensors":
        raise UserError(f"--half is for --format safetensors: {kind} files keep 32 bits")
    writers: dict[str, Callable[..., Any]] = {
        "onnx": _write_onnx,
        "torchscript": _write_torchscript,
        "safetensors": partial(_write_safetensors, half),
    }
    write = writers[kind]
    trained = load_task(weights, model)
    network = ExportedNetwork(trained).eval()
    generator = torch.Generator().manual_seed(0)
    shape = (3, trained.input_size, trained.input_size)
    batches = [torch.rand(count, *shape, generator=generator) * 2 - 1 for count in _BATCHES]
    with torch.inference_mode():
        wanted = [network(batch) for batch in batches]
    with atomic_write(path) as temporary:
        try:
            run = write(network, batches[-1], temporary, trained)
            parity = [
                Parity(name, len(batch), float((mine - torch.as_tensor(np.array(other))).abs().max()))
                for batch, values in zip(batches, wanted, strict=True)
                for name, mine, other in zip(output_names(values), values, run(batch), strict=True)
            ]
        except (UserError, MemoryError, OSError):
            raise
        except Exception as error:  # exporters and runtimes have many for what they cannot follow
            raise UserError(f"{kind} does not take this network ({first_line(error)}): use another --format") from None
        worst = max(entry.difference for entry in parity)
        if not worst <= (HALF_TOLERANCE if half else TOLERANCE) * max(1.0, trained.input_size):
            raise UserError(f"the exported network differs from PyTorch by {worst:.2g} pixels: use another --format")
    return trained, parity


def output_names(values: tuple[Tensor, ...]) -> tuple[str, ...]:
    """Names of a network's outputs."""
    return ("landmarks", "dense", "pose") if len(values) == 3 else ("landmarks", "pose")


def export_metadata(trained: TrainedTask, coordinates: int = 3, dense: bool = True) -> dict[str, str]:
    """What a program needs to know of an exported network, as ONNX keeps it.

    `size`, `mean`, `std`: the square's side in pixels, and image = (RGB - mean) / std. `box_side`, `box_down`: the
    square around a detector's box is box_side times the mean of its sides, its middle box_down times that below the
    box's. `landmark_side`: the square around landmarks that are known already, times the longer side of their box.
    `mean_landmarks`: JSON (68, 3), what `pose` takes to the landmarks. `skin`: rows of the map that are skin, a digit 0
    or 1 a cell, joined by spaces. `model`: name of the morphable model that the map's chart is of. The others say in
    words what goes in and comes out.
    """
    return {
        "size": str(trained.input_size),
        "mean": str(MEAN),
        "std": str(STD),
        "box_side": str(DETECTED_SIDE),
        "box_down": str(DETECTED_DOWN),
        "landmark_side": f"{CROP_MARGIN:.6f}",
        "mean_landmarks": json.dumps(np.round(trained.mean_landmarks.astype(float), 6).tolist()),
        "skin": " ".join("".join(str(int(cell)) for cell in row) for row in trained.inside),
        "model": trained.record["model"],
        "image": "(batch, 3, size, size) float32, RGB, (value - mean) / std of a square around the face",
        "landmarks": f"(batch, 68, {coordinates}), iBUG order; pixels of image: x right, y down"
        + (", z toward the camera" if coordinates == 3 else ""),
        **({"dense": "(batch, 3, M, M), UV position map, in the same pixels"} if dense else {}),
        "pose": f"(batch, {coordinates}, 4): pose[:, :, :3] @ mean_landmarks + pose[:, :, 3] is nearest to landmarks",
        "made_by": f"nasface {__version__}",
    }


def need(module: str) -> Any:
    """A package of the extra `export`.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"the package {module} is not installed: pip install 'nasface[export]'") from None


def onnx_session(content: str | Path | bytes, threads: int = 0) -> Any:
    """An onnxruntime session of a file or its content, on the CPU; 0 threads leaves their number to it."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    model = content if isinstance(content, bytes) else str(content)
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)


def onnx_bytes(
    network: nn.Module, image: Tensor, names: Sequence[str], metadata: Mapping[str, str] | None = None
) -> bytes:
    """A network as the content of an ONNX file: input `image` of any batch size, outputs `names`.

    Args:
        image: (B, 3, S, S) with B > 1, an example.
        metadata: to keep in the file.

    Raises:
        UserError: a package is missing.
    """
    need("onnxscript")
    onnx = need("onnx")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is not there
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()):
        program = torch.onnx.export(
            network,
            (image,),
            dynamo=True,
            input_names=["image"],
            output_names=list(names),
            dynamic_shapes=({0: batch},),
            verbose=False,
        )
    assert program is not None  # it is with dynamo
    proto = program.model_proto
    _forget_sources(proto)
    onnx.helper.set_model_props(proto, dict(metadata or {}))
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _forget_sources(proto: Any) -> None:
    """Take out of an ONNX model where this machine has the source of every node: the file may be given away."""
    graphs = [proto.graph, *proto.functions]
    parts = [part for graph in graphs for part in (*graph.node, *graph.value_info)]
    for part in (*parts, *proto.graph.initializer, *proto.functions):
        del part.metadata_props[:]


def _without_sources(archive: bytes) -> bytes:
    """An archive of TorchScript without the same."""
    content = io.BytesIO()
    with ZipFile(io.BytesIO(archive)) as whole, ZipFile(content, "w") as kept:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                kept.writestr(entry.filename, whole.read(entry))
    return content.getvalue()


def _write_onnx(network: ExportedNetwork, image: Tensor, path: Path, trained: TrainedTask) -> Any:
    with torch.no_grad():
        names = output_names(network(image))
    metadata = export_metadata(trained, network.coordinates, "dense" in names)
    path.write_bytes(onnx_bytes(network, image, names, metadata))
    session = onnx_session(path)
    return lambda images: session.run(None, {"image": images.numpy()})


def _write_torchscript(network: ExportedNetwork, image: Tensor, path: Path, trained: TrainedTask) -> Any:
    from pytorch_lightning.core.module import _jit_is_scripting

    # Tracing looks at every attribute of a module; Lightning's `trainer` raises unless it is told of the tracing.
    with warnings.catch_warnings(action="ignore"), torch.no_grad(), _jit_is_scripting():
        program = torch.jit.trace(network, (image,), check_trace=False)
        metadata = export_metadata(trained, network.coordinates, "dense" in output_names(network(image)))
        known = {IMAGE_SIZE: str(image.shape[-1]), METADATA: json.dumps(metadata)}
        content = io.BytesIO()  # on a full disk, its own writing would end the process
        torch.jit.save(program, content, _extra_files=known)
        path.write_bytes(_without_sources(content.getvalue()))
        found = torch.jit.load(str(path))

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad(), torch.jit.optimized_execution(False):  # which takes longer than one look is worth
            return list(found(images))

    return run


def _write_safetensors(half: bool, network: ExportedNetwork, _image: Tensor, path: Path, trained: TrainedTask) -> Any:
    assert isinstance(network.task.network, Network)  # of a weights file
    record = weights_record(network.task.network, trained.record)
    state, (tensors, plain) = record.pop("state"), _split(record.pop("faces"))
    if half:
        state = shorten(network.task.network, state)
    tensors = state | {f"faces.{name}": value for name, value in tensors.items()}
    path.write_bytes(save(tensors, metadata={"nasface": json.dumps({**record, "faces": plain})}))
    again = ExportedNetwork(load_task(path)).eval()

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return list(again(images))

    return run


def _split(values: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {name: value.contiguous() for name, value in values.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in values.items() if name not in tensors}
