"""What a command is, and the options that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonargparse.typing import PositiveFloat


@dataclass(frozen=True)
class Option:
    """An option of a command's own, beside the settings of the experiment.

    Attributes:
        name: without the hyphens.
        type: as jsonargparse takes it.
        default: its value where it is not given.
        help: one line for `--help`.
        positional: given by its place, without a name before it; several where the type is a list.
    """

    name: str
    type: Any
    default: Any
    help: str
    positional: bool = False


@dataclass(frozen=True)
class Command:
    """What a command runs and what it takes; its line of help stands in `nasface.cli.commands`.

    Attributes:
        run: called with the options by name, after the experiment where the command takes one.
        options: its own.
        settings: the experiment's settings that `--help` shows, by dotted name; `--help-all` shows every one. None for
            a command that takes no experiment.
    """

    run: Callable[..., None]
    options: tuple[Option, ...] = ()
    settings: tuple[str, ...] | None = None


RUN = Option("run", str | None, None, "id of the run, its folder under runs/; made from time and settings where empty")
RESUME = Option("resume", bool, False, "continue the newest unfinished run of these settings (or the one of --run)")
ARCH = "architecture: a JSON file such as best.json, preset/hourglass, preset/prnet, preset/hrnet, or random"

SCALE = Option(
    "scale",
    PositiveFloat,
    1.0,
    "multiplier of a fixed network's widths: 1 is the paper's, 0.5 or 0.25 is for a CPU",
)

SIZES = ("network.input_size", "network.map_size", "network.width")
FACES = ("data.train", "data.test", "data.cache", "data.train_count", "data.val_count")
TRAINING = ("retrain.steps", "retrain.batch_size", "retrain.loss", "retrain.evaluate_every", "retrain.optimizer.lr")
MACHINE = ("device.accelerator", "device.devices", "device.precision", "device.threads")
"""Settings that the help of several commands shows."""
