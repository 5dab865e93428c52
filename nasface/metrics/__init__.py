"""The benchmarks' protocols: functions on arrays, one file a benchmark.

* `aflw2000`, `dense_aflw2000`: AFLW2000-3D, 68 points in 2D and 3D, and the whole face.
* `aflw` (21 points), `aflw_lfpa` (34 visible points), `threedfaw` (3DFAW), `menpo3d` (videos), `florence` (scans).
* `w300` (300-W, IBUG, Menpo 2D), `cofw`.
* `ced`: the distribution of any of their errors.

What they share is in `nme` (`nme_torch` for tensors), `similarity` and `icp`.
"""

from nasface.metrics.aflw2000 import BIN_NAMES, YAW_BINS, BinnedNME, binned_nme, yaw_bin
from nasface.metrics.nme import nme_68

__all__ = ["BIN_NAMES", "YAW_BINS", "BinnedNME", "binned_nme", "nme_68", "yaw_bin"]
