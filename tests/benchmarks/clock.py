"""A clock that tests move by hand, in place of the module `time`."""

from __future__ import annotations


class Clock:
    """Seconds by the clock, and seconds of processor time."""

    def __init__(self) -> None:
        self.wall = self.busy = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.busy

    def pass_by(self, wall: float, busy: float = 0.0) -> None:
        self.wall, self.busy = self.wall + wall, self.busy + busy
