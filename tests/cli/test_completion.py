"""The completion of commands, options and values, in bash itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nasface.cli.completion import completion, whole_parser

ASKED = r"""
source "$0"
function=$(complete -p nasface | sed 's/.*-F \([^ ]*\) .*/\1/')
for line in "$@"; do
    eval "COMP_WORDS=(nasface $line)"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
    $function nasface "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[@]}"
done
"""


def test_every_command_is_in_it() -> None:
    parser = whole_parser({})
    for line in ("predict a.jpg --smooth 0.5", "data build --workers 2", "search --search.strategy samos", "list"):
        parser.parse_args(line.split())
    with pytest.raises(SystemExit):
        parser.parse_args(["export", "--format", "tflite"])


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_in_bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    completion("bash")
    (tmp_path / "script").write_text(capsys.readouterr().out)
    lines = ["predi", "data prep", "predict --smo", "export --format o", "predict --overlay ''"]
    done = subprocess.run(
        ["bash", "-c", ASKED, tmp_path / "script", *lines], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == ["predict", "prepare", "--smooth", "onnx", "true false"]
