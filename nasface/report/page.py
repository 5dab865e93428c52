"""The report: one HTML page about runs that opens without a network and without scripts."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from nasface.config import flat
from nasface.evaluation.test_faces import TestFaces
from nasface.faces.drawing import PREDICTED, TRUE, shaded
from nasface.faces.landmarks import CLOSED_GROUPS, GROUPS
from nasface.metrics.aflw2000 import YAW_BINS
from nasface.report.charts import SERIES, Axis, Series, bar_chart, line_chart
from nasface.report.drawing import COUNTED, architecture_svg, layer_counts
from nasface.report.run_records import AnyRun, RankingRun, RetrainRun, SearchRun
from nasface.report.tables import duration, quantity, yaw_cells
from nasface.search.objectives import non_dominated
from nasface.utils.errors import UserError
from nasface.utils.files import write_text

_PICTURE = 224  # pixels of a face's side
_YAW_WIDTH = 7.5  # degrees: standard deviation of the window of the curve over yaw
_CED_SHARE = 98  # percent of the faces that the CED curves' axis holds
_NOT_COMPARED = ("seed", "runs", "output", "log", "device", "name", "space", "search", "supernet")


Chart = tuple[str, Markup, str]
"""Title, drawing, and what it says in words."""


@dataclass(frozen=True)
class Network:
    """Trainings of one network that differ in nothing but the seed: one row of the comparison."""

    name: str
    runs: tuple[RetrainRun, ...]

    def mean(self, key: str) -> float | None:
        """Mean over the seeds of a figure of the table."""
        known = [float(run.result[key]) for run in self.runs if run.result.get(key) is not None]
        return sum(known) / len(known) if known else None

    def bins(self) -> list[list[float | None]]:
        """Of each yaw bin, the NME of each seed."""
        return [[run.result["bins"][k] for run in self.runs] for k in range(len(YAW_BINS))]

    def faces(self) -> tuple[np.ndarray, np.ndarray]:
        """NME and yaw of all test faces that are recorded, the seeds one after the other."""
        known = [run.faces for run in self.runs if run.faces is not None]
        nme, yaw = (np.concatenate([getattr(f, k) for f in known] or [np.zeros(0)]) for k in ("nme", "yaw"))
        return nme, yaw


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
        faces=[_faces_view(run) for run in retrained],
        environments=[(run.id, run.summary.get("environment") or {}) for run in experiments],
        settings=[(run.id, flat(run.settings)) for run in experiments],
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
        "architecture": None if run.best is None else _architecture_view(run.best.architecture),
    }


def _search_charts(run: SearchRun) -> list[Chart]:
    entries = run.evaluations
    if not entries:
        return []
    number = np.arange(len(entries))
    complete = np.array([bool(entry.get("complete")) for entry in entries])
    penalty = np.array([float(entry["penalty"]) for entry in entries])
    best = np.minimum.accumulate(np.where(complete, penalty, np.inf))
    best[~np.isfinite(best)] = np.nan
    evaluations, nme = Axis("evaluation"), Axis("NME, %")
    found = int(np.nanargmin(np.where(complete, penalty, np.nan))) if complete.any() else 0
    words = f"From {penalty[0]:.2f} % at the start to {best[-1]:.2f} % at evaluation {found + 1} of {len(entries)}."
    series = [Series("best so far", number, best, step=True)]
    series.append(Series("evaluated", number[complete], penalty[complete], points=True))
    if not complete.all():
        series.append(Series("stopped early (bound)", number[~complete], penalty[~complete], points=True))
    charts = [_chart("Incumbent", line_chart(series, evaluations, nme, "Incumbent of the search", words), words)]
    for key, axis, title in (
        ("temperature", Axis("temperature", log=True), "Temperature"),
        ("acceptance", Axis("accepted share of the candidates", least=0.0, most=1.0), "Acceptance"),
    ):
        values = np.array([float((entry.get("status") or {}).get(key, math.nan)) for entry in entries])
        known = np.isfinite(values) & ((values > 0) | (not axis.log))
        if known.any():
            first, last = values[known][[0, -1]]
            words = f"{title}: {first:.4g} at first, {last:.4g} at the end."
            drawn = line_chart([Series(title, number[known], values[known])], evaluations, axis, title, words)
            charts.append(_chart(title, drawn, words))
    return [*charts, *_cost_chart(entries)]


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
    words += f" {front[0][1]:.2f} % at {front[0][0]:.3g} M, {front[-1][1]:.2f} % at {front[-1][0]:.3g} M multiply-adds."
    series = [Series("evaluated", points[:, 0], points[:, 1], points=True, style=1)]
    series.append(Series("Pareto front", front[:, 0], front[:, 1], step=True, style=0))
    drawn = line_chart(series, Axis("multiply-adds, millions"), Axis("NME, %"), "Pareto front of the search", words)
    return [_chart("Pareto front", drawn, words)]


def _architecture_view(architecture: Any) -> dict[str, Any]:
    counts = layer_counts(architecture)
    names = [*map(str, range(1, len(counts))), "output"]
    return {
        "name": str(architecture),
        "svg": Markup(architecture_svg(architecture)),
        "header": ("layer", *COUNTED),
        "rows": [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)],
        "total": ["together", *counts.sum(0).tolist()],
    }


# Trained networks ----------------------------------------------------------------------------------------------------


def _networks(runs: Sequence[RetrainRun]) -> list[Network]:
    """Runs of the same name, network and settings but other seeds belong together; best network first."""
    groups: dict[tuple[Any, ...], list[RetrainRun]] = {}
    for run in runs:
        same = tuple(sorted((key, str(value)) for key, value in _compared(run.settings).items()))
        groups.setdefault((run.result["name"], run.summary.get("architecture"), same), []).append(run)
    names = [key[0] for key in groups]
    networks = [
        Network(key[0] if names.count(key[0]) == 1 else f"{key[0]} ({members[0].id})", tuple(members))
        for key, members in groups.items()
    ]
    return sorted(networks, key=lambda network: network.mean("mean") or math.inf)


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in flat(settings).items() if key.split(".")[0] not in _NOT_COMPARED}


def _results_view(networks: Sequence[Network], runs: Sequence[RetrainRun]) -> dict[str, Any]:
    header, body = yaw_cells([[run.row for run in network.runs] for network in networks], more=True)
    return {
        "header": ["network", *header[1:], "seeds"],
        "body": [
            [network.name, *cells[1:], str(len(network.runs))] for network, cells in zip(networks, body, strict=True)
        ],
        "several_seeds": any(len(network.runs) > 1 for network in networks),
        "charts": _result_charts(networks[: len(SERIES)]),
        "left_out": max(0, len(networks) - len(SERIES)),
        "differences": _differences(runs),
    }


def _result_charts(networks: Sequence[Network]) -> list[Chart]:
    first = networks[0]
    nme = Axis("NME, %")
    bins = [(network.name, [_mean(values) for values in network.bins()]) for network in networks]
    words = f"{first.name}: " + ", ".join(
        f"{value:.2f} % at {name} degrees"
        for name, value in zip(YAW_BINS, bins[0][1], strict=True)
        if value is not None
    )
    charts = [
        _chart("NME by yaw", bar_chart(YAW_BINS, bins, nme, "NME by yaw", words), f"NME by |yaw| in degrees. {words}.")
    ]
    known = [(i, network.name, *network.faces()) for i, network in enumerate(networks)]
    known = [entry for entry in known if len(entry[2])]
    if known:
        angle = Axis("yaw, degrees", least=-90, most=90)
        curves = [Series(name, *curve_over_yaw(errors, yaw), style=i) for i, name, errors, yaw in known]
        words = f"Mean NME of the test faces about each yaw (a window of {_YAW_WIDTH:g} degrees' deviation)."
        charts.append(
            _chart("NME over yaw", line_chart(curves, angle, Axis("NME, %", least=0), "NME over yaw", words), words)
        )
        _, name, errors, _ = known[0]
        middle, most = np.percentile(errors, (50, 90))
        words = f"Share of faces below an error. {name}: half below {middle:.2f} %, nine tenths below {most:.2f} %."
        limit = max(float(np.percentile(errors, _CED_SHARE)) for _, _, errors, _ in known)
        curves = [Series(name, *ced(errors), style=i) for i, name, errors, _ in known]
        share = Axis("share of the faces", least=0, most=1)
        drawn = line_chart(curves, Axis("NME, %", least=0, most=limit), share, "Cumulative errors (CED)", words)
        charts.append(_chart("Cumulative errors (CED)", drawn, words))
    costly = [
        (macs / 1e6, mean, network.name, i)
        for i, network in enumerate(networks)
        if (macs := network.mean("macs")) and (mean := network.mean("mean"))
    ]
    if len(costly) > 1:
        points = [Series(name, [macs], [mean], True, labels=[name], style=i) for macs, mean, name, i in costly]
        best = non_dominated(np.array([entry[:2] for entry in costly]))
        front = ", ".join(entry[2] for entry, kept in sorted(zip(costly, best, strict=True)) if kept)
        words = f"No other network is both cheaper and more exact than: {front}."
        axis = Axis("multiply-adds, millions", log=True)
        drawn = line_chart(points, axis, Axis("NME (mean), %"), "Error against cost", words)
        charts.append(_chart("Error against cost", drawn, words))
    return charts


def curve_over_yaw(nme: np.ndarray, yaw: np.ndarray, points: int = 91) -> tuple[np.ndarray, np.ndarray]:
    """Mean error (points,) about each of evenly spaced angles from -90 to 90 degrees, by a Gaussian window; NaN where
    the window holds less than three faces' weight."""
    angles = np.linspace(-90, 90, points)
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
    flat = [_compared(run.settings) for run in runs]
    keys = sorted(set().union(*flat))
    found = []
    for key in keys:
        values = list(dict.fromkeys(str(settings.get(key)) for settings in flat))
        if len(values) > 1:
            found.append(f"{key}: {' / '.join(values)}")
    return found


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
    drawn = line_chart(
        [Series("networks", ranking.supernet, ranking.alone, points=True)],
        Axis("NME with the supernet's weights, %"),
        Axis("NME after a training of its own, %"),
        "Rank correlation",
        words,
    )
    return _chart("Rank correlation", drawn, words)


# Faces ---------------------------------------------------------------------------------------------------------------


def _faces_view(run: RetrainRun) -> dict[str, Any]:
    if run.faces is None:
        return {"id": run.id, "groups": None}
    each = len(run.faces.example) // 3
    groups = [
        (name, [_face_view(run.faces, i) for i in range(k * each, (k + 1) * each)])
        for k, name in enumerate(("Best", "Median", "Worst"))
    ]
    return {"id": run.id, "groups": groups, "count": len(run.faces.nme)}


def _face_view(faces: TestFaces, index: int) -> dict[str, Any]:
    nme, yaw = (float(values[faces.example[index]]) for values in (faces.nme, faces.yaw))
    pictures = [_with_landmarks(faces.images[index], faces.true[index], faces.predicted[index])]
    if faces.dense.ndim == 4:
        dense = shaded(faces.images[index], faces.dense[index], faces.inside)
        pictures.append(cv2.resize(dense, (_PICTURE, _PICTURE), interpolation=cv2.INTER_AREA))
    picture = np.concatenate(pictures, axis=1)
    caption = f"yaw {yaw:+.0f}°, NME {nme:.2f} %".replace("-", "−")
    alt = f"A face at yaw {yaw:.0f} degrees with predicted and true landmarks, and its dense shape; NME {nme:.2f} %"
    return {"src": _data_url(picture), "caption": caption, "alt": alt, "width": picture.shape[1], "height": _PICTURE}


def _with_landmarks(image: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    ratio = _PICTURE / image.shape[0]
    canvas = cv2.resize(np.ascontiguousarray(image), (_PICTURE, _PICTURE), interpolation=cv2.INTER_CUBIC)
    for points, colour in ((true, TRUE), (predicted, PREDICTED)):
        rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        fixed = np.round(((points[:, :2] + 0.5) * ratio - 0.5) * 16).clip(-1e6, 1e6).astype(np.int32)
        for name, indices in GROUPS.items():
            outline = fixed[list(indices)].reshape(1, -1, 2)
            cv2.polylines(canvas, outline, name in CLOSED_GROUPS, rgb, 1, cv2.LINE_AA, 4)
        for point in fixed:
            cv2.circle(canvas, point.tolist(), 24, rgb, -1, cv2.LINE_AA, 4)
    return canvas


def _data_url(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="jpeg", quality=85, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


# Small parts ---------------------------------------------------------------------------------------------------------


def _chart(title: str, drawn: str, words: str) -> Chart:
    return title, Markup(drawn), words.replace(" %", "\u00a0%")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _costs(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {"data_s": "data", "supernet_s": "supernet", "calibration_s": "calibration", "search_s": "search"}
    costs = summary.get("costs") or {}
    return [(names.get(key, key.removesuffix("_s")), duration(float(value))) for key, value in costs.items()]
