"""`nasface runs list`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command


def runs_list(runs: str = "runs") -> None:
    """List the runs of a folder.

    Args:
        runs: folder of the runs.
    """
    from nasface.report.tables import NOTHING, size, text_table
    from nasface.runs.listing import date, list_runs

    found, others = list_runs(Path(runs))
    body = []
    for run in found:
        error, faces = run.figure or (None, NOTHING)
        shown = NOTHING if error is None else f"{error:.2f}"
        body.append([run.id, run.command, date(run.started), run.state, shown, faces, size(run.size())])
    if body:
        print(text_table(["run", "command", "started", "state", "NME (%)", "of", "size"], body, left=(0, 1, 2, 3, 5)))
        print("\nnext     nasface runs show RUN, nasface report RUN")
    else:
        print(f"{runs} holds no runs")
    if others:
        print(f"         {others} other folder(s) are no runs (benchmarks, tables)")


COMMAND = Command(runs_list)
