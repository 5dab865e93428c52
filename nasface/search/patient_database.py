"""A database that may go away for a while, as a server does that is restarted: what is asked of it waits and is asked
again."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

from nasface.utils.errors import UserError

PATIENCE = 300.0
"""Seconds that a database may be away."""
_PAUSE = 0.5
_DRIVERS = ("psycopg", "psycopg2")


def server_url(url: str) -> str:
    """The URL of a database with the driver that is installed: psycopg 3 where none is named.

    Raises:
        UserError: PostgreSQL's driver is missing.
    """
    scheme, rest = url.split("://", 1)
    if scheme not in ("postgresql", "postgres"):
        return url
    found = [name for name in _DRIVERS if find_spec(name) is not None]
    if not found:
        raise UserError(f"{url} needs the package psycopg: pip install 'nasface[postgres]'")
    return f"postgresql+{found[0]}://{rest}"


def is_away(error: BaseException | None) -> bool:
    """Whether an error says that the server is away, and not that it refuses what it was asked."""
    while error is not None:
        if isinstance(error, OperationalError | InterfaceError | PendingRollbackError):
            return True
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        error = error.__cause__ or error.__context__
    return False


class PatientDatabase(RDBStorage):
    """Optuna's storage in a database; a call that finds the server away is made again until it answers.

    A call whose answer was lost may then have been done twice: a second trial is one more claim, which the study gives
    up, and an end that has been written already stays.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, engine_kwargs={"pool_pre_ping": True})


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        until, said = time.monotonic() + PATIENCE, False
        while True:
            try:
                return method(*arguments, **named)
            except (StorageInternalError, DBAPIError, PendingRollbackError) as error:
                if not is_away(error) or time.monotonic() > until:
                    raise
                if not said:
                    print(f"the database does not answer: waiting for it, {PATIENCE:.0f} s at most", file=sys.stderr)
                said = True
                arguments[0].remove_session()
                time.sleep(_PAUSE)

    return call


for _name in BaseStorage.__abstractmethods__:
    setattr(PatientDatabase, _name, _patient(getattr(RDBStorage, _name)))
