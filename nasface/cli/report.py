"""`nasface report`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command, Option


def report(runs: list[str], output: str) -> None:
    """Write one HTML page about runs."""
    from nasface.report.page import write_report
    from nasface.report.run_records import read_run

    write_report([read_run(run) for run in runs], Path(output))
    print(output)


COMMAND = Command(
    report,
    (
        Option("runs", list[str], None, "folders of runs, such as runs/*", positional=True),
        Option("output", str, "report.html", "file to write; it needs no other file and no network"),
    ),
)
