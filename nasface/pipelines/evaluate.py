"""Networks with trained weights on a published benchmark: its table, errors of every face, figures."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nasface.evaluation.benchmark import BENCHMARKS, Benchmark, BenchmarkFaces, Errors, Prediction, Request, Summary
from nasface.evaluation.flip import with_mirrored
from nasface.evaluation.test_faces import best_median_worst
from nasface.faces.morphable import MorphableModel
from nasface.inference.aligner import FaceAligner
from nasface.inference.load import load_weights
from nasface.inference.trained import EMBEDDED, load_model
from nasface.report.benchmark import benchmark_table
from nasface.report.ced import draw_ced
from nasface.report.faces import draw_results
from nasface.utils.errors import UserError
from nasface.utils.files import check_output_folder, write_json, write_text
from nasface.utils.progress import progress_for

SHOWN = 6
"""Faces in each row of best, median and worst ones."""
_BATCH = 50


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found.

    Attributes:
        benchmark: the protocol.
        images: faces of the set.
        summaries: figures by protocol, then by network.
        left_out: lines about rows that the files or the networks at hand do not allow.
        files: what was written.
        flip_test: whether each face and its mirror image were averaged.
    """

    benchmark: Benchmark
    images: int
    summaries: dict[str, dict[str, Summary]]
    left_out: list[str]
    files: list[Path]
    flip_test: bool = False

    @property
    def title(self) -> str:
        """The set, and how it was measured."""
        mirrored = ", each with its mirror image" if self.flip_test else ""
        return f"{self.benchmark.set}, {self.images} images{mirrored}: {self.benchmark.protocol}"

    def table(self, markdown: bool = False) -> str:
        """The benchmark's table."""
        return benchmark_table(self.summaries, self.benchmark.threshold, markdown=markdown)


def evaluate(
    weights: Sequence[str],
    request: Request,
    output: Path,
    arch: str | None = None,
    model: str | None = None,
    flip_test: bool = False,
) -> Evaluated:
    """Run networks over a benchmark's set and write what came out.

    Args:
        weights: files that `load_weights` reads.
        request: the benchmark, and where its set is; image size and model are the networks' own.
        output: folder of `result.json`, `table.md`, `errors.csv`, `ced.png` and a `faces-<network>.png` each.
        arch: of published checkpoints, see `load_weights`.
        model: morphable model, see there.
        flip_test: average what is found on each face and on its mirror image.

    Raises:
        UserError: a file is absent or broken, or the set, or a network does not find what the benchmark compares.
    """
    benchmark = BENCHMARKS.get(request.benchmark)
    check_output_folder(output)
    if request.files is not None and not request.files.is_dir():
        raise UserError(f"{request.files} is not a folder: give that of the benchmark's optional files by --files")
    files_of = dict(zip(labels(weights), weights, strict=True))
    networks = {label: load_weights(path, arch, model) for label, path in files_of.items()}
    models = [model, *(network.model for network in networks.values())]
    if basel := next((name for name in models if name and name != EMBEDDED), None):
        request = replace(request, model=partial(load_model, basel))
    errors: dict[str, dict[str, Errors]] = {}  # by protocol, then by network
    figures: dict[str, dict[str, Summary]] = {}
    sets: dict[int, BenchmarkFaces] = {}
    left_out: list[str] = []
    pictures = {}

    def measure(label: str, found: Prediction) -> None:
        for measured in opened.measure(found):
            errors.setdefault(measured.name, {})[label] = measured
            figures.setdefault(measured.name, {})[label] = measured.summary(benchmark.threshold)

    for label, network in networks.items():
        require(benchmark, label, network)
        opened = sets.get(network.input_size) or benchmark.open(replace(request, image_size=network.input_size))
        sets = {network.input_size: opened}  # of one size at a time, since a set may fill the memory
        found = predict(label, network, opened, flip_test)
        left_out += missing(benchmark, label, network, opened, found)
        measure(label, found)
        pictures[label] = output / f"faces-{label.replace('/', '-')}.png"
        draw_extremes(opened, found, first_of(errors, label), pictures[label])
    for label, landmarks in opened.constant.items():
        measure(label, Prediction(landmarks))
    result = Evaluated(benchmark, len(opened.faces), figures, [*opened.left_out, *left_out], [], flip_test)
    files = [output / file for file in ("table.md", "result.json", "errors.csv", "ced.png")]
    named = "\n".join(f"- {label}: {path}" for label, path in files_of.items())
    write_text(files[0], f"{result.title}\n\n{named}\n\n{result.table(markdown=True)}\n")
    write_json(files[1], as_json(result, files_of, request, flip_test))
    write_text(files[2], as_csv(opened.names, errors))
    curves = {
        f"{benchmark.set}, {protocol}": {label: measured.values[measured.counts] for label, measured in rows.items()}
        for protocol, rows in errors.items()
    }
    draw_ced(curves, files[3], threshold=benchmark.threshold)
    return replace(result, files=[*files, *pictures.values()])


def labels(weights: Sequence[str]) -> list[str]:
    """A short name of each file: its own, or its folder's where it is a run's `network.pt`; the path where two would be
    the same."""
    paths = [Path(text) for text in weights]
    if len({path.resolve() for path in paths}) != len(paths):
        raise UserError("--weights names a file twice: give each once")
    short = [_short(path) for path in paths]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, paths, strict=True)]


def _short(path: Path) -> str:
    if path.is_dir():  # a run, whose name may hold dots
        return path.resolve().name
    return path.resolve().parent.name if path.stem == "network" else path.stem


def require(benchmark: Benchmark, label: str, network: FaceAligner) -> None:
    """Refuse a network that does not find what the benchmark compares.

    Raises:
        UserError: see above.
    """
    depth, dense = network.outputs()
    if (benchmark.needs == "depth" and not depth) or (benchmark.needs == "dense" and not (depth and dense)):
        kind = "depth" if benchmark.needs == "depth" else "dense shapes"
        gives = "68 points" + (" in 3D" if depth else " in 2D")
        raise UserError(f"{benchmark.name} compares {kind} ({benchmark.points}); {label} gives {gives}: leave it out")


def predict(label: str, network: FaceAligner, opened: BenchmarkFaces, flip_test: bool) -> Prediction:
    """What a network finds on the set, dense errors included."""
    regress = with_mirrored(network.regress) if flip_test else network.regress
    chart = chart_of(network)
    images, bar = opened.faces.images, progress_for(f"evaluating {label}")
    landmarks, dense = [], []
    for start in range(0, len(images), _BATCH):
        index = np.arange(start, min(start + _BATCH, len(images)))
        points, maps = regress(np.array(images[index]))
        landmarks.append(points)
        if maps is not None and opened.dense is not None:
            dense.append(opened.dense(index, points, maps, chart))
        bar(int(index[-1]) + 1, len(images))
    joined = {key: np.concatenate([part[key] for part in dense]) for key in (dense[0] if dense else ())}
    return Prediction(np.concatenate(landmarks), joined)


def missing(
    benchmark: Benchmark, label: str, network: FaceAligner, opened: BenchmarkFaces, found: Prediction
) -> list[str]:
    """Which of the benchmark's rows a network lacks, and why, one line each."""
    reasons = [] if found.has_depth or "3D" not in benchmark.points else [f"{label}, 3D: the network finds no depth"]
    if opened.dense is not None and not found.dense:
        what = "the set has no truth for its morphable model's vertices"
        if not network.outputs()[1]:
            what = "it finds no dense shape"
        elif network.model is None:
            what = "the file does not say of which morphable model its vertices are: give it by --model"
        reasons.append(f"{label}, dense: {what}")
    return reasons


def chart_of(network: FaceAligner) -> MorphableModel | None:
    """The morphable model whose chart a network's maps are on; None where it is not known or has moved."""
    if network.model is None or not (network.model == EMBEDDED or Path(network.model).exists()):
        return None
    return load_model(network.model)


def first_of(errors: dict[str, dict[str, Errors]], label: str) -> Errors:
    """A network's errors under the benchmark's first protocol."""
    return next(rows[label] for rows in errors.values() if label in rows)


def draw_extremes(opened: BenchmarkFaces, found: Prediction, errors: Errors, path: Path) -> None:
    """Three rows of faces: the best, those about the median, and the worst."""
    counted = np.flatnonzero(errors.counts)
    values = np.where(np.isfinite(errors.values), errors.values, np.inf)[counted]
    chosen = counted[best_median_worst(values, SHOWN)]
    faces = opened.faces
    arrays = faces.images[chosen], found.landmarks[chosen], faces.landmarks[chosen], None, errors.values[chosen]
    draw_results(*arrays, path=path, columns=max(1, len(chosen) // 3))


def as_json(result: Evaluated, weights: dict[str, str], request: Request, flip_test: bool) -> dict[str, Any]:
    """What result.json holds; None where there is no figure."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    benchmark = result.benchmark
    return {
        "benchmark": benchmark.name,
        "set": benchmark.set,
        "protocol": benchmark.protocol,
        "root": None if request.root is None else str(request.root),
        "images": result.images,
        "flip_test": flip_test,
        "threshold": benchmark.threshold,
        "weights": weights,
        "left_out": result.left_out,
        "results": {
            protocol: {label: plain(asdict(summary)) for label, summary in rows.items()}
            for protocol, rows in result.summaries.items()
        },
    }


def as_csv(names: Sequence[str], errors: dict[str, dict[str, Errors]]) -> str:
    """A line a face, a column for each protocol and network; empty where a face has no such error."""
    columns = {f"{label}: {protocol}": entry for protocol, rows in errors.items() for label, entry in rows.items()}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", *columns])
    for number, name in enumerate(names):
        cells = [f"{e.values[number]:.6g}" if e.counts[number] else "" for e in columns.values()]
        table.writerow([name, *cells])
    return text.getvalue()
