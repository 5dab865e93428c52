"""`nasface wandb workspace`."""

from __future__ import annotations

from nasface.cli.command import Command, Option
from nasface.utils.errors import UserError


def wandb_workspace(entity: str | None, project: str, name: str, dry_run: bool) -> None:
    """Lay out the dashboard of a W&B project."""
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

    if not has_account():
        raise UserError("a dashboard needs a W&B account: run `wandb login` (--dry_run true shows the panels)")
    try:
        if not entity:
            workspace.entity = wandb.Api().default_entity
        workspace.save()
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise UserError(f"W&B did not take the dashboard: {' '.join(str(error).split())[:200]}") from None
    print(workspace.url)


COMMAND = Command(
    wandb_workspace,
    (
        Option("entity", str | None, None, "W&B user or team; your default one where empty"),
        Option("project", str, "nasface", "W&B project, as --log.project of the runs"),
        Option("name", str, "nasface", "name of the dashboard (a saved view of the project's workspace)"),
        Option("dry_run", bool, False, "only print the sections and panels"),
    ),
)
