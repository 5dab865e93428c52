"""Workers of a shared study as processes on this machine."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from nasface.search.workers import SharedStudy
from nasface.utils.child_process import GRACE, ChildProcess, python, stop
from nasface.utils.cores import available_cores
from nasface.utils.errors import UserError


class LocalWorkers:
    """So many `nasface search-worker` processes, from entering to leaving the block.

    Args:
        count: how many; 0 for none.
        storage: of the study.
        name: of the study.
        folder: where each leaves what it says, worker_<i>.log.
        threads: CPU threads of each; 0 shares the machine's cores among them.

    Raises:
        UserError: on `look`, when all of them have ended and the study has not.
    """

    def __init__(self, count: int, storage: str | Path, name: str, folder: Path, threads: int = 0) -> None:
        self.count, self.storage, self.name, self.folder = count, storage, name, folder
        self.threads = threads or max(1, available_cores() // max(1, count))
        self._processes: list[ChildProcess] = []

    def __enter__(self) -> LocalWorkers:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [*python(), "-m", "nasface", "search-worker", "--storage", str(self.storage)]
        words += ["--study", self.name, "--threads", str(self.threads)]
        for number in range(self.count):
            # SIGTERM lets a worker give back the member that it evaluates, also where this process is killed.
            log = self.folder / f"worker_{number}.log"
            self._processes.append(ChildProcess(words, log, signal_at_death=signal.SIGTERM))
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:  # the study is finished, which they notice
            for process in self._processes:
                process.wait(GRACE)
        stop(self._processes)

    def look(self, study: SharedStudy) -> None:
        """Give back what an ended worker held, so that nobody has to wait until its beats are missed."""
        for process in list(self._processes):
            if process.poll() is not None:
                study.release_of(f"{socket.gethostname()}:{process.id}")
                self._processes.remove(process)
                if self._processes:
                    continue
                study.read()  # it may have ended the search since the record was last read
                if not study.finished:
                    raise UserError(
                        f"all {self.count} workers ended before the search did; the last one said: "
                        f"{process.last_line()} (see {process.log}); mend it, then --resume"
                    )
