"""Published benchmarks by name: what `nasface evaluate --benchmark` takes.

A benchmark is one file in nasface/evaluation/benchmarks/, found by itself, that registers a function: it reads the set
and says how predictions on it are measured. Another package registers in the same way, in a module that its entry point
in `nasface.benchmarks` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.faces.morphable import MorphableModel
from nasface.metrics.aflw2000 import YAW_BINS, yaw_bin
from nasface.metrics.ced import area_under_ced, failure_rate
from nasface.utils.errors import UserError
from nasface.utils.progress import Progress
from nasface.utils.registry import Registry


@dataclass(frozen=True)
class Summary:
    """What a table shows of one protocol.

    Attributes:
        groups: mean error (%) of each group, NaN where it has no face.
        counts: faces in each group.
        mean: mean of the groups' means, over those that have faces; None where the protocol has no such figure.
        std: population standard deviation of the same means.
        all: mean over all faces that count.
        images: how many those are.
        auc: area (0..1) under the error distribution up to the benchmark's threshold.
        failures: share (0..1) of the faces above the threshold.
    """

    groups: dict[str, float]
    counts: dict[str, int]
    mean: float | None
    std: float | None
    all: float
    images: int
    auc: float
    failures: float


@dataclass(frozen=True)
class Errors:
    """The errors of one protocol.

    Attributes:
        name: of the protocol, for tables.
        values: (N,) percent, one a face in the set's order.
        groups: (N,) bool of each group of faces that the table shows.
        balanced: the protocol's figure is the mean of the groups' means, as AFLW2000-3D's.
        counted: (N,) bool, the faces that have this error at all (one without visible points has none); all by default.
            A face that counts and whose error is no number leaves no mean, and is a failure.
    """

    name: str
    values: np.ndarray
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    balanced: bool = False
    counted: np.ndarray | None = None

    @property
    def counts(self) -> np.ndarray:
        """(N,) bool."""
        return np.ones(len(self.values), dtype=bool) if self.counted is None else self.counted

    def summary(self, threshold: float) -> Summary:
        """The figures; `threshold` in percent bounds the area and what is no failure.

        Raises:
            UserError: no face counts.
        """
        if not self.counts.any():
            raise UserError(f"{self.name}: no face of the set has this error: check the set's labels")
        members = {name: self.values[group & self.counts] for name, group in self.groups.items()}
        means = {name: float(values.mean()) if len(values) else float("nan") for name, values in members.items()}
        filled = [means[name] for name, values in members.items() if len(values)]
        counted = self.values[self.counts]
        return Summary(
            groups=means,
            counts={name: len(values) for name, values in members.items()},
            mean=float(np.mean(filled)) if self.balanced and filled else None,
            std=float(np.std(filled)) if self.balanced and filled else None,
            all=float(counted.mean()),
            images=len(counted),
            auc=area_under_ced(counted, threshold),
            failures=failure_rate(counted, threshold),
        )


def labelled_groups(labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Groups of the faces with equal labels, one a face."""
    return {name: np.array(labels) == name for name in dict.fromkeys(sorted(labels))}


def yaw_groups(yaw: np.ndarray) -> dict[str, np.ndarray]:
    """The three yaw bins of AFLW2000-3D as groups of faces with these angles (N,) in degrees."""
    bins = yaw_bin(yaw)
    return {name: bins == number for number, name in enumerate(YAW_BINS)}


@dataclass(frozen=True)
class Prediction:
    """What a network found on a benchmark's faces.

    Attributes:
        landmarks: (N, 68, 3) pixels of the benchmark's crops; NaN depth where the network has none.
        dense: (N,) percent of each dense protocol; empty where the network has no dense shape that can be compared.
    """

    landmarks: np.ndarray
    dense: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def has_depth(self) -> bool:
        """The network finds depth."""
        return bool(np.isfinite(self.landmarks[..., 2]).any())


DenseErrors = Callable[[np.ndarray, np.ndarray, np.ndarray, MorphableModel | None], dict[str, np.ndarray]]
"""Indices (B,) of faces, their predicted landmarks (B, 68, 3) and UV maps (B, 3, M, M) in crop pixels, and the model
whose chart the maps are on (None where it is not known) to errors (B,) in percent by protocol; none where the set has
no truth for such maps."""


@dataclass(frozen=True)
class BenchmarkFaces:
    """A benchmark's set at a network's input size.

    Attributes:
        faces: the crops and their truth.
        names: of each face, for the table of errors.
        measure: gives the errors of a prediction, the protocol that papers compare first.
        dense: errors of dense shapes, batch by batch, since the maps of a whole set do not fit in memory.
        constant: landmarks (N, 68, 3) that are no network's, by the name of their row: what a table needs to be read.
        left_out: rows that the files at hand do not allow, and why, one line each.
    """

    faces: FaceSet
    names: Sequence[str]
    measure: Callable[[Prediction], list[Errors]]
    dense: DenseErrors | None = None
    constant: Mapping[str, np.ndarray] = field(default_factory=dict)
    left_out: Sequence[str] = ()


@dataclass(frozen=True)
class Request:
    """What a benchmark is asked for.

    Attributes:
        benchmark: its name.
        image_size: side of the crops in pixels.
        root: folder of the set; None where none is given.
        files: further folder in which optional files are looked for.
        model: reads the morphable model that the set's parameters are of, where one is needed.
        cache: where to keep crops; None makes them in memory.
        progress: called with (faces done, faces).
    """

    benchmark: str
    image_size: int
    root: Path | None
    files: Path | None = None
    model: Callable[[], MorphableModel] | None = None
    cache: str | None = None
    progress: Progress | None = None

    @property
    def folder(self) -> Path:
        """The set's folder.

        Raises:
            UserError: none is given, or it does not exist.
        """
        if self.root is None:
            found = BENCHMARKS.get(self.benchmark)
            raise UserError(f"where is {found.set}? give its folder by --root ({found.holds})")
        if not self.root.is_dir():
            raise UserError(f"{self.root} is not a folder: give that of {BENCHMARKS.get(self.benchmark).set} by --root")
        return self.root

    @property
    def crops(self) -> CropSettings:
        """What readers of sets take."""
        return CropSettings(self.image_size, cache_dir=self.cache, progress=self.progress)

    def optional(self, name: str) -> Path | None:
        """A file or folder of that name in `files`, in the set's folder, beside it, or in test.configs of 3DDFA."""
        places = [place for place in (self.files, self.root, self.root and self.root.parent) if place is not None]
        paths = [path for place in places for path in (place / name, place / "test.configs" / name)]
        return next((path for path in paths if path.exists()), None)


def require_all_points(faces: FaceSet, names: Sequence[str]) -> None:
    """Refuse a set of which some face lacks points, for a protocol that compares all.

    Raises:
        UserError: see above.
    """
    bad = np.flatnonzero(~np.isfinite(faces.landmarks).all(axis=(1, 2)))
    if len(bad):
        raise UserError(f"{names[bad[0]]} of {faces.name} lacks points ({len(bad)} such faces): take them off the list")


Open = Callable[[Request], BenchmarkFaces]
Needs = Literal["", "depth", "dense"]


@dataclass(frozen=True)
class Benchmark:
    """A registered benchmark.

    Attributes:
        name: what `--benchmark` takes.
        open: reads the set.
        set: its name in papers.
        points: which are compared: `68`, `34 visible`.
        protocol: distance, normaliser and mean in a few words.
        source: who published set and protocol.
        holds: what the folder of `--root` must hold.
        threshold: percent, of areas under the distribution and of failures.
        needs: what a network must find beside x and y: nothing, `depth`, or a `dense` shape.
    """

    name: str
    open: Open
    set: str
    points: str
    protocol: str
    source: str
    holds: str
    threshold: float = 8.0
    needs: Needs = ""


BENCHMARKS: Registry[Benchmark] = Registry("benchmark", "nasface.benchmarks", "nasface.evaluation.benchmarks")


def register_benchmark(
    name: str,
    *,
    set: str,
    points: str,
    protocol: str,
    source: str,
    holds: str,
    threshold: float = 8.0,
    needs: Needs = "",
) -> Callable[[Open], Open]:
    """Make a benchmark known under a name; decorates the function that reads its set. Arguments as in `Benchmark`.

    Raises:
        ValueError: the name is taken.
    """

    def register(open_faces: Open) -> Open:
        entry = Benchmark(name, open_faces, set, points, protocol, source, holds, threshold, needs)
        BENCHMARKS.add(name, entry, source=open_faces)
        return open_faces

    return register
