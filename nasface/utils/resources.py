"""Folders of files that come with the program and that users copy and change: spaces and experiments."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def resource_folder(name: str) -> Path:
    """`search_spaces` or `experiments`: inside the package where that is installed from a wheel, beside it in a
    checkout, where they lie at the top so that they are found."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
