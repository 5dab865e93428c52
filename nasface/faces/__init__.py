"""3D face geometry without networks: morphable models and their files, the camera, UV maps, landmarks.

`morphable` has the model and the embedded head, `bfm`, `bfm_noneck`, `ddfa_model` and `ict` read published ones;
`camera` has the one pose and pixel convention, `conventions` other codes'; `uv` makes position maps, `rasterize`
draws meshes with a z-buffer, `drawing` shows a shape over its photograph. Names below need numpy alone.
"""

from nasface.faces.camera import make_pose, project, split_pose
from nasface.faces.landmarks import FLIP_68, GROUPS, NUM_LANDMARKS
from nasface.faces.morphable import MorphableModel, load_embedded_head

__all__ = [
    "FLIP_68",
    "GROUPS",
    "NUM_LANDMARKS",
    "MorphableModel",
    "load_embedded_head",
    "make_pose",
    "project",
    "split_pose",
]
