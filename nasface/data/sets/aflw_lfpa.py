"""AFLW-LFPA: 1,299 photographs of AFLW with 34 landmarks and their visibility (Jourabloo and Liu, ICCV 2015, "Pose-
invariant 3D face alignment").

No official layout, order or list of vertices is known (PRNet issue 207 and 2DASL issue 18 ask for them); the set is
read in the plain layout (`nasface.data.plain`) with 34 landmarks and `visible`, since only visible points count.
"""

from __future__ import annotations

from pathlib import Path

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.plain import load_plain


def load_aflw_lfpa(folder: str | Path, crops: CropSettings) -> FaceSet:
    """All faces; errors as of `load_plain`."""
    return load_plain(folder, crops, name="aflw-lfpa", points=(34,), required=("visible",))
