"""`nasface compare`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jsonargparse.typing import PositiveInt

from nasface.cli.command import FACES, MACHINE, SIZES, TRAINING, Command
from nasface.config import Experiment
from nasface.runs.run import is_first_process, open_run
from nasface.utils.errors import UserError


def compare(experiment: Experiment, run: str | None = None, resume: bool = False, workers: PositiveInt = 1) -> None:
    """Train several networks alike and print one table.

    Args:
        experiment: every setting.
        run: id of the run, its folder under runs/; made from time and settings where empty.
        resume: continue the newest unfinished run of these settings (or the one of --run).
        workers: trainings side by side, each in a process of its own; the table is the same with the same
            device.threads.
    """
    from nasface.pipelines.compare import absent_search
    from nasface.pipelines.compare import compare as train_all
    from nasface.pipelines.workspace import prepare
    from nasface.report.tables import yaw_table
    from nasface.tracking.wandb import sync_line
    from nasface.utils.files import write_json, write_text

    if not is_first_process():
        raise UserError("compare trains each network in one process: give --workers for several side by side")
    entries = _checked(experiment)
    if absent := absent_search(experiment):
        print(f"left out {absent}: nasface search has not written it yet")
    folder = open_run("compare", experiment, experiment.name, resume, run)
    print(f"run      {folder.folder}")
    with folder.timed("data_s"):
        workspace = prepare(experiment, None)
    rows = train_all(workspace, entries, folder, workers)
    table = folder.path("comparison.md")
    write_json(folder.path("comparison.json"), [asdict(row) for seeds in rows for row in seeds])
    write_text(table, yaw_table(rows, more=True, markdown=True) + "\n")
    missing = len(entries) * len(experiment.compare.seeds) - sum(map(len, rows))
    folder.update_summary(finished=not missing)
    faces, retrain = workspace.faces.test, experiment.retrain
    budget = f"{retrain.steps} steps" if retrain.epochs is None else f"{retrain.epochs:g} epochs"
    print(
        f"\nNME (%) by yaw on {faces.name} ({len(faces)} faces), {budget} of"
        f" {experiment.retrain.batch_size} faces each, seeds {experiment.compare.seeds}\n"
    )
    print(yaw_table(rows, more=True))
    print(f"\ntable    {table}")
    if line := sync_line(folder.folder):
        print(line)
    if missing:
        raise UserError(f"{missing} trainings are not in the table: see what they said above, then use --resume true")


def _checked(experiment: Experiment, **_: object) -> list[Any]:
    """What is compared, once whatever is wrong with the settings has come out."""
    from nasface.data.sources import check_sets
    from nasface.pipelines.compare import read_entries
    from nasface.training.fit import make_trainer
    from nasface.training.tasks import needed_labels

    make_trainer(experiment.device, logger=False)
    entries = read_entries(experiment)
    for needs in {needed_labels(entry.spec) for entry in entries}:
        check_sets(experiment.data, needs)
    return entries


COMMAND = Command(
    compare,
    ("compare.networks", "compare.seeds", *FACES, *SIZES, *TRAINING, "parameters.objective", *MACHINE, "log.wandb"),
    _checked,
)
