"""What a command is, and the settings that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonargparse.typing import PositiveFloat


@dataclass(frozen=True)
class Option:
    """A command's own setting, beside those of the experiment."""

    name: str
    type: Any
    default: Any
    help: str
    positional: bool = False
    """Given by its place, without a name before it; several where the type is a list."""


@dataclass(frozen=True)
class Command:
    """A command: what it does, its own settings, and whether it takes an experiment's."""

    run: Callable[..., None]
    help: str
    options: tuple[Option, ...] = ()
    experiment: bool = True


RUN = Option("run", str | None, None, "id of the run, its folder under runs/; made from time and settings where empty")
RESUME = Option("resume", bool, False, "go on with the newest unfinished run of these settings (or with --run)")
ARCH = "architecture: a JSON file such as best.json, preset/hourglass, preset/prnet, preset/hrnet, or random"

SCALE = Option(
    "scale",
    PositiveFloat,
    1.0,
    "multiplier of a fixed network's widths: 1 is the paper's, 0.5 or 0.25 is for a CPU",
)
