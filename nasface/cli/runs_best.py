"""`nasface runs best`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nasface.cli.command import Command
from nasface.utils.errors import UserError


def runs_best(command: Literal["retrain", "search"] = "retrain", runs: str = "runs") -> None:
    """Print the finished run with the least error for each test set; of searches, for each space and training set.

    Args:
        command: whose runs: retrain (by the error on the test faces) or search (on the validation faces, by whatever
            scored its members).
        runs: folder of the runs.
    """
    from nasface.report.tables import text_table
    from nasface.runs.listing import list_runs

    best: dict[str, tuple[float, list[str]]] = {}
    for run in list_runs(Path(runs))[0]:
        if run.command == command and run.state == "finished" and run.figure is not None:
            data, error = run.settings.get("data") or {}, run.figure[0]
            faces = data.get("test") if command == "retrain" else f"{run.settings.get('space')}, {data.get('train')}"
            if command == "search" and run.penalty != "mean":
                faces = f"{faces}, {run.penalty}"
            if str(faces) not in best or error < best[str(faces)][0]:
                best[str(faces)] = error, [str(faces), f"{error:.3f}", run.id, str(run.product)]
    if not best:
        raise UserError(f"{runs} holds no finished {command}: see `nasface runs list`")
    print(text_table(["faces", "NME (%)", "run", "file"], [row for _, row in best.values()], left=(0, 2, 3)))


COMMAND = Command(runs_best)
