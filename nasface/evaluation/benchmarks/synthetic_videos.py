"""Stability on short videos that are made of still images (3DDFA_V2, section 2.4), of any set whose faces have a
morphable model's parameters: rendered faces, or photographs of AFLW2000-3D with 3DDFA's or another Basel model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nasface.config import VideoConfig
from nasface.data.face_set import FaceSet
from nasface.data.sets.aflw2000 import find_pairs, load_aflw2000
from nasface.data.sets.w300lp import model_coefficients, read_parameters
from nasface.evaluation.benchmark import BenchmarkFaces, Errors, Prediction, Request, register_benchmark
from nasface.evaluation.benchmarks.aflw2000 import crop_matrices, crop_poses
from nasface.evaluation.video_stability import STILL, make_videos, video_errors
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.rendering.synthetic import SyntheticFaces, build_synthetic
from nasface.rendering.video import ShortVideos
from nasface.utils.errors import UserError
from nasface.utils.reading import beside

VIDEOS, FRAMES = 100, 8


@register_benchmark(
    "synthetic_videos",
    set="synthetic videos",
    points="68 in 2D, over videos",
    protocol=f"{VIDEOS} videos of {FRAMES} frames: stability and NME over sqrt(w h) of the points' box",
    source="Guo et al., ECCV 2020, sections 2.4 and 3.1",
    holds="image00002.jpg and .mat, ... as AFLW2000-3D, with 3DDFA's files in --model; rendered faces where not given",
)
def synthetic_videos(request: Request) -> BenchmarkFaces:
    stills, model = _photographs(request) if request.root else _rendered(request)
    videos = list(make_videos(stills, ShortVideos(model, VideoConfig(frames=FRAMES)), VIDEOS))
    true = np.concatenate([points for _, _, points in videos]).astype(np.float32)
    owners = np.repeat([index for index, _, _ in videos], FRAMES)
    frames = stills.subset(owners)
    frames = replace(frames, images=np.concatenate([images for _, images, _ in videos]), landmarks=true)

    def measure(found: Prediction) -> list[Errors]:
        return video_errors(found.landmarks, true, owners)

    still = np.repeat(true[::FRAMES], FRAMES, axis=0)
    names = [f"face {index}, frame {number % FRAMES + 1}" for number, index in enumerate(owners)]
    return BenchmarkFaces(frames, names, measure, constant={STILL: still})


def _rendered(request: Request) -> tuple[FaceSet, MorphableModel]:
    faces = SyntheticFaces("test", VIDEOS, request.image_size, seed=0)
    return build_synthetic(faces, request.cache or "cache", request.progress), load_embedded_head()


def _photographs(request: Request) -> tuple[FaceSet, MorphableModel]:
    if request.model is None:
        raise UserError(
            "videos of photographs need their parameters' model: give the folder of 3DDFA's files by --model"
        )
    images, model = find_pairs(request.folder), request.model()
    faces = load_aflw2000(request.folder, request.crops)
    parameters = [read_parameters(beside(path, ".mat")) for path in images]
    poses = crop_poses(images, parameters, crop_matrices(images, request.image_size))
    coefficients = np.stack([model_coefficients(entry, model) for entry in parameters])
    return replace(faces, pose=poses, coefficients=coefficients.astype(np.float32)), model
