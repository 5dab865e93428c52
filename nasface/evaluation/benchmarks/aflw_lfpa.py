"""AFLW-LFPA: 34 points, of which only the visible ones count (Jourabloo and Liu, ICCV 2015)."""

from __future__ import annotations

import numpy as np

from nasface.data.plain import LABELS_FILE, read_labels
from nasface.data.sets.aflw_lfpa import load_aflw_lfpa
from nasface.evaluation.benchmark import BenchmarkFaces, Errors, Prediction, Request, register_benchmark, yaw_groups
from nasface.faces.landmarks import NUM_LANDMARKS
from nasface.metrics.aflw_lfpa import LFPA_POINTS, nme_34
from nasface.utils.errors import UserError

ORDER = "of_68"


@register_benchmark(
    "aflw_lfpa",
    set="AFLW-LFPA",
    points="34, visible ones",
    protocol="NME over sqrt(w h) of the face's box",
    source="Jourabloo and Liu, ICCV 2015; order of the points not published",
    holds=f"images/ and {LABELS_FILE} (nasface.data.plain): names, landmarks, visible, box, and {ORDER} (34,): which of"
    " the 68 each point is, counted from 0, -1 for none",
)
def aflw_lfpa(request: Request) -> BenchmarkFaces:
    faces = load_aflw_lfpa(request.folder, request.crops)
    labels = read_labels(request.folder, "AFLW-LFPA")
    order = labels.get(ORDER)
    whole = order is not None and order.dtype.kind in "iu" and order.shape == (LFPA_POINTS,)
    if order is None or not whole or not np.isin(order, np.arange(-1, NUM_LANDMARKS)).all():
        raise UserError(
            f"{request.folder / LABELS_FILE} needs {ORDER}, {LFPA_POINTS} indices: which of the 68 each point is, -1"
            " for none; the set's order is not published"
        )
    assert faces.visible is not None  # the reader requires it
    visible = faces.visible & (order >= 0)
    known = np.asarray(visible.any(axis=1))
    groups = yaw_groups(faces.yaw) if np.isfinite(faces.yaw).all() else {}

    def measure(found: Prediction) -> list[Errors]:
        errors = nme_34(found.landmarks[:, order], faces.landmarks, visible, faces.box)
        return [Errors("visible points", errors, groups, counted=known)]

    note = f"the faces' boxes: {LABELS_FILE} has no box; errors are over that of the landmarks"
    return BenchmarkFaces(faces, labels["names"].tolist(), measure, left_out=[] if "box" in labels else [note])
