"""What every stage of an experiment works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasface.config import DataConfig, Experiment
from nasface.pipelines.workspace import prepare
from nasface.utils.errors import UserError


def test_test_faces_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    data = DataConfig(test="aflw2000", aflw2000=str(tmp_path / "none"), train_count=2, val_count=1, cache=str(tmp_path))
    searched = prepare(Experiment(data=data), None, test=False)
    assert len(searched.faces.train) == 2
    with pytest.raises(UserError, match="none"):
        _ = searched.faces.test
    with pytest.raises(UserError, match="none"):  # before hours of training
        prepare(Experiment(data=data), None)
