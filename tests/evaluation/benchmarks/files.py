"""A small set, made up, in the format of each registered benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

from nasface.faces.morphable import load_embedded_head
from tests.data.aflw2000_files import write_aflw2000
from tests.data.test_landmark_sets import face_points, write_plain_set
from tests.data.test_registry import MADE
from tests.faces.ddfa_files import write_assets


def aflw_lfpa(folder: Path) -> None:
    """Three faces; of the first few points are visible, of the last none."""
    visible = np.ones((3, 34), bool)
    visible[0, :30] = visible[2] = False
    more = {"visible": visible, "yaw": np.array([1.0, -80, 3]), "of_68": np.arange(34)}
    write_plain_set(folder, [face_points(index, 34) for index in range(3)], **more)


def florence(folder: Path) -> None:
    """Three renderings of two subjects, whose scans are the embedded head's mean."""
    box = np.tile([60.0, 50, 140, 110], (3, 1))
    write_plain_set(folder, [face_points(index, 2) for index in range(3)], box=box, yaw=np.array([-40.0, 0, 40]))
    head = load_embedded_head()
    (folder / "scans").mkdir()
    for subject in ("video0", "video1"):
        points = head.mean.astype(np.float64)
        np.savez(folder / "scans" / f"{subject}.npz", points=points, eyes=points[head.landmark_vertices][[36, 45]])


def cofw68(folder: Path) -> None:
    MADE["cofw"](folder)
    home = folder / "test_annotations"
    home.mkdir()
    for number in (1, 2):
        savemat(home / f"{number}_points.mat", {"Points": face_points(number - 1) + 1, "Occ": np.zeros((68, 1))})


def photographs(folder: Path) -> None:
    """AFLW2000-3D's files, of a model in `assets` beside the folder."""
    assets = folder.parent / "assets"
    if not assets.exists():
        write_assets(assets)
    write_aflw2000(folder, assets, (10, -45, 80, 20))


WRITERS: dict[str, Callable[[Path], object]] = {
    **{name: MADE[name] for name in ("300w", "3dfaw", "aflw", "ls3d_w", "menpo2d", "menpo3d")},
    **{"aflw2000": photographs, "synthetic_videos": photographs, "aflw_lfpa": aflw_lfpa, "florence": florence},
    **{"ibug": MADE["pts"], "cofw29": MADE["cofw"], "cofw68": cofw68},
}
