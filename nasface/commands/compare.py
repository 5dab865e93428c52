"""`nasface compare`."""

from __future__ import annotations

from dataclasses import asdict

from nasface.commands.command import RESUME, RUN, Command
from nasface.config import Experiment
from nasface.runs import open_run


def compare(experiment: Experiment, run: str | None, resume: bool) -> None:
    """Train several networks alike and print one table."""
    from nasface import workflow
    from nasface.comparison import compare as train_all
    from nasface.comparison import read_entries
    from nasface.report.tables import yaw_table
    from nasface.tasks.training import make_trainer

    entries = read_entries(experiment)
    make_trainer(experiment.device, logger=False)
    folder = open_run("compare", experiment, experiment.name, resume, run)
    print(f"run      {folder.folder}")
    with workflow.timed(folder, "data_s"):
        workspace = workflow.prepare(experiment, None)
    rows = train_all(workspace, entries, folder)
    table = folder.path("comparison.md")
    workflow.write_json(folder.path("comparison.json"), [asdict(row) for seeds in rows for row in seeds])
    workflow.write_text(table, yaw_table(rows, more=True, markdown=True) + "\n")
    folder.update_summary(finished=True)
    faces = workspace.faces.test
    print(
        f"\nNME (%) by yaw on {faces.name} ({len(faces)} faces), {experiment.retrain.steps} steps of"
        f" {experiment.retrain.batch_size} faces each, seeds {experiment.compare.seeds}\n"
    )
    print(yaw_table(rows, more=True))
    print(f"\ntable    {table}")


COMMAND = Command(
    compare,
    "Train the networks of compare.networks under one protocol, print one table.",
    (RUN, RESUME),
)
