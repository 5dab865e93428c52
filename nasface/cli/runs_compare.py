"""`nasface runs compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasface.cli.command import Command
from nasface.utils.errors import UserError

if TYPE_CHECKING:
    from nasface.runs.listing import RunEntry


def runs_compare(run: list[str], runs: str = "runs") -> None:
    """Compare runs of one command: their figures, and the settings in which they differ.

    Args:
        run: ids or folders, two or more.
        runs: folder of the runs.
    """
    from nasface.report.tables import text_table
    from nasface.runs.listing import differences, find_run

    found = [find_run(Path(runs), name) for name in run]
    commands = sorted({one.command for one in found})
    if len(found) < 2 or len(commands) > 1 or commands[0] not in ("search", "retrain"):
        of = " and ".join(f"{one.id} ({one.command})" for one in found)
        raise UserError(f"give two or more searches, or two or more retrainings, not {of}")
    unfinished = [one.id for one in found if one.figure is None]
    if unfinished:
        raise UserError(f"{', '.join(unfinished)} has no result yet: leave it out, or finish it by --resume true")
    print(_trainings(found) if commands == ["retrain"] else _searches(found))
    different = differences(found)
    if different:
        head = ["setting", *(str(number) for number in range(1, len(found) + 1))]
        print("\nThey differ in:\n")
        print(text_table(head, [[name, *values] for name, values in different]))
        print("\n" + "\n".join(f"{number}  {one.id}" for number, one in enumerate(found, start=1)))
    else:
        print("\nTheir settings are the same, but for the seed, the machine and where results go.")


def _trainings(found: Sequence[RunEntry]) -> str:
    from nasface.report.run_records import row_of
    from nasface.report.tables import yaw_table

    return yaw_table([row_of(one.id, one.summary) for one in found], more=True)


def _searches(found: Sequence[RunEntry]) -> str:
    from nasface.report.tables import duration, quantity, text_table
    from nasface.space.record import load_record

    body = []
    for one in found:
        record, counts, costs = load_record(one.product), one.summary["search"], one.summary.get("costs") or {}
        scores, strategy = record.scores, str(record.provenance.get("strategy", "-"))
        error = f"{counts['penalty']:.3f}" + ("" if one.penalty == "mean" else f" ({one.penalty})")
        body.append([one.id, strategy, error, str(counts.get("evaluations", "-"))])
        body[-1] += [quantity(scores[name]) if name in scores else "-" for name in ("parameters", "macs")]
        body[-1].append(duration(sum(costs.values())))
    return text_table(["run", "strategy", "NME (%), validation", "evaluations", "parameters", "MACs", "time"], body)


COMMAND = Command(runs_compare)
