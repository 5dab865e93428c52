"""Every snippet of README.md and docs/: Python runs, YAML is read, commands are known with all their settings."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib import cbook

from nasface.cli.main import main
from nasface.cli.parser import read_arguments
from nasface.data.registry import DATA_SETS
from nasface.nets.registry import NETWORKS
from nasface.search.registry import STRATEGIES
from nasface.space.catalogue import load_space
from nasface.space.presets import load_preset
from nasface.sweeps.sweep_file import load_sweep
from nasface.utils.errors import UserError
from tests.helpers.tiny import REPOSITORY
from tests.inference.world import toy_weights

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(?:python|make|nasface|torchrun|srun|sbatch)\b")
CHEAP = ("nasface space", "nasface draw", "nasface wandb workspace --dry_run true")
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    """Every command line of a document: in blocks and, where nothing is left out, within the text."""
    text = document.read_text(encoding="utf-8")
    fenced = [text for language, text in blocks(document) if language in ("", "sh", "bash")]
    lines = [line for block in fenced for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    lines += [span for span in re.findall(r"`([^`\n]+)`", text) if " " in span and "..." not in span]
    return [re.sub(r"\s+#.*$", "", line).strip() for line in lines if COMMAND.match(line)]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with what a reader has by then; what a snippet registers is forgotten again."""
    monkeypatch.chdir(tmp_path)
    toy_weights(tmp_path / "network.pt")
    load_preset("hourglass").save(tmp_path / "best.json")
    with cbook.get_sample_data("grace_hopper.jpg") as photo:  # ships with matplotlib
        (tmp_path / "photo.jpg").write_bytes(photo.read())
    sweep = tmp_path / "runs" / "<sweep>"
    sweep.mkdir(parents=True)
    (sweep / "best.yaml").write_text("name: best\n")
    with NETWORKS.scope(), STRATEGIES.scope(), DATA_SETS.scope():
        yield


@every_document
def test_snippets_run(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks of YAML are read, those of Python run one after the other, then the cheap commands run in their folder."""
    read_yaml([text for language, text in blocks(document) if language == "yaml"])
    run_python(document)
    for line in commands(document):
        if line.startswith(CHEAP):
            capsys.readouterr()
            main(shlex.split(line)[1:])
            assert capsys.readouterr().out.strip(), line


@every_document
def test_commands(document: Path) -> None:
    found = [arguments for line in commands(document) for arguments in nasface_calls(line)]
    if "sh" in dict(blocks(document)):
        assert found, "no command was found: does the pattern still fit?"
    for arguments in found:
        parse(arguments)


def test_the_page_on_benchmarks_names_every_one() -> None:
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    runnable = [path.stem for path in (REPOSITORY / "benchmarks").glob("*.py") if "__main__" in path.read_text()]
    assert (
        len(runnable) > 10 and [name for name in runnable if f"benchmarks.{name}`" not in page.replace(" ", "`")] == []
    )


def test_the_page_on_ideas_has_every_network_and_files_that_are_there() -> None:
    page = (REPOSITORY / "docs" / "ideas.md").read_text(encoding="utf-8")
    files = re.findall(r"`((?:nasface|benchmarks)/[\w/]+\.py)`", page)
    assert len(files) > 20 and [name for name in files if not (REPOSITORY / name).is_file()] == []
    assert {paper for name in NETWORKS.names() if (paper := NETWORKS.get(name).paper) not in page} == set()


def test_a_wrong_command_is_found() -> None:
    """The checks can fail."""
    for line in ("nasface searhc", "nasface search --supernet.stepz 3", "make search ARGS='--sed 3'", "make serch"):
        with pytest.raises((AssertionError, UserError)):
            for arguments in nasface_calls(line):
                parse(arguments)


def read_yaml(texts: list[str]) -> None:
    for text in texts:
        Path("mine.yaml").write_text(text)
        content = yaml.safe_load(text)
        if "layers" in content:
            assert load_space("mine.yaml").count_members() > 0
        elif "method" in content:
            assert load_sweep("mine.yaml").most_runs
        else:
            read_arguments(["search", "--config", "mine.yaml"])


def run_python(document: Path) -> None:
    """All blocks of a document in one namespace; what a line prints is what its comment says."""
    names: dict[str, Any] = {"__name__": "snippet"}
    for language, text in blocks(document):
        if language != "python":
            continue
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(text, f"{document.name}, {text.splitlines()[0]}", "exec"), names)
        expected = re.findall(r"^ *print\(.*\)  # (.+)$", text, re.MULTILINE)
        assert expected == printed.getvalue().splitlines()


def nasface_calls(line: str) -> list[list[str]]:
    """The arguments of every `nasface` that a command line starts.

    `make` says itself what it would do; `python -m nasface` and a file that calls its `main` are other names of
    `nasface`; torchrun, srun and sbatch start what follows.
    """
    words = shlex.split(line)
    if words[0] == "make":
        plan = subprocess.run([*words, "--dry-run"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert plan.returncode == 0, f"{line}: {plan.stderr}"
        return [shlex.split(call)[1:] for call in plan.stdout.splitlines() if re.match(r"\S*bin/nasface ", call)]
    if "--wrap" in words:
        return nasface_calls(words[words.index("--wrap") + 1])
    if words[0] == "python" and words[1].endswith(".py"):
        return [words[2:]]
    if words[:2] == ["python", "-m"] and words[2] != "nasface":
        assert REPOSITORY.joinpath(*words[2].split(".")).with_suffix(".py").is_file(), line
        return []
    assert "nasface" in words, line
    return [words[words.index("nasface") + 1 :]]


def parse(arguments: list[str]) -> None:
    """As the command itself reads its arguments, without running it."""
    try:
        read_arguments(arguments)
    except SystemExit as end:
        assert end.code == 0 and {"--help", "--help-all"} & set(arguments)
