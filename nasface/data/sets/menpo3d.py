"""Menpo-3D tracking: 55 videos of 300VW with 84 three-dimensional landmarks, of which papers use 68 (Zafeiriou et al.
2017, "The 3D Menpo facial landmark tracking challenge").

No official layout is known; videos are given as frames in the plain layout (`nasface.data.plain`), `names` being
<VIDEO>/<FRAME>.jpg in the order of time, and landmarks the 68 (iBUG order) or all 84.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.plain import load_plain, read_labels
from nasface.data.registry import Labels, Request, register_data_set
from nasface.faces.correspondences import as_68

DATASET_URL = "https://ibug.doc.ic.ac.uk/resources/1st-3d-face-tracking-wild-competition"


def load_menpo3d(folder: str | Path, crops: CropSettings) -> FaceSet:
    """All frames in the order of `names`; errors as of `load_plain`."""
    return load_plain(folder, crops, name="menpo3d", points=(68, 84))


def frame_videos(folder: str | Path) -> np.ndarray:
    """The video (N,) of each frame, as text, for measures over time; errors as of `load_plain`."""
    return np.array([Path(name).parent.as_posix() for name in read_labels(folder, "menpo3d")["names"].tolist()])


@register_data_set(
    "menpo3d",
    splits=("all",),
    labels=Labels(yaw=False),
    published=DATASET_URL,
    groups=lambda request: frame_videos(request.folder),
)
def menpo3d(request: Request) -> FaceSet:
    """Menpo 3D in `data.folders`; only x and y are used, since no layout of its depth is known."""
    faces = load_menpo3d(request.folder, request.crops)
    return replace(faces, landmarks=as_68(faces.landmarks), visible=None)
