"""The report: charts, the records it reads, the page as HTML."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import optuna
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from nasface.config import Experiment
from nasface.evaluation.inference import evaluate_faces
from nasface.evaluation.test_faces import FILE, best_median_worst, load_test_faces, save_test_faces
from nasface.report.charts import Axis, Series, bar_chart, line_chart
from nasface.report.drawing import architecture_svg, draw_architecture, layer_counts
from nasface.report.page import _with_landmarks, ced, curve_over_yaw, render_report, write_report
from nasface.report.run_records import read_run
from nasface.runs.metrics import RunMetrics, append_metrics, begin_metrics
from nasface.runs.run import Run, open_run
from nasface.search.storage import open_storage
from nasface.space.presets import load_preset
from nasface.training.tasks import make_task
from nasface.utils.errors import UserError
from tests.helpers.tiny import Command
from tests.helpers.toy import toy_context, toy_faces
from tests.inference.world import toy_network

X, Y = Axis("x"), Axis("y")


# Charts --------------------------------------------------------------------------------------------------------------


def points_of(svg: str, colour: str) -> np.ndarray:
    """The corners of the one line of a colour in a chart, pixels."""
    lines = [e for e in ElementTree.fromstring(svg).iter("path") if f"stroke: var(--{colour})" in e.get("style", "")]
    return np.array(re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", lines[0].get("d")), dtype=float)


def test_a_line_is_where_its_values_say() -> None:
    axes = Axis("x", least=0, most=10), Axis("y", least=0, most=5)
    (left, low), (middle, half), (right, high) = points_of(
        line_chart([Series("a", [0, 5, 10], [0, 2.5, 5])], *axes, "t", "d"), "c0"
    )
    assert (left, right, low, high) == pytest.approx((56, 388, 226, 32)), "the axes' ends"
    assert (2 * middle, 2 * half) == pytest.approx((left + right, low + high), abs=1e-3)
    below = points_of(line_chart([Series(n, [0, 10], [0, 5]) for n in "ab"], *axes, "t", "d"), "c1")
    np.testing.assert_allclose(below, [[left, low], [right, high]])


def test_steps_gaps_and_escapes() -> None:
    svg = line_chart([Series("a", [0, 1, 2, 3], [1, np.nan, 2, 3])], X, Y, "<t>", "a & b")
    assert re.search(r'd="M [^"]*M [^"]*L', svg), "a gap begins the line again"
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img" and root.find("title").text == "<t>" and root.find("desc").text == "a & b"
    (_, first), (corner, still), (last, _) = points_of(
        line_chart([Series("a", [0, 1], [1, 2], step=True)], X, Y, "t", "d"), "c0"
    )
    assert first == still and corner == last


def test_nothing_of_a_chart_acts_on_the_page() -> None:
    svg = line_chart([Series("a<b", [0, 1], [1, 2]), Series("<i>", [1], [1], points=True)], X, Y, "t", "d")
    assert "<style" not in svg and "http" not in svg and "xlink" not in svg and "a&lt;b" in svg and "&lt;i&gt;" in svg
    other = line_chart([Series("a", [0, 1], [1, 2])], X, Y, "t", "another one")
    names = [set(re.findall(r' id="([^"]*)"', one)) for one in (svg, other)]
    assert names[0] and names[1] and not names[0] & names[1]


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0], [np.nan], [1e-12, 1e3], [0.0, -1.0, 5.0]])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.filterwarnings("error")
def test_any_values_make_a_chart(values: list[float], log: bool) -> None:
    svg = line_chart([Series("a", range(len(values)), values, points=True)], X, Axis("y", log=log), "t", "d")
    ElementTree.fromstring(svg)
    assert "nan" not in svg and "inf" not in svg


@pytest.mark.parametrize("log", [False, True])
def test_a_value_that_never_changes_is_the_only_tick(log: bool) -> None:
    svg = line_chart([Series("a", [1, 2, 3], [1024.0] * 3)], X, Axis("temperature", log=log), "t", "d")
    said = re.findall(r">([\d.−-]+)</text>", svg)
    assert said.count("1024") == 1 and all(float(one) <= 3 for one in said if one != "1024")
    svg = line_chart([Series("a", [120000], [3.39449])], X, Axis("NME", log=log), "t", "d")
    assert re.findall(r">([\d.−-]+)</text>", svg) == ["120000", "3.394"]


def test_a_line_of_one_value_is_seen() -> None:
    def marks(values: list[float]) -> list[str]:
        svg = line_chart([Series("a", range(len(values)), values)], X, Y, "t", "d")
        return [e.get("x") for e in ElementTree.fromstring(svg).iter("use") if "fill: var(--c0)" in e.get("style", "")]

    assert len(marks([3.39449])) == 1 and not marks([3.39449, 3.0])


def test_who_points_at_a_value_reads_it() -> None:
    svg = line_chart([Series("a", [0, 10], [0, 5])], Axis("x", least=0, most=20), Axis("y", least=0, most=5), "t", "d")
    hits = [e for e in ElementTree.fromstring(svg).iter("g") if e.get("class") == "hit"]
    said = {e.find("title").text: (float(e.find("circle").get("cx")), float(e.find("circle").get("cy"))) for e in hits}
    assert said == {"a: 0, 0": (56.0, 226.0), "a: 10, 5": (222.0, 32.0)}, "where the line has its corners"
    outside = line_chart([Series("a", [0, 30], [1, 2])], Axis("x", least=0, most=20), Y, "t", "d")
    assert "a: 30, 2" not in outside, "what the axes leave out is nowhere"
    many = line_chart([Series("a", range(5000), range(5000))], X, Y, "t", "d")
    assert 50 <= many.count('class="hit"') <= 100


def test_bars() -> None:
    svg = bar_chart(["a", "b"], [("one", [1.0, None]), ("two", [2.0, 4.0])], Y, "t", "d")
    paths = [e for e in ElementTree.fromstring(svg).iter("path") if "clip-path" in e.keys()]  # noqa: SIM118
    bars = [e.get("d") for e in paths if "fill: var(--c" in e.get("style", "") and "L" in e.get("d")]
    heights = [np.ptp(np.array(re.findall(r"[ML] [-\d.]+ ([-\d.]+)", bar), dtype=float)) for bar in bars]
    assert heights == pytest.approx([43.3, 86.6, 173.2], abs=0.2)  # 194 px for 1.12 * 4, one series after the other
    assert {"1.00", "2.00", "4.00"} <= {e.text for e in ElementTree.fromstring(svg).iter("text")}


def test_layers_are_counted_by_direction() -> None:
    architecture = load_preset("hourglass")
    counts = layer_counts(architecture)
    connections = architecture.canonical.connections()
    down, full, up, hpm, identity, every = counts.sum(0)
    assert len(connections) == down + full + up == hpm + identity == every and down > 0 and up > 0
    assert f"{down} downward, {full} full-scale, {up} upward" in architecture_svg(architecture)
    # A connection that is called downward leads down the page, to coarser scales.
    figure = draw_architecture(architecture, directions=True)
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    colours = {to_hex(arrow.get_edgecolor()): set[float]() for arrow in arrows}
    for arrow in arrows:
        start, end = arrow._posA_posB
        colours[to_hex(arrow.get_edgecolor())].add(np.sign(end[1] - start[1]))
    assert colours == {"#1f5fbf": {-1.0}, "#5d6470": {0.0}, "#b3500a": {1.0}}


def test_curves() -> None:
    share = ced(np.array([3.0, 1.0, 2.0, 4.0]))
    assert share[0].tolist() == [0, 1, 2, 3, 4] and share[1].tolist() == [0, 0.25, 0.5, 0.75, 1]
    yaw = np.linspace(-90, 90, 2001)
    angles, curve = curve_over_yaw(np.abs(yaw), yaw)
    middle = np.abs(np.abs(angles) - 45) < 20
    np.testing.assert_allclose(curve[middle], np.abs(angles[middle]), atol=0.3)
    assert np.isnan(curve_over_yaw(np.ones(9), np.zeros(9))[1][0])


# Records and the page ------------------------------------------------------------------------------------------------


def a_search(folder: Path) -> Path:
    run = open_run("search", Experiment(runs=str(folder)), "multipath", False, "search")
    architecture = load_preset("hourglass")
    run.update_summary(finished=True, costs={"search_s": 63.0}, search={"evaluations": 3, "work_saved": 0.5})
    architecture.save(run.path("best.json"), {}, {"penalty": 9.5, "parameters": 3.4e6, "macs": 5e7})
    trials = [
        {"penalty": p, "complete": c, "digest": d, "status": {"temperature": t, "acceptance": 0.5}}
        for p, c, d, t in ((11.0, True, "a", 1024.0), (9.5, True, "b", 870.0), (12.0, False, "c", 740.0))
    ]
    journal = run.path("search", "journal.log")
    with open_storage(journal) as store:
        study = optuna.create_study(study_name="search", storage=store)
        for trial in trials:
            study.add_trial(optuna.trial.create_trial(value=trial["penalty"], user_attrs=trial))
    with journal.open("a") as stream:  # a kill may cut a line, and the next search does not mind
        stream.write('{"op_code": 4, "user_at')
    return run.folder


def a_retraining(folder: Path, name: str, seed: int = 0, mean: float = 5.0, **result: Any) -> Path:
    experiment = Experiment(runs=str(folder), seed=seed)
    run = open_run("retrain", experiment, name, False, f"{name}-{seed}".translate(dict.fromkeys(map(ord, "</>"))))
    row = {"name": name, "bins": [4.0, None, mean], "mean": mean, "all": 4.5, "parameters": 1e6, "macs": 5e7,
           "latency_ms": 12.0, **result}  # fmt: skip
    run.update_summary(finished=True, costs={"retrain_s": 90.0}, result=row, architecture=name)
    task = make_task(toy_network(), toy_context())
    save_test_faces(run.path(FILE), evaluate_faces(task, toy_faces(12), each=2).faces)
    return run.folder


class Page(HTMLParser):
    """Counts elements, and checks that they close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "line", "circle", "rect", "path", "link", "use", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_of_a_search_by_trainings(tmp_path: Path) -> None:
    run = open_run("search", Experiment(runs=str(tmp_path)), "multipath-trainings", False, "search")
    metrics = RunMetrics(run.folder, "search/")
    for step, (length, penalty) in enumerate(((300, 9.0), (300, 8.0), (300, 11.0), (600, 7.25))):
        metrics.log_metrics({"search/penalty": penalty, "search/steps": length}, step=step)
    text = render_report([read_run(run.folder)])
    assert "Trained for 300 steps: 3, 8.00 to 11.00 %. Trained for 600 steps: 1, 7.25 to 7.25 %." in text
    points = [attrs for name, attrs in Page(text).elements if name == "circle"]
    assert len(points) >= 4


def test_page_of_a_search_and_retrainings(tmp_path: Path) -> None:
    folders = [a_search(tmp_path), a_retraining(tmp_path, "prnet"), a_retraining(tmp_path, "prnet", 1, 6.0),
               a_retraining(tmp_path, "<i>odd</i>", macs=9e7)]  # fmt: skip
    write_report([read_run(folder) for folder in folders], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    tags = [tag for tag, _ in page.elements]
    # Nothing is fetched: no scripts, no style sheets, pictures inside.
    assert not {"script", "link", "iframe"} & set(tags) and "http" not in text
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) == 18 + 36, "six examples and all twelve test faces of each"
    assert all(p["src"].startswith("data:image/jpeg") and "NME" in p["alt"] for p in pictures)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert len(ids) == len(set(ids)) and {link[1:] for link in links} <= set(ids)
    assert "5.50 ± 0.71" in text and "<i>odd" not in text and "&lt;i&gt;odd" in text
    assert "11.00\xa0% at the start to 9.50\xa0% at evaluation 2 of 3" in text
    assert "viewport" in text and "prefers-color-scheme: dark" in text and 'lang="en"' in text


def test_runs_of_different_protocols_are_called_so(tmp_path: Path) -> None:
    runs = [read_run(a_retraining(tmp_path, name)) for name in ("prnet", "hrnet")]
    assert "Not one protocol" not in render_report(runs)
    other = asdict(Experiment())
    other["retrain"]["steps"] = 7
    assert f"retrain.steps: {Experiment().retrain.steps} / 7" in render_report(
        [runs[0], replace(runs[1], settings=other)]
    )


def test_networks_of_one_name_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    runs = [read_run(a_retraining(tmp_path, "searched", seed)) for seed in range(3)]
    trained = {**runs[0].settings, "retrain": {**runs[0].settings["retrain"], "steps": 77}}
    cached = {**runs[1].settings, "data": {**runs[1].settings["data"], "cache": "elsewhere"}}
    page = render_report([replace(runs[0], settings=trained), replace(runs[1], settings=cached), runs[2]])
    assert "searched (steps 77)" in page and "searched (steps 1200), seed 1" in page and "searched-0:" in page
    assert "retrain.steps: 77 / 1200" in page and "data.cache:" not in page
    other = replace(runs[2], summary={**runs[2].summary, "architecture": "0123456789abcdef"})
    assert "searched (01234567)" in render_report([runs[0], other])


def test_repeats_of_a_seed_are_no_seeds(tmp_path: Path) -> None:
    runs = [read_run(a_retraining(tmp_path / name, "prnet", seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    page = render_report(runs[:2])
    assert "over seeds" not in page and f"<h3>prnet, {runs[1].id}</h3>" in page
    page = render_report(runs)
    assert "over seeds" in page and "<td>2</td>" in page and f"prnet, seed 0, {runs[0].id}" in page
    assert "prnet, seed 1<" in page


def test_a_setting_without_a_value_is_shown_as_empty(tmp_path: Path) -> None:
    page = render_report([read_run(a_retraining(tmp_path, "prnet"))])
    assert "None" not in page and "<td>empty</td>" in page


def test_a_curve_of_one_value_is_said_once(tmp_path: Path) -> None:
    folder = a_retraining(tmp_path, "prnet")
    begin_metrics(folder, ("val/",))
    append_metrics(folder, {"val/nme": 9.5}, 20)
    assert "prnet: 9.50 at step 20." in render_report([read_run(folder)])


def test_curves_faces_and_regions_of_a_run(tmp_path: Path) -> None:
    folder = a_retraining(tmp_path, "prnet")
    run = Run(folder)
    run.update_summary(environment={"python": "3.11"}, arguments=["retrain", "--arch", "a b"])
    begin_metrics(folder, ("val/",))
    for step, value in ((20, 9.5), (40, 7.25)):
        append_metrics(folder, {"val/nme": value, "train/loss": value / 10}, step)
    page = render_report([read_run(folder), read_run(a_retraining(tmp_path, "prnet", 1))])
    assert "prnet: 9.50 at step 20, 7.25 at step 40." in page and "prnet: 40, 0.725" in page
    assert "nasface retrain --arch &#39;a b&#39;" in page and "Test faces: synthetic (12 faces)" in page
    faces = read_run(folder).faces
    assert faces is not None
    jaw = faces.points.astype(float)[:, :17].mean()
    assert f"{jaw:.2f} % at the jaw" in page.replace("\u00a0", " ")
    orders = [re.findall(rf"--{key}:(-?\d+)", page)[:12] for key in ("best", "yaw", "number")]
    numbers = [int(number) - 1 for number in orders[2]]
    assert numbers == np.argsort(-faces.nme, kind="stable").tolist(), "the worst is first"
    assert [int(place) for place in orders[0]] == [-place for place in range(12)]
    assert (
        np.argsort(faces.yaw[numbers], kind="stable").tolist()
        == np.argsort([int(place) for place in orders[1]]).tolist()
    )


def test_points_and_yaws_that_a_test_set_does_not_have(tmp_path: Path) -> None:
    folder = a_retraining(tmp_path, "prnet", bins=[None] * 3, mean=None)
    with np.load(folder / FILE) as content:
        known = dict(content)
    known["points"][:, 17:27] = np.nan  # no brows
    known["points"][3, :17] = np.nan
    known["true"][:, 17:27] = np.nan
    known["yaw"][:] = np.nan
    np.savez_compressed(folder / FILE, **known)
    page = render_report([read_run(folder)]).replace("\u00a0", " ")
    jaw = np.nanmean(known["points"].astype(float)[:, :17].mean(1))
    assert f"prnet: {jaw:.2f} % at the jaw, " in page and "at the brows" not in page
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower()
    assert "NME by yaw" not in page and "NME over yaw" not in page and "A face at yaw ?° with" in page


def test_a_landmark_that_is_not_known_is_not_drawn() -> None:
    image, true = np.zeros((64, 64, 3), np.uint8), np.full((68, 3), np.nan)
    true[[36, 37]] = [[10, 40, 0], [20, 40, 0]]
    drawn = _with_landmarks(image, true, np.full((68, 3), np.nan))
    rows, columns = np.nonzero(drawn.any(2))
    ratio = len(drawn) / 64
    assert 9 * ratio < columns.min() and columns.max() < 22 * ratio and np.ptp(rows) < 2 * ratio
    assert drawn[round(40.5 * ratio), round(15 * ratio)].any(), "the line between them"


def test_files_of_former_versions_have_no_gallery(tmp_path: Path) -> None:
    folder = a_retraining(tmp_path, "prnet")
    with np.load(folder / FILE) as content:
        former = {name: content[name] for name in content if name not in ("points", "found", "jpegs", "ends")}
    np.savez_compressed(folder / FILE, **former)
    page = render_report([read_run(folder)])
    assert "Best of 12 faces" in page and "<details class" not in page and "NME by region" not in page
    np.savez_compressed(folder / FILE, **former, ends=np.arange(12))
    with pytest.raises(UserError, match=r"test_faces\.npz is damaged"):
        read_run(folder)


def test_a_run_without_errors_of_faces(tmp_path: Path) -> None:
    folder = a_retraining(tmp_path, "prnet")
    (folder / FILE).unlink()
    assert "were not recorded by this run" in render_report([read_run(folder)])


def test_rank_correlation(tmp_path: Path) -> None:
    search = read_run(a_search(tmp_path))
    entries = [{"penalty": p, "complete": True, "digest": d} for p, d in ((11, "a"), (9, "b"), (10, "c"))]
    runs = [read_run(a_retraining(tmp_path, d, mean=m)) for d, m in (("a", 6.0), ("b", 4.0), ("c", 5.0))]
    page = render_report([replace(search, evaluations=entries), *runs])
    assert "tau is 1.00 over 3 networks, Spearman's rho 1.00" in page.replace("&#39;", "'")


def test_a_ranking_on_record(tmp_path: Path) -> None:
    members = [{"hash": str(k), "supernet": 9.0 + k, "alone": 5.0 + k} for k in range(4)]
    for folder in (tmp_path / "rank", a_search(tmp_path)):
        folder.mkdir(exist_ok=True)
        (folder / "ranking.json").write_text(json.dumps({"members": members, "kendall": 0.25, "spearman": 0.375}))
        page = render_report([read_run(folder)])
        assert f"tau is 0.25 over 4 networks, Spearman's rho 0.38 ({folder.name})" in page.replace("&#39;", "'")
        Page(page)
        (folder / "ranking.json").write_text('{"members": [{}]}')
        with pytest.raises(UserError, match=r"ranking\.json is damaged"):
            read_run(folder)


def test_pareto_front_of_a_search(tmp_path: Path) -> None:
    known = [(11.0, 3e7), (9.0, 5e7), (10.0, 5e7), (9.5, 4e7), (12.0, 6e7)]
    entries = [{"penalty": p, "complete": True, "digest": "", "details": {"costs": {"macs": m}}} for p, m in known]
    page = render_report([replace(read_run(a_search(tmp_path)), evaluations=entries)]).replace("\u00a0", " ")
    assert "3 of 5 members are on the front" in page and "11.00 % at 30.0 M, 9.00 % at 50.0 M multiply-adds" in page


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        read_run(tmp_path)
    run = open_run("retrain", Experiment(runs=str(tmp_path)), "x", False, "unfinished")
    with pytest.raises(UserError, match="has no result yet"):
        read_run(run.folder)
    folder = a_search(tmp_path)
    journal = folder / "search" / "journal.log"
    journal.write_text("{}\nrubbish\n")
    with pytest.raises(UserError, match=r"line 2 of .* is damaged"):
        read_run(folder)
    with pytest.raises(UserError, match="at least one run"):
        render_report([])


# The faces -----------------------------------------------------------------------------------------------------------


def test_errors_are_those_of_the_evaluation_and_survive_the_file(tmp_path: Path) -> None:
    task, faces = make_task(toy_network(), toy_context()), toy_faces(11)
    found = evaluate_faces(task, faces, each=2, batch=4).faces
    assert len(found.nme) == 11 and np.array_equal(found.yaw, faces.yaw)
    assert found.nme[found.example[0]] == found.nme.min() and found.nme[found.example[-1]] == found.nme.max()
    distance = np.linalg.norm((found.predicted - found.true)[..., :2], axis=-1).mean(1)
    expected = 100 * distance / np.sqrt(faces.box[found.example].prod(1))
    np.testing.assert_allclose(found.nme[found.example], expected, rtol=1e-4)
    save_test_faces(tmp_path / FILE, found)
    again = load_test_faces(tmp_path / FILE)
    assert all(np.array_equal(value, getattr(again, key)) for key, value in vars(found).items())
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:500])
    with pytest.raises(UserError, match=r"is not a readable \.npz"):
        load_test_faces(tmp_path / FILE)


def test_best_median_worst() -> None:
    assert best_median_worst(np.arange(9.0)[::-1], 2).tolist() == [8, 7, 5, 4, 1, 0]
    assert best_median_worst(np.arange(2.0), 3).tolist() == [0, 0, 1]


def test_evaluations_of_several_workers_while_they_search(tmp_path: Path) -> None:
    """A worker asks for a trial first and adds what came out of it later, between what others add."""
    folder = a_search(tmp_path)
    journal = folder / "search" / "journal.log"
    journal.unlink()
    with open_storage(journal, shared=True) as store:
        study = optuna.create_study(study_name="search", storage=store)
        running = [study.ask() for _ in range(3)]  # the third one goes on
        for trial, penalty in ((1, 9.5), (0, 11.0)):
            for key, value in {"penalty": penalty, "complete": True, "digest": f"d{trial}"}.items():
                running[trial].set_user_attr(key, value)
        before = journal.read_bytes()
        found = read_run(folder).evaluations
        assert journal.read_bytes() == before
    assert [(one["penalty"], one["digest"]) for one in found] == [(11.0, "d0"), (9.5, "d1")]


def test_of_several_folders_those_that_are_no_runs_are_left_out(nasface: Command) -> None:
    runs = nasface.folder / "runs"
    a_retraining(runs, "prnet")
    compared = open_run("compare", Experiment(runs=str(runs)), "x", False, "compared")
    for seed in (0, 1):
        row = a_retraining(runs, "fan", seed)
        target = compared.path("networks", f"fan-seed{seed}")
        target.mkdir(parents=True)
        (row / "summary.json").rename(target / "summary.json")
    (runs / "swept").mkdir()
    (runs / "swept" / "sweep.yaml").write_text("method: grid\n")
    open_run("retrain", Experiment(runs=str(runs)), "x", False, "begun")
    result = nasface("report", "prnet-0", "compared", "swept", "runs/begun")
    assert result.code == 0 and result.output == "report.html\n"
    assert [line.split(" (")[0] for line in result.errors] == [
        "left out runs/swept is a sweep, which has a table of its own",
        "left out runs/begun has no result yet: finish it by `nasface retrain --resume true`",
    ]
    text = (nasface.folder / "report.html").read_text(encoding="utf-8")
    assert ">fan<" in text and ">prnet<" in text and "5.00 ± 0.00" in text, "the comparison's rows are runs"
    assert "is a sweep" in nasface("report", "swept").line
    assert nasface("report", "swept", "begun").errors[-1].startswith("nasface: none of the 2 folders")
