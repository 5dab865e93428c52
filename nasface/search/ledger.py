"""The cost ledger of a run: how many evaluations of which kind, on what, with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from nasface.search.strategy import Strategy
from nasface.search.study import StudyResult

_PACKAGES = ("nasface", "torch", "pytorch-lightning", "numpy", "optuna", "nni", "cmaes")


def search_counts(strategy: Strategy, result: StudyResult) -> dict[str, Any]:
    """Evaluations: all of them, of how many different members, again of a member whose first evaluation had stopped
    early, stopped early; members that limits kept from being evaluated; and lookups instead of evaluations."""
    members = {evaluation.architecture.digest for evaluation in result.evaluations}
    workers = {evaluation.outcome.details.get("worker") for evaluation in result.evaluations} - {None}
    return {
        "evaluations": len(result.evaluations),
        "unique": len(members),
        "duplicate": len(result.evaluations) - len(members),
        "stopped_early": result.rejected,
        "looked_up": int(result.status.get("known", 0)),
        "rejected": strategy.rejected,
        "workers": sorted(workers),
    }


def environment(device: str) -> dict[str, Any]:
    """Machine, device, library versions and git revision of this process."""
    return {
        "machine": platform.node(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "git": git_revision(),
    }


def git_revision() -> str | None:
    """The checked out commit of this source, with `+` where files differ from it; None outside of a repository."""
    folder = Path(__file__).resolve().parents[2]
    revision = _git(folder, "rev-parse", "HEAD")
    if revision is None:
        return None
    return revision + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
