"""W&B: what the stages log, read back from offline files; nothing at all when off; WANDB_MODE above the settings, and
the account where W&B itself looks for one."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from PIL import Image

from nasface.cli.main import main
from nasface.config import Experiment, LogConfig
from nasface.runs.run import Run
from nasface.search.strategy import Outcome, Proposal
from nasface.search.study import Evaluation
from nasface.space.record import load_record
from nasface.tracking import wandb as report
from nasface.tracking import workspace
from nasface.tracking.search_log import search_metrics
from nasface.tracking.wandb import make_logger, sync_line
from nasface.utils.errors import UserError
from tests.helpers.tiny import TINY
from tests.tracking.offline import OfflineRun, read_offline

KEY = "0" * 40


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """No account, and no network beyond this machine."""
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            patch.delenv(name)
    home.mkdir()
    patch.setenv("HOME", str(home))
    patch.delenv("NETRC", raising=False)
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    patch.setattr(socket.socket, "connect", local)


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    isolate(monkeypatch, tmp_path / "home")
    yield
    wandb.teardown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A search and the retraining of what it found, without an account."""
    folder = tmp_path_factory.mktemp("whole")
    wandb.teardown()  # of tests before, elsewhere
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder / "home")
        patch.chdir(folder)
        main(["search", "--experiment", "smoke", *TINY, "--run", "mine"])
        main(["retrain", *TINY, "--run", "net"])
        assert "WANDB_MODE" not in os.environ, "a later run of this process would be offline too"
        wandb.teardown()
    return folder


@pytest.fixture(scope="module")
def stages(folder: Path) -> dict[str, OfflineRun]:
    return {run.run.job_type: run for run in read_offline(folder / "runs")}


def experiment(mode: str) -> Experiment:
    return Experiment(log=LogConfig(wandb=mode, project="toy"))


def test_stages_are_runs_grouped_by_experiment(stages: dict[str, OfflineRun], folder: Path) -> None:
    assert list(stages) == ["supernet", "search", "retrain"]
    names = {stage: run.run.display_name for stage, run in stages.items()}
    assert names == {"supernet": "mine-supernet", "search": "mine-search", "retrain": "net-retrain"}
    assert {run.run.run_group for run in stages.values()} == {"smoke"}
    assert {run.run.project for run in stages.values()} == {"nasface"}
    assert [run.config["run"] for run in stages.values()] == ["mine", "mine", "net"]
    assert stages["search"].config["search"]["iterations"] == 5
    assert not (folder / "wandb").exists(), "files outside the run's folder"


def test_losses_and_errors_of_the_trainings(stages: dict[str, OfflineRun], folder: Path) -> None:
    assert all(loss > 0 for loss in stages["supernet"].values("supernet/loss"))
    retrain, result = stages["retrain"], Run(folder / "runs" / "net").read_summary()["result"]
    assert len(retrain.values("val/nme")) == 2 and retrain.values("train/loss")
    measured = [retrain.values(f"test/nme_{name}")[-1] for name in ("0-30", "30-60", "60-90")]
    assert measured == pytest.approx(result["bins"]) and retrain.values("test/nme")[-1] == pytest.approx(result["mean"])
    assert retrain.values("cost/macs") == [result["macs"]] and retrain.values("cost/parameters")
    (row,) = retrain.table("test/table")
    assert row["network"] == "searched" and row["[60,90]"] == pytest.approx(result["bins"][2])


def test_the_error_distribution_is_a_chart(stages: dict[str, OfflineRun]) -> None:
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in stages["retrain"].table("test/ced_table"):
        curves.setdefault(row["lineKey"], []).append((row["step"], row["lineVal"]))
    assert "all" in curves and set(curves) <= {"all", "[0,30]", "[30,60]", "[60,90]"} and len(curves) > 1
    for points in curves.values():
        assert [points[0][0], points[-1][0]] == [0, 10]
        shares = [share for _, share in points]
        assert shares == sorted(shares) and 0 <= shares[0] <= shares[-1] <= 1
    assert 0 <= stages["retrain"].values("test/auc")[0] <= 1
    assert stages["retrain"].values("test/failure_rate")[0] == pytest.approx(1 - curves["all"][-1][1])


def test_every_evaluated_member_is_in_the_table(stages: dict[str, OfflineRun], folder: Path) -> None:
    search, best = stages["search"], load_record(folder / "best.json")
    rows = search.table("search/members")
    assert [row["number"] for row in rows] == list(range(len(rows)))
    assert [row["penalty"] for row in rows] == search.values("search/penalty")
    assert min(row["penalty"] for row in rows) == best.scores["penalty"] == search.values("search/incumbent")[-1]
    (found,) = [row for row in rows if row["member"] == best.architecture.digest]
    assert found["front"] and found["macs"] == best.scores["macs"] and found["parameters"] == best.scores["parameters"]
    for row in rows:  # on the front of penalty and multiply-adds is whom no other one beats
        beaten = any(
            other["penalty"] <= row["penalty"]
            and other["macs"] <= row["macs"]
            and (other["penalty"], other["macs"]) != (row["penalty"], row["macs"])
            for other in rows
        )
        assert row["front"] is not beaten
    assert search.table("search/pareto_chart_table") == rows
    assert {"search/temperature", "search/acceptance", "search/nme_0-30", "search/nme_60-90"} <= search.keys


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ("search", "search/architecture"),
        ("search", "search/best"),
        ("search", "search/pareto"),
        ("retrain", "retrain/architecture"),
        ("retrain", "test/faces"),
        ("retrain", "test/best_median_worst"),
    ],
)
def test_pictures(stages: dict[str, OfflineRun], stage: str, key: str) -> None:
    (path,) = stages[stage].images(key)
    with Image.open(path) as image:
        assert min(image.size) > 200 and len(image.convert("RGB").getcolors(10**6) or ()) > 20


def test_lineage_leads_from_the_supernet_to_the_retrained_network(stages: dict[str, OfflineRun], folder: Path) -> None:
    made = {stage: run.logged() for stage, run in stages.items()}
    used = {stage: run.logged(used=True) for stage, run in stages.items()}
    assert [list(names) for names in made.values()] == [["supernet-mine"], ["best-mine"], ["network-net"]]
    assert [list(names) for names in used.values()] == [[], ["supernet-mine"], ["best-mine"]]
    # W&B takes what has one name and one content for one artifact: this is what joins the stages.
    assert used["search"]["supernet-mine"].digest == made["supernet"]["supernet-mine"].digest
    assert used["retrain"]["best-mine"].digest == made["search"]["best-mine"].digest
    assert json.loads(made["retrain"]["network-net"].metadata)["from"] == ["best-mine"]
    kinds = [artifact.type for names in made.values() for artifact in names.values()]
    assert kinds == ["supernet", "architecture", "network"]
    for names in (*made.values(), *used.values()):
        for artifact in names.values():
            (entry,) = artifact.manifest.contents
            assert Path(entry.local_path).is_absolute() and Path(entry.local_path).is_file(), "nothing to upload"
    (weights,) = made["retrain"]["network-net"].manifest.contents
    assert Path(weights.local_path) == (folder / "runs" / "net" / "network.pt").resolve()


def test_every_key_of_the_dashboard_is_logged(stages: dict[str, OfflineRun], folder: Path) -> None:
    member = load_record(folder / "best.json").architecture
    stopped = Evaluation(0, Proposal(member, 3.0), Outcome(4.0, complete=False), 1.0, {}, replayed=False)
    for stage in workspace.STAGES:
        logged = stages[stage.job_type].keys | set(search_metrics(stopped) if stage.job_type == "search" else ())
        for panel in stage.panels:
            assert set(panel.keys) <= logged, panel.title
            if panel.axes is not None:
                assert set(panel.axes) <= set(stages[stage.job_type].table(panel.keys[0])[0])
        assert workspace.STEP in logged


def test_the_dashboard_shows_all_that_is_logged(stages: dict[str, OfflineRun]) -> None:
    """But for figures that only make sense beside another one."""
    shown = {key for stage in workspace.STAGES for panel in stage.panels for key in panel.keys}
    logged = set().union(*(run.keys for run in stages.values()))
    assert sorted(logged - shown) == [
        *("cost/latency_ms", "cost/parameters", "cost/train_s", "epoch"),
        *("search/current", "search/evaluations", "search/iteration", "search/known", "search/nme_all"),
        *("search/seconds", "search/stopped_early", "test/nme_all", "trainer/global_step"),
        *("val/nme_all", "val/nme_dense", "val/roughness"),
    ]


def test_the_dashboard_is_built_without_a_network() -> None:
    pytest.importorskip("wandb_workspaces")
    view = workspace.build_workspace("someone", "toy", "all stages")._to_model()
    text = view.model_dump_json(by_alias=True, exclude_none=True)
    sections = json.loads(text)["spec"]["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == [stage.name for stage in workspace.STAGES]
    for section, stage in zip(sections, workspace.STAGES, strict=True):
        assert len(section["panels"]) == len(stage.panels)
        for panel, wanted in zip(section["panels"], stage.panels, strict=True):
            assert all(f'"{key}"' in json.dumps(panel) for key in wanted.keys)
    grouping = json.loads(text)["spec"]["section"]["runSets"][0]["grouping"]
    assert [entry["name"] for entry in grouping] == ["group", "jobType"]


def test_the_dashboard_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["wandb", "workspace", "--dry_run", "true"])
    output = capsys.readouterr().out
    assert all(stage.name in output for stage in workspace.STAGES) and "search/members" in output
    pytest.importorskip("wandb_workspaces")
    with pytest.raises(SystemExit):
        main(["wandb", "workspace"])
    assert "run `wandb login`" in capsys.readouterr().err


def test_one_line_says_how_to_upload(folder: Path, tmp_path: Path) -> None:
    assert sync_line(tmp_path) is None
    line = sync_line(folder / "runs" / "mine") or ""
    pattern = re.fullmatch(r"wandb    offline; to upload: wandb sync (.*)", line)
    assert pattern and len(list(Path("/").glob(pattern[1].lstrip("/")))) == 2


def test_off_makes_nothing(tmp_path: Path) -> None:
    assert make_logger(experiment("off"), tmp_path / "run", "search") is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("variable", "setting", "expected"),
    [
        ("offline", "auto", "offline"),
        ("offline", "off", "disabled"),
        ("dryrun", "online", "offline"),
        ("disabled", "offline", "disabled"),
        ("off", "online", "disabled"),
        ("online", "offline", "online"),
        ("", "offline", "offline"),
    ],
)
def test_wandb_mode_decides(monkeypatch: pytest.MonkeyPatch, variable: str, setting: str, expected: str) -> None:
    monkeypatch.setenv("WANDB_MODE", variable)
    assert report.logging_mode(setting) == expected


@pytest.mark.parametrize("mode", ["perhaps", "auto"])
def test_an_unknown_wandb_mode_is_named(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(UserError, match=f"WANDB_MODE is '{mode}': set it to online, offline or disabled"):
        report.logging_mode("auto")


def test_broken_variables_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "nowhere")
    with pytest.raises(UserError, match="W&B's settings are wrong .*base_url.*: correct its WANDB_ variables"):
        report.logging_mode("auto")


def test_auto_is_online_with_an_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert report.logging_mode("auto") == "offline"
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert report.logging_mode("auto") == "online"
    monkeypatch.delenv("WANDB_API_KEY")
    for name, place in (("HOME", tmp_path / "home" / ".netrc"), ("NETRC", tmp_path / "elsewhere")):
        assert report.logging_mode("auto") == "offline"
        place.write_text(f"machine api.wandb.ai login user password {KEY}\n")
        if name == "NETRC":
            monkeypatch.setenv(name, str(place))
        assert report.logging_mode("auto") == "online", name
        place.unlink()


def test_an_account_of_another_server_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home" / ".netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert report.logging_mode("auto") == "offline"


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_wandb_offline_and_disabled_are_kept_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text(f"[default]\nmode = {mode}\n")  # as the command `wandb MODE` does
    assert report.logging_mode("auto") == mode


def test_online_without_an_account_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", refuse)
    message = r"W&B does not start \(No API key configured. .*\): run `wandb login`, or set --log.wandb offline or off"
    with pytest.raises(UserError, match=message):
        make_logger(experiment("online"), tmp_path / "run", "search")
