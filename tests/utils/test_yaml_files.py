"""The strict YAML loader: what it reads as PyYAML does, and what it refuses, naming file, line and column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from nasface.utils.errors import UserError
from nasface.utils.yaml_files import MAX_BYTES, MAX_DEPTH, MAX_VALUES, load_yaml, parse_yaml
from tests.helpers.tiny import REPOSITORY

SHIPPED = [
    path
    for folder in ("experiments", "search_spaces")
    for suffix in ("*.yaml", "*.yml")
    for path in sorted((REPOSITORY / folder).rglob(suffix))
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_read_as_by_pyyaml(path: Path) -> None:
    assert load_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "a: 1\nb: [x, 2.5, null, true]\n",
        "base: &base {lr: 1, steps: 2}\nown:\n  <<: *base\n  lr: 3\n",
        "one: {same: 1}\nother: {same: 2}\n",
        "1: a\n'1': b\nnull: c\n",
        "list: [&x [1, 2], *x, *x]\n",
        "[" * (MAX_DEPTH - 1) + "0" + "]" * (MAX_DEPTH - 1),
    ],
)
def test_plain_files_are_read_as_by_pyyaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + text.encode())
        assert load_yaml(path) == yaml.safe_load(text)


STEPS = zip("abcdef", "bcdefg", strict=True)
BOMB = "".join(f"{name}: &{name} [{', '.join([f'*{inner}'] * 10)}]\n" for inner, name in STEPS)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{step + 1}: &a{step + 1} [*a{step}]\n" for step in range(MAX_DEPTH))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: [\n", "is not YAML at line 2, column 1: correct it"),
        (b"a: 1\nb: {c: 2,\n  c: 3}\n", ": the key 'c' is given twice: keep one, at line 3, column 3"),
        (b"yes: 1\ntrue: 2\n", ": the key 'true' is given twice: keep one, at line 2, column 1"),
        (b"a: !!python/object/apply:os.system ['true']\n", "is not YAML at line 1, column 4: correct it"),
        (b"a: !mine 3\n", "is not YAML at line 1, column 4: correct it"),
        (b"a: 1\n---\nb: 2\n", "is not YAML at line 2, column 1: correct it"),
        (b"a: *absent\n", "is not YAML at line 1, column 4: correct it"),
        (b"day: 2020-13-40\n", "is not YAML: correct it"),
        (b"steps: !!bool foo\n", "is not YAML: correct it"),
        (b"seed: !!timestamp x\n", "is not YAML: correct it"),
        (b'seed: !!int ""\n', "is not YAML: correct it"),
        (b"? [1, 2]\n: 3\n", "is not YAML at line 1, column 3: correct it"),
        (b"a: \x00\n", "is not YAML: correct it"),
        (b"name: \xff\n", "is not YAML: byte 7 is not UTF-8 text"),
        (
            b"[" * 5000 + b"]" * 5000,
            f": its YAML is nested deeper than {MAX_DEPTH} levels: write it flatter, at line 1",
        ),
        (b"a: &a [1, *a]\n", f": its aliases stand for more than {MAX_VALUES} values: write fewer"),
        (b"a: &a [0]\n" + BOMB.encode(), f": its aliases stand for more than {MAX_VALUES} values: write fewer"),
        (CHAIN.encode(), f": its aliases stand for more than {MAX_DEPTH} levels: write fewer"),
        (b"#" * (MAX_BYTES + 1), "is larger than 1 MiB"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{re.escape(str(path))} ?{re.escape(message)}"):
        load_yaml(path)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^cannot read the settings .*absent\.yaml: No such file"):
        load_yaml(tmp_path / "absent.yaml", "the settings")
    with pytest.raises(UserError, match="^/.* is a folder, not a file"):
        load_yaml(tmp_path)


def test_a_text_has_its_files_name_in_the_message() -> None:
    assert parse_yaml("a: {b: 1}", "mine") == {"a": {"b": 1}}
    with pytest.raises(UserError, match="^mine is not YAML at line 1, column 3"):
        parse_yaml("[a", "mine")


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", "010"), ("12:30:45", "12:30:45"), ("1:20.5", "1:20.5"), ("0x10", 16), ("-3", -3), ("1_000", 1000)]
    + [("1.5", 1.5), (".5", 0.5), ("-.inf", float("-inf")), ("1.5e+3", 1500.0), ("1e3", "1e3"), ("0", 0), ("0b11", 3)],
)
def test_numbers_are_what_they_look_like(text: str, value: object) -> None:
    found = parse_yaml(text, "it")
    assert found == value and type(found) is type(value)
