"""`nasface runs remove`."""

from __future__ import annotations

import sys
from pathlib import Path

from nasface.cli.command import Command
from nasface.utils.errors import UserError


def runs_remove(run: list[str], runs: str = "runs", yes: bool = False) -> None:
    """Remove runs with all their files, once you have said yes.

    Args:
        run: ids or folders.
        runs: folder of the runs.
        yes: do not ask.
    """
    from nasface.report.tables import size
    from nasface.runs.listing import find_run, remove_run

    found = list({one.folder.resolve(): one for one in (find_run(Path(runs), name) for name in run)}.values())
    for one in found:
        print(f"{one.folder}  {one.command}, {one.state}, {size(one.size())}")
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nothing was removed: give --yes where nobody can be asked")
        try:
            answer = input(f"Remove {len(found)} run(s)? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            raise UserError("nothing was removed")
    for one in found:
        remove_run(one)
    print(f"removed  {len(found)} run(s)")


COMMAND = Command(runs_remove)
