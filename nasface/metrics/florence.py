"""Florence (A. Bagdanov et al., "The Florence 2D/3D hybrid face dataset", 2011): 3D scans of 53 subjects, rendered from
several yaws, against the predicted surface.

As PRNet (Feng et al., ECCV 2018) and MONAS (section IV) describe it: both clouds are cut to the common face region
(19K points), ICP finds the point of the prediction that belongs to each point of the scan, and the mean 3D distance is
divided by the distance of the outer eye corners. No official script exists, and what ICP is for differs:

* `moved`: distances after the ICP motion, so that only shape counts (2DASL, evaluation/nme_for_3DReconstruction.m).
* `in place`: ICP only finds the correspondences; distances are those of the points where the network put them, with
  their mean z made equal, since depth is open (VRN's author, github.com/AaronJackson/vrn issues 99 and 143).

Yaws are those of the renderings: -80, -40, 0, 40 and 80 degrees in VRN's (issue 158 there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from nasface.metrics.icp import Registration, iterative_closest_points
from nasface.metrics.nme import align_depth

Comparison = Literal["moved", "in place"]
"""Where the prediction lies when distances are taken, see the top of the file."""


@dataclass(frozen=True)
class SurfaceError:
    """One face's error.

    Attributes:
        nme: percent of the outer eye distance.
        distances: (S,) of the scan's points to their partners, in the clouds' unit.
        registration: how ICP went.
    """

    nme: float
    distances: np.ndarray
    registration: Registration


def surface_nme(
    prediction: ArrayLike,
    scan: ArrayLike,
    eye_distance: float,
    *,
    comparison: Comparison = "moved",
    scale: bool = False,
) -> SurfaceError:
    """Error of a predicted face region (P, 3) against a scan's (S, 3), see `face_region`, in one unit and frame (such
    as pixels of the rendering).

    Args:
        prediction, scan: the regions.
        eye_distance: 3D distance of the scan's outer eye corners, > 0.
        comparison: see the top of the file.
        scale: let ICP change the size, too, where the prediction's is unknown (a rigid motion otherwise).
    """
    if not eye_distance > 0:
        raise ValueError(f"an eye distance of {eye_distance} cannot normalise an error")
    predicted, truth = np.asarray(prediction, dtype=np.float64), np.asarray(scan, dtype=np.float64)
    if comparison == "in place":
        predicted = align_depth(predicted, truth)
    registration = iterative_closest_points(predicted, truth, scale=scale)
    moved = registration.transform.apply(predicted)
    distances, partner = KDTree(moved).query(truth)
    if comparison == "in place":
        distances = np.linalg.norm(predicted[partner] - truth, axis=1)
    return SurfaceError(100.0 * float(distances.mean()) / eye_distance, distances, registration)


def face_region(points: ArrayLike, nose_tip: ArrayLike, radius: float) -> np.ndarray:
    """Which points of a scan (S, 3) lie within `radius` of the nose tip (3,): (S,) bool.

    A scan covers neck and hair, a prediction does not; a sphere around the nose tip (commonly 95 mm) is the usual cut
    where no mask of common vertices is given.
    """
    apart = np.asarray(points, dtype=np.float64) - np.asarray(nose_tip, dtype=np.float64)
    return np.linalg.norm(apart, axis=-1) <= radius
