"""Dense AFLW2000-3D: the whole face against the shape of the set's own model parameters, under the conventions in use.

Papers give one figure for "dense alignment", but public evaluation codes divide by three different lengths, align depth
in two ways and compare different points, so that a figure means little without its convention's name:

* `POINTS_BOX`: the box of the true points that are compared; mean z aligned (SADRNet, src/model/loss.py, NME and NME2D,
  over the points of its face mask; PRNet's 43,867 or fewer).
* `LANDMARKS_BOX`: the box of the 68 landmarks read from the true dense shape; mean z aligned (SADRNet's KptNME; a box
  smaller than the first, which reaches to the forehead).
* `ANNOTATION_BOX`: the box of the annotated pt3d_68; least z aligned (2DASL, evaluation/nme_for_alignment_dense_3d.m,
  over all 53,215 vertices of the Basel model).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from nasface.metrics.nme import DepthAlignment, align_depth, box_size, normalised_mean, point_errors


@dataclass(frozen=True)
class DenseConvention:
    """How a dense error is measured.

    Attributes:
        name: for tables.
        box: whose box normalises: the compared `points`, the 68 `landmarks` of the true dense shape, or those of the
            `annotation`.
        depth: what is made equal before 3D distances.
    """

    name: str
    box: Literal["points", "landmarks", "annotation"]
    depth: DepthAlignment


POINTS_BOX = DenseConvention("box of the points (SADRNet)", "points", "mean")
LANDMARKS_BOX = DenseConvention("box of the dense shape's 68 points", "landmarks", "mean")
ANNOTATION_BOX = DenseConvention("box of pt3d_68 (2DASL)", "annotation", "min")
DENSE_CONVENTIONS = (POINTS_BOX, LANDMARKS_BOX, ANNOTATION_BOX)


def dense_nme(
    prediction: ArrayLike,
    target: ArrayLike,
    convention: DenseConvention,
    landmarks: ArrayLike | None = None,
    dimensions: Literal[2, 3] = 3,
) -> np.ndarray:
    """Per-image NME of corresponding dense points (N, P, 3), in the same order; leave out what the convention does not
    compare.

    Args:
        prediction, target: the points.
        convention: one of `DENSE_CONVENTIONS`.
        landmarks: (N, 68, >=2) of the true dense shape (`LANDMARKS_BOX`) or pt3d_68 (`ANNOTATION_BOX`), in the same
            pixels; not needed by `POINTS_BOX`.
        dimensions: 3, or 2 to leave depth out.
    """
    wanted = np.asarray(target, dtype=np.float64)
    boxed = wanted if convention.box == "points" else landmarks
    if boxed is None:
        raise ValueError(f"the convention {convention.name!r} needs landmarks")
    length = box_size(boxed)
    predicted = align_depth(prediction, wanted, convention.depth) if dimensions == 3 else prediction
    return normalised_mean(point_errors(predicted, wanted, dimensions), length)
