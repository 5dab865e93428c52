"""Meta-joint optimisation: the better look-ahead wins, always; a killed training goes on as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasface.config import OptimizerConfig, ParametersConfig
from nasface.tracking.training_figures import TrainingFigures
from nasface.training.targets.meta_joint import BRANCHES, MetaJointTask, unseen
from nasface.training.targets.parameter_losses import Face
from nasface.utils.errors import UserError
from tests.training.parameter_training import parameters_task, run
from tests.training.toy_training import CPU

CONSTANT = OptimizerConfig(lr=2e-3, schedule="constant")


def meta_task(look_ahead: int, steps: int, optimizer: OptimizerConfig = CONSTANT) -> MetaJointTask:
    task = parameters_task(ParametersConfig(look_ahead=look_ahead), steps=steps, optimizer=optimizer)
    assert isinstance(task, MetaJointTask)
    return task


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Watch(pl.Callback):
    """Both copies before each batch, what they cost on it, and both after it."""

    def __init__(self) -> None:
        self.before: list[list[dict[str, torch.Tensor]]] = []
        self.after: list[list[dict[str, torch.Tensor]]] = []
        self.costs: list[list[float]] = []
        self.moments: list[list[torch.Tensor]] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        fresh = unseen(batch["index"], pl_module.seen)
        true, costs = Face(batch["pose"][fresh], batch["coefficients"][fresh]), []
        for _, network, _ in pl_module.copies():
            with torch.no_grad():
                found = network.eval()(batch["image"][fresh])
                network.train()
                costs.append(float(pl_module.vdc(Face(*network.vector.decode(found)), true).mean()))
        self.costs.append(costs)
        self.before.append([weights(network) for _, network, _ in pl_module.copies()])

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.after.append([weights(network) for _, network, _ in pl_module.copies()])
        state = pl_module.optimizers(use_pl_optimizer=False).state
        parameters = (network.body.conv1.weight for _, network, _ in pl_module.copies())
        self.moments.append([state[parameter]["exp_avg"].clone() for parameter in parameters if parameter in state])


def test_the_winner_is_the_copy_with_the_lower_vdc(tmp_path: Path) -> None:
    task, watch = meta_task(look_ahead=2, steps=14), Watch()
    run(task, tmp_path, 14, callbacks=[watch])
    assert [entry["batch"] for entry in task.selections] == [2, 5, 8, 11, 13], "the last batch decides, too"
    for entry in task.selections:
        batch = entry["batch"]
        costs = watch.costs[batch]
        assert [entry[name] for name in BRANCHES] == pytest.approx(costs, rel=1e-4)
        winner = BRANCHES.index(entry["selected"])
        assert entry[BRANCHES[winner]] == min(entry[name] for name in BRANCHES)
        assert costs[0] != costs[1]
        for copy in watch.after[batch]:
            assert same(copy, watch.before[batch][winner]), "meta-test trained the network, or the loser stayed"
        assert torch.equal(*watch.moments[batch])
        assert torch.equal(watch.moments[batch][winner], watch.moments[batch - 1][winner])
    for batch in (0, 1, 3, 4):
        assert not same(*watch.after[batch]), "the copies did not look ahead by different losses"


@pytest.mark.parametrize("winner", [0, 1])
def test_the_winner_is_what_remains(winner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, watch = meta_task(look_ahead=3, steps=4), Watch()
    scores = [1.0, 1.0]
    scores[winner] = 0.5
    answers = iter(scores)
    monkeypatch.setattr(task, "_meta_test", lambda network, batch: next(answers))
    run(task, tmp_path, 4, every=4, callbacks=[watch])
    assert [entry["selected"] for entry in task.selections] == [BRANCHES[winner]]
    assert same(weights(task.network), watch.before[-1][winner])
    assert task.rival is None


@pytest.mark.parametrize("name", BRANCHES)
def test_a_look_ahead_is_a_plain_training_by_its_loss(name: str, tmp_path: Path) -> None:
    watch = Watch()
    run(meta_task(look_ahead=10, steps=4), tmp_path / "meta", 4, every=4, callbacks=[watch])
    settings = ParametersConfig(objective=name, landmarks="regression")
    plain = parameters_task(settings, steps=3, optimizer=CONSTANT)
    run(plain, tmp_path / "plain", 3, every=4)
    for key, value in weights(plain.network).items():
        found = watch.before[-1][BRANCHES.index(name)][key]
        torch.testing.assert_close(found, value, atol=1e-5, rtol=1e-4, msg=lambda text, key=key: f"{key}: {text}")


class _Kill(pl.Callback):
    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.batches == self.batch:
            raise RuntimeError("killed")


def test_a_killed_training_goes_on_as_it_was(tmp_path: Path) -> None:
    """Killed within a look-ahead; the last checkpoint, too, is within it."""
    cosine = OptimizerConfig(lr=2e-3)
    whole = run(meta_task(4, 12, cosine), tmp_path / "whole", 12)
    with pytest.raises(RuntimeError, match="killed"):
        run(meta_task(4, 12, cosine), tmp_path / "parts", 12, callbacks=[_Kill(9)])
    state = torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)["meta_joint"]
    assert state["batches"] == 8 and state["ahead"] == 3 and len(state["seen"]) == 12
    resumed = run(meta_task(4, 12, cosine), tmp_path / "parts", 12)
    assert resumed.selections == whole.selections and len(whole.selections) == 3
    assert same(weights(resumed.network), weights(whole.network))


def test_selections_are_kept_and_drawn(tmp_path: Path) -> None:
    task = run(meta_task(2, 7), tmp_path, 7, callbacks=[TrainingFigures()])
    assert json.loads((tmp_path / "selection.json").read_text()) == task.selections
    assert (tmp_path / "selection.png").read_bytes()[:4] == b"\x89PNG"


def test_selections_are_logged(tmp_path: Path) -> None:
    from pytorch_lightning.loggers import CSVLogger

    from nasface.training.fit import TrainingPlan, fit
    from tests.training.toy_training import CPU, make_data

    task, logger = meta_task(2, 6), CSVLogger(tmp_path, flush_logs_every_n_steps=1)
    fit(task, make_data(), TrainingPlan(tmp_path, "toy", 6, validate=False), CPU, logger=logger)
    logger.finalize("success")
    rows = [line.split(",") for line in Path(logger.log_dir, "metrics.csv").read_text().splitlines()]
    column = rows[0].index("meta/selected_vdc")
    found = [float(row[column]) for row in rows[1:] if row[column]]
    assert found == [float(entry["selected"] == "vdc") for entry in task.selections] and len(found) == 2


def test_in_the_middle_the_last_winner_speaks() -> None:
    task = meta_task(2, 6)
    task.setup("fit")
    torch.nn.init.normal_(task.rival.body.fc_param.bias)
    image = torch.randn(2, 3, 32, 32)
    task.eval()
    with torch.no_grad():
        for leader, network in enumerate((task.network, task.rival)):
            task.leader = leader
            assert torch.equal(task(image).landmarks, task.predict(network, image).landmarks)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.lists(st.integers(0, 9), max_size=12))
def test_the_meta_test_batch_is_disjoint(index: list[int], seen: list[int]) -> None:
    chosen = unseen(torch.tensor(index), seen).tolist()
    fresh = [face not in seen for face in index]
    assert chosen == (fresh if any(fresh) else [True] * len(index))


def test_bfloat16_selects_by_the_same_errors(tmp_path: Path) -> None:
    """With the landmark branch, and networks alone in half precision: vertices would be off by a quarter pixel."""
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        task = meta_task(look_ahead=1, steps=2)
        assert task.landmark_branch is not None
        run(task, tmp_path / precision, 2, device=replace(CPU, precision=precision))
        found[precision] = [task.selections[0][name] for name in BRANCHES]
    assert found["bf16-mixed"] != found["32-true"], "autocast was not on"
    assert found["bf16-mixed"] == pytest.approx(found["32-true"], rel=0.05)


def test_accumulation_is_refused() -> None:
    from nasface.nets.registry import create_network
    from nasface.training.tasks import make_task
    from tests.helpers.toy import toy_context

    context = toy_context()
    retrain = replace(context.experiment.retrain, accumulate=2)
    context = replace(context, experiment=replace(context.experiment, retrain=retrain))
    with pytest.raises(UserError, match="meta_joint takes retrain.accumulate 1"):
        make_task(create_network("mobilenet", 32, 16, 0.1), context)
