"""A wheel, installed without the repository: the command and all files that come with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import nasface
from tests.helpers.tiny import REPOSITORY, Result, result_of, settings

pytestmark = pytest.mark.skipif(find_spec("setuptools") is None, reason="building a wheel needs setuptools")

SOURCES = ("nasface", "search_spaces", "experiments", "pyproject.toml", "setup.py", "README.md", "LICENSE")


class Installed:
    """A fresh environment with the wheel, and an empty folder of its user."""

    def __init__(self, environment: Path, user: Path) -> None:
        self.scripts, self.user = environment / "bin", user

    def __call__(self, *command: str) -> Result:
        """Run a program of the environment in the user's folder."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(self.scripts / command[0]), *command[1:]],
            cwd=self.user,
            env=variables,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return result_of(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools leaves its work beside pyproject.toml, and takes up what lies there
    source.mkdir()
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPOSITORY / name, source)
    _pip("wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    python = str(environment / "bin" / "python")
    _pip("--python", python, "install", "--no-deps", "--no-index", str(wheel))
    # Everything but nasface from the environment that runs the tests: a line of a .pth file adds a folder, and leaves
    # alone the .pth files in it, by which an editable nasface would join.
    libraries = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})["purelib"]
    (Path(libraries) / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    _take_compiled(Path(libraries) / "nasface")
    user = folder / "user"
    user.mkdir()
    return Installed(environment, user)


def _take_compiled(package: Path) -> None:
    """Give an installed package what numba has compiled of the same sources here: it knows them by size and time."""
    for compiled in (REPOSITORY / "nasface").rglob("__pycache__/*.nb?"):
        source = compiled.parents[1] / f"{compiled.name.partition('.')[0]}.py"
        if not source.exists():  # it was renamed or removed since
            continue
        place = package / compiled.parent.relative_to(REPOSITORY / "nasface")
        place.mkdir(exist_ok=True)
        shutil.copy(compiled, place)
        shutil.copystat(source, package / source.relative_to(REPOSITORY / "nasface"))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    wanted = {
        str(("nasface" / path.relative_to(REPOSITORY)) if folder != "nasface" else path.relative_to(REPOSITORY))
        for folder in ("nasface", "search_spaces", "experiments")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as content:
        found = set(content.namelist())
    metadata = {name for name in found if name.startswith(f"nasface-{nasface.__version__}.dist-info/")}
    assert found - metadata == wanted
    assert any(name.endswith("/licenses/LICENSE") for name in metadata)


def test_quick_commands(installed: Installed) -> None:
    """Every command's help, and the spaces and presets that come with the package; in one process, to import once."""
    script = """
import contextlib
import nasface
from nasface.cli.commands import COMMANDS
from nasface.cli.main import main
from nasface.space.presets import PRESETS, load_preset
print(nasface.__file__)
for name in [*(f"{name} --help" for name in COMMANDS), *(f"space --space {name}" for name in SPACES)]:
    print("=====", name)
    with contextlib.suppress(SystemExit):
        main(name.split())
print("=====", "presets")
print(*sorted(load_preset(name) and name for name in PRESETS))
"""
    spaces = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in _shipped("search_spaces/*.yaml")}
    result = installed("python", "-c", f"SPACES = {list(spaces)}\n{script}")
    assert result.code == 0 and not result.errors, result.errors
    place, *parts = result.output.split("===== ")
    assert Path(place.strip()).is_relative_to(installed.scripts.parent), "not the installed package"
    outputs = {name: output for name, _, output in (part.partition("\n") for part in parts)}
    helped = [name for name in outputs if name.endswith(" --help")]
    assert {"search --help", "retrain --help", "data build --help"} <= set(helped)
    assert all(outputs[name].startswith("usage: nasface") for name in helped)
    for name, described in spaces.items():
        expected = f"{name}: L={described['layers']}, D={described['scales']}, "
        assert outputs[f"space --space {name}"].startswith(expected)
    assert outputs["presets"].split() == [path.stem for path in _shipped("search_spaces/presets/*.json")]


def test_every_experiment_is_found(installed: Installed) -> None:
    result = installed("nasface", "search", "--experiment", "nosuch")
    assert result.code == 2
    assert all(path.stem in result.line for path in _shipped("experiments/*.yaml"))


def _shipped(pattern: str) -> list[Path]:
    found = sorted(REPOSITORY.glob(pattern))
    assert found, pattern
    return found


def test_from_faces_to_report(installed: Installed) -> None:
    """Search, retraining, report, and a search of the shipped table in the user's folder: the embedded head, an
    experiment, the page's template and the table; in one process, to import once."""
    commands = [[name, *settings(name, Path("cache")), "--run", name] for name in ("search", "retrain")]
    commands += [["report", "runs/search", "runs/retrain", "--output", "page.html"]]
    commands += [["search", "--on", "table", "--search.iterations", "5"]]
    script = "\n".join(["from nasface.cli.main import main", *(f"main({words})" for words in commands)])
    result = installed("python", "-c", script)
    assert result.code == 0, result.errors
    assert (installed.user / "best.json").is_file()
    assert "</html>" in (installed.user / "page.html").read_text(encoding="utf-8")
    assert "of 1056" in result.output
