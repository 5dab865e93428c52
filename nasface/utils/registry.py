"""Things of one kind by name: networks, strategies, path samplers, data sets, benchmarks.

Those of the project are found in their packages by themselves; other packages join through an entry point, which names
a module whose decorators register:

    [project.entry-points."nasface.strategies"]
    hill = "my_package.hill"
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from nasface.utils.errors import UserError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries by name.

    The modules that register are imported once, when a name is first asked for, so that a program which needs none of
    them does not pay for them.

    Args:
        kind: what the entries are, in words: `network`.
        group: entry point group of other packages: `nasface.networks`.
        packages: dotted names of packages of which every module is imported, and of single modules.
    """

    def __init__(self, kind: str, group: str, *packages: str) -> None:
        self.kind, self.group, self.packages = kind, group, packages
        self._entries: dict[str, T] = {}
        self._places: dict[str, str] = {}
        self._broken: list[str] = []
        self._loaded = False
        self._lock = threading.RLock()

    def add(self, name: str, entry: T, source: Any = None) -> T:
        """Make an entry known under a name.

        Args:
            name: as users write it.
            entry: is returned as it is.
            source: the class or function that is named where the name is wanted twice; the entry itself by default.

        Raises:
            ValueError: the name is taken by another entry.
        """
        place = _place(entry if source is None else source)
        if self._entries.setdefault(name, entry) is not entry:
            raise ValueError(
                f"the {self.kind} name {name!r} is taken by {self._places[name]}: {place} needs another one"
            )
        self._places[name] = place
        return entry

    def names(self) -> tuple[str, ...]:
        """All known names, sorted."""
        self._load()
        return tuple(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UserError: it is unknown; the nearest and all known names are given.
        """
        self._load()
        if name in self._entries:
            return self._entries[name]
        raise UserError(
            f"unknown {self.kind} {name!r}; known are: {', '.join(self.names())}"
            + nearest(name, self._entries)
            + "".join(f"; {reason}" for reason in self._broken)
        )

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Forget at its end what is registered within, as tests need it."""
        self._load()
        kept = self._entries, self._places
        self._entries, self._places = dict(self._entries), dict(self._places)
        try:
            yield
        finally:
            self._entries, self._places = kept

    def _load(self) -> None:
        with self._lock:
            if self._loaded:
                return
            self._loaded = True  # before the imports: one of the modules may ask for names itself
            try:
                for package in self.packages:
                    module = importlib.import_module(package)
                    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{package}."):
                        importlib.import_module(found.name)
            except BaseException:
                self._loaded = False
                raise
            for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value)):
                self._join(point)

    def _join(self, point: EntryPoint) -> None:
        """Import what an entry point names. A broken package must not stop those who do not need it."""
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            message = f"the package {package} cannot add its {self.kind} {point.name!r} ({reason}): update or remove it"
            self._broken.append(message)
            warnings.warn(message, stacklevel=2)


def _place(entry: Any) -> str:
    """Where an entry is defined."""
    named = entry if hasattr(entry, "__qualname__") else type(entry)
    return f"{named.__module__}.{named.__qualname__}"
