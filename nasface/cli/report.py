"""`nasface report`."""

from __future__ import annotations

import sys
from pathlib import Path

from nasface.cli.command import Command
from nasface.utils.errors import UserError


def report(run: list[str], output: str = "report.html", runs: str = "runs") -> None:
    """Write one HTML page about runs.

    Args:
        run: ids or folders of runs, such as runs/*; of several, those that cannot be shown are left out, and named.
        output: file to write; it needs no other file and no network.
        runs: folder of the runs.
    """
    from nasface.report.page import write_report
    from nasface.report.run_records import AnyRun, read_runs
    from nasface.utils.files import check_output, kept

    folders = [Path(runs, name) if Path(runs, name).is_dir() else Path(name) for name in run]
    with kept(path for folder in folders for path in folder.rglob("*") if path.suffix != ".html"):
        check_output(output)
        shown: list[AnyRun] = []
        for folder in folders:
            try:
                shown += read_runs(folder)
            except UserError as error:
                if len(folders) == 1:
                    raise
                print(f"left out {error}", file=sys.stderr)
        if not shown:
            raise UserError(f"none of the {len(folders)} folders can be shown: see `nasface runs list`")
        write_report(shown, Path(output))
    print(output)


COMMAND = Command(report)
