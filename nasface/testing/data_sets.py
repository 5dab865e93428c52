"""The contract of data sets, for their authors' tests."""

from __future__ import annotations

import numpy as np

from nasface.data.face_set import FaceSet
from nasface.data.registry import DATA_SETS, DataSet


def check_face_set(name: str, faces: FaceSet) -> None:
    """Whether faces are as their registered set says: sizes and labels, within what every network can learn from.

    Raises:
        AssertionError: they are not.
        UserError: the set is unknown.
    """
    registered = DATA_SETS.get(name)
    assert len(faces) > 0, "no faces"
    assert faces.images.dtype == np.uint8
    assert np.isfinite(faces.box).all() and (np.asarray(faces.box) > 0).all(), "a box without extent"
    _check_labels(registered, faces)


def _check_labels(registered: DataSet, faces: FaceSet) -> None:
    labels, landmarks = registered.labels, np.asarray(faces.landmarks)
    assert landmarks.shape[1] == labels.points, f"{landmarks.shape[1]} points, {labels.points} registered"
    if labels.yaw:
        assert np.isfinite(faces.yaw).all(), "a yaw that is not known"
    if labels.depth:
        assert np.isfinite(landmarks).all() and landmarks[..., 2].any(), "points without depth"
    if registered.model is not None:
        assert faces.pose is not None and faces.coefficients is not None, "no targets for training"
        assert np.isfinite(faces.pose).all() and np.isfinite(faces.coefficients).all()
