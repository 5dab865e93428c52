"""Well-known networks as members of the space multipath (MONAS, end of section III-A): PRNet, Hourglass and HRNet, as
search_spaces/presets/ has them (`python -m tools.build_presets` writes them)."""

from __future__ import annotations

from nasface.space.catalogue import SPACES
from nasface.space.record import load_architecture
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError, nearest

FOLDER = SPACES / "presets"
PRESETS = ("hourglass", "hrnet", "prnet")
PRESET_SHAPE = (10, 4)
"""Layers and scales of the space that they are members of."""


def load_preset(name: str) -> Architecture:
    """The preset of that name.

    Raises:
        UserError: there is no such preset.
    """
    if name not in PRESETS:
        known = ", ".join(f"preset/{preset}" for preset in PRESETS)
        raise UserError(f"unknown preset 'preset/{name}'; known are: {known}{nearest(name, PRESETS)}")
    return load_architecture(FOLDER / f"{name}.json")


def presets_in(space: MultipathSpace) -> dict[str, Architecture]:
    """The presets that are members of a space, as members of it, by name; none where it has another shape."""
    if space.shape != PRESET_SHAPE:
        return {}
    codes = {name: load_preset(name).canonical.codes for name in PRESETS}
    return {name: Architecture(space, code) for name, code in codes.items() if space.is_member(code)}
