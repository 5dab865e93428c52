"""Rendered faces before a predictor that never saw them, and photographs before a network that saw nothing else.

    python -m benchmarks.realism [--faces 300] [--size 192] [--domain studio]
    python -m benchmarks.realism --published mb05_120x120.pth --assets data/3ddfa
    python -m benchmarks.realism --weights runs/ID/network.pt --aflw2000 data/AFLW2000

The judge is MediaPipe's face mesh or, in the second line, 3DDFA_V2's published MobileNet x0.5, which learnt the points
that AFLW2000-3D has, from photographs. The last line prints the error on AFLW2000-3D's photographs of a network that
`nasface retrain` trained on rendered faces alone, by yaw, of all 68 points and of the 51 inside the face.

MediaPipe 0.10.14 (the extra `realism`) wants an older protobuf and another OpenCV than the rest of the package, so give
it an environment of its own, which needs no torch:

    python -m venv realism && realism/bin/pip install mediapipe==0.10.14 numba scipy
    realism/bin/python -m benchmarks.realism

Printed by bins of |yaw|: the share of faces that it finds, and the error of the 51 landmarks inside the face, in
percent of the square root of the box's area. It cannot show more than its own error: on AFLW2000-3D's truth its median
is 5.1 % over all poses. Its 68 points are those of its mesh that lie nearest to the iBUG landmarks; the jaw is left
out, since a 2D predictor follows the visible contour there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from nasface.faces.landmarks import bounding_box
from nasface.rendering.synthetic import DOMAINS, Domain, draw_face
from nasface.utils.ending import one_line
from nasface.utils.files import atomic_write

if TYPE_CHECKING:
    from nasface.metrics.aflw2000 import BinnedNME

# fmt: off
# The face mesh's vertices for landmarks 17 to 67.
INNER_51 = np.array([
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
])
# fmt: on
BINS = ((0, 30), (30, 60), (60, 90))
AIM_FOUND, AIM_NME = 90.0, 5.0
"""Percent, for |yaw| up to 30 degrees."""

Judge = Callable[[np.ndarray], np.ndarray | None]
"""Of an image (S, S, 3): the 51 points (51, 2) in its pixels, or None where no face is found."""


@dataclass(frozen=True)
class Verdict:
    """One bin of |yaw|: faces shown, percent of them found, median error (percent, NaN where none is found)."""

    low: int
    high: int
    faces: int
    found: float
    nme: float


def judge_faces(judge: Judge, count: int, size: int, domain: Domain, seed: int) -> list[Verdict]:
    """Show `count` training faces to a judge."""
    yaw, errors = np.empty(count), np.full(count, np.nan)
    for index in range(count):
        face = draw_face(seed, "train", index, size, domain=domain)
        yaw[index], points = abs(face.yaw), judge(face.image)
        if points is not None:
            distance = np.linalg.norm(points - face.landmarks[17:, :2], axis=1).mean()
            errors[index] = 100 * distance / np.sqrt(bounding_box(face.landmarks).prod())
    return [_verdict(low, high, errors[(yaw >= low) & (yaw <= high)]) for low, high in BINS]


def _verdict(low: int, high: int, errors: np.ndarray) -> Verdict:
    found = errors[np.isfinite(errors)]
    share = 100 * len(found) / max(len(errors), 1)
    return Verdict(low, high, len(errors), share, float(np.median(found)) if len(found) else float("nan"))


def judge_photographs(weights: Path, folder: Path) -> dict[str, BinnedNME]:
    """The error of a trained network on the photographs in AFLW2000-3D's `folder`, by the points that are counted."""
    from nasface.data.crops import CropSettings
    from nasface.data.sets.aflw2000 import load_aflw2000
    from nasface.evaluation.inference import predict_faces
    from nasface.inference.trained import load_task
    from nasface.metrics.aflw2000 import binned_nme

    trained = load_task(weights)
    faces = load_aflw2000(folder, CropSettings(trained.input_size))
    off = predict_faces(trained.task, faces.images).landmarks[..., :2] - faces.landmarks[..., :2]
    errors = 100 * np.linalg.norm(off, axis=2) / np.sqrt(faces.box.prod(axis=1))[:, None]
    parts = {"68 points": errors, "51 inner points": errors[:, 17:]}
    return {name: binned_nme(part.mean(axis=1), faces.yaw) for name, part in parts.items()}


@contextmanager
def mediapipe_judge() -> Iterator[Judge]:
    """The face mesh on single images, which get a margin since the detector expects one."""
    import mediapipe

    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1) as mesh:

        def judge(image: np.ndarray) -> np.ndarray | None:
            size, margin = len(image), len(image) // 4
            found = mesh.process(cv2.copyMakeBorder(image, *[margin] * 4, cv2.BORDER_REPLICATE)).multi_face_landmarks
            if not found:
                return None
            points = np.array([[point.x, point.y] for point in found[0].landmark])[INNER_51]
            return points * (size + 2 * margin) - 0.5 - margin

        yield judge


@contextmanager
def mobilenet_judge(weights: Path, assets: str) -> Iterator[Judge]:
    """3DDFA_V2's MobileNet x0.5, which finds a face in every image."""
    from nasface.faces.camera import resize_similarity, transform_points
    from nasface.inference.published import load_published_mobilenet

    aligner = load_published_mobilenet(weights, "mobilenet_x05", assets)

    def judge(image: np.ndarray) -> np.ndarray:
        side = aligner.input_size
        landmarks, _ = aligner.regress(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)[None])
        return transform_points(landmarks, resize_similarity(side, len(image)))[0, 17:, :2]

    yield judge


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=300, help="faces that are shown (300)")
    parser.add_argument("--size", type=int, default=192, help="side of the images in pixels (192)")
    parser.add_argument("--domain", choices=DOMAINS, default="studio")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="network.pt, to be tried on photographs")
    parser.add_argument("--aflw2000", type=Path, default=Path("data/AFLW2000"), help="folder of AFLW2000-3D")
    parser.add_argument("--published", type=Path, help="mb05_120x120.pth, to be the judge in place of MediaPipe")
    parser.add_argument("--assets", default="data/3ddfa", help="folder of 3DDFA's model")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    if arguments.weights:
        print("NME (%) on photographs  " + "".join(f"{low:3d} - {high:2d}" for low, high in BINS) + "     mean")
        for name, nme in judge_photographs(arguments.weights, arguments.aflw2000).items():
            print(f"{name:22s}" + "".join(f"{value:9.2f}" for value in (*nme.bins, nme.mean)))
    try:
        published = arguments.published
        with mobilenet_judge(published, arguments.assets) if published else mediapipe_judge() as judge:
            verdicts = judge_faces(judge, arguments.faces, arguments.size, arguments.domain, arguments.seed)
    except ModuleNotFoundError as error:
        if error.name != "mediapipe":
            raise
        print("skipped: mediapipe is not installed; the head of benchmarks/realism.py says how")
        return 0
    shown = f"{arguments.faces} faces of domain {arguments.domain}, {arguments.size} px"
    print(f"{shown}; judge: {published or 'MediaPipe'}\n")
    print("   |yaw|   faces   found   median NME of 51 points")
    for v in verdicts:
        print(f"{v.low:3d} - {v.high:2d}   {v.faces:5d}  {v.found:4.0f} %   {v.nme:.2f} %")
    print(f"\naim for |yaw| up to 30: at least {AIM_FOUND:.0f} % found, at most {AIM_NME:.0f} %")
    if arguments.json:
        with atomic_write(arguments.json) as temporary:
            temporary.write_text(json.dumps([asdict(v) for v in verdicts], indent=1))
    return 0


if __name__ == "__main__":
    with one_line("error"):
        sys.exit(main())
