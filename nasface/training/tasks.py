"""Which task trains a network, by what the network regresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nasface.data.registry import Needs
from nasface.nets.cost import on_meta
from nasface.nets.network import HEATMAPS, PARAMETERS, UV_MAP, VOLUMES, Network, NetworkSpec
from nasface.training.face_task import FaceTask, TaskContext
from nasface.training.targets.heatmap import HeatmapTask
from nasface.training.targets.landmark_vector import LandmarkVectorTask
from nasface.training.targets.meta_joint import MetaJointTask
from nasface.training.targets.parameters import ParametersTask, objective_of
from nasface.training.targets.uv import UVTask
from nasface.training.targets.volume import VolumeTask


def make_task(network: Network, context: TaskContext) -> FaceTask:
    """The task that trains a network."""
    return _TASKS[network.target](network, context)


def needed_labels(spec: NetworkSpec) -> Needs:
    """What the training of a network asks of its faces' labels."""
    if spec.target == PARAMETERS:
        with on_meta():
            network: Any = spec.build()
        return (ParametersTask if network.vector.has_model else LandmarkVectorTask).needs
    tasks: dict[str, type[FaceTask]] = {UV_MAP: UVTask, HEATMAPS: HeatmapTask, VOLUMES: VolumeTask}
    return tasks[spec.target].needs


def _parameters_task(network: Any, context: TaskContext) -> FaceTask:
    """The task of the network's vector and of the experiment's objective."""
    if not network.vector.has_model:
        return LandmarkVectorTask(network, context)
    meta = objective_of(network, context.experiment.parameters) == "meta_joint"
    return (MetaJointTask if meta else ParametersTask)(network, context)


_TASKS: dict[str, Callable[[Any, TaskContext], FaceTask]] = {
    UV_MAP: UVTask,
    VOLUMES: VolumeTask.create,
    HEATMAPS: HeatmapTask,
    PARAMETERS: _parameters_task,
}
