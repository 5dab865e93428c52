"""metrics.csv: what is appended is read, what a kill leaves is mended, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasface.runs.metrics import FILE, append_metrics, begin_metrics, read_metrics
from nasface.utils.errors import UserError


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    begin_metrics(tmp_path, ("train/",))
    append_metrics(tmp_path, {"train/loss": 0.25, "train/part": float("nan")}, 20)
    append_metrics(tmp_path, {"train/loss": 1 / 3}, 40)
    assert (tmp_path / FILE).read_text() == "step,name,value\n20,train/loss,0.25\n40,train/loss,0.3333333\n"
    assert read_metrics(tmp_path) == {"train/loss": ([20, 40], [0.25, 0.3333333])}
    assert read_metrics(tmp_path / "former") == {}


def test_beginning_again_keeps_what_is_before_the_step_and_of_others(tmp_path: Path) -> None:
    lines = "20,train/loss,1\n20,val/nme,9\n40,train/loss,2\n40,test/nme,3\n60,val/nme,4\n80,train/lo"
    (tmp_path / FILE).write_text("step,name,value\n" + lines)
    assert read_metrics(tmp_path)["val/nme"] == ([20, 60], [9.0, 4.0])
    begin_metrics(tmp_path, ("train/", "val/"), 20)
    kept = "step,name,value\n20,train/loss,1\n20,val/nme,9\n40,test/nme,3\n"
    assert (tmp_path / FILE).read_text() == kept


@pytest.mark.parametrize("content", ["", "step,name\n", "step,name,value\n20,train/loss\n", "step,name,value\nx,y,1\n"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserError, match=r"metrics\.csv is damaged .*: remove it"):
        read_metrics(tmp_path)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match=r"cannot write .*metrics\.csv"):
        append_metrics(tmp_path, {"a": 1.0}, 1)
