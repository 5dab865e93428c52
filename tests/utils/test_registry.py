"""Registries: names, their modules, and packages that join by entry points."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from nasface.utils.errors import UserError
from nasface.utils.registry import Registry

GROUP = "nasface.test_plants"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[str]:
    """A registry of a package of two modules that register two names, and of whatever lies in the folder."""
    package = tmp_path / "garden"
    package.mkdir()
    (package / "__init__.py").write_text("from nasface.utils.registry import Registry\n")
    (package / "beds.py").write_text(f'from garden import Registry\nPLANTS = Registry("plant", "{GROUP}", "garden")\n')
    for name in ("rose", "tulip"):
        (package / f"{name}.py").write_text(f'from garden.beds import PLANTS\nPLANTS.add("{name}", "{name}!")\n')
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name for name in sys.modules if name.partition(".")[0] == "garden"]:
        monkeypatch.delitem(sys.modules, module)
    from garden.beds import PLANTS  # type: ignore[import-not-found]

    return PLANTS


def install(folder: Path, name: str, code: str) -> None:
    """A package as pip leaves it: a module, and its entry point."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}\n")


def test_modules_are_found_and_imported_when_a_name_is_asked_for(registry: Registry[str]) -> None:
    assert "garden.rose" not in sys.modules
    assert registry.names() == ("rose", "tulip")
    assert "garden.rose" in sys.modules
    assert registry.get("rose") == "rose!" and "tulip" in registry and "oak" not in registry


def test_unknown_names_list_the_known_and_name_the_nearest(registry: Registry[str]) -> None:
    with pytest.raises(UserError, match=r"^unknown plant 'tulpi'; known are: rose, tulip; did you mean tulip\?$"):
        registry.get("tulpi")
    with pytest.raises(UserError, match=r"^unknown plant 'oak'; known are: rose, tulip$"):
        registry.get("oak")


def test_a_name_is_given_once(registry: Registry[str]) -> None:
    registry.add("rose", registry.get("rose"))  # the same entry again is no conflict
    with pytest.raises(ValueError, match=r"plant name 'rose' is taken by builtins\.str: builtins\.int needs another"):
        registry.add("rose", 3)  # type: ignore[arg-type]
    assert registry.get("rose") == "rose!"


def test_a_scope_forgets(registry: Registry[str]) -> None:
    with registry.scope():
        registry.add("oak", "oak!")
        assert registry.names() == ("oak", "rose", "tulip")
    assert registry.names() == ("rose", "tulip")


def test_other_packages_join(registry: Registry[str], tmp_path: Path) -> None:
    install(tmp_path, "orchard", 'from garden.beds import PLANTS\nPLANTS.add("apple", "apple!")\n')
    assert registry.names() == ("apple", "rose", "tulip")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("from garden.beds import PLANTS\nPLANTS.add('rose', 'thorn')", "'rose' is taken"),
    ],
)
def test_a_broken_package_is_named_and_stops_nobody(
    registry: Registry[str], tmp_path: Path, code: str, reason: str
) -> None:
    install(tmp_path, "weeds", code)
    with pytest.warns(UserWarning, match=f"package weeds cannot add its plant 'weeds' .*{reason}.*update or remove"):
        assert registry.names() == ("rose", "tulip")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        assert registry.get("rose") == "rose!"
        with pytest.raises(UserError, match="unknown plant 'weed'.*the package weeds cannot add"):
            registry.get("weed")
