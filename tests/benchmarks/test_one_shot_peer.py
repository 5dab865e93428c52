"""NNI's supernet beside nasface's: the same operations, weights, batches and optimizer, and one table of both."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from benchmarks import one_shot_peer
from benchmarks.one_shot_peer import (
    NAMES,
    Pace,
    Result,
    main,
    mean_connections,
    nni_supernet,
    peer_table,
    read_arguments,
    seeds_table,
)
from benchmarks.rank_correlation import Ranking
from nasface.config import OptimizerConfig, SupernetConfig
from nasface.data.sources import Faces
from nasface.nets.multipath import Supernet
from nasface.pipelines.supernet import fresh_supernet, train_supernet
from nasface.pipelines.workspace import Workspace
from nasface.runs.run import Run
from nasface.space.space import Architecture, MultipathSpace
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError
from tests.benchmarks.toy import toy_experiment
from tests.helpers.toy import SIZE, toy_basis, toy_faces
from tests.helpers.toy_table import NETWORK, SPACE, toy_table

FACES = Faces(toy_faces(12, 1), toy_faces(24, 2), toy_faces(6, 3), model=None)


def toy_workspace(folder: Path, **settings: Any) -> Workspace:
    config = SupernetConfig(batch_size=4, steps=4)
    experiment = replace(toy_experiment(folder), network=NETWORK, supernet=replace(config, **settings))
    return Workspace(experiment, SPACE, FACES, UVTarget(toy_basis(), SIZE))


@pytest.fixture(scope="module")
def nni() -> Any:
    """The module of NNI's space and training; skips where NNI is absent."""
    pytest.importorskip("nni")
    return nni_supernet()


class Images(pl.Callback):
    """Keeps the images that a training's steps were given."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_train_batch_start(self, _trainer: pl.Trainer, _module: pl.LightningModule, batch: dict, _index: int) -> None:
        self.seen.append(batch["image"].clone())


@dataclass(frozen=True)
class Replay:
    """The path sampler that repeats given children."""

    space: MultipathSpace
    codes: list[tuple[int, ...]]
    children: int = 1

    def sample(self, step: int) -> np.ndarray:
        return np.array([self.codes[step]], dtype=np.int8)


def random_norms(supernet: Supernet) -> Supernet:
    """The supernet with batch norms that are no identity."""
    generator = torch.Generator().manual_seed(3)
    for module in supernet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values, low in ((module.weight, 0.5), (module.bias, -0.5), (module.running_mean, -0.5)):
                values.data.copy_(low + torch.rand(len(values), generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    torch.nn.init.normal_(supernet.head.last.weight, std=0.1, generator=generator)
    return supernet


def test_both_spaces_have_the_same_parts(nni: Any) -> None:
    supernet = Supernet(SPACE, NETWORK)
    model = nni.NNISpace(supernet)
    count = sum(parameter.numel() for parameter in supernet.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    choices = model.simplify()
    assert list(choices) == nni.connection_labels(SPACE) and len(choices) == SPACE.num_connections
    assert all(choice.values == ["none", "identity", "hpm"] for choice in choices.values())


def test_samples_and_codes(nni: Any) -> None:
    codes = np.array(list(itertools.product(range(3), repeat=SPACE.num_connections)))[::41]
    live = SPACE.live_connections(codes).any(-1)
    assert 0.2 < live.mean() < 0.9
    for code, has_path in zip(codes.tolist(), live, strict=True):
        sample = nni.sample_of(SPACE, code)
        assert nni.codes_of(SPACE, sample) == tuple(code)
        assert nni.reaches_output(SPACE, sample) == has_path


def test_a_copied_supernet_gives_what_nnis_frozen_model_gives(nni: Any) -> None:
    """Trained weights end under the right names: members, and a code with dead ends."""
    model = nni.NNISpace(random_norms(Supernet(SPACE, NETWORK))).eval()
    supernet = nni.as_supernet(model, Supernet(SPACE, NETWORK))
    rng = np.random.default_rng(0)
    codes = [SPACE.random_architecture(rng).codes for _ in range(4)]
    codes.append((1, 2, 2, 1, 0, 0, 0, 2))  # with a connection to node 0 of layer 2, from which nothing goes on
    codes.append((0, 2, 2, 1, 0, 1, 1, 2))  # with connections from node 0 of layer 1, which nothing reaches
    image = torch.randn(2, 3, SIZE, SIZE)
    maps = []
    with torch.no_grad():
        for code in codes:
            maps.append(model.freeze(nni.sample_of(SPACE, code)).eval()(image))
            child = supernet.child(Architecture(SPACE, SPACE.canonical(code))).eval()
            torch.testing.assert_close(child(image), maps[-1], rtol=0, atol=1e-5)
    assert all((one - other).abs().max() > 1e-3 for one, other in itertools.combinations(maps, 2))


def test_without_a_path_all_faces_get_one_map(nni: Any) -> None:
    model = nni.NNISpace(random_norms(Supernet(SPACE, NETWORK)))
    nothing = model.freeze(nni.sample_of(SPACE, (2, 2, 0, 0, 0, 0, 2, 2)))
    maps = nothing(torch.randn(3, 3, SIZE, SIZE))
    assert torch.equal(maps[0], maps[1]) and (nothing.passes, nothing.pathless, nothing.computed) == (1, 1, 2)
    maps.mean().backward()
    assert {name.split(".")[0] for name, p in nothing.named_parameters() if p.grad is not None} == {"head"}


def test_both_trainings_end_in_the_same_weights(nni: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the children that NNI drew: first weights, images, loss, clipping, optimizer and schedule are the same."""
    # So small a norm that every step is clipped.
    workspace = toy_workspace(tmp_path, whole=0.0, optimizer=OptimizerConfig(lr=0.01, clip=0.01))
    drawn, reaches_output = [], nni.reaches_output

    def noted(space: MultipathSpace, sample: dict[str, str]) -> bool:
        if has_path := reaches_output(space, sample):
            drawn.append(nni.codes_of(space, sample))
        return has_path

    monkeypatch.setattr(nni, "reaches_output", noted)
    theirs, ours = Images(), Images()
    model = nni.train_space(workspace, True, [theirs])
    trained = nni.as_supernet(model, Supernet(SPACE, NETWORK))
    monkeypatch.setattr("nasface.pipelines.supernet.make_sampler", lambda *_: Replay(SPACE, drawn))
    expected = train_supernet(workspace, Run(tmp_path / "run"), [ours])
    assert len(drawn) == len(theirs.seen) == 4 and len(set(drawn)) > 1
    assert all(torch.equal(one, other) for one, other in zip(theirs.seen, ours.seen, strict=True))
    first = dict(fresh_supernet(workspace).named_parameters())
    pairs = zip(trained.named_parameters(), expected.parameters(), strict=True)
    same = torch.cat([((one - other).abs() <= 1e-5)[one != first[name]] for (name, one), other in pairs])
    # Not all: of a gradient that is zero but for rounding (a shift before batch norm), Adam makes a whole step.
    assert len(same) > 1000 and same.float().mean() > 0.98
    moved = trained.stem.layers[0].weight - first["stem.layers.0.weight"]
    assert moved.abs().max() > 0.01
    assert (model.passes, model.pathless) == (4, 0) and 2 < model.computed / 4 <= SPACE.num_connections


def test_a_loss_that_is_no_number_ends_in_one_line(nni: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    workspace = toy_workspace(tmp_path, optimizer=OptimizerConfig(lr=1e30, clip=0))
    with pytest.raises(UserError, match="training loss became"):
        nni.train_space(workspace, True)
    captured = capfd.readouterr()
    assert "Strategy" not in captured.out + captured.err


def test_ctrl_c_ends_nnis_training(nni: Any, tmp_path: Path) -> None:
    class Stop(pl.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nni.train_space(toy_workspace(tmp_path), True, [Stop()])


def test_pace_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 15.0, 16.0, 18.0])
    monkeypatch.setattr(one_shot_peer.time, "perf_counter", lambda: next(clock))
    pace = Pace()
    pace.on_train_start()
    for _ in range(3):
        pace.on_train_batch_end()
    assert pace.seconds == 8.0 and pace.rate == pytest.approx(2 / 3)


def test_mean_connections_by_hand(tmp_path: Path) -> None:
    workspace = toy_workspace(tmp_path, sampler="mnus", children=2, repeats=[2], last_repeats=2)
    assert mean_connections(workspace) == SPACE.num_connections  # every child takes every connection


def result(trainer: str, seed: int, sign: int) -> Result:
    values = tuple(float(value) for value in range(20))
    ordered = values if sign > 0 else values[::-1]
    ranking = Ranking(tuple(map(str, range(20))), ordered, values)
    return Result(trainer, seed, 2, 12.5, 640.0, 5.0, 4.25, 0.25, 9.5, ranking)


def test_a_row_for_each_trainer() -> None:
    results = [result("nni", 0, 1), result("mnus", 0, 1), result("mnus", 1, -1)]
    lines = peer_table(results).splitlines()[2:]
    assert [line.split("  ")[0] for line in lines] == [NAMES["nni"], NAMES["mnus"]]
    assert lines[0].split()[-10:] == ["4.2", "25", "%", "640", "5.0", "12.5", "s", "9.50", "+1.000", "+1.000"]
    assert lines[1].split()[-2:] == ["+0.000", "+0.000"]
    lines = seeds_table(results).splitlines()[2:]
    assert [line.split()[-1] for line in lines] == ["+1.000", "+1.000", "-1.000"]
    assert lines[2].startswith(f"{NAMES['mnus']}, seed 1  ")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The benchmark on a table and faces of the toy world."""
    table = tmp_path / "table.parquet"
    toy_table(count=24).save(table)

    def run(*arguments: str) -> int:
        sizes = ["--network.input_size", "32", "--network.map_size", "16", "--network.width", "8"]
        sizes += ["--network.head_width", "8", "--supernet.batch_size", "4", "--search.calibration", "8"]
        files = ["--table", str(table), "--runs", str(tmp_path / "runs")]
        return main([*files, *sizes, "--members", "20", "--device.accelerator", "cpu", *arguments])

    monkeypatch.setattr(
        one_shot_peer, "prepare", lambda experiment, space: replace(toy_workspace(tmp_path), experiment=experiment)
    )
    return run


def test_side_by_side_in_one_run(
    nni: Any, command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--seeds", "3", "--supernet.steps", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith(tuple(f"{name}  " for name in NAMES.values()))]
    assert len(rows) == 4
    figures = json.loads((tmp_path / "runs" / "benchmarks" / "one_shot_peer.json").read_text())
    found = {one["trainer"]: one for one in figures["trainings"]}
    assert list(found) == list(NAMES) and {one["seed"] for one in found.values()} == {3}
    assert [one["children"] for one in found.values()] == [1, 1, 1, 2]
    assert all(
        one["faces_per_second"] == pytest.approx(4 * one["children"] * one["steps_per_second"])
        for one in found.values()
    )
    assert found["nni-paths"]["pathless"] == 0
    assert len({tuple(member["alone"] for member in one["ranking"]["members"]) for one in found.values()}) == 1
    assert len({tuple(member["supernet"] for member in one["ranking"]["members"]) for one in found.values()}) == 4
    assert not list((tmp_path / "runs").glob("*/supernet"))


def test_a_missing_extra_is_named_before_anything_is_trained(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_shot_peer, "find_spec", lambda name: None)
    monkeypatch.setattr(one_shot_peer, "prepare", None)
    with pytest.raises(UserError, match=r"pip install 'nasface\[nni\]'"):
        command()
    read_arguments(["--trainers", "uniform", "mnus"])  # these do without


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    for arguments, words in (
        (["--trainers", "enas"], "unknown trainer 'enas'"),
        (["--trainers", "mnus", "mnus"], "--trainers"),
        (["--seeds", "-1"], "--seeds"),
        (["--members", "19"], "--members"),
        (["--supernet.steps", "1"], "supernet.steps"),
    ):
        with pytest.raises(UserError, match=words):
            read_arguments(arguments)
    with pytest.raises(UserError, match="--table must be"):
        main(["--table", "nothing", "--trainers", "mnus"])
    toy_table(count=20).save(tmp_path / "table.parquet")
    with pytest.raises(UserError, match="other sizes"):
        main(["--table", str(tmp_path / "table.parquet"), "--trainers", "mnus"])
    experiment, _ = read_arguments(["--trainers", "mnus", "--device.devices", "4"])
    assert experiment.name == "table" and experiment.device.devices == 1
