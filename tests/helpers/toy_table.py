"""A small table of trained members with invented figures, for tests of what reads tables."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from nasface.config import MultipathConfig
from nasface.space.space import MultipathSpace
from nasface.tabular.table import MemberTable, TrainedMember

SPACE = MultipathSpace("toy", layers=3, scales=2)
NETWORK = MultipathConfig(input_size=32, map_size=16, width=8, head_width=8, head="cells", resample="cells")


def toy_table(space: MultipathSpace = SPACE, seeds: int = 1, count: int = 0) -> MemberTable:
    """Every member: error falls with its blocks, rises with its seed, and has a part of its own."""
    trainings = []
    for rank in range(count or space.count_members()):
        member = space.member(rank)
        own = np.random.default_rng(rank).uniform(0, 2)
        for seed in range(seeds):
            mean = 9 - sum(code == 2 for code in member.codes) / 2 + own + 0.1 * seed
            val = (mean - 1, mean, mean + 1, mean, mean - 0.5)
            code = "".join(map(str, member.codes))
            test = tuple(value + 0.5 for value in val)
            trainings.append(TrainedMember(member.digest, code, seed, 100 + rank, 1000 + rank, val, test, 0.5))
    return MemberTable(space, tuple(trainings), {"network": asdict(NETWORK)})
