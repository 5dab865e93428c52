"""docs/sweeps.md: its files exist, its example is a sweep that the command takes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from nasface.cli.parser import read_arguments
from nasface.cli.sweep import check_command
from nasface.sweeps.sweep_file import load_sweep
from tests.helpers.tiny import REPOSITORY
from tests.sweeps.wandb_format import violations

PAGE = (REPOSITORY / "docs" / "sweeps.md").read_text()


def test_the_example_is_a_sweep(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    assert violations(yaml.safe_load(text)) == []
    check_command(load_sweep(tmp_path / "mine.yaml"))


def test_the_table_is_of_the_files() -> None:
    rows = dict(re.findall(r"^\| `(\w+\.yaml)` .* (\d+) \|$", PAGE, re.MULTILINE))
    folder = REPOSITORY / "experiments" / "sweeps"
    assert rows == {path.name: str(load_sweep(path).most_runs) for path in folder.glob("*.yaml")}


def test_the_commands_exist() -> None:
    for line in "\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).splitlines():
        words = line.split()
        if words[:2] == ["make", "sweep"]:
            sweep = next(word for word in words if word.startswith("SWEEP=")).partition("=")[2]
            assert (REPOSITORY / sweep).is_file()
            read_arguments(["sweep", sweep, "--workers", "2", "--resume", "true"])
        for word in words:
            if word.startswith("experiments/"):
                assert (REPOSITORY / word).is_file()
