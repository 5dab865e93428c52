from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger

from nasface.search.strategies.random import RandomSearch
from nasface.search.strategies.samos import SAMOS
from nasface.search.strategy import Outcome, Proposal
from nasface.search.study import Evaluation, run_study
from nasface.space.space import MultipathSpace
from nasface.testing.toy_table import TableEvaluator
from nasface.tracking.progress import SearchProgress
from nasface.tracking.search_log import SearchLog

SPACE = MultipathSpace("toy", 4, 3)


class Memory(Logger):
    """A Lightning logger that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    name, version = "memory", 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        raise AssertionError("not the search's matter")


def samos() -> SAMOS:
    return SAMOS(SPACE, seed=3, iterations=80, temperature=0.3, factor=0.9)


def test_every_evaluation_is_a_step(tmp_path: Path) -> None:
    logger = Memory()
    table = TableEvaluator(SPACE, 1, early_rejection=True)
    result = run_study(samos(), table, tmp_path / "j", "s", callbacks=[SearchLog(logger)])
    assert [step for step, _ in logger.rows] == list(range(len(result.evaluations)))
    common = {"incumbent", "evaluations", "temperature", "iteration", "current", "saved", "seconds", "stopped_early"}
    for (_, row), evaluation in zip(logger.rows, result.evaluations, strict=True):
        assert {f"search/{name}" for name in common} <= set(row)
        if evaluation.outcome.complete:
            assert row["search/penalty"] == evaluation.outcome.penalty
            assert row["search/nme_30-60"] == evaluation.outcome.details["nme"][1]
            assert "search/bound" not in row
        else:
            assert row["search/bound"] == evaluation.outcome.penalty
            assert not {"search/penalty", "search/nme_0-30", "search/nme_all"} & set(row)
    assert {row["search/stopped_early"] for _, row in logger.rows} == {0.0, 1.0}
    assert 0 <= logger.rows[-1][1]["search/acceptance"] <= 1
    assert logger.rows[-1][1]["search/incumbent"] == result.penalty


def test_a_resumed_search_logs_the_whole_curve(tmp_path: Path) -> None:
    whole, resumed, table = Memory(), Memory(), TableEvaluator(SPACE, 1)
    calls = iter(range(5))

    def stopping(proposal: Proposal) -> Outcome:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return table(proposal)

    run_study(samos(), table, tmp_path / "whole", "s", callbacks=[SearchLog(whole)])
    with pytest.raises(KeyboardInterrupt):
        run_study(samos(), stopping, tmp_path / "j", "s")
    run_study(samos(), table, tmp_path / "j", "s", resume=True, callbacks=[SearchLog(resumed)])
    assert [row["search/penalty"] for _, row in resumed.rows] == [row["search/penalty"] for _, row in whole.rows]


def test_figures_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    logger = Memory()

    def evaluate(proposal: Proposal) -> Outcome:
        return Outcome(5.0, details={"nme": [4.0, None, float("nan")], "nme_all": 4.5, "faces": 3, "note": "x"})

    run_study(RandomSearch(SPACE, evaluations=1), evaluate, tmp_path / "j", "s", callbacks=[SearchLog(logger)])
    ((_, row),) = logger.rows
    assert {name for name in row if "nme" in name} == {"search/nme_0-30", "search/nme_all"}


def test_other_loggers_need_neither_wandb_nor_drawings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "nasface.report.drawing", None)
    logger = CSVLogger(str(tmp_path / "csv"))
    table = TableEvaluator(SPACE, 1)
    run_study(RandomSearch(SPACE, evaluations=3), table, tmp_path / "j", "s", callbacks=[SearchLog(logger)])
    logger.save()
    text = (Path(logger.log_dir) / "metrics.csv").read_text()
    assert "search/incumbent" in text.splitlines()[0]
    assert len(text.splitlines()) == 4


class Drawings(WandbLogger):
    """WandbLogger without W&B: keeps the images."""

    def __init__(self) -> None:
        self.images: list[tuple[int, str, Any]] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        pass

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        assert key == "search/architecture"
        self.images.append((step or 0, kwargs["caption"][0], images[0]))


def test_wandb_gets_a_drawing_of_each_new_incumbent(tmp_path: Path) -> None:
    logger, seen = Drawings(), []

    def note(evaluation: Evaluation, strategy: Any) -> None:
        digest = strategy.best[0].digest
        if not seen or seen[-1][1] != digest:
            seen.append((evaluation.number, digest))

    table = TableEvaluator(SPACE, 1)
    strategy = RandomSearch(SPACE, seed=2, evaluations=12)
    run_study(strategy, table, tmp_path / "j", "s", callbacks=[SearchLog(logger), note])
    assert len(seen) > 1
    assert [(step, caption.split(":")[0]) for step, caption, _ in logger.images] == seen
    assert all(image.format == "PNG" and image.size[0] > 200 for _, _, image in logger.images)
    # A replay draws nothing: the search is over.
    again = Drawings()
    run_study(
        RandomSearch(SPACE, seed=2, evaluations=12),
        table,
        tmp_path / "j",
        "s",
        resume=True,
        callbacks=[SearchLog(again)],
    )
    assert again.images == []


def test_the_bar_shows_the_incumbent_and_ends_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = samos()
    with SearchProgress("searching", strategy.progress[1]) as bar:
        result = run_study(
            strategy,
            TableEvaluator(SPACE, 1),
            tmp_path / "j",
            "s",
            callbacks=[bar.on_evaluation],
            progress=bar.on_progress,
        )
    last = capsys.readouterr().err.rsplit("\r", 1)[-1]
    assert "81/81" in last
    assert f"best {result.penalty:.3f} %" in last
