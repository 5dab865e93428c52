"""Which task trains a network, by what the network regresses."""

from __future__ import annotations

import importlib

from torch import nn

from nasface.nets.network import HEATMAPS, PARAMETERS, UV_MAP, VOLUMES, FixedNetwork
from nasface.nets.registry import get_candidate
from nasface.training.face_task import FaceTask, TaskContext

# Imported when asked for: a training needs one of them.
_TASKS = {
    UV_MAP: "nasface.training.targets.uv:UVTask",
    VOLUMES: "nasface.training.targets.volume:VolumeTask",
    HEATMAPS: "nasface.training.targets.heatmap:HeatmapTask",
    PARAMETERS: "nasface.training.targets.parameters:ParametersTask",
}


def task_type(target: str) -> type[FaceTask]:
    """The task of a target, one of the names in `nasface.nets.network`."""
    module, name = _TASKS[target].split(":")
    return getattr(importlib.import_module(module), name)


def target_of(network: nn.Module) -> str:
    """What a network regresses: the members of the multi-path spaces a UV map, a fixed one what it is registered
    for."""
    return get_candidate(network.spec.name).target if isinstance(network, FixedNetwork) else UV_MAP


def make_task(network: nn.Module, context: TaskContext) -> FaceTask:
    """The task that trains a network."""
    return task_type(target_of(network)).create(network, context)
