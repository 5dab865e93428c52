"""Progress bars with the time left, one for each stage."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from tqdm import tqdm

Progress = Callable[[int, int], None]
"""Called with (done, total) as work proceeds."""

_FORMAT = "{desc:<28} {percentage:3.0f}% |{bar:24}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


_open: weakref.WeakSet[tqdm] = weakref.WeakSet()


def stage_bar(description: str, total: int | None = None, initial: int = 0) -> tqdm:
    """An empty bar for a stage."""
    bar = tqdm(total=total, initial=initial, desc=description, bar_format=_FORMAT, dynamic_ncols=True, mininterval=0.5)
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
