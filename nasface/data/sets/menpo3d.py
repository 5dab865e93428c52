"""Menpo-3D tracking: 55 videos of 300VW with 84 three-dimensional landmarks, of which papers use 68 (Zafeiriou et al.
2017, "The 3D Menpo facial landmark tracking challenge").

No official layout is known; videos are given as frames in the plain layout (`nasface.data.plain`), `names` being
<VIDEO>/<FRAME>.jpg in the order of time, and landmarks the 68 (iBUG order) or all 84.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.plain import load_plain, read_labels


def load_menpo3d(folder: str | Path, crops: CropSettings) -> FaceSet:
    """All frames in the order of `names`; errors as of `load_plain`."""
    return load_plain(folder, crops, name="menpo3d", points=(68, 84))


def frame_videos(folder: str | Path) -> np.ndarray:
    """The video (N,) of each frame, as text, for measures over time; errors as of `load_plain`."""
    return np.array([Path(name).parent.as_posix() for name in read_labels(folder, "menpo3d")["names"].tolist()])
