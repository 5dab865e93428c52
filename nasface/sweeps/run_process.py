"""A run of a sweep as a process of its own, and what it logs while it goes on."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nasface.tracking.metrics_file import METRICS_FILE
from nasface.utils.errors import UserError

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl
_GRACE = 10.0  # seconds between asking a process to end and ending it


class RunProcess:
    """A run's command, its words in `folder`/output.log and its figures in `folder`/metrics.jsonl.

    Args:
        words: of the command.
        folder: of the run's records; earlier figures in it are dropped.
        metric: what is followed.
        threads: CPU threads that it shall use, where the environment does not say.
        offline: W&B writes offline files; else as the environment says.

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
        with self.log.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    words,
                    env=_environment(self._metrics, threads, offline),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # an interrupt at the keyboard is for this process to handle
                    preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                )
            except OSError as error:
                raise UserError(f"cannot start {words[0]!r} ({error.strerror}): correct the sweep's command") from None

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def poll(self) -> int | None:
        """Read what is new; the exit code, or None while it runs."""
        code = self._process.poll()  # first, so that nothing is written after the last reading
        self._follow()
        return code

    def stop(self) -> None:
        """End the process and all that it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_GRACE)
                break
        self._follow()

    def last_words(self) -> str:
        """The last line that the process has written."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

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
    # The commands of this environment, also where nobody has activated it.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
    own = {"PATH": path, METRICS_FILE: str(metrics), "PYTHONUNBUFFERED": "1"}
    return {**counts, **os.environ, **own, **({"WANDB_MODE": "offline"} if offline else {})}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
