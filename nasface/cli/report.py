"""`nasface report`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command


def report(runs: list[str], output: str = "report.html") -> None:
    """Write one HTML page about runs.

    Args:
        runs: folders of runs, such as runs/*.
        output: file to write; it needs no other file and no network.
    """
    from nasface.report.page import write_report
    from nasface.report.run_records import read_run
    from nasface.utils.files import check_output, kept

    read = (path for run in runs for path in Path(run).rglob("*") if path.suffix != ".html")
    with kept(read):
        check_output(output)
        write_report([read_run(run) for run in runs], Path(output))
    print(output)


COMMAND = Command(report)
