"""One architecture of a multi-path space: an immutable code, its canonical form, its digest, and its strict JSON
file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write

if TYPE_CHECKING:
    from nasface.space.space import MultipathSpace

OPERATIONS = ("none", "identity", "hpm")
FORMAT = 1


@dataclass(frozen=True)
class Architecture:
    """A valid code of a multi-path space.

    Attributes:
        space: the space it belongs to.
        codes: one operation (0 none, 1 identity, 2 hpm) per connection; gap after gap, inside a gap row-major
            [source][target].

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

    @property
    def is_canonical(self) -> bool:
        return self.canonical is self

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that depend on nothing but the network: layers, scales, operations and the canonical
        code."""
        digits = "".join(map(str, self.canonical.codes))
        text = f"{self.space.layers} {self.space.scales} {','.join(OPERATIONS)} {digits}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def connections(self) -> list[tuple[int, int, int, int]]:
        """Every connection that is present, as (gap, source, target, operation), in the order of the code."""
        found = []
        for gap in range(self.space.layers):
            targets = self.space.gap_shape(gap)[1]
            for place, operation in enumerate(self.codes[self.space.gap_slice(gap)]):
                if operation:
                    found.append((gap, place // targets, place % targets, operation))
        return found

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
            "format": FORMAT,
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
        text = self.to_json(provenance, scores)
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def from_json(cls, text: str, space: MultipathSpace | None = None, origin: str = "architecture") -> Architecture:
        """Read what `to_json` writes; see `read_record`."""
        return read_record(text, space, origin).architecture

    @classmethod
    def load(cls, path: str | Path, space: MultipathSpace | None = None) -> Architecture:
        """Read what `save` writes; see `load_record`."""
        return load_record(path, space).architecture


@dataclass(frozen=True)
class Record:
    """The content of an architecture's JSON file."""

    architecture: Architecture
    provenance: dict[str, Any]
    scores: dict[str, Any]


def load_record(path: str | Path, space: MultipathSpace | None = None) -> Record:
    """Read an architecture's JSON file.

    Args:
        path: the file.
        space: the space that the architecture must belong to; without it the file's own (a known space of that name
            and size, else an unrestricted one).

    Raises:
        UserError: the file is absent, unreadable or malformed, its code is not valid, or it belongs to another space.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist: give the JSON file of an architecture, such as a search's best.json"
        ) from None
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not text: give the JSON file of an architecture, such as a search's best.json"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return read_record(text, space, str(path))


def read_record(text: str, space: MultipathSpace | None = None, origin: str = "architecture") -> Record:
    """Parse the text of an architecture's JSON file; `origin` is what error messages call it. As `load_record`
    otherwise."""
    record = _parse(text, origin)
    _check_keys(record, ("format", "space", "code", "provenance", "scores"), f"{origin}")
    if type(record["format"]) is not int or record["format"] != FORMAT:
        raise UserError(f'{origin}: "format" is {_show(record["format"])}, this version reads {FORMAT}')
    for key in ("provenance", "scores"):
        if not isinstance(record[key], dict):
            raise UserError(f'{origin}: "{key}" must be an object, such as {{}}')
    found = _resolve_space(record["space"], space, origin)
    codes = _read_code(record["code"], found, origin)
    if problem := found.find_problem(codes):
        raise UserError(f'{origin}: "code" is not a connected network: {problem}; correct it or search again')
    return Record(Architecture(found, codes), record["provenance"], record["scores"])


def _parse(text: str, origin: str) -> dict[str, Any]:
    def refuse_constant(name: str) -> float:
        raise UserError(f"{origin}: {name} is not a JSON number; replace it")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise UserError(f'{origin}: the key "{twice}" occurs twice; keep one')
        return result

    try:
        record = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        what = (
            "is empty"
            if not text.strip()
            else f"is not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
        )
        raise UserError(f"{origin} {what}: restore it, or search again") from None
    except (RecursionError, ValueError):
        raise UserError(
            f"{origin} is not a usable JSON file (nested too deep, or a number too long): restore it, or search again"
        ) from None
    if not isinstance(record, dict):
        raise UserError(f"{origin} must hold one JSON object, an architecture, not {_show(record)}")
    return record


def _check_keys(record: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    if unknown := sorted(set(record) - set(keys)):
        raise UserError(f'{where}: unknown key "{unknown[0]}"; the keys are {", ".join(keys)}')
    if missing := [key for key in keys if key not in record]:
        raise UserError(f'{where}: the key "{missing[0]}" is missing; the keys are {", ".join(keys)}')


def _resolve_space(entry: Any, space: MultipathSpace | None, origin: str) -> MultipathSpace:
    # The space module imports this one, because spaces make architectures.
    from nasface.space.space import MultipathSpace, find_space

    if not isinstance(entry, dict):
        raise UserError(f'{origin}: "space" must be an object with name, layers and scales, not {_show(entry)}')
    _check_keys(entry, ("name", "layers", "scales"), f'{origin}, "space"')
    try:
        stated = MultipathSpace(entry["name"], entry["layers"], entry["scales"])
    except UserError as error:
        raise UserError(f'{origin}, "space": {error}') from None
    if space is None:
        known = find_space(stated.name)
        return known if known is not None and known.shape == stated.shape else stated
    if space.shape != stated.shape:
        raise UserError(
            f"{origin} belongs to {stated.title}, not to {space.title}: choose that space, or another architecture"
        )
    return space


def _read_code(entry: Any, space: MultipathSpace, origin: str) -> tuple[int, ...]:
    where = f'{origin}, "code"'
    if not isinstance(entry, list) or not all(isinstance(line, str) for line in entry):
        raise UserError(f"{where} must be a list of {space.layers} strings of digits, one per gap")
    if len(entry) != space.layers:
        raise UserError(f"{where} has {len(entry)} gaps, {space.title} has {space.layers}")
    codes: list[int] = []
    for gap, line in enumerate(entry):
        sources, targets = space.gap_shape(gap)
        digits = line.replace(" ", "")
        if wrong := next((digit for digit in digits if digit not in "012"), None):
            raise UserError(
                f"{where}, gap {gap}: {_show(wrong)} is no operation; use 0 (none), 1 (identity) or 2 (hpm)"
            )
        if len(digits) != sources * targets:
            raise UserError(
                f"{where}, gap {gap} has {len(digits)} digits, it must have {sources} x {targets} = {sources * targets}"
            )
        codes += map(int, digits)
    return tuple(codes)


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
