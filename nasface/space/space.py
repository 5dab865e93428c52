"""The multi-path space (MONAS, section III-A) and its architectures: topology, validity (Eq. 8), exact counts, uniform
random members.

The two classes are one idea, and one file: a space makes architectures, and an architecture belongs to its space.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nasface.space import counting
from nasface.utils.errors import UserError
from nasface.utils.files import write_text

OPERATIONS = ("none", "identity", "hpm")
ARCHITECTURE_FORMAT = 1
MAX_LAYERS, MAX_SCALES = 64, 8


@dataclass(frozen=True)
class MultipathSpace:
    """L gaps of connections over D scales.

    Gap 0 joins the stem to the D nodes of layer 1, each of the gaps 1..L-2 joins all D nodes of a layer to all D
    nodes of the next, and gap L-1 joins the D nodes of layer L-1 to the output node, which has the finest scale.
    Scale 0 is the coarsest, D-1 the finest. A *code* gives every connection an operation; a *member* is a canonical
    code whose inner gaps hold an allowed number of connections.

    Attributes:
        name: what files and tables call the space.
        layers: L, 2 to 64.
        scales: D, 1 to 8.
        connections: least and greatest number of connections that each inner gap (1..L-2) of a member has; None for
            any number.
        drawn: the same of members that are drawn at random; None for `connections`. Most members of a wide range are
            dense: without a range of its own a draw hardly ever meets a sparse one.
        widths: channels of the finest scale among which a search may choose, ascending multiples of 8; None leaves the
            width to the experiment (`network.width`).

    Raises:
        UserError: a value is out of range (a range of connections within 1..D^2 always leaves members).
    """

    name: str
    layers: int
    scales: int
    connections: tuple[int, int] | None = None
    drawn: tuple[int, int] | None = None
    widths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", self.name):
            raise UserError("name must be 1 to 64 letters, digits, '_', '-' or '.'")
        _check_integer("layers", self.layers, 2, MAX_LAYERS)
        _check_integer("scales", self.scales, 1, MAX_SCALES)
        self._check_range("connections", "number of connections", 1, self.scales**2)
        self._check_range("drawn", "number of drawn connections", *(self.connections or (1, self.scales**2)))
        if self.widths is not None:
            object.__setattr__(self, "widths", _checked_widths(self.widths))

    def _check_range(self, name: str, what: str, least: int, greatest: int) -> None:
        if (given := getattr(self, name)) is not None:
            low, high = given
            _check_integer(f"the least {what}", low, least, greatest)
            _check_integer(f"the greatest {what}", high, low, greatest)
            object.__setattr__(self, name, (low, high))

    @property
    def title(self) -> str:
        """The space in words, for messages."""
        return f"space {self.name} (layers {self.layers}, scales {self.scales})"

    @property
    def shape(self) -> tuple[int, int]:
        return self.layers, self.scales

    @property
    def num_connections(self) -> int:
        """(L-2) D^2 + 2 D."""
        return (self.layers - 2) * self.scales**2 + 2 * self.scales

    @property
    def raw_size(self) -> int:
        """Number of codes without any constraint, 3^((L-2) D^2 + 2 D)."""
        return len(OPERATIONS) ** self.num_connections

    def gap_shape(self, gap: int) -> tuple[int, int]:
        """(sources, targets) of a gap, 0 <= gap < L."""
        self._check_gap(gap)
        return (1 if gap == 0 else self.scales), (1 if gap == self.layers - 1 else self.scales)

    def gap_slice(self, gap: int) -> slice:
        """Where a gap's connections lie in a code."""
        sources, targets = self.gap_shape(gap)
        start = 0 if gap == 0 else self.scales + (gap - 1) * self.scales**2
        return slice(start, start + sources * targets)

    def is_valid(self, codes: Sequence[int]) -> bool:
        """Whether every connection's source has an incoming connection itself (Eq. 8) and the output is reached."""
        return self.find_problem(codes) is None

    def find_problem(self, codes: Sequence[int]) -> str | None:
        """The first thing that keeps a code from being valid, in words; None for a valid one."""
        active = [True]
        for gap in range(self.layers):
            sources, targets = self.gap_shape(gap)
            block = codes[self.gap_slice(gap)]
            for source in range(sources):
                if not active[source] and any(block[source * targets : (source + 1) * targets]):
                    return (
                        f"gap {gap} has a connection from scale {source}, which no connection of gap {gap - 1} reaches"
                    )
            active = [any(block[target::targets]) for target in range(targets)]
        return None if active[0] else f"no connection reaches the output (gap {self.layers - 1})"

    def live_connections(self, codes: np.ndarray) -> np.ndarray:
        """Which connections lie on a path from the stem to the output; bool (..., num_connections) for codes of that
        shape."""
        codes = np.asarray(codes)
        present = [
            codes[..., self.gap_slice(gap)].reshape(*codes.shape[:-1], *self.gap_shape(gap)) > 0
            for gap in range(self.layers)
        ]
        end: np.ndarray = np.ones((*codes.shape[:-1], 1), dtype=bool)
        reached = [end]
        for block in present[:-1]:
            reached.append(np.any(block & reached[-1][..., :, None], axis=-2))
        alive, live = end, []
        for block, sources in zip(reversed(present), reversed(reached), strict=True):
            block = block & sources[..., :, None] & alive[..., None, :]
            alive = np.any(block, axis=-1)
            live.append(block.reshape(*codes.shape[:-1], -1))
        return np.concatenate(live[::-1], axis=-1)

    def canonical(self, codes: Sequence[int]) -> tuple[int, ...]:
        """The code without the connections that do not lie on a path from the stem to the output (all zero when there
        is no such path)."""
        values = np.asarray(codes)
        return tuple(np.where(self.live_connections(values), values, 0).tolist())

    def is_member(self, codes: Sequence[int]) -> bool:
        """Whether a code is valid, canonical, and has an allowed number of connections in every inner gap."""
        if len(codes) != self.num_connections or not self.is_valid(codes) or self.canonical(codes) != tuple(codes):
            return False
        low, high = self.connections or (0, self.scales**2)
        counts = (sum(code > 0 for code in codes[self.gap_slice(gap)]) for gap in range(1, self.layers - 1))
        return all(low <= count <= high for count in counts)

    def count_valid(self, connections: tuple[int, int] | None = None) -> int:
        """Number of valid codes; with a range, of those whose canonical form has so many connections in every inner
        gap."""
        return counting.count_valid(self.layers, self.scales, connections)

    def count_canonical(self, connections: tuple[int, int] | None = None) -> int:
        """Number of canonical codes, that is, of different networks; with a range, of those with so many connections
        in every inner gap."""
        return counting.count_canonical(self.layers, self.scales, connections)

    def count_members(self) -> int:
        """Number of canonical codes within the space's own range of connections."""
        return self.count_canonical(self.connections)

    def member(self, rank: int) -> Architecture:
        """The member of a rank; every member has exactly one, 0 <= rank < count_members()."""
        if not 0 <= rank < self.count_members():
            raise IndexError(f"{self.title} has {self.count_members()} members, none of rank {rank}")
        return Architecture(self, tuple(counting.member(rank, self.layers, self.scales, self.connections)))

    def random_architecture(self, rng: np.random.Generator) -> Architecture:
        """A member drawn exactly uniformly from those in the range `drawn`."""
        drawn = self.drawn or self.connections
        rank = _random_below(rng, self.count_canonical(drawn))
        return Architecture(self, tuple(counting.member(rank, self.layers, self.scales, drawn)))

    def _check_gap(self, gap: int) -> None:
        if not 0 <= gap < self.layers:
            raise IndexError(f"{self.title} has the gaps 0 to {self.layers - 1}, not {gap}")


@dataclass(frozen=True)
class Architecture:
    """A valid code of a multi-path space.

    Attributes:
        space: the space it belongs to.
        codes: one operation (0 none, 1 identity, 2 hpm) per connection; gap after gap, inside a gap row-major
            `[source][target]`.

    Raises:
        UserError: the code has another length, a value that is no operation, or is not valid (Eq. 8 of the MONAS
            paper, and the output is reached).
    """

    space: MultipathSpace
    codes: tuple[int, ...]

    def __post_init__(self) -> None:
        codes = tuple(int(code) for code in self.codes)
        object.__setattr__(self, "codes", codes)
        if len(codes) != self.space.num_connections:
            raise UserError(
                f"an architecture of {self.space.title} has {self.space.num_connections} connections, "
                f"this one has {len(codes)}"
            )
        if min(codes) < 0 or max(codes) >= len(OPERATIONS):
            raise UserError(
                f"an architecture's codes are 0 to {len(OPERATIONS) - 1}, this one has {min(codes)} to {max(codes)}: "
                "correct it"
            )
        if problem := self.space.find_problem(codes):
            raise UserError(f"the architecture is not connected: {problem}")

    def gap(self, index: int) -> np.ndarray:
        """The operations of one gap, int8 of shape (sources, targets)."""
        return np.array(self.codes[self.space.gap_slice(index)], dtype=np.int8).reshape(self.space.gap_shape(index))

    @cached_property
    def canonical(self) -> Architecture:
        """The same network without the connections that do not lie on a path from the stem to the output."""
        codes = self.space.canonical(self.codes)
        return self if codes == self.codes else Architecture(self.space, codes)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that depend on nothing but the network: layers, scales, operations and the canonical
        code."""
        digits = "".join(map(str, self.canonical.codes))
        text = f"{self.space.layers} {self.space.scales} {','.join(OPERATIONS)} {digits}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def connections(self) -> list[tuple[int, int, int, int]]:
        """Every connection that is present, as (gap, source, target, operation), in the order of the code."""
        gaps = enumerate(map(self.gap, range(self.space.layers)))
        return [(gap, int(s), int(t), int(block[s, t])) for gap, block in gaps for s, t in np.argwhere(block)]

    def inner_counts(self) -> list[int]:
        """Number of connections in each inner gap (1..L-2) of the canonical form."""
        codes = self.canonical.codes
        return [sum(code > 0 for code in codes[self.space.gap_slice(gap)]) for gap in range(1, self.space.layers - 1)]

    @property
    def digits(self) -> list[str]:
        """The code as text: one string of digits per gap, a group per source."""
        lines = []
        for gap in range(self.space.layers):
            sources, targets = self.space.gap_shape(gap)
            text = "".join(map(str, self.codes[self.space.gap_slice(gap)]))
            groups = [text[i * targets : (i + 1) * targets] for i in range(sources)]
            lines.append("".join(groups) if targets == 1 else " ".join(groups))
        return lines

    def __str__(self) -> str:
        return f"{self.space.name}:{self.digest}"

    def to_json(self, provenance: dict[str, Any] | None = None, scores: dict[str, Any] | None = None) -> str:
        """The architecture as the text of a JSON file; `provenance` and `scores` are plain JSON objects that travel
        with it."""
        record = {
            "format": ARCHITECTURE_FORMAT,
            "space": {"name": self.space.name, "layers": self.space.layers, "scales": self.space.scales},
            "code": self.digits,
            "provenance": provenance or {},
            "scores": scores or {},
        }
        return json.dumps(record, indent=2, allow_nan=False) + "\n"

    def save(
        self, path: str | Path, provenance: dict[str, Any] | None = None, scores: dict[str, Any] | None = None
    ) -> None:
        """Write the JSON file atomically.

        Raises:
            UserError: the file cannot be written.
        """
        write_text(Path(path), self.to_json(provenance, scores))


def _checked_widths(widths: Sequence[int]) -> tuple[int, ...]:
    for width in widths:
        _check_integer("a width", width, 8, 65536)
    if not widths or list(widths) != sorted(set(widths)) or any(width % 8 for width in widths):
        raise UserError(f"widths must be different multiples of 8, the smallest first, not {list(widths)}")
    return tuple(widths)


def _check_integer(what: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise UserError(f"{what} must be a whole number from {low} to {high}, not {value!r}")


def _random_below(rng: np.random.Generator, bound: int) -> int:
    """A uniform integer in [0, bound) of any size: random bits, drawn again when they spell a number beyond the
    bound."""
    bits = (bound - 1).bit_length()
    while True:
        value = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1) if bits else 0
        if value < bound:
            return value
