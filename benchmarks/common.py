"""What the benchmarks share: an experiment's settings on the command line, results as JSON, peak memory."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonargparse
from jsonargparse import ArgumentParser

from nasface.cli.settings_files import type_hints, with_files
from nasface.config import Experiment, add_settings, recorded_settings, take_settings
from nasface.runs.run import Run
from nasface.utils.ending import one_line
from nasface.utils.errors import UserError
from nasface.utils.run_files import files_of_runs, supernet_file

SETTINGS = "experiment.yaml"
"""A run's settings, in its folder."""


@dataclass(frozen=True)
class Option:
    """An option of a benchmark's own, beside the settings of the experiment.

    Attributes:
        name: without the hyphens.
        type: as jsonargparse takes it.
        default: its value where it is not given; a list takes several values.
        help: one line for `--help`.
    """

    name: str
    type: Any
    default: Any
    help: str


@dataclass(frozen=True)
class Arguments:
    """A benchmark's command line: the experiment, and the benchmark's own values by name."""

    experiment: Experiment
    own: dict[str, Any]


def parse(
    description: str, options: Sequence[Option], arguments: Sequence[str], figures: str | None = None
) -> Arguments:
    """Read an experiment's settings (`--experiment NAME`, `--config FILE`, `--search.iterations 50` ...) beside own
    options; later ones win.

    Args:
        figures: name of the file of the benchmark's figures, whose path is the own value `json`: as `--json` says, or
            RUNS/benchmarks/<figures>.json. None where there is no such file.

    Raises:
        UserError: unknown or unusable settings.
    """
    if figures is not None:
        told = f"file of the figures; RUNS/benchmarks/{figures}.json where empty"
        options = [*options, Option("json", str | None, None, told)]
    parser = ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)
    for option in options:
        extra = {"nargs": "+"} if isinstance(option.default, list) else {}
        parser.add_argument(f"--{option.name}", type=option.type, default=option.default, help=option.help, **extra)
    add_settings(parser)
    try:
        settings = parser.parse_args(with_files("search", arguments, type_hints(parser)))
    except jsonargparse.ArgumentError as error:
        raise UserError(f"{error}; see --help") from None
    values = vars(parser.instantiate(settings))
    experiment = take_settings(values)
    if figures is not None:
        values["json"] = Path(values["json"] or Path(experiment.runs, "benchmarks", f"{figures}.json"))
    return Arguments(experiment, values)


def take(arguments: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """The value of `--flag VALUE` or `--flag=VALUE`, None where it is absent, and the other arguments."""
    value, rest, waiting = None, [], iter(arguments)
    for argument in waiting:
        name, equals, text = argument.partition("=")
        if name == flag:
            value = text if equals else next(waiting, "")
        else:
            rest.append(argument)
    return value, rest


def names_settings(arguments: Sequence[str]) -> bool:
    """Whether the command line says itself which experiment it means."""
    return any(argument.partition("=")[0] in ("--experiment", "--config") for argument in arguments)


def with_settings_of(arguments: Sequence[str], file: Callable[[], Path]) -> list[str]:
    """The arguments, with the settings of a file where they name no experiment themselves.

    Args:
        file: gives the file; asked only where it is needed.
    """
    if names_settings(arguments) or {"-h", "--help"} & set(arguments):
        return list(arguments)
    return ["--config", str(file()), *arguments]


def newest_search(runs: str | Path) -> Run:
    """The newest run in `runs` whose supernet is trained.

    Raises:
        UserError: there is none.
    """
    for path in files_of_runs(runs, supernet_file("")):
        run = Run(path.parents[1])
        if run.path(SETTINGS).is_file():
            return run
    mend = "start `make search ON=supernet` first, or name one by --run"
    raise UserError(f"{runs} holds no run with a trained supernet: {mend}")


def run_benchmark(main: Callable[[Sequence[str]], int | None], goes_on: bool = False) -> None:
    """Run a benchmark's `main(arguments)`; it ends as a command of `nasface` does.

    Args:
        main: returns the exit code.
        goes_on: whether the same command goes on where one was ended.
    """
    with one_line("error", lambda: "the same command goes on from here" if goes_on else ""):
        sys.exit(main(sys.argv[1:]))


def described(experiment: Experiment) -> dict[str, Any]:
    """An experiment's settings as JSON holds them."""
    return recorded_settings(experiment)


# Peak memory ---------------------------------------------------------------------------------------------------------


def reset_peak() -> None:
    """Start counting the process's peak memory anew, where the system lets a process do so (Linux)."""
    gc.collect()
    try:
        # Freed memory that the C library keeps would count for whoever comes next.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        pass


def peak_bytes() -> int:
    """Greatest resident memory since `reset_peak`; since the start where that cannot be reset."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def gibibytes(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
