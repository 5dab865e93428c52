"""Faces to train and test on: face sets, how they are cropped, cached, augmented and batched.

`face_set` has the one container, `sets` a file for each published set, `sources` the sets that an experiment asks for;
`photographs` and `plain` cut faces out of pictures, `cache` keeps them on disk, `position_maps` writes
face3d's maps; `augment` changes a batch and `module` hands batches to Lightning.
"""

from nasface.data.face_set import FaceSet, load_face_set, save_face_set

__all__ = ["FaceSet", "load_face_set", "save_face_set"]
