"""`nasface wandb workspace`."""

from __future__ import annotations

from nasface.cli.command import Command
from nasface.utils.errors import UserError


def wandb_workspace(
    entity: str | None = None, project: str = "nasface", name: str = "nasface", dry_run: bool = False
) -> None:
    """Lay out the dashboard of a W&B project.

    Args:
        entity: W&B user or team; your default one where empty.
        project: W&B project, as --log.project of the runs.
        name: name of the dashboard (a saved view of the project's workspace).
        dry_run: only print the sections and panels.
    """
    from nasface.tracking.workspace import STAGES, build_workspace

    if dry_run:
        for stage in STAGES:
            print(stage.name)
            for panel in stage.panels:
                print(f"  {panel.title}: {', '.join(panel.keys)}")
        return
    workspace = build_workspace(entity or "", project, name)
    import wandb

    from nasface.tracking.wandb import has_account

    if not has_account("set WANDB_API_KEY"):
        raise UserError("a dashboard needs a W&B account: run `wandb login` (--dry_run true shows the panels)")
    try:
        if not entity:
            workspace.entity = wandb.Api().default_entity
        workspace.save()
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise UserError(f"W&B did not take the dashboard: {' '.join(str(error).split())[:200]}") from None
    print(workspace.url)


COMMAND = Command(wandb_workspace)
