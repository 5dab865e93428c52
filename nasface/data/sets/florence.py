"""Florence (MICC): 53 subjects with scanned faces, rendered in several poses for 3D reconstruction (Bagdanov et al.
2011, "The Florence 2D/3D hybrid face dataset"; the protocol of VRN, Jackson et al., ICCV 2017).

No official script is known, and papers disagree about the poses (VRN's author names pitches -15, 20, 25 and yaws -80,
-40, 0, 40, 80); renderings are read in the plain layout (`nasface.data.plain`), with the scans beside them:

    FOLDER/images/<SUBJECT>/<RENDERING>.jpg     listed in landmarks.npz
    FOLDER/landmarks.npz                        landmarks (N, 2, 2 or 3): the outer eye corners, image left first;
                                                `yaw`; `box` (N, 4): of the scan's points in the rendering
    FOLDER/scans/<SUBJECT>.npz                  points (V, 3) of the face, eyes (2, 3): the same corners; one unit, any
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.plain import load_plain, read_labels
from nasface.utils.errors import UserError
from nasface.utils.npy import read_npz
from nasface.utils.reading import reading


@dataclass(frozen=True)
class Scan:
    """One subject's face.

    Attributes:
        points: (V, 3) float64.
        eyes: (2, 3) float64, the outer eye corners; their distance normalises errors.
    """

    points: np.ndarray
    eyes: np.ndarray


def load_florence(folder: str | Path, crops: CropSettings) -> FaceSet:
    """All renderings, cropped around the scans' boxes; errors as of `load_plain`."""
    return load_plain(folder, crops, name="florence", points=(2,), required=("yaw", "box"))


def rendering_subjects(folder: str | Path) -> list[str]:
    """The subject of each rendering, in the order of `load_florence`."""
    return [Path(name).parent.as_posix() for name in read_labels(folder, "florence")["names"].tolist()]


def load_scan(folder: str | Path, subject: str) -> Scan:
    """The scan of a subject; a UserError where its file is absent, damaged, or lacks an array."""
    path = Path(folder) / "scans" / f"{subject}.npz"
    content = read_npz(path, "see nasface.data.sets.florence")
    with reading(path, "does not hold points and eyes", "see nasface.data.sets.florence"):
        points, eyes = (content[key].astype(np.float64) for key in ("points", "eyes"))
    if points.ndim != 2 or points.shape[1] != 3 or eyes.shape != (2, 3) or not np.isfinite(points).all():
        raise UserError(f"{path}: points must be (V, 3) finite numbers, eyes (2, 3); see nasface.data.sets.florence")
    distance = np.linalg.norm(eyes[1] - eyes[0])
    if not (distance > 0 and (np.linalg.norm(points - eyes.mean(axis=0), axis=1) < distance).any()):
        raise UserError(f"{path}: its eyes are not two places of its face: write both in one unit, from one origin")
    return Scan(points, eyes)
