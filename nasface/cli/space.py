"""`nasface space`."""

from __future__ import annotations

from nasface.cli.command import Command
from nasface.space.catalogue import load_space


def space(space: str = "multipath") -> None:
    """Print a space's size.

    Args:
        space: a name in search_spaces/ or a YAML file.
    """
    loaded = load_space(space)
    print(f"{loaded.name}: L={loaded.layers}, D={loaded.scales}, {loaded.num_connections} connections")
    print(f"raw codes          {loaded.raw_size}")
    print(f"valid (Eq. 8)      {loaded.count_valid()}")
    print(f"canonical          {loaded.count_canonical()}")
    print(f"in {str(loaded.connections or 'any density'):16s}{loaded.count_members()}")


COMMAND = Command(space)
