"""W&B's sweep files, read and checked.

The format is that of docs.wandb.ai/models/sweeps/sweep-config-keys and of github.com/wandb/sweeps, config/schema.json.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasface.sweeps.distributions import Distribution, in_a_grid, read_distribution
from nasface.utils.errors import UserError, nearest
from nasface.utils.yaml_files import load_yaml

METHODS = ("grid", "random", "bayes")
_KEYS = {
    *("method", "parameters", "metric", "early_terminate", "command", "program", "run_cap"),
    *("name", "description", "project", "entity", "kind", "apiVersion", "controller", "job", "image_uri"),
}
_METRIC_KEYS = {"name", "goal", "target", "impute", "impute_while_running"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")


@dataclass(frozen=True)
class Parameter:
    """What is varied.

    Attributes:
        path: its name; that of a nested parameter has a part for each level.
        distribution: what it is drawn from.
    """

    path: tuple[str, ...]
    distribution: Distribution

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Metric:
    """What is sought.

    Attributes:
        name: as a run logs it, such as val/nme.
        maximize: the greatest value instead of the least.
        target: no new run once one has reached it.
    """

    name: str
    maximize: bool = False
    target: float | None = None

    def reached(self, value: float) -> bool:
        """Whether a value is as good as the target."""
        return self.target is not None and (value >= self.target if self.maximize else value <= self.target)


@dataclass(frozen=True)
class EarlyTermination:
    """When a run is stopped early: at every band, all but the best 1/eta of the runs that came so far.

    Attributes:
        first: the first band, in logged values of the metric.
        last: no band after it; None for no end.
        eta: ratio of a band to the one before.
        strict: every run meets the first band; else some runs are spared until later ones.
    """

    first: int
    last: int | None
    eta: int
    strict: bool


@dataclass(frozen=True)
class SweepFile:
    """A checked sweep file.

    Attributes:
        path: of the file.
        text: its content.
        method: `grid`, `random` or `bayes`.
        parameters: what is varied, in the file's order.
        metric: None where the file names none.
        early_terminate: None for never.
        command: with W&B's macros such as ${args}.
        program: what stands for ${program}.
        run_cap: most runs; None for any number.
        project: W&B project; None for W&B's own choice.
    """

    path: Path
    text: str
    method: str
    parameters: tuple[Parameter, ...]
    metric: Metric | None = None
    early_terminate: EarlyTermination | None = None
    command: tuple[str, ...] = _COMMAND
    program: str = ""
    run_cap: int | None = None
    project: str | None = None

    @property
    def grid_size(self) -> int:
        """How many runs a grid has."""
        return math.prod(len(parameter.distribution.grid or ()) for parameter in self.parameters)

    @property
    def most_runs(self) -> int | None:
        """How many runs the file has in all; None for no end."""
        limits = [self.run_cap] if self.run_cap else []
        limits += [self.grid_size] if self.method == "grid" else []
        return min(limits, default=None)


def load_sweep(path: str | Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        UserError: it cannot be read, or is no sweep file of W&B's.
    """
    path = Path(path)
    content, text = load_yaml(path, "the sweep"), path.read_text(encoding="utf-8-sig")
    try:
        return checked_sweep(path, text, content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def checked_sweep(path: Path, text: str, content: Any) -> SweepFile:
    if not isinstance(content, dict):
        raise UserError("a sweep file is a mapping with `method` and `parameters`")
    for key in content:
        if key not in _KEYS:
            raise UserError(f"unknown key {key!r}; known are: {', '.join(sorted(_KEYS))}{nearest(key, _KEYS)}")
    for key in ("method", "parameters"):
        if key not in content:
            raise UserError(f"`{key}` is missing")
    method = content["method"]
    if method not in METHODS:
        raise UserError(f"method must be one of {', '.join(METHODS)}, not {method!r}{nearest(method, METHODS)}")
    parameters = tuple(_parameters(content["parameters"]))
    metric = _metric(content.get("metric"))
    if method == "grid":
        parameters = tuple(Parameter(one.path, in_a_grid(one.name, one.distribution)) for one in parameters)
    if metric is None and method == "bayes":
        raise UserError("method bayes needs a `metric`")
    early = _early_termination(content.get("early_terminate"))
    if early is not None and metric is None:
        raise UserError("early_terminate needs a `metric`")
    program, command = content.get("program"), _command(content.get("command"))
    if "${program}" in command and not isinstance(program, str):
        raise UserError("`program` is missing, or a `command` without ${program}")
    return SweepFile(
        path=path,
        text=text,
        method=method,
        parameters=parameters,
        metric=metric,
        early_terminate=early,
        command=command,
        program=program or "",
        run_cap=_count(content, "run_cap"),
        project=content.get("project"),
    )


def _parameters(section: Any, above: tuple[str, ...] = ()) -> list[Parameter]:
    where = f"parameters of {'.'.join(above)}" if above else "parameters"
    if not isinstance(section, dict) or not section:
        raise UserError(f"{where} must be a mapping of names to distributions")
    found: list[Parameter] = []
    for name, settings in section.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UserError(f"{where}: {name!r} is no name of a parameter")
        path = (*above, name)
        if isinstance(settings, dict) and set(settings) == {"parameters"}:
            found += _parameters(settings["parameters"], path)
        else:
            found.append(Parameter(path, read_distribution(".".join(path), settings)))
    names = [parameter.name for parameter in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"parameter {name} is given twice, once nested and once with dots")
    return found


def _metric(section: Any) -> Metric | None:
    if section is None:
        return None
    if not isinstance(section, dict) or not isinstance(section.get("name"), str):
        raise UserError("metric must have a `name`, such as val/nme")
    for key in section:
        if key not in _METRIC_KEYS:
            raise UserError(
                f"metric takes no {key!r} (it takes {', '.join(sorted(_METRIC_KEYS))}){nearest(key, _METRIC_KEYS)}"
            )
    goal, target = section.get("goal", "minimize"), section.get("target")
    if goal not in ("minimize", "maximize"):
        raise UserError(
            f"metric.goal must be minimize or maximize, not {goal!r}{nearest(goal, ('minimize', 'maximize'))}"
        )
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float)):
        raise UserError(f"metric.target must be a number, not {target!r}")
    return Metric(section["name"], goal == "maximize", target)


def _early_termination(section: Any) -> EarlyTermination | None:
    if section is None:
        return None
    if not isinstance(section, dict) or section.get("type") != "hyperband":
        raise UserError("early_terminate.type must be hyperband")
    for key in section:
        if key not in ("type", "min_iter", "max_iter", "eta", "s", "strict"):
            raise UserError(f"early_terminate takes no {key!r} (it takes type, min_iter, max_iter, s, eta, strict)")
    eta, strict = section.get("eta", 3), section.get("strict", False)
    if isinstance(eta, bool) or not isinstance(eta, int | float) or eta <= 1:
        raise UserError(f"early_terminate.eta must be a number greater than 1, not {eta!r}")
    if not isinstance(strict, bool):
        raise UserError(f"early_terminate.strict must be true or false, not {strict!r}")
    eta = max(2, round(eta))  # Optuna's are whole
    first, last, bands = (_count(section, key, "early_terminate.") for key in ("min_iter", "max_iter", "s"))
    if first is None:
        if last is None or bands is None:
            raise UserError("early_terminate needs `min_iter`, or `max_iter` and `s`")
        first = max(1, int(last / eta**bands))
    if last is not None and last < first:
        raise UserError(f"early_terminate.max_iter ({last}) must not be less than min_iter ({first})")
    return EarlyTermination(first, last, eta, strict)


def _count(section: Mapping[str, Any], key: str, prefix: str = "") -> int | None:
    value = section.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise UserError(f"{prefix}{key} must be a whole number of at least 1, not {value!r}")
    return value


def _command(section: Any) -> tuple[str, ...]:
    if section is None:
        return _COMMAND
    if not isinstance(section, list) or not section or not all(isinstance(part, str | int | float) for part in section):
        raise UserError("command must be a list of words such as [nasface, search, ${args}]")
    return tuple(str(part) for part in section)
