"""What a convention costs: one set of predictions on AFLW2000-3D under every protocol in use.

    python -m benchmarks.protocols --aflw2000 FOLDER --assets FOLDER [--yaw-file FILE] [--reannotated FILE]
                                   [--figure FILE.png] [--json FILE]

The network is the published MobileNet x0.5 of 3DDFA_V2 (mb05_120x120.pth), whose figures under the benchmark's own code
on the full set are 2.925 / 3.667 / 4.784, mean 3.792. The second line maps landmarks back by the boxes that were really
cut; every further line changes one thing of that: the crop, the pixel convention, the points, the distance, its
normaliser, the truth, the bins. The network never changes, so the differences are those of the measure (of crops: also
of what the network sees).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from benchmarks.common import run_benchmark
from benchmarks.ddfa_crops import (
    benchmark_region,
    box_region,
    clip_region,
    cut_benchmark,
    cut_released,
    landmark_region,
    to_photograph,
    to_photograph_exactly,
)
from benchmarks.published_mobilenet import CHECKPOINT, Prediction, predict
from nasface.data.cache import fill_images
from nasface.data.sets.aflw2000 import find_pairs, read_annotation
from nasface.evaluation.benchmarks.aflw2000 import image_height
from nasface.faces.camera import pose_from_300wlp, project
from nasface.faces.ddfa_model import CROP_SIZE, EXPRESSION_MODES, IDENTITY_MODES, load_ddfa_model, load_keypoint_model
from nasface.metrics.aflw import annotated, nme_21
from nasface.metrics.aflw2000 import BinnedNME, balanced_nme, binned_nme, nme_2d, nme_3d, yaw_file_of
from nasface.metrics.ced import area_under_ced, area_under_ced_fan, failure_rate
from nasface.metrics.dense_aflw2000 import ANNOTATION_BOX, DENSE_CONVENTIONS, LANDMARKS_BOX, dense_nme
from nasface.metrics.nme import align_depth
from nasface.metrics.threedfaw import cvgtce, gte
from nasface.metrics.w300 import diagonal_nme, eye_centre_nme, outer_corner_nme
from nasface.report.ced import draw_ced
from nasface.report.tables import protocol_table, text_table
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from nasface.utils.images import decode_image
from nasface.utils.npy import read_npy
from nasface.utils.reading import beside

PUBLISHED = "3DDFA's benchmark, boxes clipped"
WHOLE = "3DDFA's benchmark, boxes not clipped"
CED_THRESHOLD = 8.0
"""Percent, of the figure and its areas."""
_MEND = "it belongs to the whole set, one row an image"


@dataclass(frozen=True)
class Truth:
    """What the mat files say, in 0-based pixels of the photographs.

    Attributes:
        landmarks: (N, 68, 3) of pt3d_68.
        yaw: (N,) degrees, of Pose_Para.
        points: (N, 21, 2) of pt2d.
        visible: (N, 21) bool.
        pose: (N, 3, 4) of Pose_Para.
        coefficients: (N, 50): the first 40 of Shape_Para, the first 10 of Exp_Para.
    """

    landmarks: np.ndarray
    yaw: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    pose: np.ndarray
    coefficients: np.ndarray


@dataclass(frozen=True)
class Crops:
    """The photographs as each policy crops them, (N, 120, 120, 3) uint8, and the regions (N, 4) to go back by."""

    benchmark: np.ndarray
    whole: np.ndarray
    clipped: np.ndarray
    landmark: np.ndarray
    landmark_regions: np.ndarray
    box: np.ndarray
    box_regions: np.ndarray


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what is changed, and to what.
        nme: (N,) percent; NaN where a face has no valid point.
        yaw: (N,) degrees.
    """

    name: str
    nme: np.ndarray
    yaw: np.ndarray

    @property
    def result(self) -> BinnedNME:
        known = ~np.isnan(self.nme)
        return binned_nme(self.nme[known], self.yaw[known])


def read_truth(images: Sequence[Path]) -> Truth:
    """The annotations of a folder's images, see `find_pairs`."""
    annotations = [read_annotation(beside(path, ".mat")) for path in images]
    poses, coefficients, points = [], [], []
    for path in images:
        content = loadmat(beside(path, ".mat"))
        try:
            shape, expression = (np.ravel(content[key]).astype(np.float64) for key in ("Shape_Para", "Exp_Para"))
            poses.append(pose_from_300wlp(content["Pose_Para"], image_height(path)))
            sparse = np.asarray(content["pt2d"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{beside(path, '.mat')} is not a mat file of AFLW2000-3D ({error})") from None
        if len(shape) < IDENTITY_MODES or len(expression) < EXPRESSION_MODES:
            raise UserError(f"{beside(path, '.mat')}: too few model parameters: restore it from its source")
        coefficients.append(np.concatenate([shape[:IDENTITY_MODES], expression[:EXPRESSION_MODES]]))
        # Three files of the set hold 23 points in an order that is not known.
        points.append(sparse.T if sparse.shape == (2, 21) else np.full((21, 2), -1.0))
    stored = np.stack(points)
    return Truth(
        landmarks=np.stack([annotation.landmarks for annotation in annotations]).astype(np.float64),
        yaw=np.array([annotation.yaw for annotation in annotations]),
        points=stored - 1.0,
        visible=annotated(stored),
        pose=np.stack(poses),
        coefficients=np.stack(coefficients),
    )


def cut_all(images: Sequence[Path], landmarks: np.ndarray) -> Crops:
    """Every crop of every photograph, each of which is decoded once."""
    count = len(images)
    whole = np.stack([benchmark_region(points + 1.0) for points in landmarks])
    landmark = np.stack([landmark_region(points) for points in landmarks])
    low, high = landmarks[..., :2].min(axis=1), landmarks[..., :2].max(axis=1)
    box = np.stack([box_region(corners) for corners in np.concatenate([low, high], axis=1)])
    clipped = np.empty_like(whole)
    crops = np.empty((count, 3, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)

    def cut(index: int) -> np.ndarray:
        image = decode_image(images[index])
        clipped[index] = clip_region(whole[index], image.shape[1], image.shape[0])
        released = [cut_released(image, regions[index]) for regions in (landmark, box)]
        return np.stack([cut_benchmark(image, whole[index]), *released])

    fill_images(crops, cut)
    return Crops(crops[:, 0], whole, clipped, crops[:, 1], landmark, crops[:, 2], box)


def measure(truth: Truth, crops: Crops, assets: Path) -> list[Row]:
    """All lines that need no further file; the first is the published protocol, the second the one that the lines after
    the crops' start from."""
    seen = predict(assets, crops.benchmark)
    # The benchmark's regions are 1-based, all points here are 0-based.
    stored = to_photograph(seen.landmarks, crops.clipped) - [1, 1, 0]
    found = to_photograph(seen.landmarks, crops.whole) - [1, 1, 0]
    released = to_photograph(predict(assets, crops.landmark).landmarks, crops.landmark_regions)
    boxed = to_photograph(predict(assets, crops.box).landmarks, crops.box_regions)
    first_code = to_photograph(seen.landmarks + [1, 1, 0], crops.whole) - [1, 1, 0]
    exact = to_photograph_exactly(seen.landmarks, crops.whole) - [1, 1, 0]
    target = truth.landmarks
    errors = {
        PUBLISHED: nme_2d(stored, target),
        WHOLE: nme_2d(found, target),
        "crop: landmark policy of 3DDFA_V2's code": nme_2d(released, target),
        "crop: box policy, around the true box": nme_2d(boxed, target),
        "pixels: 3DDFA v1's (x, 121 - y)": nme_2d(first_code, target),
        "pixels: exact inverse of resizing": nme_2d(exact, target),
        "pixels: pt3d_68 taken as 0-based": nme_2d(found, target + [1, 1, 0]),
        "points: AFLW's 21, visible ones": nme_21(found, truth.points, target, truth.visible),
        "distance: 3D, mean z aligned": nme_3d(found, target),
        "distance: 3D, least z aligned": nme_3d(found, target, "min"),
        "over: diagonal of the box": diagonal_nme(found, target),
        "over: outer eye corners, 2D": outer_corner_nme(found, target),
        "over: eye centres of six points, 2D": eye_centre_nme(found, target),
        "over: eye centres of two corners, 2D": eye_centre_nme(found, target, "two corners"),
        "3DFAW's GTE, mean z aligned": gte(align_depth(found, target), target),
        "3DFAW's CVGTCE": cvgtce(found, target),
    }
    if seen.direct is not None:
        direct = to_photograph(seen.direct, crops.whole) - [1, 1]
        errors["network: its landmark branch"] = nme_2d(direct, target)
    errors |= dense_errors(truth, seen, crops.whole, assets)
    return [Row(name, nme, truth.yaw) for name, nme in errors.items()]


def dense_errors(truth: Truth, seen: Prediction, regions: np.ndarray, assets: Path) -> dict[str, np.ndarray]:
    """Dense figures on 3DDFA's grid of 4096 vertices, whose truth is made of 40 + 10 of the annotated coefficients."""
    model, keypoints = load_ddfa_model(assets), load_keypoint_model(assets)
    predicted = to_photograph(project(seen.pose, model.vertices(seen.coefficients)), regions) - [1, 1, 0]
    target = project(truth.pose, model.vertices(truth.coefficients))
    landmarks = {
        LANDMARKS_BOX: project(truth.pose, keypoints.landmarks(truth.coefficients)),
        ANNOTATION_BOX: truth.landmarks,
    }
    return {
        f"dense {dimensions}D over: {convention.name}": dense_nme(
            predicted, target, convention, landmarks.get(convention), dimensions
        )
        for convention in DENSE_CONVENTIONS
        for dimensions in (2, 3)
    }


def with_files(truth: Truth, crops: Crops, assets: Path, yaw: Path | None, reannotated: Path | None) -> list[Row]:
    """The lines of 3DDFA's further files for the whole set: other yaw angles (N,), other landmarks (N, 2, 68)."""
    rows: list[Row] = []
    if yaw is None and reannotated is None:
        return rows
    found = to_photograph(predict(assets, crops.benchmark).landmarks, crops.whole) - [1, 1, 0]
    if yaw is not None:
        rows.append(Row(f"bins: {yaw.name}", nme_2d(found, truth.landmarks), read_npy(yaw, (len(found),), _MEND)))
    if reannotated is not None:
        other = read_npy(reannotated, (len(found), 2, 68), _MEND).swapaxes(1, 2)
        rows.append(Row("truth: re-annotated, 0-based as it is", nme_2d(found, other), truth.yaw))
        rows.append(Row("truth: re-annotated, taken as 1-based", nme_2d(found, other - 1.0), truth.yaw))
    return rows


def costs(rows: Sequence[Row]) -> str:
    """The table and, beside each mean, how far it is from the published protocol's."""
    table = protocol_table([(row.name, row.result) for row in rows], decimals=3).splitlines()
    base = rows[0].result.mean
    notes = ["   cost", "-------", *(f"{row.result.mean - base:+7.3f}" for row in rows)]
    width = max(map(len, table))
    return "\n".join(f"{line:<{width}}  {note}" for line, note in zip(table, notes, strict=True))


def distribution_table(rows: Sequence[Row]) -> str:
    """Areas and failure rates of the first rows' errors, in percent."""
    body = [
        [
            row.name,
            *(
                f"{100 * value:.2f}"
                for value in (
                    area_under_ced(row.nme, 7.0),
                    area_under_ced_fan(row.nme),
                    area_under_ced(row.nme, CED_THRESHOLD),
                    failure_rate(row.nme, CED_THRESHOLD),
                )
            ),
        ]
        for row in rows
    ]
    return text_table(["", "AUC 7 %", "AUC 7 %, FAN's sum", "AUC 8 %", "failures 8 %"], body)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--aflw2000", type=Path, required=True, help="folder of AFLW2000-3D")
    parser.add_argument("--assets", type=Path, required=True, help=f"folder of 3DDFA's files and {CHECKPOINT}")
    parser.add_argument("--yaw-file", type=Path, help="other yaw angles, such as AFLW2000-3D-new.pose.npy")
    parser.add_argument("--reannotated", type=Path, help="AFLW2000-3D-Reannotated.pts68.npy")
    parser.add_argument("--figure", type=Path, help="draw the error distributions there (PNG)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args(arguments)
    images = find_pairs(options.aflw2000)
    truth = read_truth(images)
    crops = cut_all(images, truth.landmarks)
    rows = measure(truth, crops, options.assets)
    rows += with_files(truth, crops, options.assets, options.yaw_file, options.reannotated)
    left = int((crops.clipped != crops.whole).any(axis=1).sum())
    print(
        f"MobileNet x0.5 (3DDFA_V2), {len(images)} images, NME (%); from the third line on: one change of the second\n"
    )
    print(costs(rows))
    balanced = {row.name: balanced_nme(row.nme, row.yaw) for row in rows[:2] if min(row.result.counts) > 0}
    print(f"\nthe crop leaves the photograph in {left} images")
    if known := yaw_file_of(rows[0].result.counts):
        print(f"the bins are those of {known}")
    for name, drawn in balanced.items():
        print(f"balanced subsets, {name}: {drawn}")
    print(f"\n{distribution_table(rows[:4])}")
    if options.figure:
        draw_ced({"": {row.name: row.nme for row in rows[:4]}}, options.figure, threshold=CED_THRESHOLD)
    if options.json:
        content = {row.name: {"counts": row.result.counts, **row.result.as_dict()} for row in rows}
        with atomic_write(options.json) as path:
            path.write_text(json.dumps({"images": len(images), "clipped": left, "protocols": content}, indent=1))


if __name__ == "__main__":
    run_benchmark(main)
