"""The report: one HTML page about runs that opens without the network and without scripts."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nasface.config import flat
from nasface.evaluation.test_faces import TestFaces
from nasface.faces.drawing import PREDICTED, TRUE, shaded
from nasface.faces.landmarks import CLOSED_GROUPS, GROUPS
from nasface.metrics.aflw2000 import YAW_BINS
from nasface.report.charts import SERIES, Axis, Series, bar_chart, line_chart
from nasface.report.drawing import COUNTED, architecture_svg, layer_counts
from nasface.report.run_records import AnyRun, Metrics, RankingRun, RetrainRun, SearchRun
from nasface.report.tables import duration, quantity, signed_degrees, three_digits, yaw_cells
from nasface.runs.listing import EMPTY, compared_settings
from nasface.search.objectives import non_dominated
from nasface.space.record import Record, found_width
from nasface.utils.errors import UserError
from nasface.utils.files import write_text
from nasface.utils.images import decode_thumbnail, encode_jpeg

_PICTURE, _SMALL = 224, 96  # pixels of a face's side, and of one among all
_YAW_WIDTH = 7.5  # degrees: standard deviation of the window of the curve over yaw
_CED_SHARE = 98  # percent of the faces that the CED curves' axis holds
_REGIONS = {"jaw": ("jaw",), "brows": ("left_brow", "right_brow"), "nose": ("nose_bridge", "nose_base"),
            "eyes": ("left_eye", "right_eye"), "mouth": ("outer_lip", "inner_lip")}  # fmt: skip
_GALLERY = 3000  # pictures of a page's galleries together


Chart = tuple[str, Markup, str]
"""Title, drawing, and what it says in words."""


@dataclass(frozen=True)
class Network:
    """Trainings of one network that differ in nothing but the seed: one row of the comparison."""

    name: str
    runs: tuple[RetrainRun, ...]

    @property
    def seeds(self) -> dict[Any, RetrainRun]:
        """The run of each seed, the latest of those that repeat one."""
        return {run.settings.get("seed"): run for run in self.runs}

    def name_of(self, run: RetrainRun) -> str:
        """The name of one of its runs among all."""
        seed = run.settings.get("seed")
        several = f", seed {seed}" if len(self.seeds) > 1 else ""
        repeats = sum(other.settings.get("seed") == seed for other in self.runs) > 1
        return f"{self.name}{several}{f', {run.id}' if repeats else ''}"

    def mean(self, key: str) -> float | None:
        """Mean over the seeds of a figure of the table."""
        known = [float(run.result[key]) for run in self.seeds.values() if run.result.get(key) is not None]
        return sum(known) / len(known) if known else None

    def bins(self) -> list[list[float | None]]:
        """Of each yaw bin, the NME of each seed."""
        return [[run.result["bins"][k] for run in self.seeds.values()] for k in range(len(YAW_BINS))]

    def faces(self) -> tuple[np.ndarray, np.ndarray]:
        """NME and yaw of all test faces that are recorded, the seeds one after the other."""
        known = [run.faces for run in self.seeds.values() if run.faces is not None]
        nme, yaw = (np.concatenate([getattr(f, k) for f in known] or [np.zeros(0)]) for k in ("nme", "yaw"))
        return nme, yaw

    def regions(self) -> list[float | None] | None:
        """Mean error of the landmarks of each region, None for a region of which the test set has no point; None where
        no run has recorded them."""
        known = [run.faces.points for run in self.seeds.values() if run.faces is not None and len(run.faces.points)]
        if not known:
            return None
        errors = np.ma.masked_invalid(np.concatenate(known).astype(np.float64))
        points = errors.mean(0).filled(np.nan)
        return [_mean([points[i] for name in names for i in GROUPS[name]]) for names in _REGIONS.values()]


def write_report(runs: Sequence[AnyRun], path: str | Path) -> None:
    """Write the page.

    Raises:
        UserError: no run, or the file cannot be written.
    """
    write_text(Path(path), render_report(runs))


def render_report(runs: Sequence[AnyRun]) -> str:
    """The page's HTML.

    Raises:
        UserError: there is no run.
    """
    if not runs:
        raise UserError("a report needs at least one run: give folders of runs/")
    searches = [run for run in runs if isinstance(run, SearchRun)]
    retrained = [run for run in runs if isinstance(run, RetrainRun)]
    networks = _networks(retrained)
    experiments: list[SearchRun | RetrainRun] = [*searches, *retrained]
    templates = Environment(
        loader=PackageLoader("nasface.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return templates.get_template("report.html").render(
        title=runs[0].id if len(runs) == 1 else f"{len(runs)} runs",
        searches=[_search_view(run) for run in searches],
        results=_results_view(networks, retrained) if networks else None,
        ranks=_rank_charts(runs),
        faces=[_faces_view(run, name, len(retrained)) for run, name in _named_runs(networks)],
        environments=_environments(experiments),
        settings=[(run.id, run.command, _shown(run.settings)) for run in experiments],
    )


# A search ------------------------------------------------------------------------------------------------------------


def _search_view(run: SearchRun) -> dict[str, Any]:
    counts = run.summary.get("search") or {}
    cards = [("evaluations", str(counts.get("evaluations", len(run.evaluations))))]
    if run.best is not None:
        scores = run.best.scores
        cards = [
            ("NME of the best, validation", f"{scores['penalty']:.2f} %"),
            ("parameters", quantity(scores["parameters"])),
            ("multiply-adds", quantity(scores["macs"])),
            *cards,
        ]
    if "work_saved" in counts:
        cards.append(("stopped early", str(counts.get("stopped_early", 0))))
        cards.append(("multiply-adds saved", f"{100 * counts['work_saved']:.0f} %"))
    return {
        "id": run.id,
        "finished": bool(run.summary.get("finished")),
        "cards": cards,
        "costs": _costs(run.summary),
        "charts": _search_charts(run),
        "architecture": None if run.best is None else _architecture_view(run.best),
    }


def _curves(named: Sequence[tuple[str, Metrics]], name: str, title: str, y: Axis) -> list[Chart]:
    """A chart of one logged figure over the steps, of all runs that have it; none where no run has."""
    known = [(label, *metrics[name]) for label, metrics in named if name in metrics]
    if not known:
        return []
    label, steps, values = known[0]
    ends = list(dict.fromkeys(f"{three_digits(values[end])} at step {steps[end]}" for end in (0, -1)))
    words = f"{label}: {', '.join(ends)}."
    return [_line_chart([Series(*entry) for entry in known], Axis("step", whole=True), y, title, words)]


def _search_charts(run: SearchRun) -> list[Chart]:
    entries = run.evaluations
    loss = _curves([("supernet", run.metrics)], "supernet/loss", "Supernet's training loss", Axis("loss", log=True))
    if not entries:
        return loss + _training_charts(run.metrics)
    number = np.arange(1, len(entries) + 1)
    complete = np.array([bool(entry.get("complete")) for entry in entries])
    penalty = np.array([float(entry["penalty"]) for entry in entries])
    best = np.minimum.accumulate(np.where(complete, penalty, np.inf))
    best[~np.isfinite(best)] = np.nan
    evaluations, nme = Axis("evaluation", whole=True), Axis("NME, %")
    found = int(np.nanargmin(np.where(complete, penalty, np.nan))) if complete.any() else 0
    words = f"From {penalty[0]:.2f} % at the start to {best[-1]:.2f} % at evaluation {found + 1} of {len(entries)}."
    series = [Series("best so far", number, best, step=True)]
    series.append(Series("evaluated", number[complete], penalty[complete], points=True))
    if not complete.all():
        series.append(Series("stopped early (bound)", number[~complete], penalty[~complete], points=True))
    charts = [*loss, _line_chart(series, evaluations, nme, "Best member so far", words)]
    for key, axis, title in (
        ("temperature", Axis("temperature", log=True), "Temperature"),
        ("acceptance", Axis("accepted share of the candidates", least=0.0, most=1.0), "Acceptance"),
    ):
        values = np.array([float((entry.get("status") or {}).get(key, math.nan)) for entry in entries])
        known = np.isfinite(values) & ((values > 0) | (not axis.log))
        if known.any():
            first, last = values[known][[0, -1]]
            words = f"{title}: {three_digits(first)} at first, {three_digits(last)} at the end."
            line = [Series(title, number[known], values[known])]
            charts.append(_line_chart(line, evaluations, axis, title, words))
    return [*charts, *_cost_chart(entries)]


def _training_charts(metrics: Metrics) -> list[Chart]:
    """The members of a search by short trainings, in the order of their trainings."""
    if "search/steps" not in metrics:
        return []
    steps, penalty = (np.array(metrics[name][1]) for name in ("search/steps", "search/penalty"))
    number = np.arange(1, len(steps) + 1)
    series, words = [], []
    for length in np.unique(steps):
        trained = steps == length
        series.append(Series(f"{length:.0f} steps", number[trained], penalty[trained], points=True))
        least, most = penalty[trained].min(), penalty[trained].max()
        words.append(f"Trained for {length:.0f} steps: {trained.sum()}, {least:.2f} to {most:.2f} %.")
    training, title = Axis("training", whole=True), "Members after short trainings"
    return [_line_chart(series, training, Axis("NME, %"), title, " ".join(words))]


def _cost_chart(entries: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Error against multiply-adds of all members that were evaluated whole, and their Pareto front."""
    costs = [((entry.get("details") or {}).get("costs") or {}).get("macs") for entry in entries]
    known = {
        (float(macs) / 1e6, float(entry["penalty"]))
        for entry, macs in zip(entries, costs, strict=True)
        if macs and entry.get("complete")
    }
    if len(known) < 2:
        return []
    points = np.array(sorted(known))
    front = points[non_dominated(points)]
    words = f"{len(front)} of {len(known)} members are on the front: no other is both cheaper and more exact. Its ends:"
    words += f" {front[0][1]:.2f} % at {three_digits(front[0][0])} M, {front[-1][1]:.2f} % at"
    words += f" {three_digits(front[-1][0])} M multiply-adds."
    series = [Series("evaluated", points[:, 0], points[:, 1], points=True, style=1)]
    series.append(Series("Pareto front", front[:, 0], front[:, 1], step=True, style=0))
    drawn = line_chart(series, Axis("multiply-adds, millions"), Axis("NME, %"), "Pareto front of the search", words)
    return [_chart("Pareto front", drawn, words)]


def _architecture_view(best: Record) -> dict[str, Any]:
    architecture, width = best.architecture, found_width(best.provenance)
    counts = layer_counts(architecture)
    names = [*map(str, range(1, len(counts))), "output"]
    return {
        "name": str(architecture),
        "svg": Markup(architecture_svg(architecture, width)),
        "header": ("layer", *COUNTED),
        "rows": [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)],
        "total": ["together", *counts.sum(0).tolist()],
    }


# Trained networks ----------------------------------------------------------------------------------------------------


def _networks(runs: Sequence[RetrainRun]) -> list[Network]:
    """Runs of the same name, network and settings but other seeds belong together; best network first."""
    groups: dict[tuple[Any, ...], list[RetrainRun]] = {}
    for run in runs:
        same = tuple(sorted(compared_settings(run.settings).items()))
        groups.setdefault((run.result["name"], run.summary.get("architecture"), same), []).append(run)
    alike: dict[str, list[tuple[Any, ...]]] = {}
    for key in groups:
        alike.setdefault(key[0], []).append(key)
    networks = [Network(_told_apart(key, alike[key[0]]), tuple(members)) for key, members in groups.items()]
    return sorted(networks, key=lambda network: network.mean("mean") or math.inf)


def _told_apart(key: tuple[Any, ...], alike: Sequence[tuple[Any, ...]]) -> str:
    """A network's name, with what tells it from others of the same name: settings, or else the architecture."""
    name, architecture, settings = key
    if len(alike) == 1:
        return name
    own = [(k, v) for k, v in settings if any(dict(other[2]).get(k) != v for other in alike)]
    words = [f"{setting.rpartition('.')[2]} {value}" for setting, value in own]
    if len({other[1] for other in alike}) > 1:
        words.insert(0, str(architecture)[:8])
    return f"{name} ({', '.join(words[:3])})" if words else name


def _named_runs(networks: Sequence[Network]) -> list[tuple[RetrainRun, str]]:
    """Every run with the name of its network, its seed where there are several, and its id where a seed is repeated."""
    return [(run, network.name_of(run)) for network in networks for run in network.runs]


def _results_view(networks: Sequence[Network], runs: Sequence[RetrainRun]) -> dict[str, Any]:
    header, body = yaw_cells([[run.row for run in network.seeds.values()] for network in networks], more=True)
    several = any(len(network.seeds) > 1 for network in networks)
    return {
        "header": ["network", *header[1:], *["seeds"] * several],
        "body": [
            [network.name, *cells[1:], *[str(len(network.seeds))] * several]
            for network, cells in zip(networks, body, strict=True)
        ],
        "faces": _test_sets(runs),
        "several_seeds": several,
        "charts": _result_charts(networks[: len(SERIES)]),
        "curves": _learning_curves(networks[: len(SERIES)]),
        "left_out": max(0, len(networks) - len(SERIES)),
        "differences": _differences(runs),
    }


def _result_charts(networks: Sequence[Network]) -> list[Chart]:
    first = networks[0]
    nme = Axis("NME, %")
    bins = [(network.name, [_mean(values) for values in network.bins()]) for network in networks]
    words = f"{first.name}: " + _told(YAW_BINS, bins[0][1], "{} degrees")
    charts = []
    if any(value is not None for _, values in bins for value in values):
        drawn = bar_chart(YAW_BINS, bins, nme, "NME by yaw", words)
        charts.append(_chart("NME by yaw", drawn, f"NME by |yaw| in degrees. {words}."))
    known = [(i, network.name, *network.faces()) for i, network in enumerate(networks)]
    known = [entry for entry in known if len(entry[2])]
    if known:
        angle = Axis("yaw, degrees", least=-90, most=90)
        turned = [entry for entry in known if np.isfinite(entry[3]).any()]
        curves = [Series(name, *curve_over_yaw(errors, yaw), style=i) for i, name, errors, yaw in turned]
        words = f"Mean NME of the test faces about each yaw (a window of {_YAW_WIDTH:g} degrees' deviation)."
        if curves:
            charts.append(_line_chart(curves, angle, Axis("NME, %", least=0), "NME over yaw", words))
        _, name, errors, _ = known[0]
        middle, most = np.percentile(errors, (50, 90))
        words = f"Share of faces below an error. {name}: half below {middle:.2f} %, nine tenths below {most:.2f} %."
        limit = max(float(np.percentile(errors, _CED_SHARE)) for _, _, errors, _ in known)
        curves = [Series(name, *ced(errors), style=i) for i, name, errors, _ in known]
        share = Axis("share of the faces", least=0, most=1)
        error = Axis("NME, %", least=0, most=limit)
        charts.append(_line_chart(curves, error, share, "Cumulative errors (CED)", words))
    regions = [(network.name, values) for network in networks if (values := network.regions())]
    if regions:
        words = f"{regions[0][0]}: " + _told(list(_REGIONS), regions[0][1], "the {}")
        drawn = bar_chart(tuple(_REGIONS), regions, nme, "NME by region", words)
        charts.append(_chart("NME by region", drawn, f"Mean error of the landmarks of each region. {words}."))
    costly = [
        (macs / 1e6, mean, network.name, i)
        for i, network in enumerate(networks)
        if (macs := network.mean("macs")) and (mean := network.mean("mean"))
    ]
    if len(costly) > 1:
        points = [Series(name, [macs], [mean], True, style=i) for macs, mean, name, i in costly]
        best = non_dominated(np.array([entry[:2] for entry in costly]))
        front = ", ".join(entry[2] for entry, kept in sorted(zip(costly, best, strict=True)) if kept)
        words = f"No other network is both cheaper and more exact than: {front}."
        axis = Axis("multiply-adds, millions", log=True)
        charts.append(_line_chart(points, axis, Axis("NME (mean), %"), "Error against cost", words))
    return charts


def _learning_curves(networks: Sequence[Network]) -> list[Chart]:
    named = [(network.name, network.runs[0].metrics) for network in networks]
    return [
        *_curves(named, "val/nme", "Validation NME", Axis("NME, %")),
        *_curves(named, "train/loss", "Training loss", Axis("loss (each target has its own)", log=True)),
    ]


def _shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their dotted names, as a reader shall see them."""
    return {name: EMPTY if value is None else value for name, value in flat(settings).items()}


def _test_sets(runs: Sequence[RetrainRun]) -> str:
    """The test sets of runs, with the number of faces where it is known."""
    counts: dict[str, set[int]] = {}
    for run in runs:
        known = counts.setdefault(str((run.settings.get("data") or {}).get("test")), set())
        known |= set() if run.faces is None else {len(run.faces.nme)}
    return ", ".join(
        f"{name} ({' or '.join(map(str, sorted(known)))} faces)" if known else name for name, known in counts.items()
    )


def curve_over_yaw(nme: np.ndarray, yaw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean error (91,) about every second degree from -90 to 90, by a Gaussian window; NaN where the window holds less
    than three faces' weight."""
    angles = np.linspace(-90, 90, 91)
    known = np.isfinite(nme) & np.isfinite(yaw)
    weight = np.exp(-0.5 * ((angles[:, None] - yaw[known]) / _YAW_WIDTH) ** 2)
    total = weight.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return angles, np.where(total >= 3, weight @ nme[known] / total, np.nan)


def ced(nme: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cumulative error distribution: errors in order, and the share of faces up to each."""
    ordered = np.sort(nme)
    return np.concatenate([[0.0], ordered]), np.arange(len(ordered) + 1) / max(1, len(ordered))


def _differences(runs: Sequence[RetrainRun]) -> list[str]:
    """Settings in which the runs differ, other than the seed: they are no fair comparison then."""
    settings = [compared_settings(run.settings) for run in runs]
    found = [
        (name, list(dict.fromkeys(one.get(name, "-") for one in settings))) for name in sorted(set().union(*settings))
    ]
    return [f"{name}: {' / '.join(values)}" for name, values in found if len(values) > 1]


def _environments(runs: Sequence[SearchRun | RetrainRun]) -> list[tuple[str, Mapping[str, str]]]:
    """Each environment once, with the runs that had it."""
    found: list[tuple[list[str], Mapping[str, str]]] = []
    for run in runs:
        mine = run.summary.get("environment") or {}
        ids = next((ids for ids, values in found if values == mine), None)
        if ids is None:
            found.append(([run.id], mine))
        else:
            ids.append(run.id)
    return [(", ".join(ids), values) for ids, values in found]


def _rank_charts(runs: Sequence[AnyRun]) -> list[Chart]:
    """Scores with a supernet's weights against those after trainings of the members' own: of the rankings on record,
    and of the networks that a search of the report evaluated and a run of it retrained."""
    searches = [run for run in runs if isinstance(run, SearchRun)]
    rankings = [run for run in runs if isinstance(run, RankingRun)]
    rankings += [run.ranking for run in searches if run.ranking is not None]
    found = _retrained_ranking(searches, [run for run in runs if isinstance(run, RetrainRun)])
    return [_rank_chart(ranking) for ranking in [*rankings, *([] if found is None else [found])]]


def _retrained_ranking(searches: Sequence[SearchRun], runs: Sequence[RetrainRun]) -> RankingRun | None:
    from scipy.stats import kendalltau, spearmanr

    scores = {e["digest"]: float(e["penalty"]) for s in searches for e in s.evaluations if e.get("complete")}
    groups: dict[str, list[float]] = {}
    for run in runs:
        if run.summary.get("architecture") in scores and run.result["mean"] is not None:
            groups.setdefault(run.summary["architecture"], []).append(float(run.result["mean"]))
    if len(groups) < 3:
        return None
    before = [scores[digest] for digest in groups]
    after = [sum(values) / len(values) for values in groups.values()]
    tau, rho = (float(correlate(before, after).statistic) for correlate in (kendalltau, spearmanr))
    return RankingRun("searched and retrained", before, after, tau, rho)


def _rank_chart(ranking: RankingRun) -> Chart:
    words = f"Kendall's tau is {ranking.kendall:.2f} over {len(ranking.alone)} networks, Spearman's rho"
    words += f" {ranking.spearman:.2f} ({ranking.id})."
    points = [Series("networks", ranking.supernet, ranking.alone, points=True)]
    x, y = Axis("NME with the supernet's weights, %"), Axis("NME after a training of its own, %")
    return _line_chart(points, x, y, "Rank correlation", words)


# Faces ---------------------------------------------------------------------------------------------------------------


def _faces_view(run: RetrainRun, name: str, runs: int) -> dict[str, Any]:
    if run.faces is None:
        return {"name": name, "groups": None}
    each = len(run.faces.example) // 3
    groups = [
        (title, [_face_view(run.faces, i) for i in range(k * each, (k + 1) * each)])
        for k, title in enumerate(("Best", "Median", "Worst"))
    ]
    gallery = _gallery(run.faces, _GALLERY // runs)
    return {"name": name, "groups": groups, "count": len(run.faces.nme), "gallery": gallery}


def _gallery(faces: TestFaces, most: int) -> list[dict[str, Any]]:
    """Small pictures of all test faces, the worst first; of more than `most`, as many evenly over their errors."""
    if not len(faces.ends):
        return []
    order = np.argsort(-faces.nme, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)]
    by_yaw = {int(face): place for place, face in enumerate(chosen[np.argsort(faces.yaw[chosen], kind="stable")])}
    entries = []
    for place, face in enumerate(chosen.tolist()):
        picture = decode_thumbnail(faces.picture(face))
        if picture is None:
            continue
        picture = cv2.resize(picture, (_SMALL, _SMALL), interpolation=cv2.INTER_CUBIC)
        points = np.nan_to_num(faces.found[face].astype(np.float64)) * len(picture) * 16 - 8
        for x, y in np.round(points).clip(-1e6, 1e6):
            cv2.circle(picture, (int(x), int(y)), 10, (255, 140, 26), -1, cv2.LINE_AA, 4)
        entries.append({
            "src": _data_url(picture, 75), "side": len(picture), "number": face + 1, "best": -place,
            "yaw": by_yaw[face], "words": _words(faces.yaw[face], faces.nme[face]),
        })  # fmt: skip
    return entries


def _words(yaw: float, nme: float) -> str:
    return f"yaw {signed_degrees(yaw)}, NME {nme:.2f} %"


def _face_view(faces: TestFaces, index: int) -> dict[str, Any]:
    nme, yaw = (float(values[faces.example[index]]) for values in (faces.nme, faces.yaw))
    pictures = [_with_landmarks(faces.images[index], faces.true[index], faces.predicted[index])]
    if faces.dense.ndim == 4:
        dense = shaded(faces.images[index], faces.dense[index], faces.inside)
        pictures.append(cv2.resize(dense, (_PICTURE, _PICTURE), interpolation=cv2.INTER_AREA))
    picture = np.concatenate(pictures, axis=1)
    alt = f"A face at yaw {signed_degrees(yaw)} with predicted and true landmarks, and its dense shape; NME {nme:.2f} %"
    return {
        "src": _data_url(picture),
        "caption": _words(yaw, nme),
        "alt": alt,
        "width": picture.shape[1],
        "height": _PICTURE,
    }


def _with_landmarks(image: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    ratio = _PICTURE / image.shape[0]
    canvas = cv2.resize(np.ascontiguousarray(image), (_PICTURE, _PICTURE), interpolation=cv2.INTER_CUBIC)
    for points, colour in ((true, TRUE), (predicted, PREDICTED)):
        rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        known = np.isfinite(points[:, :2]).all(axis=1)
        fixed = np.round(((np.nan_to_num(points[:, :2]) + 0.5) * ratio - 0.5) * 16).clip(-1e6, 1e6).astype(np.int32)
        for name, indices in GROUPS.items():
            ends = [*indices, indices[0]] if name in CLOSED_GROUPS else indices
            lines = [fixed[[a, b]] for a, b in itertools.pairwise(ends) if known[a] and known[b]]
            cv2.polylines(canvas, lines, False, rgb, 1, cv2.LINE_AA, 4)
        for point in fixed[known]:
            cv2.circle(canvas, point.tolist(), 24, rgb, -1, cv2.LINE_AA, 4)
    return canvas


def _data_url(picture: np.ndarray, quality: int = 85) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(picture, quality)).decode()}"


# Small parts ---------------------------------------------------------------------------------------------------------


def _chart(title: str, drawn: str, words: str) -> Chart:
    return title, Markup(drawn), words.replace(" %", "\u00a0%")


def _line_chart(series: Sequence[Series], x: Axis, y: Axis, title: str, words: str) -> Chart:
    return _chart(title, line_chart(series, x, y, title, words), words)


def _told(names: Sequence[str], values: Sequence[float | None], place: str) -> str:
    """Errors that are known, and where."""
    known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    return ", ".join(f"{value:.2f} % at {place.format(name)}" for name, value in known)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _costs(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {"data_s": "data", "supernet_s": "supernet", "calibration_s": "calibration", "search_s": "search"}
    costs = summary.get("costs") or {}
    return [(names.get(key, key.removesuffix("_s")), duration(float(value))) for key, value in costs.items()]
