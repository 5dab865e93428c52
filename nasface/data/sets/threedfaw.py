"""3DFAW: faces with 66 three-dimensional landmarks (Jeni et al., ECCV-W 2016, "The first 3D face alignment in the wild
challenge"): 13,969 for training, 4,725 for validation, 4,912 for testing.

No official layout is known; each split is a folder in the plain layout (`nasface.data.plain`) with 66 landmarks of
three coordinates: FOLDER/train, FOLDER/val, FOLDER/test. The 66 are the 68 of iBUG without the inner lip's two corners
(60 and 64).
"""

from __future__ import annotations

from pathlib import Path

from nasface.data.crops import CropSettings
from nasface.data.face_set import FaceSet
from nasface.data.mixture import sample
from nasface.data.plain import load_plain
from nasface.data.registry import Labels, Request, register_data_set
from nasface.utils.errors import UserError

DATASET_URL = "http://mhug.disi.unitn.it/workshop/3dfaw"
SPLITS = ("train", "val", "test")


def load_3dfaw(folder: str | Path, split: str, crops: CropSettings) -> FaceSet:
    """The faces of one split; errors as of `load_plain`."""
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r} of 3DFAW: choose one of {', '.join(SPLITS)}")
    return load_plain(Path(folder) / split, crops, name=f"3dfaw-{split}", points=(66,), depth=True)


@register_data_set("3dfaw", splits=SPLITS, labels=Labels(66, depth=True, yaw=False), published=DATASET_URL)
def threedfaw(request: Request) -> FaceSet:
    """3DFAW in `data.folders`."""
    faces = load_3dfaw(request.folder, request.split, request.crops)
    return faces if request.split == "test" else sample(faces, request.count)
