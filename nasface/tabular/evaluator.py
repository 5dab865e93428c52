"""A search's evaluator that looks members up in a table of trained members."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from nasface.search.strategy import Outcome, Proposal
from nasface.tabular.table import FACES, MemberTable
from nasface.utils.errors import UserError


class MemberTableEvaluator:
    """Proposal -> Outcome, looked up: the penalty of a member is its recorded NME (%) on the validation faces, mean of
    the yaw bins (and of the seeds, where there are several).

    Args:
        table: with every member of its space.
        seed: of the trainings to use; None for the mean of all.

    Raises:
        UserError: members are missing.
    """

    def __init__(self, table: MemberTable, seed: int | None = None) -> None:
        table.check_complete()
        self.table, self._outcomes = table, {}
        for digest, trainings in table.by_member.items():
            used = [one for one in trainings if seed is None or one.seed == seed]
            if not used:
                raise UserError(f"the table has no training of member {digest} with seed {seed}")
            val, test = (np.mean([getattr(one, faces) for one in used], axis=0).tolist() for faces in FACES)
            details = {
                "nme": val[:3],
                "nme_all": val[4],
                "test_nme": test[:3],
                "test_mean": test[3],
                "train_s": sum(one.seconds for one in used),
                "costs": {"macs": float(used[0].macs), "parameters": float(used[0].parameters)},
            }
            self._outcomes[digest] = Outcome(val[3], details=details)

    def __call__(self, proposal: Proposal) -> Outcome:
        return self._outcomes[proposal.architecture.digest]

    @cached_property
    def ranking(self) -> Sequence[str]:
        """Digests by rising penalty."""
        return sorted(self._outcomes, key=lambda digest: self._outcomes[digest].penalty)
