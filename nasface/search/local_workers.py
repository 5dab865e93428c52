"""Workers of a shared study as processes on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from nasface.search.workers import SharedStudy
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
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> LocalWorkers:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "nasface", "search-worker", "--storage", str(self.storage)]
        command += ["--study", self.name, "--threads", str(self.threads)]
        for number in range(self.count):
            with self._log(number).open("ab") as log:
                # A session of its own: an interrupt at the keyboard is this process's to handle.
                self._processes[number] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        return self

    def __exit__(self, error: object, *_: object) -> None:
        for process in self._processes.values():
            if error is None:  # the study is finished, which they notice
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def look(self, study: SharedStudy) -> None:
        """Give back what an ended worker held, so that nobody has to wait until its beats are missed."""
        for number, process in list(self._processes.items()):
            if process.poll() is not None:
                study.release_of(f"{socket.gethostname()}:{process.pid}")
                del self._processes[number]
                if not self._processes and not study.finished:
                    raise UserError(
                        f"all {self.count} workers ended before the search did; the last one said: "
                        f"{self._last_line(number)} (see {self._log(number)}); mend it, then --resume"
                    )

    def _log(self, number: int) -> Path:
        return self.folder / f"worker_{number}.log"

    def _last_line(self, number: int) -> str:
        lines = self._log(number).read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
