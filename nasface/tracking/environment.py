"""What a run ran on: versions, the machine's kind and the source's revision; nothing that names the machine or its
user."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nasface.utils.cores import available_cores

PACKAGES = ("nasface", "torch", "pytorch-lightning", "numpy", "optuna", "opencv-python", "nni", "cmaes")


def environment() -> dict[str, str]:
    """Names and values, in the order in which they are shown."""
    import torch

    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found |= {"cpu": _cpu_name(), "cores": str(available_cores()), "torch threads": str(torch.get_num_threads())}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    if revision := git_revision():
        found["git"] = revision
    return found


def git_revision() -> str | None:
    """The checked out commit of this source, with `+` where files differ from it; None outside of a repository."""
    folder = Path(__file__).resolve().parents[2]
    revision = _git(folder, "rev-parse", "HEAD")
    if revision is None:
        return None
    return revision + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
