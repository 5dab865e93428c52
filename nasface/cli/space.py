"""`nasface space`."""

from __future__ import annotations

from nasface.cli.command import Command
from nasface.config import Experiment
from nasface.space.catalogue import load_space
from nasface.space.counting import power


def space(space: str = Experiment.space, exact: bool = False) -> None:
    """Print a space's size.

    Args:
        space: a name in search_spaces/ or a YAML file.
        exact: print every digit.
    """
    loaded, show = load_space(space), str if exact else power
    print(f"{loaded.name}: L={loaded.layers}, D={loaded.scales}, {loaded.num_connections} connections")
    print(f"raw codes          {show(loaded.raw_size)}")
    print(f"valid (Eq. 8)      {show(loaded.count_valid())}")
    print(f"canonical          {show(loaded.count_canonical())}")
    density = "any" if loaded.connections is None else "{} to {} a gap".format(*loaded.connections)
    print(f"with {density:14s}{show(loaded.count_members())}")
    if loaded.drawn:
        print("drawn {} to {:2} a gap {}".format(*loaded.drawn, show(loaded.count_canonical(loaded.drawn))))
    if loaded.widths:
        print(f"widths             {', '.join(map(str, loaded.widths))}, of which a search by short trainings chooses")


COMMAND = Command(space)
