"""Search by short trainings: who begins, who goes on, and that a kill changes nothing."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nasface.cli.parser import read_arguments
from nasface.cli.search import kind_of_search
from nasface.cli.search import search as command
from nasface.config import (
    Experiment,
    FinalistsConfig,
    HalvingConfig,
    MultipathConfig,
    RetrainConfig,
    SearchConfig,
    SupernetConfig,
    SupernetOptimizerConfig,
    experiment_file,
    experiment_of,
)
from nasface.evaluation.costs import MemberCosts, usual_macs
from nasface.evaluation.inference import predict_faces
from nasface.faces.morphable import load_embedded_head
from nasface.inference import member_latencies
from nasface.inference.latency_table import LatencyTable
from nasface.inference.trained import load_task
from nasface.metrics.aflw2000 import binned_nme
from nasface.metrics.nme import nme_68
from nasface.nets.multipath import MemberSpec
from nasface.pipelines import member_limits, search_trainings, short_trainings
from nasface.pipelines.architectures import resolve_network
from nasface.pipelines.candidates import draw_candidates, draw_children, key_of
from nasface.pipelines.member_limits import Limits
from nasface.pipelines.search_trainings import search_by_trainings
from nasface.pipelines.short_trainings import ShortTraining
from nasface.pipelines.workspace import Workspace
from nasface.runs.run import Run
from nasface.space.catalogue import load_space
from nasface.space.neighbours import neighbours, random_neighbour
from nasface.space.presets import PRESETS, load_preset
from nasface.space.record import load_record
from nasface.space.space import Architecture, MultipathSpace
from nasface.tabular.training import DivergedError
from nasface.utils.errors import UserError
from nasface.utils.yaml_files import load_yaml
from tests.benchmarks.toy import toy_workspace
from tests.helpers.tiny import Command
from tests.helpers.toy import toy_basis

SPACE = MultipathSpace("small", layers=3, scales=2)
SHORT = HalvingConfig(candidates=5, generations=0, steps=[1, 2, 3], keep=2, batch_size=2, workers=1)
EVOLVING = replace(SHORT, generations=2, children=3, parents=2, moves=2, steps=[1, 2], keep=4)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    torch.set_num_threads(1)
    workspace = toy_workspace(tmp_path_factory.mktemp("runs"))
    settings = replace(workspace.experiment, halving=SHORT, log=replace(workspace.experiment.log, wandb="off"))
    model = replace(load_embedded_head(), landmark_uv=toy_basis().landmark_uv)
    return replace(workspace, experiment=settings, space=SPACE, faces=replace(workspace.faces, model=model))


@pytest.fixture
def experiment(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    prepared = lambda experiment, _: replace(workspace, experiment=experiment)  # noqa: E731
    monkeypatch.setattr(search_trainings, "prepare_search", prepared)
    return replace(workspace.experiment, output=str(tmp_path / "best.json"))


def new_run(folder: Path) -> Run:
    folder.mkdir()
    return Run(folder)


def rounds_of(run: Run) -> list[list[str]]:
    return [[member["digest"] for member in one["members"]] for one in run.read_summary()["search"]["rounds"]]


def test_the_best_of_each_round_go_on(experiment: Experiment, tmp_path: Path) -> None:
    run, said = new_run(tmp_path / "run"), []
    record = load_record(search_by_trainings(experiment, SPACE, run, said.append), SPACE)
    begun = {member.digest for member in draw_candidates(experiment, SPACE)}
    first, second, third = rounds_of(run)
    assert set(first) == begun and set(second) == set(first[:3]) and set(third) == set(second[:2])
    assert record.architecture.digest == third[0] and record.provenance["strategy"] == "halving"
    trained = [json.loads(line) for line in run.path("search", "trainings.jsonl").read_text().splitlines()]
    errors = {(one["digest"], one["steps"]): one["nme"][3] for one in trained}
    one = ShortTraining("a", 1, (3.0, 2.0, float("nan"), 4.0, 5.0))
    assert [one.penalty(what) for what in ("30-60", "60-90", "mean", "all")] == [2, float("inf"), 4, 5]
    assert record.scores["penalty"] == min(errors[digest, 3] for digest in third)
    assert [errors[digest, 1] for digest in first] == sorted(errors[digest, 1] for digest in first)
    assert len(said) == 3 and said[0].startswith("round    5 members x 1 steps:")
    assert run.read_summary()["finished"] and len(trained) == 10


def test_the_found_network_is_kept(experiment: Experiment, workspace: Workspace, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    record = load_record(search_by_trainings(experiment, SPACE, run), SPACE)
    found, faces = load_task(run.folder), workspace.faces.val
    landmarks = predict_faces(found.task, faces.images).landmarks
    errors = binned_nme(nme_68(landmarks, faces.landmarks, faces.box), faces.yaw)
    assert errors.all == pytest.approx(record.scores["nme_all"], rel=1e-4)
    settings = found.record["experiment"]
    assert (settings["retrain"]["steps"], settings["retrain"]["batch_size"]) == (3, SHORT.batch_size)
    assert not run.path("search", "networks").exists()
    network = run.path("network.pt").read_bytes()
    search_by_trainings(experiment, SPACE, run)  # with all trainings on record
    assert run.path("network.pt").read_bytes() == network


def test_a_search_whose_last_round_was_on_record_has_no_network(experiment: Experiment, tmp_path: Path) -> None:
    search_by_trainings(experiment, SPACE, new_run(tmp_path / "first"))
    run = new_run(tmp_path / "second")
    run.path("search").mkdir()
    shutil.copy(tmp_path / "first" / "search" / "trainings.jsonl", run.path("search"))
    assert search_by_trainings(experiment, SPACE, run).exists()
    assert not run.path("network.pt").exists()


def test_the_best_have_children_that_compete_with_all_before_them(experiment: Experiment, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    record = load_record(search_by_trainings(replace(experiment, halving=EVOLVING), SPACE, run), SPACE)
    first, second, third, last = rounds_of(run)
    assert len(first) == 5 and len(second) == len(third) == 3
    assert len({*first, *second, *third}) == 11  # none is trained twice
    trained = [json.loads(line) for line in run.path("search", "trainings.jsonl").read_text().splitlines()]
    errors = {one["digest"]: one["nme"][3] for one in trained if one["steps"] == 1}
    ranked = sorted(errors, key=lambda digest: (errors[digest], digest))
    assert set(last) == set(ranked[:3])  # of every generation, a quarter of eleven
    assert record.architecture.digest == last[0]


def test_those_with_most_connections_begin(experiment: Experiment, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    search_by_trainings(experiment, SPACE, run)
    trained = [json.loads(line) for line in run.path("search", "trainings.jsonl").read_text().splitlines()]
    codes = {member.digest: member.architecture.canonical.codes for member in draw_candidates(experiment, SPACE)}
    alive = [np.count_nonzero(codes[one["digest"]]) for one in trained if one["steps"] == 1]
    assert alive == sorted(alive, reverse=True) and len(set(alive)) > 1


@pytest.mark.parametrize("last", [None, 4])
def test_the_last_round_has_a_batch_size_of_its_own(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int | None
) -> None:
    settings = replace(experiment, halving=replace(EVOLVING, batch_size=2, last_batch_size=last))
    seen: dict[int, int] = {}
    made = short_trainings.SharedBatches

    def batches(*arguments: Any, **more: Any) -> Any:
        config = arguments[2]
        seen[config.steps] = config.batch_size
        return made(*arguments, **more)

    monkeypatch.setattr(short_trainings, "SharedBatches", batches)
    search_by_trainings(settings, SPACE, new_run(tmp_path / "run"))
    assert seen == {1: 2, 2: last or 2}
    single = replace(settings, halving=replace(settings.halving, steps=[3], generations=0))
    search_by_trainings(single, SPACE, new_run(tmp_path / "single"))
    assert seen[3] == (last or 2)


def test_children_are_changed_best_members_within_the_limits(experiment: Experiment) -> None:
    costs = MemberCosts(SPACE, experiment.network)
    members = draw_candidates(experiment, SPACE)
    limit = float(max(costs.macs(one.architecture) for one in members))
    limited = replace(experiment, search=replace(experiment.search, max_macs=limit))
    limits, one_move = Limits.of(limited, SPACE), replace(EVOLVING, moves=1)
    children = draw_children(one_move, limits, members, np.random.default_rng(0))
    near = [{near.digest for near in neighbours(parent.architecture)} for parent in members[:2]]
    assert len({child.digest for child in children} - {one.digest for one in members}) == 3
    assert all(0.75 * limit <= costs.macs(child.architecture) <= limit for child in children)
    assert all(child.digest in near[0] | near[1] for child in children)
    free = Limits.of(replace(experiment, search=replace(experiment.search, max_macs=0.0)), SPACE)
    children = draw_children(replace(one_move, children=8), free, members, np.random.default_rng(0))
    assert all({child.digest for child in children} & around for around in near)  # both have some
    none = replace(limited, search=replace(experiment.search, max_macs=1.0))
    assert draw_children(one_move, Limits.of(none, SPACE), members, np.random.default_rng(0)) == []


def test_most_children_are_near_and_some_are_far(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def change(parent: Architecture, rng: np.random.Generator, moves: int = 1) -> Architecture:
        drawn.append(moves)
        return random_neighbour(parent, rng, moves)

    monkeypatch.setattr("nasface.pipelines.candidates.random_neighbour", change)
    free = replace(experiment, search=replace(experiment.search, max_macs=0.0))
    space = load_space("multipath")
    parent = MemberSpec(load_preset("hourglass"), experiment.network)
    settings = replace(EVOLVING, children=300, moves=4)
    assert len(draw_children(settings, Limits.of(free, space), [parent], np.random.default_rng(0))) == 300
    shares = np.bincount(drawn, minlength=5)[1:] / len(drawn)
    assert shares == pytest.approx([0.48, 0.24, 0.16, 0.12], abs=0.08)


WIDE = replace(SPACE, name="wide", widths=(8, 16, 24))


def test_children_may_be_of_another_width(experiment: Experiment) -> None:
    sizes = replace(experiment.network, width=16)
    limit = float(MemberSpec(Architecture(WIDE, (0, 2, 0, 0, 0, 2, 0, 2)), sizes).cost()[1])
    limited = replace(experiment, search=replace(experiment.search, max_macs=limit))
    limits, settings = Limits.of(limited, WIDE), replace(EVOLVING, children=8, parents=1)
    members = draw_candidates(limited, WIDE, limits)
    children = draw_children(settings, limits, members, np.random.default_rng(0))
    assert len({key_of(one) for one in [*members, *children]}) == len(members) + 8
    assert all(0.75 * limit <= child.cost()[1] <= limit for child in [*members, *children])
    own = members[0].config.width
    assert own in (found := {child.config.width for child in children}) and len(found) > 1
    assert all(abs(child.config.width - own) <= 8 for child in children)


def test_the_width_that_is_found_is_retrained(experiment: Experiment, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    best = search_by_trainings(experiment, WIDE, run)
    (first, *_), *_ = reversed(rounds_of(run))
    record = load_record(best)
    width = record.provenance["width"]
    assert first == f"{record.architecture.digest}@{width}" and record.provenance["network"]["width"] == width
    other = replace(experiment, network=replace(experiment.network, width=40))  # of an experiment's file
    for settings in (experiment, other):
        _, spec, _ = resolve_network(settings, str(best))
        assert spec.config.width == width and spec.cost()[1] == record.scores["macs"]


def test_well_known_networks_begin_at_their_greatest_width() -> None:
    settings = Experiment(search=SearchConfig(max_macs=25e6))
    space, experiment = load_space("multipath_wide"), replace(settings, halving=HalvingConfig(adapt=False))
    members = draw_candidates(experiment, space)
    assert [member.config.width for member in members[:3]] == [32, 24, 40]
    names = ("hourglass", "hrnet", "prnet")
    assert [member.digest for member in members[:3]] == [load_preset(name).digest for name in names]
    small = draw_candidates(replace(experiment, search=SearchConfig(max_macs=12.5e6)), space)[0]
    assert small.digest == members[0].digest and small.config.width == 16
    # Beside each, the same network at the next width, with some of its blocks left out and every way through it kept.
    adapted = draw_candidates(settings, space)
    assert adapted[:6:2] == members[:3] and [member.config.width for member in adapted[1:6:2]] == [40, 32, 48]
    for narrow, wide in zip(adapted[:6:2], adapted[1:6:2], strict=True):
        before, after = (np.array(member.architecture.canonical.codes) for member in (narrow, wide))
        assert set(after[before == 2]) == {1, 2} and (after[before < 2] == before[before < 2]).all()
        assert Limits.of(settings, space).allow(wide)


def test_well_known_networks_that_miss_the_limits_are_brought_there() -> None:
    # Of the three, HRNet alone costs more than 30 M multiply-adds, and hourglass and PRNet less than three quarters.
    settings = SearchConfig(max_macs=30e6)
    plain = Experiment(search=settings, halving=HalvingConfig(candidates=4, adapt=False))
    adapting = replace(plain, halving=replace(plain.halving, adapt=True))
    space, limits = load_space("multipath"), Limits.of(plain, load_space("multipath"))
    *changed, random = draw_candidates(adapting, space)
    assert random == draw_candidates(plain, space)[0], "the random ones are the same"
    assert all(map(limits.allow, changed))
    assert not {one.digest for one in changed} & {load_preset(name).digest for name in ("hourglass", "prnet", "hrnet")}
    # By blocks alone, but for PRNet, which has too few identities: no way through it comes or goes.
    for name, member in zip(PRESETS[:2], changed[:2], strict=True):
        absent = [code == 0 for code in load_preset(name).canonical.codes]
        assert [code == 0 for code in member.architecture.canonical.codes] == absent
    again, other = (draw_candidates(replace(adapting, seed=seed), space)[:3] for seed in (0, 1))
    assert again == changed and other[0] != changed[0]


def test_well_known_networks_are_changed_at_the_nearest_width() -> None:
    # HRNet has 13 M multiply-adds at 16 channels, too few, and a little more than 22 M at 24.
    settings = Experiment(search=SearchConfig(max_macs=22e6), halving=HalvingConfig(adapt=True))
    space = load_space("multipath_wide")
    member = draw_candidates(settings, space)[2]  # after Hourglass at two widths
    assert member.config.width == 24 and member.digest != load_preset("hrnet").digest
    hrnet = replace(member, architecture=load_preset("hrnet"))
    assert 22e6 < hrnet.cost()[1] < 25e6 and Limits.of(settings, space).allow(member)


def test_a_space_of_several_widths_has_no_widths_of_its_scales(nasface: Command) -> None:
    failed = nasface("search", "--space", "multipath_wide", "--network.widths", "[32,24,16,8]")
    assert failed.code == 2 and "leave out --network.widths" in failed.line


@pytest.mark.parametrize("space", [SPACE, WIDE], ids=["one width", "several"])
def test_a_limit_on_latency_takes_the_place_of_multiply_adds(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: MultipathSpace
) -> None:
    tables: list[int] = []

    def table(path: Path, _: MultipathSpace, config: MultipathConfig) -> LatencyTable:
        assert path.name == (f"latency-{config.width}.json" if space.widths else "latency.json")
        tables.append(config.width)
        kinds = {f"{a} {b} {code}": code * config.width / 8 for a in (0, 1) for b in (0, 1) for code in (1, 2)}
        return LatencyTable(kinds, 0.0, (0.0, 1.0, 0.0), error=0.04, worst=0.09)

    monkeypatch.setattr(member_limits, "kept_latencies", table)
    measured: list[str] = []
    monkeypatch.setattr(member_latencies, "measured_latency", lambda member: measured.append(key_of(member)) or 7.5)
    drawn = replace(space, drawn=(1, 4))  # such a space has a limit on multiply-adds of its own
    limited = replace(experiment, search=replace(experiment.search, max_latency=8.0), output=str(tmp_path / "b.json"))
    run = new_run(tmp_path / "run")
    search_by_trainings(replace(limited, halving=EVOLVING), drawn, run)
    assert tables == list(space.widths or [experiment.network.width])
    latency = run.read_summary()["latency"]
    assert 6 / 1.09 <= latency.pop("ms") <= 8 * 1.09
    assert latency == {"error": 0.04, "worst": 0.09, "measured": 7.5, "limit": 8.0}
    assert len(measured) == len(set(measured)) > 1, "each once, though the limit is asked for many times"
    assert {one.name for one in Limits.of(limited, drawn, member_limits.latencies_of(limited, drawn, run)).most[8]} == {
        "latency"
    }
    with pytest.raises(UserError, match="latency <= 0.1, .*: raise search.max_latency"):
        few = replace(limited, search=replace(limited.search, max_latency=0.1))
        search_by_trainings(few, drawn, new_run(tmp_path / "few"))


@pytest.mark.parametrize("settings", [SHORT, EVOLVING], ids=["halving", "evolution"])
def test_a_killed_search_ends_as_a_whole_one(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: HalvingConfig
) -> None:
    experiment = replace(experiment, halving=settings)
    whole, killed = new_run(tmp_path / "whole"), new_run(tmp_path / "killed")
    search_by_trainings(experiment, SPACE, whole)
    train, done = short_trainings._train, []

    def dies(*arguments: object) -> ShortTraining:
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(arguments)
        return train(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(short_trainings, "_train", dies)
        with pytest.raises(KeyboardInterrupt):
            search_by_trainings(experiment, SPACE, killed)
    record = killed.path("search", "trainings.jsonl")
    record.write_bytes(record.read_bytes() + b'{"digest": "unfini')
    search_by_trainings(experiment, SPACE, killed)
    assert killed.read_summary()["search"] == whole.read_summary()["search"]
    assert record.read_bytes() == whole.path("search", "trainings.jsonl").read_bytes()


def test_a_kill_leaves_the_time_so_far(experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, train, seen = new_run(tmp_path / "run"), short_trainings._train, []

    def slowly(*arguments: object) -> ShortTraining:
        seen.append(run.read_summary().get("costs", {}).get("search_s", 0.0))
        time.sleep(0.2)
        return train(*arguments)

    monkeypatch.setattr(short_trainings, "_train", slowly)
    search_by_trainings(experiment, SPACE, run)
    assert len(seen) > 5 and all(seconds >= 0.2 * count for count, seconds in enumerate(seen))


def test_a_training_that_fails_comes_last(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, bad = short_trainings.train_alone, draw_candidates(experiment, SPACE)[0]

    def fails(build: object, batches: object) -> object:
        if build.__self__.digest == bad.digest:
            raise DivergedError("the training loss became nan at step 0")
        return alone(build, batches)

    monkeypatch.setattr(short_trainings, "train_alone", fails)
    run = new_run(tmp_path / "run")
    search_by_trainings(experiment, SPACE, run)
    assert rounds_of(run)[0][-1] == bad.digest
    monkeypatch.setattr(short_trainings, "_train", lambda _, job: job.trained(None))
    with pytest.raises(UserError, match="lower retrain.optimizer.lr"):
        search_by_trainings(experiment, SPACE, new_run(tmp_path / "other"))


def test_one_that_fails_beside_others_on_a_gpu_comes_last(
    experiment: Experiment, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    members, groups = draw_candidates(experiment, SPACE)[:3], []

    def train_together(builds: list, batches: object, device: object) -> tuple[list, float]:
        groups.append([build.__self__ for build in builds])
        if members[1] in groups[-1]:
            raise DivergedError("the training loss became nan by step 0")
        return [build() for build in builds], 1.0

    monkeypatch.setattr(short_trainings, "train_together", train_together)
    monkeypatch.setattr(short_trainings.torch, "device", lambda _: torch.empty(0).device)
    jobs = [short_trainings._Job(member, 1) for member in members]
    found = list(short_trainings._train_on_gpu(workspace, jobs))
    assert groups == [members, *([member] for member in members)]
    assert [one.nme is None for one in found] == [False, True, False]


def test_candidates_keep_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    space, network = load_space("multipath"), MultipathConfig(width=16)
    costs = MemberCosts(space, network)
    experiment = Experiment(network=network, halving=HalvingConfig(candidates=8))
    members = draw_candidates(experiment, space)
    limit = usual_macs(costs)
    assert len({member.digest for member in members}) == 8
    assert all(0.75 * limit <= costs.macs(member.architecture) <= limit for member in members)
    assert [member.digest for member in draw_candidates(experiment, space)] == [one.digest for one in members]
    assert draw_candidates(replace(experiment, seed=1), space)[-1].digest != members[-1].digest
    hourglass = load_preset("hourglass")
    limited = replace(experiment.search, max_macs=float(np.ceil(costs.macs(hourglass))))
    near = replace(experiment, search=limited, halving=replace(experiment.halving, candidates=1))
    assert draw_candidates(near, space)[0].digest == hourglass.digest
    monkeypatch.setattr("nasface.space.random_members.DRAWS", 500)
    with pytest.raises(UserError, match="0 of 500 random members .* raise search.max_macs"):
        draw_candidates(replace(experiment, search=replace(experiment.search, max_macs=1e5)), space)


def test_a_damaged_training_is_named(experiment: Experiment, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    run.path("search").mkdir()
    run.path("search", "trainings.jsonl").write_text('{"digest": "a", "steps": 1, "nme": [1, 2, 3]}\n')
    with pytest.raises(UserError, match="line 1 is damaged .nme has 3 figures, not 5.: remove the line"):
        search_by_trainings(experiment, SPACE, run)


def test_what_a_supernet_alone_has_is_refused(nasface: Command) -> None:
    for setting, value, message in (
        ("--reuse_supernet", "true", "leave out --reuse_supernet"),
        ("--search.objectives", "[penalty,macs]", "leave out --search.objectives"),
        ("--halving.steps", "[2,2]", "halving.steps [2, 2] do not rise"),
        ("--halving.steps", "[2,4,3]", "halving.steps [2, 4, 3] do not rise"),
        ("--retrain.accumulate", "2", "retrain.accumulate 2 is for `nasface retrain`"),
    ):
        failed = nasface("search", "--experiment", "smoke", "--on", "trainings", setting, value)
        assert failed.code == 2 and message in failed.line


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "trainings"),
        ({"search": SearchConfig(max_macs=1e7, penalty="60-90", max_latency=2.0)}, "trainings"),
        ({"halving": EVOLVING, "retrain": RetrainConfig(steps=7), "seed": 3}, "trainings"),
        ({"search": SearchConfig(chunk=25)}, "trainings"),
        ({"search": SearchConfig(strategy="random")}, "supernet"),
        ({"search": SearchConfig(iterations=7)}, "supernet"),
        ({"search": SearchConfig(objectives=["penalty", "macs"])}, "supernet"),
        ({"supernet": SupernetConfig(steps=7)}, "supernet"),
        ({"finalists": FinalistsConfig(count=2)}, "supernet"),
        # As runs of earlier versions have recorded theirs, asked for or not.
        (
            {"supernet": SupernetConfig(whole=0.0, optimizer=SupernetOptimizerConfig(2e-3, "adamw", warmup=0.05))},
            "trainings",
        ),
        ({"supernet": SupernetConfig(optimizer=SupernetOptimizerConfig(2e-3))}, "supernet"),
    ],
)
def test_settings_say_what_is_searched_on(changes: dict[str, object], kind: str) -> None:
    assert kind_of_search(Experiment(**changes)) == kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("", ""),
        ("--search.max_macs 1e7 --search.penalty 0-30 --search.chunk 50 --halving.candidates 3", ""),
        ("--search.strategy samos", "supernet"),  # the default's own values, too
        ("--search.iterations=200", "supernet"),
        ("--supernet.steps 800", "supernet"),
        ("--finalists.count 0", "supernet"),
        ("--search.settings.temperature 0.1", "supernet"),
        ("--on trainings --search.strategy samos", "trainings"),
        ("--resume true --run one --search.strategy samos", ""),
    ],
)
def test_a_command_line_says_what_is_searched_on(words: str, kind: str) -> None:
    assert read_arguments(["search", *words.split()])[1]["on"] == kind


def test_settings_that_trainings_do_not_have_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> Path:
        raise UserError("stop")

    monkeypatch.setattr(search_trainings, "search_by_trainings", stop)
    search = SearchConfig(strategy="local", settings={"moves": 2}, max_macs=1e7)
    given = replace(Experiment(runs=str(tmp_path)), search=search, supernet=SupernetConfig(steps=7))
    with pytest.raises(UserError, match="stop"):
        command(given, run="one", on="trainings")
    assert "\nunused   supernet.steps, search.strategy, search.settings.moves: only" in capsys.readouterr().out


def test_a_run_goes_on_as_it_began(tmp_path: Path) -> None:
    for name, label, kind in (("one", "multipath", "supernet"), ("two", "multipath-trainings", "trainings")):
        run = new_run(tmp_path / name)
        run.update_summary(label=label)
        assert kind_of_search(Experiment(runs=str(tmp_path)), name) == kind
    assert kind_of_search(Experiment(runs=str(tmp_path)), reuse_supernet=True) == "supernet"


def test_experiments_keep_to_their_way() -> None:
    kinds = {"default": "trainings", "aflw": "trainings", "paper": "supernet", "smoke": "supernet"}
    assert {name: kind_of_search(experiment_of(load_yaml(experiment_file(name)))) for name in kinds} == kinds


def test_commands_that_name_no_experiment_run_the_default_one() -> None:
    """`make retrain` names none: a setting of default.yaml's own would not reach it."""
    assert experiment_of(load_yaml(experiment_file("default"))) == Experiment()
