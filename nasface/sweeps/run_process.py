"""A run of a sweep as a process of its own, and what it logs while it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from nasface.tracking.metrics_file import METRICS_FILE
from nasface.utils.child_process import ChildProcess, command_environment, stop
from nasface.utils.worker_pool import THREAD_VARIABLES


class RunProcess:
    """A run's command, its output in `folder`/output.log and its figures in `folder`/metrics.jsonl.

    Args:
        words: of the command.
        folder: of the run's records; earlier figures in it are dropped.
        metric: what is followed.
        threads: CPU threads for it, where the environment does not say.
        offline: W&B writes offline files, unless it is disabled; else as the environment says.

    Raises:
        UserError: the command cannot be started.
    """

    def __init__(
        self, words: Sequence[str], folder: Path, metric: str | None, threads: int, *, offline: bool = True
    ) -> None:
        self.folder, self.metric = folder, metric
        self.values: list[float] = []
        """The metric, as often as it was logged."""
        self.names: set[str] = set()
        """What else was logged."""
        self.run: Path | None = None
        """Folder of the run of nasface."""
        self.started = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self._metrics = (folder / "metrics.jsonl").absolute()
        self._metrics.unlink(missing_ok=True)
        self._read = 0
        self.log.unlink(missing_ok=True)
        self._process = ChildProcess(words, self.log, _environment(self._metrics, threads, offline))

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    @property
    def process_id(self) -> int:
        return self._process.id

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def poll(self) -> int | None:
        """Read what is new; the exit code, or None while it runs."""
        code = self._process.poll()  # first, so that nothing is written after the last reading
        self._follow()
        return code

    @staticmethod
    def stop(*runs: RunProcess) -> None:
        """End the processes side by side, and all that they have started."""
        stop([run._process for run in runs])
        for run in runs:
            run._follow()

    def last_line(self) -> str:
        """The last line that the process has written."""
        return self._process.last_line()

    def _follow(self) -> None:
        if not self._metrics.exists():
            return
        with self._metrics.open("rb") as stream:
            stream.seek(self._read)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]  # a last line may be half written
        self._read += len(whole)
        for line in whole.splitlines():
            content = json.loads(line)
            if "run" in content:
                self.run = Path(content["run"])
            logged = content.get("metrics", {})
            self.names |= logged.keys()
            if self.metric in logged:
                self.values.append(logged[self.metric])


def _environment(metrics: Path, threads: int, offline: bool) -> dict[str, str]:
    counts = dict.fromkeys(THREAD_VARIABLES, str(threads))
    around = command_environment()
    offline = offline and around.get("WANDB_MODE") != "disabled"
    own = {METRICS_FILE: str(metrics), "PYTHONUNBUFFERED": "1", **({"WANDB_MODE": "offline"} if offline else {})}
    return {**counts, **around, **own}
