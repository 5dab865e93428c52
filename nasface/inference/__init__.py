"""Trained networks on photographs and videos.

`load` is the entrance: it makes a `FaceAligner` (`aligner`) of a network that comes with the program (`packaged`), that
was trained here (`trained`) or of a published one (`published`); `detection` finds faces, each a `Face` (`face`),
`smoothing` follows them through a video; `media`, `overlay`, `mesh` and `five_points` write what was found; `export`
writes the network itself for other programs.
"""

from nasface.inference.aligner import FaceAligner
from nasface.inference.detection import Detection, Detector, make_detector
from nasface.inference.face import Face
from nasface.inference.load import load_aligner

__all__ = ["Detection", "Detector", "Face", "FaceAligner", "load_aligner", "make_detector"]
