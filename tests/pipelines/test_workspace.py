"""What every stage of an experiment works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasface.config import DataConfig, Experiment
from nasface.pipelines.workspace import prepare, prepare_search
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError


def test_test_faces_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    data = DataConfig(test="aflw2000", aflw2000=str(tmp_path / "none"), train_count=2, val_count=1, cache=str(tmp_path))
    searched = prepare(Experiment(data=data), None, test=False)
    assert len(searched.faces.train) == 2
    with pytest.raises(UserError, match="none"):
        _ = searched.faces.test
    for early in (prepare, prepare_search):  # before hours of training or search
        with pytest.raises(UserError, match="none"):
            early(Experiment(data=data), MultipathSpace("small", layers=3, scales=2))


def test_a_search_draws_no_test_faces(tmp_path: Path) -> None:
    data = DataConfig(train_count=2, val_count=1, test_count=0, cache=str(tmp_path))
    workspace = prepare_search(Experiment(data=data), MultipathSpace("small", layers=3, scales=2))
    with pytest.raises(UserError, match="test_count"):
        _ = workspace.faces.test
