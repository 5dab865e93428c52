"""Progress with the time left, one bar for each stage: drawn in its place on a terminal, a line now and then elsewhere,
so that a log stays short."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

Progress = Callable[[int, int], None]
"""Called with (done, total) as work proceeds."""

_TERMINAL = "{desc:<28} {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
_LINE = "{desc:<28} {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
_SECONDS = 10
"""Between two lines of a bar, where stderr is no terminal."""

_open: weakref.WeakSet[tqdm] = weakref.WeakSet()


class _Lines(tqdm):
    """A bar that writes a line where others draw."""

    _written = -1

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        if msg is None and self.n != self._written:
            self._written = self.n
            self.fp.write(f"{self}\n")
            self.fp.flush()
        return True

    def clear(self, nolock: bool = False) -> None:
        pass  # a line stays

    def close(self) -> None:
        if not self.disable:
            self.display()
            self.sp = None  # tells tqdm that there is no cursor to move
            super().close()


def stage_bar(description: str, total: int | None = None, initial: int = 0) -> tqdm:
    """An empty bar for a stage, on stderr."""
    settings: dict[str, Any] = {"total": total, "initial": initial, "desc": description}
    if sys.stderr.isatty():
        bar = tqdm(**settings, bar_format=_TERMINAL, dynamic_ncols=True, mininterval=0.5)
    else:
        bar = _Lines(**settings, bar_format=_LINE, mininterval=_SECONDS, miniters=1)
    _open.add(bar)
    return bar


def close_bars() -> None:
    """End the line of every bar that an error has left open, so that a message has a line of its own."""
    for bar in list(_open):
        bar.close()
    _open.clear()


def progress_for(description: str) -> Progress:
    """A callback (done, total) behind a bar that appears with its first call and closes when all is done."""
    bar: tqdm | None = None

    def progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = stage_bar(description, total)
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return progress
