"""The commands of `nasface`, one file each."""

from __future__ import annotations

from nasface.commands import (
    compare,
    dashboard,
    draw,
    list_networks,
    retrain,
    search,
    search_worker,
    space,
)
from nasface.commands.command import Command

COMMANDS: dict[str, Command] = {
    "search": search.COMMAND,
    "search-worker": search_worker.COMMAND,
    "retrain": retrain.COMMAND,
    "compare": compare.COMMAND,
    "list": list_networks.COMMAND,
    "draw": draw.COMMAND,
    "space": space.COMMAND,
    "dashboard": dashboard.COMMAND,
}
