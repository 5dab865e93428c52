"""YAML files, read strictly: plain values only, no key twice, no more than a file of settings can need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from nasface.utils.errors import UserError
from nasface.utils.reading import require_file

MAX_BYTES = 2**20
MAX_DEPTH = 40
MAX_VALUES = 100_000
"""Values of a file once its aliases are written out."""


_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which keeps the last of equal keys and follows any depth, with bounds."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        mark = self.peek_event().start_mark
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refusal(f"its YAML is nested deeper than {MAX_DEPTH} levels: write it flatter", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, MappingNode):
            self._refuse_equal_keys(node)
        return node

    def _refuse_equal_keys(self, node: MappingNode) -> None:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, ScalarNode)):
            value = key.value if key.tag == _MERGE else self.construct_object(key)
            if value in seen:
                raise _refusal(f"the key {key.value!r} is given twice: keep one", key.start_mark)
            seen.add(value)


# YAML 1.1 takes 010 for eight and 12:30:45 for a number of seconds: here they are text.
_NUMBERS = {
    "int": r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)",
    "float": r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), list("-+.0123456789"))


class _Refused(yaml.MarkedYAMLError):
    """Correct YAML that is not wanted."""


def _refusal(problem: str, mark: yaml.Mark) -> _Refused:
    return _Refused(problem=problem, problem_mark=mark)


def load_yaml(path: str | Path, what: str = "") -> Any:
    """The content of a YAML file in UTF-8, with or without a byte order mark; None of an empty one.

    Args:
        path: the file.
        what: the name of its kind for the message where it cannot be opened, such as "the settings".

    Raises:
        UserError: it is absent, no text, no YAML or several documents, holds a key twice or a tag of Python's, or is
            larger, deeper or, by aliases, longer than a file of settings can be. Names file, line and column.
    """
    path = Path(path)
    try:
        require_file(path, "give a YAML file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {what + ' ' if what else ''}{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise UserError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: it cannot be a file of settings")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not YAML: byte {error.start + 1} is not UTF-8 text") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Any:
    """As `load_yaml`, from a text.

    Args:
        text: YAML.
        name: of its file, for messages.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        values, levels = _extent(node, {})
        if values > MAX_VALUES or levels > MAX_DEPTH:
            limit = f"{MAX_VALUES} values" if values > MAX_VALUES else f"{MAX_DEPTH} levels"
            raise UserError(f"{name}: its aliases stand for more than {limit}: write fewer")
        return loader.construct_document(node)
    except _Refused as error:
        raise UserError(f"{name}: {error.problem},{_place(error)}") from None
    # Not only YAMLError: of a date that does not exist, and of tags whose text is of another kind (!!bool foo).
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UserError(f"{name} is not YAML{_place(error)}: correct it") from None


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _extent(node: Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Values and levels of a node with every alias written out; beyond all bounds where a node holds itself."""
    if id(node) not in known:
        known[id(node)] = MAX_VALUES + 1, 0  # until it is known: only a node inside it can ask before
        inner = [] if isinstance(node, ScalarNode) else node.value
        parts = [part for pair in inner for part in pair] if isinstance(node, MappingNode) else inner
        extents = [_extent(part, known) for part in parts]
        known[id(node)] = 1 + sum(values for values, _ in extents), 1 + max((deep for _, deep in extents), default=0)
    return known[id(node)]
