"""The multi-path space (MONAS, section III-A): its topology, validity (Eq. 8), exact counts, and uniform random
members."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nasface.space import counting, neighbours
from nasface.space.architecture import OPERATIONS, Architecture
from nasface.utils.errors import UserError

__all__ = ["OPERATIONS", "SPACES", "MultipathSpace", "find_space", "load_space", "space_names"]

# The repository's folder of spaces; an editable installation, which is what the Makefile makes, sits beside it.
SPACES = Path(__file__).resolve().parents[2] / "search_spaces"
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

    Raises:
        UserError: a value is out of range (a range of connections within 1..D^2 always leaves members).
    """

    name: str
    layers: int
    scales: int
    connections: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", self.name):
            raise UserError("name must be 1 to 64 letters, digits, '_', '-' or '.'")
        _check_integer("layers", self.layers, 2, MAX_LAYERS)
        _check_integer("scales", self.scales, 1, MAX_SCALES)
        if self.connections is None:
            return
        low, high = self.connections
        _check_integer("the least number of connections", low, 1, self.scales**2)
        _check_integer("the greatest number of connections", high, low, self.scales**2)
        object.__setattr__(self, "connections", (low, high))

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

    def connection_index(self, gap: int, source: int, target: int) -> int:
        """Where one connection lies in a code."""
        sources, targets = self.gap_shape(gap)
        if not (0 <= source < sources and 0 <= target < targets):
            raise IndexError(f"gap {gap} has {sources} sources and {targets} targets, not ({source}, {target})")
        return self.gap_slice(gap).start + source * targets + target

    def with_connections(self, connections: tuple[int, int] | None) -> MultipathSpace:
        """The same space with another range of connections."""
        return replace(self, connections=connections)

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
        end = np.ones((*codes.shape[:-1], 1), dtype=bool)
        reached = [end]
        for block in present[:-1]:
            reached.append((block & reached[-1][..., :, None]).any(axis=-2))
        alive, live = end, []
        for block, sources in zip(reversed(present), reversed(reached), strict=True):
            block = block & sources[..., :, None] & alive[..., None, :]
            alive = block.any(axis=-1)
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
        """A member drawn exactly uniformly."""
        return self.member(_random_below(rng, self.count_members()))

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Every architecture that is one move away from the canonical form, each once, in a fixed order; the moves
        are those of `nasface.space.neighbours`. From a member they lead to members."""
        for codes in neighbours.neighbours(self, architecture.canonical.codes):
            yield Architecture(self, codes)

    def random_neighbour(self, architecture: Architecture, rng: np.random.Generator, moves: int = 1) -> Architecture:
        """An architecture that is so many random moves away; canonical, never the same network, of a member a member.

        The gap to change is drawn first and uniformly, so that every gap changes equally often.
        """
        start = codes = architecture.canonical.codes
        done = 0
        # Several moves can undo each other; one more then leads away again.
        while done < moves or codes == start:
            codes = neighbours.random_neighbour(self, codes, rng)
            done += 1
        return Architecture(self, codes)

    def _check_gap(self, gap: int) -> None:
        if not 0 <= gap < self.layers:
            raise IndexError(f"{self.title} has the gaps 0 to {self.layers - 1}, not {gap}")


def space_names() -> list[str]:
    """Names of the spaces in search_spaces/."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def find_space(name: str) -> MultipathSpace | None:
    """The space of that name in search_spaces/, None when there is none."""
    return load_space(name) if name in space_names() else None


def load_space(name_or_path: str | Path) -> MultipathSpace:
    """Read a space from search_spaces/<name>.yaml, or from the path of a YAML file.

    The file has the keys name, layers, scales and connections ([least, greatest] or null), no others.

    Raises:
        UserError: there is no such space or file, or its content is not a space.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith((".yaml", ".yml")) or "/" in text:
        path = Path(name_or_path)
    elif text in space_names():
        path = SPACES / f"{text}.yaml"
    else:
        raise UserError(
            f"unknown space {text!r}: choose one of {', '.join(space_names()) or 'none found'} "
            "or give the path of a YAML file"
        )
    try:
        return _space_from(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; the known spaces are {', '.join(space_names())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path} is not YAML{place}: correct it") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _space_from(content: Any) -> MultipathSpace:
    keys = ("name", "layers", "scales", "connections")
    if not isinstance(content, dict):
        raise UserError(f"must be a mapping with the keys {', '.join(keys)}")
    if unknown := sorted(str(key) for key in content if key not in keys):
        raise UserError(f"unknown key {unknown[0]!r}; the keys are {', '.join(keys)}")
    if missing := [key for key in keys if key not in content]:
        raise UserError(f"the key {missing[0]!r} is missing; the keys are {', '.join(keys)}")
    connections = content["connections"]
    if connections is not None:
        if not isinstance(connections, list) or len(connections) != 2:
            raise UserError("connections must be null or two numbers, [least, greatest]")
        connections = tuple(connections)
    return MultipathSpace(content["name"], content["layers"], content["scales"], connections)


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
