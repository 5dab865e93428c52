"""`nasface dashboard`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from jsonargparse.typing import PositiveInt

from nasface.cli.command import Command
from nasface.utils.errors import UserError
from nasface.utils.run_files import run_folder, settings_file
from nasface.utils.yaml_files import load_yaml

_JOURNAL = Path("search") / "journal.log"


def dashboard(
    run: str | None = None,
    runs: str = "runs",
    storage: str | None = None,
    host: str = "localhost",
    port: PositiveInt = 8080,
) -> None:
    """Serve optuna-dashboard on a search's study.

    Args:
        run: id of the search's run; the newest search where empty.
        runs: folder of the runs.
        storage: Optuna storage URL or journal file, instead of a run's.
        host: address to listen on.
        port: port to listen on.
    """
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs the package optuna-dashboard: pip install 'nasface[dashboard]'")
    place = storage or _storage_of(_find_run(Path(runs), run))
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna_dashboard import run_server

    if "://" not in place and not Path(place).is_file():
        raise UserError(f"{place} does not exist: give the run or the storage of a search")
    print(f"study    {place}\nopen     http://{host}:{port} (Ctrl-C ends it)", flush=True)
    # Only read, so without the lock that a search takes.
    run_server(place if "://" in place else JournalStorage(JournalFileBackend(place)), host=host, port=port)


def _find_run(runs: Path, run: str | None) -> Path:
    """The folder of a run by its id, or of the newest search."""
    if run:
        folder = run_folder(runs, run)
        if not settings_file(folder).is_file():
            raise UserError(f"there is no run {folder}: give the id of a search")
        return folder
    found = [path.parent for path in runs.glob(f"*/{settings_file('').name}") if (path.parent / "search").is_dir()]
    if not found:
        raise UserError(f"{runs} holds no search: run `make search` first, or give --storage")
    return max(found, key=lambda folder: (folder / "search").stat().st_mtime)


def _storage_of(folder: Path) -> str:
    try:
        recorded = load_yaml(settings_file(folder))["search"]["storage"]
    except (UserError, TypeError, KeyError):
        raise UserError(f"{settings_file(folder)} cannot be read: give --storage") from None
    return recorded or str(folder / _JOURNAL)


COMMAND = Command(dashboard)
