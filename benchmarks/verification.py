"""Face verification on crops that a network's landmarks align: SDU-Net's Table 3, with a recogniser of one's own.

    python -m benchmarks.verification --weights network.pt --recogniser arcface.onnx --root LFW --pairs LFW/pairs.csv

`pairs` has a line `first,second,same` for each pair: two image files below `root`, and 1 or 0. The recogniser is an
ONNX file that takes (B, 3, 112, 112), RGB, (value - 127.5) / 127.5, and gives an embedding of each face. Printed is the
share of pairs that are told right, mean over ten folds of consecutive pairs, the threshold of each being the best one
of the other nine (Huang et al., "Labeled Faces in the Wild", 2007), for three ways to cut the 112 pixels: an upright
square around the landmarks, a similarity by five points (eyes, nose, corners of the mouth) to ArcFace's template, and
one by all 68 landmarks to a mean face that was fitted to that template. The paper trains a recogniser for each way;
here one recogniser sees all three.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import Option, parse, run_benchmark
from nasface.faces.procrustes import similarity_between
from nasface.inference.aligner import FaceAligner
from nasface.inference.export import onnx_session
from nasface.inference.five_points import TEMPLATE, five_points
from nasface.inference.five_points import TEMPLATE_SIZE as SIZE
from nasface.inference.load import load_aligner
from nasface.report.tables import text_table
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.images import decode_image
from nasface.utils.progress import stage_bar

WAYS = ("no alignment", "5 landmarks", "68 landmarks")
FOLDS = 10
_BATCH = 64
_MARGIN = 1.25  # side of the upright square around the landmarks, in their extent
OPTIONS = (
    Option("weights", str, "nasface-m", "the network that aligns, as in predict"),
    Option("recogniser", str | None, None, "ONNX file of the recogniser"),
    Option("root", str, ".", "folder of the pairs' images"),
    Option("pairs", str | None, None, "CSV file of pairs: first,second,1 or 0"),
)
Embed = Callable[[np.ndarray], np.ndarray]
"""Crops (B, 3, 112, 112) -> embeddings (B, E)."""


@dataclass(frozen=True)
class Pair:
    """Two files, and whether they show one person."""

    first: Path
    second: Path
    same: bool


def read_pairs(path: Path, root: Path) -> list[Pair]:
    """The pairs of a CSV file.

    Raises:
        UserError: the file is absent, a line is no pair, or there are fewer pairs than folds.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as text ({getattr(error, 'strerror', None) or error})") from None
    pairs = []
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != 3 or cells[2] not in ("0", "1"):
            raise UserError(
                f"{path}, line {number}: write first,second,1 (one person) or 0, not {','.join(row)[:80]!r}"
            )
        pairs.append(Pair(root / cells[0], root / cells[1], cells[2] == "1"))
    if len(pairs) < FOLDS:
        raise UserError(f"{path} has {len(pairs)} pairs; {FOLDS} folds need at least as many")
    return pairs


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity (2, 3) of least squared error from points (N, 2) to others."""
    scale, rotation, shift = similarity_between(source, target)
    return np.column_stack([scale * rotation, shift])


def mean_in_template(mean: np.ndarray) -> np.ndarray:
    """(68, 2) of a mean face (68, 2 or 3), y down, in the crop of the template."""
    matrix = similarity(five_points(mean), TEMPLATE)
    return np.asarray(mean)[:, :2] @ matrix[:, :2].T + matrix[:, 2]


def crop(image: np.ndarray, way: str, landmarks: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """A face's crop (3, 112, 112) float32.

    Args:
        image: (H, W, 3) uint8 RGB.
        way: one of `WAYS`.
        landmarks: (68, 2 or 3) in pixels of the image.
        mean: (68, 2) the mean face in the crop.
    """
    if way == "no alignment":
        points = np.asarray(landmarks)[:, :2]
        scale = SIZE / (_MARGIN * np.ptp(points, axis=0).max())
        matrix = np.column_stack([scale * np.eye(2), SIZE / 2 - scale * (points.min(0) + points.max(0)) / 2])
    elif way == "5 landmarks":
        matrix = similarity(five_points(landmarks), TEMPLATE)
    else:
        matrix = similarity(np.asarray(landmarks)[:, :2], mean)
    cut = cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    return ((cut.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)


def crops_of(files: Sequence[Path], aligner: FaceAligner, mean: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Each file's crops by way, of its largest face; where none is found, of the whole picture."""
    for file in files:
        image = decode_image(file, upright=True)
        faces = aligner.predict(image) or aligner.predict(image, "image")
        yield {way: crop(image, way, faces[0].landmarks, mean) for way in WAYS}


def similarities(pairs: Sequence[Pair], embeddings: dict[Path, np.ndarray]) -> np.ndarray:
    """Cosine (N,) of each pair's embeddings."""
    first, second = (np.stack([embeddings[getattr(pair, side)] for pair in pairs]) for side in ("first", "second"))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / np.maximum(lengths, 1e-12)


def accuracies(cosines: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Share of pairs that are told right in each of ten folds, by the best threshold of the other nine."""
    found = []
    for fold in np.array_split(np.arange(len(same)), FOLDS):
        rest = np.setdiff1d(np.arange(len(same)), fold)
        order = np.sort(cosines[rest])
        thresholds = np.concatenate([[order[0] - 1], (order[1:] + order[:-1]) / 2])
        right = ((cosines[rest] > thresholds[:, None]) == same[rest]).mean(1)
        found.append(((cosines[fold] > thresholds[right.argmax()]) == same[fold]).mean())
    return np.array(found)


def verify(pairs: Sequence[Pair], aligner: FaceAligner, mean: np.ndarray, embed: Embed) -> dict[str, np.ndarray]:
    """Way -> accuracy of each fold; every file is aligned once."""
    files = list(dict.fromkeys(file for pair in pairs for file in (pair.first, pair.second)))
    known: dict[str, dict[Path, np.ndarray]] = {way: {} for way in WAYS}
    with stage_bar("aligning", len(files)) as bar:
        cut = crops_of(files, aligner, mean_in_template(mean))
        for start in range(0, len(files), _BATCH):
            part = files[start : start + _BATCH]
            rows = [next(cut) for _ in part]
            for way in WAYS:
                known[way] |= dict(zip(part, embed(np.stack([row[way] for row in rows])), strict=True))
            bar.update(len(part))
    same = np.array([pair.same for pair in pairs])
    return {way: accuracies(similarities(pairs, found), same) for way, found in known.items()}


def _embed(session: object, crops: np.ndarray) -> np.ndarray:
    name = session.get_inputs()[0].name
    return np.asarray(session.run(None, {name: crops})[0]).reshape(len(crops), -1)


def main(arguments: Sequence[str]) -> None:
    """Align, recognise, print, write."""
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "verification")
    own = parsed.own
    if not own["pairs"] or not own["recogniser"]:
        raise UserError("give --pairs FILE.csv and --recogniser FILE.onnx")
    pairs = read_pairs(Path(own["pairs"]), Path(own["root"]))
    session = onnx_session(own["recogniser"])
    aligner = load_aligner(own["weights"])
    mean = np.asarray(aligner.mean_landmarks) * [1, -1, 1]  # to y down
    found = verify(pairs, aligner, mean, partial(_embed, session))
    body = [[way, f"{100 * one.mean():.3f}", f"{100 * one.std(ddof=1):.3f}"] for way, one in found.items()]
    table = text_table(["alignment", "mean", "sd of folds"], body)
    print(f"{len(pairs)} pairs of {own['pairs']}, accuracy (%)\n\n{table}")
    path = own["json"]
    write_json(path, {"pairs": len(pairs), "accuracy": {way: one.tolist() for way, one in found.items()}})
    print(f"\nfigures  {path}")


if __name__ == "__main__":
    run_benchmark(main)
