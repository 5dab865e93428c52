"""`nasface dashboard`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from jsonargparse.typing import PositiveInt

from nasface.cli.command import Command
from nasface.utils.errors import UserError
from nasface.utils.run_files import JOURNAL, TRAININGS, files_of_runs, nearest_run, run_folder, settings_file
from nasface.utils.yaml_files import load_yaml

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def dashboard(
    run: str | None = None,
    runs: str = "runs",
    storage: str | None = None,
    host: str = "localhost",
    port: PositiveInt = 8080,
) -> None:
    """Serve optuna-dashboard on a search's study, to read: its buttons that change or delete a study do nothing.

    Args:
        run: id of the search's run; the newest search where empty.
        runs: folder of the runs.
        storage: Optuna storage URL or journal file, instead of a run's.
        host: address to listen on.
        port: port to listen on.
    """
    if find_spec("optuna_dashboard") is None:
        raise UserError("the dashboard needs the package optuna-dashboard: pip install 'nasface[dashboard]'")
    place = storage or storage_of(find_run(Path(runs), run))
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna_dashboard import wsgi

    if "://" not in place and not Path(place).is_file():
        raise UserError(f"{place} does not exist: give the run or the storage of a search")
    # Only read, so without the lock that a search takes.
    app = wsgi(place if "://" in place else JournalStorage(JournalFileBackend(place)))
    try:
        server = make_server(host, port, read_only(app), _Server, _Quiet)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}): give another --port") from None
    print(f"study    {place}\nopen     http://{host}:{port} (Ctrl-C ends it)", flush=True)
    with server:
        server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a page asks every few seconds."""


def read_only(app: WSGIApplication) -> WSGIApplication:
    """An application that is only ever asked to show something."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start)
        start("403 Forbidden", [("Content-Type", "application/json")])
        return [b'{"reason": "nasface dashboard only shows a study"}']

    return answer


def find_run(runs: Path, run: str | None) -> Path:
    """The folder of a run by its id, or of the newest search."""
    if run:
        folder = run_folder(runs, run)
        if not settings_file(folder).is_file():
            raise UserError(f"there is no run {folder}: give the id of a search{nearest_run(folder)}")
        return folder
    found = [path.parent for path in files_of_runs(runs, settings_file("")) if (path.parent / "search").is_dir()]
    if not found:
        raise UserError(f"{runs} holds no search: run `make search` first, or give --storage")
    studies = [folder for folder in found if not (folder / TRAININGS).exists()]
    return max(studies or found, key=lambda folder: (folder / "search").stat().st_mtime)


def storage_of(folder: Path) -> str:
    """The study of a run: a database's URL, or its journal.

    Raises:
        UserError: it has none.
    """
    if (folder / TRAININGS).exists():
        raise UserError(f"{folder} has searched by trainings, without a study: see it by `nasface report {folder}`")
    try:
        recorded = load_yaml(settings_file(folder))["search"]["storage"]
    except (UserError, TypeError, KeyError):
        raise UserError(f"{settings_file(folder)} cannot be read: give --storage") from None
    return recorded or str(folder / JOURNAL)


COMMAND = Command(dashboard)
