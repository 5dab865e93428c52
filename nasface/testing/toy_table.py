"""A toy table of penalties, on which a search takes milliseconds: for tests and benchmarks of strategies."""

from __future__ import annotations

import time

import numpy as np

from nasface.search.strategy import Outcome, Proposal
from nasface.space.space import Architecture, MultipathSpace

_OPERATIONS = 3
_BINS = 3


class TableEvaluator:
    """The penalty of a member is a fixed, pseudo-random and smooth function of its canonical code.

    The function is a sum over connections of a random weight of (connection, operation), plus random weights of pairs
    of operations on random pairs of connections, plus a parabola in the density (share of live connections), all
    squeezed into about 3 to 9 percent. So neighbours have similar penalties, there are local minima, and neither the
    emptiest nor the fullest member is the best. An evaluation runs over `chunks` pretended portions of the data whose
    sum only grows.

    Args:
        space: the space of the members.
        seed: of the function's weights.
        early_rejection: stop as soon as the running sum alone reaches `reject_above`.
        chunks: portions of the pretended data; a multiple of 3, one third for each yaw bin.
        delay: seconds to sleep per chunk, to have something to interrupt.
    """

    def __init__(
        self,
        space: MultipathSpace,
        seed: int = 0,
        *,
        early_rejection: bool = False,
        chunks: int = 12,
        delay: float = 0.0,
    ) -> None:
        if chunks < _BINS or chunks % _BINS:
            raise ValueError(f"chunks must be a positive multiple of {_BINS}, not {chunks}")
        rng = np.random.default_rng(seed)
        count = space.num_connections
        self.space = space
        self.early_rejection = early_rejection
        self.chunks = chunks
        self.delay = delay
        self.evaluated = 0
        self._chunks_done = 0
        self._linear = rng.normal(size=(count, _OPERATIONS)) / np.sqrt(count)
        self._pairs = rng.integers(count, size=(2 * count, 2))
        self._pair_weights = rng.normal(size=(2 * count, _OPERATIONS, _OPERATIONS)) / np.sqrt(2 * count)
        self._difficulty = np.linspace(1.8, 0.2, chunks)
        self._chunk_weights = rng.normal(size=(chunks, count, _OPERATIONS)) / np.sqrt(count)

    def penalty(self, architecture: Architecture) -> float:
        """The member's exact penalty, in percent."""
        return _running_mean(self._portions(architecture))[-1]

    def __call__(self, proposal: Proposal) -> Outcome:
        """Evaluate; with `early_rejection` a hopeless member stops at the first chunk that proves it."""
        self.evaluated += 1
        portions = self._portions(proposal.architecture)
        for done, bound in enumerate(_running_mean(portions), start=1):
            if self.delay:
                time.sleep(self.delay)
            self._chunks_done += 1
            if self.early_rejection and done < self.chunks and bound >= proposal.reject_above:
                return Outcome(bound, complete=False, details={"saved": self.saved})
        # Chunk i belongs to bin i mod 3; the mean over chunks is the mean over the three bins.
        nme = [float(portions[index::_BINS].mean()) for index in range(_BINS)]
        return Outcome(bound, details={"nme": nme, "nme_all": bound, "saved": self.saved})

    @property
    def saved(self) -> float:
        """Share of the plain evaluations' chunks that were not run so far."""
        return 1.0 - self._chunks_done / (self.evaluated * self.chunks) if self.evaluated else 0.0

    def _portions(self, architecture: Architecture) -> np.ndarray:
        """(chunks,) penalties of the portions, all positive."""
        codes = np.asarray(architecture.codes, dtype=np.int64)
        rows = np.arange(len(codes))
        first, second = codes[self._pairs[:, 0]], codes[self._pairs[:, 1]]
        density = float(np.mean(codes > 0))
        raw = self._linear[rows, codes].sum() + self._pair_weights[np.arange(len(first)), first, second].sum()
        raw += 4.0 * (density - 0.5) ** 2
        level = 3.0 + 6.0 / (1.0 + np.exp(-2.0 * raw))
        wobble = np.tanh(self._chunk_weights[:, rows, codes].sum(axis=1))
        return level * self._difficulty * (1.0 + 0.2 * wobble)


def _running_mean(portions: np.ndarray) -> list[float]:
    """Sum so far divided by the whole count: lower bounds that only grow, the last of which is the mean."""
    return [float(total) / len(portions) for total in np.cumsum(portions)]
