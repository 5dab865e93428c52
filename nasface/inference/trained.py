"""What a trained network's output means, written beside its weights: its task is rebuilt without the training data.

A record has the mean shape and the landmarks of the morphable model on the network's UV grid. That is all that a
network of UV maps needs; other targets need the model itself, which the record names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nasface.config import DataConfig, Experiment, recorded_settings
from nasface.faces.ddfa_model import CROP_SIZE, WHITENING_FILE_V2, load_ddfa_model, load_whitening
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.faces.uv import UVBasis, chart_cells, sample_map, uv_basis
from nasface.inference.packaged import FOLDER, find_weights
from nasface.nets.baselines.mobilenet import WIDTHS, adopt_published, load_published, published_arch
from nasface.nets.network import UV_MAP
from nasface.nets.registry import BaselineSpec
from nasface.nets.weights import network_of, read_weights
from nasface.training.uv_target import UVReader, UVTarget
from nasface.utils.errors import UserError

if TYPE_CHECKING:
    from nasface.training.face_task import FaceTask, TaskContext

EMBEDDED = "embedded"
"""What `--model` calls the head that ships with the package."""
_LEVEL = "levels_depth"
"""Key of a record whose task predicts depth about its mean."""


def trained_record(context: TaskContext) -> dict[str, Any]:
    """What `save_weights` keeps beside a network's weights: plain values and tensors.

    Args:
        context: of the network's training.
    """
    uv, model, experiment = context.uv, context.model, context.experiment
    # Where runs and rendered faces lie is this machine's own, and the file may be given away.
    data = replace(experiment.data, cache=DataConfig.cache)
    given = replace(experiment, data=data, runs=Experiment.runs, output=Experiment.output)
    return {
        "model": model.name,
        "folder": "" if model.name == load_embedded_head().name else experiment.data.bfm or experiment.data.ddfa_assets,
        "mean": uv.mean.detach().cpu().reshape(3, uv.map_size, uv.map_size),
        "weight": uv.weight.detach().cpu(),
        "landmark_uv": torch.from_numpy(np.array(model.landmark_uv, dtype=np.float32)),
        "experiment": recorded_settings(given),
    }


@dataclass(frozen=True)
class TrainedTask:
    """A network's task, and the shape that it knows.

    Attributes:
        task: in evaluation mode; gives a `FacePrediction` of normalised images.
        input_size: side S of its images.
        mean_landmarks: (68, 3) of the mean face, model coordinates.
        inside: (M, M) bool, the cells of its map that are skin.
        record: what a weights file says of its faces.
    """

    task: FaceTask | UVReader
    input_size: int
    mean_landmarks: np.ndarray
    inside: np.ndarray
    record: dict[str, Any]


def load_task(path: str | Path, model: str | None = None) -> TrainedTask:
    """The task of a network that `nasface retrain` wrote.

    Args:
        path: what `nasface.inference.packaged.find_weights` finds.
        model: `embedded`, or a folder of 3DDFA's files: the morphable model, where the file does not say it or its
            folder has moved.

    Raises:
        UserError: the file is absent, broken or of another kind, or does not say its model and `model` does not either.
    """
    path = find_weights(path)
    if path.suffix == ".pth" and (arch := published_arch(path)):
        return _published_task(path, arch, model)
    record = read_weights(path, "network")
    network = network_of(record, path, ours=path.parent == FOLDER)
    faces = record.get("faces")
    if faces and (not faces["folder"] or Path(faces["folder"]).exists()):
        model = None  # what the file says holds: `model` may be meant for a set, or for other weights
    experiment = _settings(Experiment(), faces["experiment"]) if faces else Experiment()
    size = network.spec.input_size
    task: Any
    if faces and model is None and network.target == UV_MAP:
        basis = _chart(faces, path)
        task = UVReader(network, UVTarget(basis, size))
    else:  # training's libraries take seconds to load
        from nasface.training.face_task import TaskContext
        from nasface.training.tasks import make_task

        shape = _model(faces, model, path)
        basis = uv_basis(shape, network.spec.map_size)
        context = TaskContext(UVTarget(basis, size), shape, experiment)
        task = make_task(network, context)
        if faces and faces.get(_LEVEL):
            task.levels_depth = True
        faces = faces if faces and model is None else trained_record(context)
    return TrainedTask(task.eval(), size, sample_map(basis.mean, basis.landmark_uv), basis.inside, faces)


def _published_task(path: Path, arch: str, model: str | None) -> TrainedTask:
    """The task of a published checkpoint, at its 120 pixels, on the model whose files are in the folder `model` or
    beside the checkpoint."""
    from nasface.training.face_task import TaskContext
    from nasface.training.tasks import make_task

    folder = path.parent if model is None else Path(model)
    shape, whitening = load_ddfa_model(folder), load_whitening(folder / WHITENING_FILE_V2)
    network: Any = BaselineSpec(arch, CROP_SIZE, CROP_SIZE).build()
    basis = uv_basis(shape, CROP_SIZE)
    context = TaskContext(UVTarget(basis, CROP_SIZE), shape, Experiment(data=DataConfig(ddfa_assets=str(folder))))
    task: Any = make_task(network, context)
    adopt_published(network, load_published(path, WIDTHS[arch]), whitening)
    task.levels_depth = True  # its own training's depth had another origin
    mean = sample_map(basis.mean, basis.landmark_uv)
    return TrainedTask(task.eval(), CROP_SIZE, mean, basis.inside, trained_record(context) | {_LEVEL: True})


def load_model(name: str) -> MorphableModel:
    """`embedded`; the folder of 3DDFA's or 3DDFA_V2's model; the file BFM.mat."""
    if name == EMBEDDED:
        return load_embedded_head()
    from nasface.faces.bfm import load_bfm
    from nasface.faces.bfm_noneck import MODEL_FILE, load_bfm_noneck
    from nasface.faces.ddfa_model import PAF_FILE, load_ddfa_model

    path = Path(name)
    if path.is_file():
        return load_bfm(path)
    only_noneck = (path / MODEL_FILE).is_file() and not (path / PAF_FILE).is_file()
    return load_bfm_noneck(path) if only_noneck else load_ddfa_model(path)


def _model(faces: dict[str, Any] | None, model: str | None, path: str | Path) -> MorphableModel:
    if model is not None:
        return load_model(model)
    if faces is None:
        raise UserError(
            f"{path} does not say which morphable model its maps are of (an older file): give --model {EMBEDDED}, or"
            " --model with the folder of 3DDFA's files"
        )
    if not faces["folder"]:
        return load_embedded_head()
    if not Path(faces["folder"]).exists():
        raise UserError(
            f"{path} was trained on the morphable model {faces['model']} in {faces['folder']}, which is not there:"
            " give its folder by --model"
        )
    return load_model(faces["folder"])


def _chart(faces: dict[str, Any], path: str | Path) -> UVBasis:
    """The record's grid, with one mode that does nothing."""
    try:
        mean, weight, uv = (faces[key].numpy() for key in ("mean", "weight", "landmark_uv"))
        size = mean.shape[-1]
        head = load_embedded_head()
        # Cells beside eyelids and lips are trained, though they are no skin; only the model tells them apart, if it
        # still has the chart that the network was trained on.
        same = faces["model"] == head.name and np.allclose(uv, head.landmark_uv, atol=1e-6)
        inside = chart_cells(head, size) if same else weight > 0
        return UVBasis(mean, np.zeros((3, size, size, 1), np.float32), weight, uv, inside)
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise UserError(f"{path} has a damaged record of its faces ({error}): train again or restore it") from None


def _settings(default: Any, values: Any) -> Any:
    """`default` with those of `values` that it knows: a file may be older or newer than the program."""
    changed = {}
    for field in fields(default):
        if isinstance(values, dict) and field.name in values:
            own, value = getattr(default, field.name), values[field.name]
            changed[field.name] = _settings(own, value) if is_dataclass(own) else value
    return replace(default, **changed)
