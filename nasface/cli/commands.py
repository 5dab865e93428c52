"""The commands of `nasface`, one file each."""

from __future__ import annotations

from nasface.cli import (
    compare,
    dashboard,
    data_build,
    data_prepare,
    data_preview,
    data_video_preview,
    draw,
    export,
    list_networks,
    predict,
    report,
    retrain,
    search,
    search_worker,
    space,
    sweep,
    table_build,
    wandb_workspace,
)
from nasface.cli.command import Command

COMMANDS: dict[str, Command] = {
    "search": search.COMMAND,
    "search-worker": search_worker.COMMAND,
    "retrain": retrain.COMMAND,
    "compare": compare.COMMAND,
    "sweep": sweep.COMMAND,
    "list": list_networks.COMMAND,
    "predict": predict.COMMAND,
    "export": export.COMMAND,
    "report": report.COMMAND,
    "draw": draw.COMMAND,
    "space": space.COMMAND,
    "dashboard": dashboard.COMMAND,
    "data build": data_build.COMMAND,
    "data prepare": data_prepare.COMMAND,
    "data preview": data_preview.COMMAND,
    "data video-preview": data_video_preview.COMMAND,
    "table build": table_build.COMMAND,
    "wandb workspace": wandb_workspace.COMMAND,
}
GROUPS = {
    "data": "Build, prepare and look at data sets.",
    "table": "The tabular benchmark of a small space.",
    "wandb": "Weights & Biases.",
}
"""The first words of commands of two words."""
