"""A trial of an NNI experiment (extra `nni`): a nasface command with the values that NNI's tuner chose.

    python -m nasface.sweeps.nni_trial val/nme retrain --experiment=smoke --arch=random

The metric is reported to NNI as often as the command logs it, and its last value as the final one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nasface.sweeps.run_process import RunProcess
from nasface.utils.child_process import python
from nasface.utils.cores import available_cores
from nasface.utils.ending import one_line
from nasface.utils.errors import UserError

_PAUSE = 0.2  # seconds between polls of the command


def run_trial(metric: str, command: Sequence[str], folder: Path) -> float:
    """Run a nasface command as NNI's trial.

    Args:
        metric: as the command logs it.
        command: the arguments of `nasface`; NNI's values are added as --<name>=<value>.
        folder: for the command's output and figures.

    Returns:
        What was reported as the final result.

    Raises:
        UserError: nni is absent, the command fails, or never logs the metric.
    """
    try:
        import nni
    except ImportError:
        raise UserError("NNI's trials need the package nni: pip install 'nasface[nni]'") from None
    values = nni.get_next_parameter() or {}
    words = [*python(), "-m", "nasface", *command, *(f"--{name}={value}" for name, value in values.items())]
    process = RunProcess(words, folder, metric, threads=available_cores(), offline=False)
    reported = 0
    try:
        while True:
            code = process.poll()
            for value in process.values[reported:]:
                nni.report_intermediate_result(value)
            reported = len(process.values)
            if code is not None:
                break
            time.sleep(_PAUSE)
    finally:
        RunProcess.stop(process)
    if code:
        raise UserError(f"the command ended with code {code}: {process.last_line()} (see {process.log})")
    if not process.values:
        logged = ", ".join(sorted(process.names)) or "nothing"
        raise UserError(f"the command never logged {metric}; it logged {logged}")
    nni.report_final_result(process.values[-1])
    return process.values[-1]


def main(arguments: Sequence[str] | None = None) -> None:
    """The trial command of experiments/nni/*.yml."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with one_line("nni_trial"):
        if len(words) < 2:
            raise UserError("give a metric and a nasface command: val/nme retrain --experiment=smoke --arch=random")
        folder = Path(os.environ.get("NNI_OUTPUT_DIR", "runs/nni-trial"))
        print(f"{words[0]} {run_trial(words[0], words[1:], folder):.6g}")


if __name__ == "__main__":
    main()
