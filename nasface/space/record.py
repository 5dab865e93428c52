"""Reading an architecture's JSON file (best.json), strictly; `Architecture.save` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasface.space.catalogue import check_keys, find_space
from nasface.space.space import ARCHITECTURE_FORMAT, Architecture, MultipathSpace
from nasface.utils.errors import UserError
from nasface.utils.reading import read_text


@dataclass(frozen=True)
class Record:
    """The content of an architecture's JSON file."""

    architecture: Architecture
    provenance: dict[str, Any]
    scores: dict[str, Any]


def found_width(provenance: Mapping[str, Any]) -> int | None:
    """The width that a search chose with the connections, of the provenance of its architecture; None where it was
    given, or is no width."""
    width = provenance.get("width")
    return width if type(width) is int and width > 0 else None


def load_architecture(path: str | Path, space: MultipathSpace | None = None) -> Architecture:
    """The architecture of a JSON file; see `load_record`."""
    return load_record(path, space).architecture


def load_record(path: str | Path, space: MultipathSpace | None = None) -> Record:
    """Read an architecture's JSON file.

    Args:
        path: the file.
        space: the space that the architecture must belong to; without it the file's own (a known space of that name
            and size, else an unrestricted one).

    Raises:
        UserError: the file is absent, unreadable or malformed, its code is not valid, or it belongs to another space.
    """
    text = read_text(path, "is not text", "give the JSON file of an architecture, such as a search's best.json")
    return read_record(text, space, str(path))


def read_record(text: str, space: MultipathSpace | None = None, origin: str = "architecture") -> Record:
    """Parse the text of an architecture's JSON file; `origin` is what error messages call it. As `load_record`
    otherwise."""
    record = _parse(text, origin)
    try:
        check_keys(record, ("format", "space", "code", "provenance", "scores"))
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None
    if type(record["format"]) is not int or record["format"] != ARCHITECTURE_FORMAT:
        raise UserError(f'{origin}: "format" is {_show(record["format"])}, this version reads {ARCHITECTURE_FORMAT}')
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


def _resolve_space(entry: Any, space: MultipathSpace | None, origin: str) -> MultipathSpace:
    if not isinstance(entry, dict):
        raise UserError(f'{origin}: "space" must be an object with name, layers and scales, not {_show(entry)}')
    try:
        check_keys(entry, ("name", "layers", "scales"))
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
