"""W&B's format of sweep files as facts, read from its published schema and independent of the program's reading.

github.com/wandb/sweeps, src/sweeps/config/schema.json at commit b04e4d9c: of every distribution what it must and may
have, and the keys of a file and of its sections.
"""

from __future__ import annotations

import re
from typing import Any

NUMBER, WHOLE, ANY, LIST = (int, float), (int,), (object,), (list,)
RANGE: dict[str, tuple[type, ...]] = {"min": NUMBER, "max": NUMBER}
BELL: dict[str, tuple[type, ...]] = {"mu": NUMBER, "sigma": NUMBER}
SHAPE: dict[str, tuple[type, ...]] = {"a": NUMBER, "b": NUMBER}
Q: dict[str, tuple[type, ...]] = {"q": NUMBER}

# name: (must have, may have, need not be named).
DISTRIBUTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "constant": ({"value": ANY}, {}, True),
    "categorical": ({"values": LIST}, {}, True),
    "categorical_w_probabilities": ({"values": LIST, "probabilities": LIST}, {}, True),
    "int_uniform": ({"min": WHOLE, "max": WHOLE}, {}, True),
    "uniform": (RANGE, {}, True),
    "log_uniform": (RANGE, {}, False),
    "log_uniform_values": (RANGE, {}, False),
    "inv_log_uniform": (RANGE, {}, False),
    "inv_log_uniform_values": (RANGE, {}, False),
    "q_uniform": (RANGE, Q, False),
    "q_log_uniform": (RANGE, Q, False),
    "q_log_uniform_values": (RANGE, Q, False),
    "normal": ({}, BELL, False),
    "log_normal": ({}, BELL, False),
    "q_normal": ({}, {**BELL, **Q}, False),
    "q_log_normal": ({}, {**BELL, **Q}, False),
    "beta": ({}, SHAPE, False),
    "q_beta": ({}, {**SHAPE, **Q}, False),
}
KEYS: dict[str, Any] = {
    **{key: str for key in ("apiVersion", "kind", "description", "program", "job", "image_uri", "entity", "project")},
    **{"name": str, "method": str, "command": list, "run_cap": int, "controller": dict},
    **{"metric": dict, "early_terminate": dict, "parameters": dict},
}
METRIC: dict[str, Any] = {"name": str, "goal": str, "target": NUMBER, "impute": str, "impute_while_running": str}
HYPERBAND: dict[str, Any] = {
    **{"type": str, "min_iter": int, "max_iter": int, "s": NUMBER, "eta": NUMBER, "strict": bool}
}


def violations(content: Any) -> list[str]:
    """What of a file W&B would not take."""
    found = [f"{key} is missing" for key in ("method", "parameters") if key not in content]
    found += _section("file", content, KEYS)
    if content.get("method") not in ("grid", "random", "bayes", "custom"):
        found.append("method")
    if content.get("run_cap", 1) < 1:
        found.append("run_cap")
    if "metric" in content:
        found += _section("metric", content["metric"], METRIC)
        if "name" not in content["metric"] or content["metric"].get("goal") not in (None, "minimize", "maximize"):
            found.append("metric")
    if "early_terminate" in content:
        early = content["early_terminate"]
        found += _section("early_terminate", early, HYPERBAND)
        bounded = "min_iter" in early or {"max_iter", "s"} <= early.keys()
        if early.get("type") != "hyperband" or not bounded or early.get("eta", 3) <= 1:
            found.append("early_terminate")
    return found + _parameters(content.get("parameters", {}))


def _section(name: str, content: dict[str, Any], keys: dict[str, Any]) -> list[str]:
    return [f"{name}: {key}" for key, value in content.items() if key not in keys or not isinstance(value, keys[key])]


def _parameters(section: dict[str, Any]) -> list[str]:
    found = [] if section else ["parameters: empty"]
    for name, settings in section.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            found.append(f"parameter {name}")
        if settings.keys() == {"parameters"}:
            found += _parameters(settings["parameters"])
        elif not any(_fits(settings, kind) for kind in DISTRIBUTIONS):
            found.append(f"parameter {name}: {settings}")
    return found


def _fits(settings: dict[str, Any], kind: str) -> bool:
    must, may, unnamed = DISTRIBUTIONS[kind]
    if settings.get("distribution", kind if unnamed else None) != kind:
        return False
    given = {key: value for key, value in settings.items() if key != "distribution"}
    known = {**must, **may}
    return must.keys() <= given.keys() and all(
        key in known and isinstance(value, known[key]) and not isinstance(value, bool | str)
        if known.get(key) not in (ANY, LIST)
        else isinstance(value, known[key])
        for key, value in given.items()
    )
