"""What a table's building needs to outlive a kill: the list of its trainings, and the record of those that are done.

The order of the members is a fixed random one, so a part of the table is a random sample. Each finished training is one
line of the record, on disk before the next one begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasface.space.space import Architecture, MultipathSpace
from nasface.tabular.bands import banded_members
from nasface.tabular.table import TrainedMember
from nasface.utils.errors import UserError
from nasface.utils.line_record import append_line, read_entries

LARGEST = 200_000
"""Members that a space may have where all are asked for."""


@dataclass(frozen=True)
class Job:
    """One training: a member, by a seed."""

    member: Architecture
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        return self.member.digest, self.seed


def build_jobs(
    space: MultipathSpace,
    count: int,
    seeds: Sequence[int],
    bands: Sequence[float] = (),
    macs: Callable[[Architecture], float] | None = None,
) -> list[Job]:
    """All trainings in their fixed order, one seed after the other.

    Args:
        count: members, of each band where there are bands; 0 for all of the space.
        bands: multiply-adds, see `banded_members`.
        macs: a member's multiply-adds, for the bands.

    Raises:
        UserError: the space is too large for all, has fewer members, a band does, or a seed is there twice.
    """
    if len(set(seeds)) < len(seeds) or not seeds or min(seeds) < 0:
        raise UserError(f"--seeds must be different whole numbers >= 0, not {list(seeds)}")
    if bands:
        if not count or macs is None:
            raise UserError("--bands needs --members, the number of members in each band")
        return [Job(member, seed) for seed in seeds for member in banded_members(space, macs, bands, count)]
    size = space.count_members()
    if not count and size > LARGEST:
        raise UserError(f"{space.title} has more than {LARGEST} members: give --members, or a smaller space")
    if count > size:
        raise UserError(f"{space.title} has {size} members, not {count}")
    members = _members(space, count or size)
    return [Job(member, seed) for seed in seeds for member in members]


def _members(space: MultipathSpace, count: int) -> list[Architecture]:
    """The first members of a fixed random order."""
    size = space.count_members()
    rng = np.random.default_rng([size, 0x7AB])
    if size <= LARGEST:
        return [space.member(int(rank)) for rank in rng.permutation(size)[:count]]
    members: dict[str, Architecture] = {}
    while len(members) < count:
        member = space.random_architecture(rng)
        members.setdefault(member.digest, member)
    return list(members.values())


def append_training(path: Path, training: TrainedMember) -> None:
    """Add one training to the record, on disk when this returns."""
    append_line(path, json.dumps(training.row()))


def read_trainings(path: Path) -> dict[tuple[str, int], TrainedMember]:
    """(digest, seed) -> training of every whole line.

    Raises:
        UserError: a line is damaged.
    """
    return {(one.digest, one.seed): one for one in read_entries(path, TrainedMember.of_row, "start again")}
