"""A sweep with a W&B account: `wandb sweep` makes it there, `wandb agent` runs it here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from nasface.sweeps.sweep_file import SweepFile
from nasface.sweeps.sweep_folder import SweepFolder
from nasface.utils.errors import UserError

WANDB = (sys.executable, "-m", "wandb")
_AGENT = re.compile(r"wandb agent (\S+)")
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
        for agent in agents:
            with suppress(ProcessLookupError):
                agent.terminate()
            agent.wait()
    if failed := [code for code in codes if code]:
        raise UserError(f"{len(failed)} of {len(codes)} agents of {name} failed: see above, then --resume true")
    return name


def _make(sweep: SweepFile, project: str) -> str:
    chosen = [] if sweep.project else ["--project", project]
    done = subprocess.run(
        [*WANDB, "sweep", *chosen, str(sweep.path)], capture_output=True, text=True, env=_environment(), check=False
    )
    said = _COLOURS.sub("", done.stdout + done.stderr)
    found = _AGENT.search(said)
    if done.returncode or found is None:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reason = lines[-1] if lines else "it says nothing"
        raise UserError(f"W&B refuses the sweep ({reason}): mend it, or run it here with --where here")
    return found[1].strip("'\"")


def _agent(name: str, count: int | None) -> subprocess.Popen[bytes]:
    limit = ["--count", str(count)] if count else []
    return subprocess.Popen([*WANDB, "agent", *limit, name], env=_environment())


def _environment() -> dict[str, str]:
    # An agent looks for `nasface` and `python` there, also where nobody has activated this environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path}
