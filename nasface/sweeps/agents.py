"""A sweep with a W&B account: `wandb sweep` makes it there, `wandb agent` runs it here."""

from __future__ import annotations

import re
import subprocess
import sys

from nasface.sweeps.sweep_file import SweepFile
from nasface.sweeps.sweep_folder import SweepFolder
from nasface.utils.child_process import ChildProcess, command_environment, stop
from nasface.utils.errors import UserError

WANDB = (sys.executable, "-m", "wandb")
_AGENT = re.compile(r"wandb agent (\S+)")
_GRACE = 60.0  # seconds in which an ended agent may upload what its runs have logged
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run_wandb_sweep(
    sweep: SweepFile, folder: SweepFolder, project: str, workers: int = 1, count: int | None = None
) -> str:
    """Make a sweep on W&B, or go on with the one that the folder names, and run its agents until they end.

    Args:
        sweep: the file.
        folder: its records.
        project: W&B project, where the file has none.
        workers: agents.
        count: most runs of this call, shared among the agents; None for as many as the file has.

    Returns:
        The sweep's path on W&B: entity/project/id.

    Raises:
        UserError: W&B refuses the sweep, or an agent fails.
    """
    name = folder.status().get("wandb")
    if not name:
        name = _make(sweep, project)
        folder.update(wandb=name)
    print(f"agents   {workers} here; more elsewhere: wandb agent {name}", flush=True)
    shares = [count // workers + (place < count % workers) for place in range(workers)] if count else [None] * workers
    agents = [_agent(name, share) for share in shares if share != 0]
    try:
        codes = [agent.wait() for agent in agents]
    finally:
        stop(agents, _GRACE)
    if failed := [code for code in codes if code]:
        raise UserError(f"{len(failed)} of {len(codes)} agents of {name} failed: see above, then --resume true")
    return name


def _make(sweep: SweepFile, project: str) -> str:
    chosen = [] if sweep.project else ["--project", project]
    done = subprocess.run(
        [*WANDB, "sweep", *chosen, str(sweep.path)],
        capture_output=True,
        text=True,
        env=command_environment(),
        check=False,
    )
    said = _COLOURS.sub("", done.stdout + done.stderr)
    found = _AGENT.search(said)
    if done.returncode or found is None:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reason = lines[-1] if lines else "it says nothing"
        raise UserError(f"W&B refuses the sweep ({reason}): mend it, or run it here with --where here")
    return found[1].strip("'\"")


def _agent(name: str, count: int | None) -> ChildProcess:
    limit = ["--count", str(count)] if count else []
    return ChildProcess([*WANDB, "agent", *limit, name])
