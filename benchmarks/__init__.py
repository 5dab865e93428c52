"""Benchmarks of speed and quality: each prints a table and writes JSON; run one by `python -m benchmarks.NAME`."""

from __future__ import annotations

import sys
from pathlib import Path

_PARTS = ("__init__", "common", "ddfa_crops", "nni_supernet", "rank_correlation")


def _check_name(name: str) -> None:
    """Say which benchmark may be meant, before Python says that there is none of the name."""
    from nasface.utils.errors import nearest

    if not Path(__file__).with_name(f"{name}.py").is_file():
        known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in _PARTS)
        said = f"unknown benchmark {name}" if name else "which benchmark? give python -m benchmarks.NAME"
        print(f"error: {said}; known are: {', '.join(known)}{nearest(name, known)}", file=sys.stderr)
        sys.exit(2)


if sys.argv[:1] == ["-m"] and "-m" in sys.orig_argv:  # Python is looking for the module
    _place, _, _name = sys.orig_argv[sys.orig_argv.index("-m") + 1].partition(".")
    if _place == "benchmarks":
        _check_name(_name)
