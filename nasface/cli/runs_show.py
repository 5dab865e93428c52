"""`nasface runs show`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command


def runs_show(run: str, runs: str = "runs") -> None:
    """Show one run: what it did, what came out, its files and what is lost without each.

    Args:
        run: its id or folder.
        runs: folder of the runs.
    """
    from nasface.report.tables import duration, size, text_table
    from nasface.runs.listing import date, files_of, find_run

    found = find_run(Path(runs), run)
    print(f"run      {found.folder}\ncommand  nasface {found.command}, {found.state}, started {date(found.started)}")
    if settings := found.settings:
        data = settings.get("data") or {}
        print(f"settings experiment {settings.get('name')}, seed {settings.get('seed')}, space {settings.get('space')}")
        print(f"faces    trained on {data.get('train')}, tested on {data.get('test')}")
    if found.figure is not None:
        print("NME (%)  {:.3f} on {}".format(*found.figure))
    costs = found.summary.get("costs") or {}
    if costs:
        print("costs    " + ", ".join(f"{name.removesuffix('_s')} {duration(value)}" for name, value in costs.items()))
    if found.state == "failed":
        print(f"failed   {found.summary['failed']}")
    body = [[name, size(number), what, loss or "the run"] for name, number, what, loss in files_of(found.folder)]
    lines = text_table(["file", "size", "what it is", "lost without it"], body, left=(0, 2, 3))
    print(f"\n{lines}\n")
    if found.state == "finished":
        print(f"next     {_next(found.command, found.product, found.folder)}")
    elif found.state in ("unfinished", "failed"):
        print(f"next     the same command with --resume true --run {found.id}")


def _next(command: str, product: Path, folder: Path) -> str:
    if command == "retrain":
        return f"nasface predict photo.jpg --weights {folder}; nasface report {folder}"
    return f"nasface retrain --arch {product}" if command == "search" else f"see {product}"


COMMAND = Command(runs_show)
