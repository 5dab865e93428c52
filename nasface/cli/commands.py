"""The commands of `nasface`: the file and the line of help of each. Nothing else is imported before it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasface.cli.command import Command


@dataclass(frozen=True)
class Entry:
    """A line of the table of commands.

    Attributes:
        module: in `nasface.cli`, with the command as its COMMAND.
        help: what the command does, in a line.
    """

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "search": Entry("search", "Search a space for the best network, write best.json."),
    "search-worker": Entry("search_worker", "Join a search of several workers, on this or another machine."),
    "retrain": Entry("retrain", "Train one network from scratch, evaluate it, print its table."),
    "compare": Entry("compare", "Train the networks of compare.networks under one protocol, print one table."),
    "sweep": Entry("sweep", "Run a W&B sweep file, by W&B's agents or on this machine."),
    "list": Entry("list_networks", "List the fixed networks and presets with paper, target, parameters and MACs."),
    "predict": Entry("predict", "Align the faces of images, of videos, or of folders of them."),
    "evaluate": Entry("evaluate", "Evaluate trained, published or exported networks on a published benchmark."),
    "demo": Entry("demo", "Serve a page on this machine: a photograph or the webcam in, faces and meshes out."),
    "export": Entry(
        "export", "Write a trained network as ONNX, TorchScript or safetensors, and check it with PyTorch."
    ),
    "report": Entry("report", "Write one HTML page about a run, or one that compares several."),
    "runs list": Entry("runs_list", "List runs with command, time, state, main figure and size."),
    "runs show": Entry("runs_show", "Show one run: results, files, what is lost without each file."),
    "runs compare": Entry("runs_compare", "Compare searches or retrainings: figures, and settings that differ."),
    "runs best": Entry("runs_best", "Print the retraining (or search) with the least error."),
    "runs remove": Entry("runs_remove", "Remove runs with all their files, after a question."),
    "draw": Entry("draw", "Draw an architecture as SVG or PNG."),
    "space": Entry("space", "Count the members of a space."),
    "dashboard": Entry("dashboard", "Open optuna-dashboard on a search (extra `dashboard`)."),
    "completion": Entry(
        "completion", "Print what makes bash, zsh or tcsh complete these commands (extra `completion`)."
    ),
    "data build": Entry("data_build", "Render a synthetic face set into the cache, with several processes."),
    "data prepare": Entry(
        "data_prepare", "Make UV position maps of 300W-LP, 256 x 256 as in PRNet, with several processes."
    ),
    "data preview": Entry(
        "data_preview", "Draw a contact sheet of synthetic faces by yaw, with landmarks and UV maps, as PNG."
    ),
    "data video-preview": Entry(
        "data_video_preview", "Draw a contact sheet of short videos that are synthesised from still faces, as PNG."
    ),
    "table build": Entry("table_build", "Train every member of a small space on its own: the tabular benchmark."),
    "wandb workspace": Entry("wandb_workspace", "Lay out a W&B dashboard: sections for supernet, search, retraining."),
}
GROUPS = {
    "runs": "List, show, compare and remove runs.",
    "data": "Build, prepare and look at data sets.",
    "table": "The tabular benchmark of a small space.",
    "wandb": "Weights & Biases.",
}
"""The first words of commands of two words."""


def load_command(name: str) -> Command:
    """The command of a name in COMMANDS."""
    return import_module(f"nasface.cli.{COMMANDS[name].module}").COMMAND


def command_of(arguments: list[str]) -> str:
    """The command that a command line names, of one word or two; its first word where it names none, if it has one."""
    two = " ".join(arguments[:2])
    return two if two in COMMANDS else next(iter(arguments), "")
