"""Other codes' pixels, poses and parameters, and this package's: converters named after their source.

This package has one camera (`nasface.faces.camera`). The codes around 300W-LP all compute the same raw coordinates,
f R v + t in an image whose y points UP and whose first pixel is 1, and then differ in how they turn y over:

    source                                         x         y             z
    official MATLAB (main_show_with_BFM.m)         x         h + 1 - y     z
    3DDFA v1 (utils/ddfa.py)                       x         121 - y       z
    3DDFA_V2 (utils/tddfa_util.py)                 x - 1     120 - y       z - 1
    face3d (examples/8_generate_posmap_300WLP.py)  x         h - y - 1     z
    SADRNet, PRNet-PyTorch                         x         h - y         z
    here                                           x - 1     h - y         z

with h the image's height, 120 for 3DDFA's crops. Only 3DDFA_V2's are pixels counted from 0 as they stand; the official
ones are right when counted from 1; face3d's and SADRNet's are off by a pixel in x, face3d's by one in y as well (a
pixel is about half a per cent of AFLW2000-3D's boxes). 3DDFA_V2 and face3d afterwards move z so that the face's least
is 0.

The same face is written as a pose vector of 7 numbers (`Pose_Para`), as a raw (3, 4) matrix [f R | t], and, with its
coefficients and in the pixels of a 120-pixel crop, as 3DDFA's vector of 62. All functions compute in float64 and each
pair are inverses of each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasface.faces.camera import euler_to_matrix, matrix_to_euler, matrix_to_pose, pose_to_matrix, transform_pose
from nasface.faces.ddfa_model import join_parameters, split_parameters


@dataclass(frozen=True)
class PixelConvention:
    """How a code's image coordinates differ from this package's: by an offset of each axis.

    Attributes:
        name: of the code.
        offset: (x, y, z) of its coordinates where this package has (0, 0, 0).
    """

    name: str
    offset: tuple[float, float, float]

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """This package's crop pixels (..., 2 or 3) of the code's points, float64."""
        points = np.asarray(points, dtype=np.float64)
        return points - np.asarray(self.offset)[: points.shape[-1]]

    def from_pixels(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `to_pixels`."""
        points = np.asarray(points, dtype=np.float64)
        return points + np.asarray(self.offset)[: points.shape[-1]]


OFFICIAL_MATLAB = PixelConvention("official MATLAB", (1.0, 1.0, 0.0))
DDFA_V1 = PixelConvention("3DDFA v1", (1.0, 1.0, 0.0))
DDFA_V2 = PixelConvention("3DDFA_V2", (0.0, 0.0, -1.0))
FACE3D = PixelConvention("face3d", (1.0, -1.0, 0.0))
SADRNET = PixelConvention("SADRNet", (1.0, 0.0, 0.0))
CONVENTIONS = (OFFICIAL_MATLAB, DDFA_V1, DDFA_V2, FACE3D, SADRNET)


def pose_para_to_matrix(pose_para: np.ndarray) -> np.ndarray:
    """The raw matrix [f R | t] (..., 3, 4) of 7 numbers (..., 7): pitch, yaw, roll in radians, t, f (300W-LP's
    `Pose_Para`)."""
    values = np.asarray(pose_para, dtype=np.float64)
    if values.shape[-1:] != (7,):
        raise ValueError(f"a Pose_Para holds 7 numbers, this one has shape {values.shape}")
    linear = values[..., 6, None, None] * euler_to_matrix(np.rad2deg(values[..., :3]))
    return np.concatenate([linear, values[..., 3:6, None]], axis=-1)


def matrix_to_pose_para(matrix: np.ndarray) -> np.ndarray:
    """The inverse of `pose_para_to_matrix`: (..., 7), yaw within +-90 degrees.

    Pitch, yaw and roll beyond that name the same rotation as others within; then it is these that come back.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    scale = np.cbrt(np.linalg.det(matrix[..., :3]))
    angles = np.deg2rad(matrix_to_euler(matrix[..., :3] / scale[..., None, None]))
    return np.concatenate([angles, matrix[..., 3], scale[..., None]], axis=-1)


def pose_para_to_62(pose_para: np.ndarray, coefficients: np.ndarray, height: float, crop: np.ndarray) -> np.ndarray:
    """3DDFA's raw (un-whitened) vector (62,) of a face in a photograph.

    Args:
        pose_para: (7,) in the photograph.
        coefficients: (50,) 40 of identity and 10 of expression: the first of `Shape_Para` and `Exp_Para`.
        height: of the photograph in pixels.
        crop: (2, 3) similarity without rotation from the photograph's pixels to the 120-pixel crop's
            (`nasface.faces.camera.crop_similarity`); depth is scaled with it.
    """
    pose = matrix_to_pose(pose_para_to_matrix(pose_para), height)
    return join_parameters(transform_pose(pose, crop, np.float64), coefficients)


def pose_para_from_62(parameters: np.ndarray, height: float, crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `pose_para_to_62`: the 7 numbers in the photograph, and the 50 coefficients."""
    pose, coefficients = split_parameters(parameters)
    linear = np.linalg.inv(np.asarray(crop, dtype=np.float64)[:, :2])
    back = np.concatenate([linear, -linear @ np.asarray(crop)[:, 2:]], axis=1)
    return matrix_to_pose_para(pose_to_matrix(transform_pose(pose, back, np.float64), height)), coefficients
