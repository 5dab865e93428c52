"""Where searches are recorded: a journal file, a database, or a proxy of one."""

from __future__ import annotations

import json
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from nasface.utils.errors import UserError, first_line, os_reason
from nasface.utils.lock import hold
from nasface.utils.reading import require_file
from nasface.utils.schema import Finite, checked


@contextmanager
def open_storage(storage: str | Path, shared: bool = False, make: bool = True) -> Iterator[BaseStorage]:
    """Open a journal file, a database or a proxy of one.

    Args:
        storage: path of a journal file (made where absent), a database URL such as sqlite:///search.db or
            postgresql://user@host/name, or grpc://host:port, where Optuna's gRPC storage proxy serves one.
        shared: other workers of the same study may write to a journal file at the same time; else it is this
            process's alone. Databases do not tell.
        make: a file that is absent is made.

    Raises:
        UserError: it cannot be opened, is damaged, or another search is writing to it.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its lines per trial would break the progress bar
    place = re.sub("^sqlite(\\+\\w+)?:///", "", str(storage))
    if "://" not in place:
        file = Path(place).expanduser()
        if not make and not file.is_file():
            raise UserError(f"{storage} does not exist: give the --storage that the search was started with")
        if file.exists() and not file.is_dir():
            require_file(file, "give another --search.storage")
    if isinstance(storage, str) and storage.startswith("grpc://"):
        with _proxy(storage) as proxy:
            yield proxy
        return
    if isinstance(storage, str) and "://" in storage:
        try:
            if storage.startswith("sqlite"):
                database = _sqlite(storage)
            else:
                from nasface.search.patient_database import PatientDatabase, server_url

                database = PatientDatabase(server_url(storage))
        except UserError:
            raise
        except ImportError:
            raise UserError(f"no driver is installed for {storage}: give postgresql://, or a file") from None
        except Exception as error:  # many drivers, many exceptions
            raise UserError(f"cannot open the database {storage}: {first_line(error)}") from None
        try:
            yield database
        finally:
            database.remove_session()
            database.engine.dispose()
        return
    # Absolute, because Optuna's lock is a symbolic link to this very text; a relative one would dangle.
    path = Path(storage).expanduser().absolute()
    with hold(path, "search", "take another run id or --search.storage", shared=shared, remove=False) as lock:
        if lock.alone:
            # No other search is alive here, so a lock that is still there was left by a kill.
            Path(f"{path}.lock").unlink(missing_ok=True)
            _mend_journal(path)
            if shared:
                lock.share()
        try:
            store = JournalStorage(JournalFileBackend(str(path)))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError) as error:
            raise UserError(
                f"{path} is not a journal of searches ({error!r}): restore it, or take another run id"
            ) from None
        yield store


def _sqlite(storage: str) -> RDBStorage:
    """A database in a file. Of two searches that make it at once, one finds that the other has made a table first."""
    # SQLite's own patience, five seconds, is short where many workers share a slow disk.
    patient = {"connect_args": {"timeout": 60}}
    for _ in range(2):
        try:
            return RDBStorage(storage, engine_kwargs=patient)
        except Exception as error:  # sqlalchemy's, or Optuna's around it
            if not any(words in str(error) for words in ("already exists", "UNIQUE constraint failed")):
                raise
            time.sleep(0.5)
    return RDBStorage(storage, engine_kwargs=patient)


@contextmanager
def _proxy(url: str) -> Iterator[BaseStorage]:
    """Optuna's gRPC storage proxy at grpc://host:port."""
    if find_spec("grpc") is None:
        raise UserError(f"{url} needs the package grpcio: pip install 'nasface[grpc]'")
    place = urlsplit(url)
    try:
        host, port = place.hostname or "localhost", place.port or 13000
    except ValueError:
        raise UserError(f"{url} is not grpc://host:port") from None
    with warnings.catch_warnings(action="ignore"):  # "experimental"
        proxy = optuna.storages.GrpcStorageProxy(host=host, port=port)
    try:
        proxy.wait_server_ready(timeout=10)
    except Exception:  # the proxy's own exceptions are grpc's
        raise UserError(f"no storage proxy answers at {url}: start it, or correct host and port") from None
    try:
        yield proxy
    finally:
        proxy.close()


class _Evaluation(TypedDict, total=False):
    """What the record of an evaluation says."""

    digest: str
    penalty: Finite
    complete: bool
    details: dict[str, Any]
    seconds: Finite


def check_evaluation(trial: FrozenTrial, *needed: str) -> dict[str, Any]:
    """The record of an evaluation, with the attributes that are needed.

    Raises:
        UserError: it lacks something, or something is not of its type.
    """
    try:
        for name in needed:
            trial.user_attrs[name]
        return checked(_Evaluation, trial.user_attrs, "")
    except KeyError as error:
        raise UserError(
            f"trial {trial.number} of the study has no {error}: it was not written by this search"
        ) from None
    except ValueError as error:
        raise UserError(f"trial {trial.number} of the study was not written by this search: {error}") from None


def _mend_journal(path: Path) -> None:
    """Cut off a last line that a kill left incomplete; it was never part of the record.

    Raises:
        UserError: any other line is damaged.
    """
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    lines, left = content[:whole].splitlines(), content[whole:]
    # A kill leaves the first part of one record, or zeros; not several records whose line ends somebody has changed.
    if left.strip(b"\0") and (not left.startswith(b"{") or b'{"op_code"' in left[1:]):
        lines.append(b"")
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise UserError(f"line {number} of {path} is damaged: restore the file, or take another run id") from None
        if number == 1 and isinstance(record, dict) and record.get("op_code"):  # 0 makes a study
            raise UserError(f"{path} lacks its beginning, or is another's: restore it, or take another run id")
    if whole < len(content):
        os.truncate(path, whole)


@contextmanager
def storage_errors(storage: str | Path) -> Iterator[None]:
    """Turn a failing disk or database into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write the search's record {storage}: {os_reason(error)}, then --resume true") from None
    except optuna.exceptions.StorageInternalError as error:
        raise UserError(f"the search's record {storage} failed: {error}; mend the database, then --resume") from None
