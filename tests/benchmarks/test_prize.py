"""The prize under a budget: its arithmetic by hand, who competes, and the whole command, which a second call reads."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import prize
from benchmarks.prize import Prize, hand_made, main, needed, plan, prize_table, random_members, standard_error
from nasface.config import Experiment, MultipathConfig
from nasface.nets.multipath import MemberSpec
from nasface.nets.network import NetworkSpec
from nasface.pipelines import compare
from nasface.pipelines.workspace import Workspace
from nasface.report.tables import NMERow
from nasface.runs.metrics import RunMetrics
from nasface.runs.run import Run
from nasface.space.catalogue import load_space
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
from tests.benchmarks.toy import toy_workspace

SMALL = MultipathConfig(input_size=32, map_size=32, width=8, head_width=16)


def test_a_prize_by_hand() -> None:
    made = {"hrnet": 4.8, "mobilenet": 6.0}
    one = Prize(25e6, (4.0, 5.0, 4.5), (6.0, 5.0, 7.0, 6.5), (5.5, 5.0, 5.7, 4.0), made, 90, 60, 60)
    assert one.gain == pytest.approx(6.125 - 4.5)
    errors = math.sqrt(0.25) / math.sqrt(3), statistics.stdev((6.0, 5.0, 7.0, 6.5)) / 2
    assert one.error == pytest.approx(math.hypot(*errors))
    # A search and a training take the time of 2.5 random trainings: the best of two by validation, whichever two.
    assert one.trainings == 2 and one.random_search == pytest.approx((5 + 6 + 6.5 + 5 + 6.5 + 6.5) / 6)
    assert one.won
    many = replace(one, random=tuple(float(10 - k % 7 + k) for k in range(48)), validation=tuple(map(float, range(48))))
    assert replace(many, random_s=150 / 24).random_search < statistics.fmean(many.random)  # 3e13 choices
    assert replace(one, random_s=30).trainings == 4 and "(best of all 4)" in prize_table([replace(one, random_s=30)])
    assert replace(one, train_s=120, random_s=70).trainings == 3
    assert not replace(one, made={"hrnet": 4.4}).won
    assert not replace(one, random=(4.0, 5.0, 7.0, 5.0)).won  # within two standard errors
    line = prize_table([one]).splitlines()[2]
    for text in (
        "25 M",
        "4.50 ± 0.29",
        "6.12 ± 0.43",
        "+1.62 ± 0.52",
        "5.92 (best of 2)",
        "4.80 (hrnet)",
        "1.5 min",
        "yes",
    ):
        assert text in line
    assert standard_error([3.0]) == math.inf


def test_draws_for_a_difference() -> None:
    deviation, draws = 0.3, needed(0.3, 0.3)
    assert draws == 8 and math.sqrt(2 * deviation**2 / draws) == pytest.approx(0.3 / 2)
    assert needed(0.6, 0.3) == 32 and needed(0.001, 0.3) == 2
    text = plan(0.3)
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["14", "21", "36"] and "draws a side" in text


def test_hand_made_networks_are_as_wide_as_the_budget_allows() -> None:
    space = load_space("multipath")
    for budget in (12e6, 25e6, 50e6):
        found = hand_made(Experiment(), space, budget)
        assert len(found) == 4 and found[-1].name.startswith("mobilenet@")
        for entry in found[:3]:
            network = entry.experiment.network
            assert isinstance(entry.spec, MemberSpec) and entry.spec.config == network
            wider = replace(entry.spec, config=replace(network, width=network.width + 8))
            assert entry.spec.cost()[1] <= budget < wider.cost()[1]
            assert f", width {network.width}" in entry.name
        assert budget / 1.3 < found[-1].spec.cost()[1] <= budget
    assert hand_made(Experiment(), space, 1e5) == []
    assert [one.name.partition("@")[0] for one in hand_made(Experiment(), load_space("table"), 25e6)] == ["mobilenet"]


def test_random_members_cost_what_the_searched_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, space = Experiment(network=SMALL), load_space("multipath_small")
    searched = MemberSpec(space.random_architecture(np.random.default_rng(3)), SMALL)
    target = searched.cost()[1]
    members = random_members(experiment, space, searched, 5)
    assert len({one.digest for one in members} | {searched.digest}) == 6
    assert all(abs(one.cost()[1] - target) <= 0.05 * target for one in members)
    assert random_members(experiment, space, searched, 3) == members[:3]
    wider = replace(searched, config=replace(SMALL, width=16))
    wide = random_members(experiment, replace(space, widths=(8, 16)), wider, 5)
    assert all(abs(one.cost()[1] - wider.cost()[1]) <= 0.05 * wider.cost()[1] for one in wide)
    assert 16 in {one.config.width for one in wide}
    tiny = MultipathSpace("tiny", layers=2, scales=1)
    monkeypatch.setattr("nasface.space.random_members.DRAWS", 500)
    with pytest.raises(UserError, match="of 500 random members .* give fewer --members"):
        random_members(experiment, tiny, MemberSpec(tiny.member(0), SMALL), 50)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the searches and trainings that were made, none of them real."""
    made: list[str] = []

    def search(experiment: Experiment, space: MultipathSpace, run: Run, say: Callable[[str], None]) -> None:
        assert experiment.search.max_macs == 9e5 and experiment.halving.workers == 1
        made.append(f"search {experiment.seed}")
        space.random_architecture(np.random.default_rng(experiment.seed)).save(experiment.output, {}, {})
        run.update_summary(costs={"search_s": 30.0}, finished=True)

    def retrain(workspace: Workspace, spec: NetworkSpec, run: Run, label: str, parents: object) -> compare.Training:
        assert workspace.experiment.log.wandb == "off"
        made.append(f"{label.split(',')[0]} {workspace.experiment.seed}")
        mean = 3.0 if label == "searched" else 5.0
        row = {"name": label, "bins": (mean, mean, mean), "mean": mean, "all": mean, "train_s": 15.0}
        metrics = RunMetrics(run.folder, "val/")
        for step, nme in ((10, mean + 1), (20, mean)):
            metrics.log_metrics({"val/nme": nme}, step)
        run.update_summary(result=row)
        return type("Retrained", (), {"row": NMERow(**row)})

    monkeypatch.setattr(prize, "search_by_trainings", search)
    monkeypatch.setattr(prize, "prepare", lambda experiment, _: replace(toy_workspace(tmp_path), experiment=experiment))
    monkeypatch.setattr(compare, "retrain", retrain)
    return made


def test_the_whole_command(trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    arguments = [
        "--experiment",
        "smoke",
        "--budgets",
        "9e5",
        "--seeds",
        "0",
        "1",
        "--members",
        "3",
        "--runs",
        str(runs),
    ]
    assert main(arguments) == 0
    assert trained[:2] == ["search 0", "search 1"]
    assert trained[2:7] == ["searched 0", "searched 1", "random 0", "random 1", "random 0"]
    assert all(name.startswith("mobilenet") for name in trained[7:]) and len(trained) == 8
    text = capsys.readouterr().out
    assert "+2.00 ± 0.00" in text and "yes" in text
    (figures,) = json.loads((runs / "benchmarks" / "prize.json").read_text())["prizes"]
    assert figures["won"] and figures["search_s"] == 30 and figures["random"] == figures["validation"] == [5.0] * 3
    assert main([*arguments, "--workers", "2"]) == 0 and len(trained) == 8  # all of it is on record
    (again,) = json.loads((runs / "benchmarks" / "prize.json").read_text())["prizes"]
    assert again == figures, "what a search cost does not depend on who asks"
    assert main([*arguments, "--members", "4"]) == 0 and trained[8:] == ["random 1"]
    with pytest.raises(UserError, match="other settings"):
        main([*arguments, "--retrain.steps", "41"])


def test_unusable_values_are_named() -> None:
    for arguments, words in ((["--members", "0"], "--members"), (["--seeds", "1", "1"], "--seeds")):
        with pytest.raises(UserError, match=words):
            main(arguments)
