"""What pyproject.toml declares against what the package imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

import nasface
from tests.helpers.tiny import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALLED = packages_distributions()  # reads every installed package's list of files
# Taken where it is installed, since only the torchvision of the very same torch works; the package does without.
OPTIONAL = {"torchvision"}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


DEPENDENCIES = _names(PROJECT["dependencies"])
EXTRAS = set().union(*map(_names, PROJECT["optional-dependencies"].values()))


def _imports() -> Iterator[tuple[str, Path, bool]]:
    """Third-party modules that nasface imports: top-level name, file, and whether the import waits for a call."""
    for path in sorted((REPOSITORY / "nasface").rglob("*.py")):
        for node, lazy in _statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                modules = [node.module] if node.module and not node.level else []
            for name in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"nasface"}:
                yield name, path, lazy


def _statements(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, lazy
        types_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        yield from _statements(node, lazy or types_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _distribution(module: str) -> str:
    """What to install for a module; an extra that is not installed here is named as its module."""
    return INSTALLED.get(module, [module.replace("_", "-")])[0].lower()


def test_every_import_is_declared() -> None:
    for module, path, lazy in _imports():
        if module not in OPTIONAL:
            declared = DEPENDENCIES | EXTRAS if lazy else DEPENDENCIES
            assert _distribution(module) in declared, f"{path} imports {module}"


def test_every_dependency_is_imported() -> None:
    assert {_distribution(module) for module, _, _ in _imports()} >= DEPENDENCIES


def _pins(file: str) -> dict[str, str]:
    lines = (REPOSITORY / file).read_text(encoding="utf-8").splitlines()
    return dict(line.lower().split("==") for line in lines if not line.startswith("#"))


def test_the_oldest_are_the_lower_ends_of_the_ranges() -> None:
    packaging, version = pytest.importorskip("packaging.requirements"), pytest.importorskip("packaging.version")
    pins = _pins("constraints-oldest.txt")
    for text in PROJECT["dependencies"]:
        requirement = packaging.Requirement(text)
        (low,) = (bound.version for bound in requirement.specifier if bound.operator == ">=")
        given = version.Version(pins[requirement.name.lower()]).release
        assert given[: len(version.Version(low).release)] == version.Version(low).release, text


def test_constraints_pin_within_the_ranges() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    pins = _pins("constraints.txt")
    for text in PROJECT["dependencies"]:
        requirement = packaging.Requirement(text)
        assert pins[requirement.name.lower()] in requirement.specifier, text
        assert {">=", "<"} <= {bound.operator for bound in requirement.specifier}, f"{text} is no range"


def test_files_about_the_project_name_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == nasface.__version__
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?(\d[\w.]*)", changes, re.MULTILINE)
    assert newest is not None and newest[1] == nasface.__version__
