"""Taking the supernet of an earlier run, for searches that differ in nothing that its training depends on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from nasface.config import Experiment
from nasface.tracking.runs import Run, settings_file
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from nasface.utils.yaml_files import load_yaml

_TRAINING = ("space", "seed", "data", "network", "supernet")
_PLACE = ("supernet", "supernet.pt")


def take_supernet(experiment: Experiment, run: Run) -> Path | None:
    """Copy the newest supernet that was trained with an experiment's settings into a run, unless it has its own.

    Returns:
        The file that was copied; None where there is none to copy.
    """
    if run.path(*_PLACE).exists():
        return None
    wanted = {name: asdict(experiment)[name] for name in _TRAINING}
    found = [path for path in run.folder.parent.glob("/".join(("*", *_PLACE))) if _settings(path, wanted) == wanted]
    origin = max(found, key=lambda path: path.stat().st_mtime, default=None)
    if origin is not None:
        with atomic_write(run.path(*_PLACE)) as temporary:
            temporary.write_bytes(origin.read_bytes())
        run.update_summary(supernet_of=origin.parent.parent.name)
    return origin


def _settings(supernet: Path, wanted: dict[str, object]) -> dict[str, object] | None:
    """What a run was trained with; None where that cannot be read."""
    try:
        recorded = load_yaml(settings_file(supernet.parent.parent))
    except UserError:
        return None
    if not isinstance(recorded, dict):
        return None
    if isinstance(recorded.get("data"), dict):
        recorded["data"] = {"folders": {}} | recorded["data"]  # runs of the former version have none
    return {name: recorded.get(name) for name in wanted}
