"""What a logger logs can be followed in a file, and only where one is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nasface.tracking.metrics_file import METRICS_FILE, follow_metrics


class _Logger:
    def __init__(self) -> None:
        self.logged: list[Any] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.logged.append((metrics, step))


def test_lines_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, logger = tmp_path / "metrics.jsonl", _Logger()
    monkeypatch.setenv(METRICS_FILE, str(path))
    follow_metrics(logger, Path("runs/x"))  # type: ignore[arg-type]
    logger.log_metrics({"a": 1}, step=3)
    logger.log_metrics({"b": 2.5})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"run": "runs/x"},
        {"step": 3, "metrics": {"a": 1.0}},
        {"step": None, "metrics": {"b": 2.5}},
    ]
    assert logger.logged == [({"a": 1}, 3), ({"b": 2.5}, None)]


def test_what_is_no_number_goes_to_the_logger_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, logger = tmp_path / "metrics.jsonl", _Logger()
    monkeypatch.setenv(METRICS_FILE, str(path))
    follow_metrics(logger, Path("runs/x"))  # type: ignore[arg-type]
    images, tensor = [object()], torch.ones(2)
    logger.log_metrics({"architecture": images}, step=1)
    logger.log_metrics({"architecture": images, "loss": torch.tensor(2.0), "each": tensor, "none": None}, step=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1:] == [{"step": 2, "metrics": {"loss": 2.0}}]
    assert logger.logged[0] == ({"architecture": images}, 1) and logger.logged[1][0]["each"] is tensor


def test_nothing_where_nobody_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(METRICS_FILE, raising=False)
    logger = _Logger()
    follow_metrics(logger, Path("runs/x"))  # type: ignore[arg-type]
    assert "log_metrics" not in vars(logger)
