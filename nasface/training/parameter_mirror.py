"""Mirrored faces as morphable model parameters: the labels of mirrored images for networks that regress parameters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nasface.training.uv_target import UVTarget


class ParameterMirror(nn.Module):
    """Pose and coefficients of the mirror images of faces.

    Where a model is symmetric, the mirror image of each of its faces is one of its faces, too, with coefficients that
    follow by an affine map; where it is not, as the Basel model, they are fitted to it. The map is a least squares
    solution over the chart, with a shift of the head beside the coefficients. Random faces are met within 0.04 % of
    their size with the embedded head, and within 0.4 % with 3DDFA's model, on average.

    Args:
        uv: the model on its chart.
    """

    offset: Tensor
    linear: Tensor

    def __init__(self, uv: UVTarget) -> None:
        super().__init__()
        self.last_pixel = uv.image_size - 1
        fields = torch.cat((uv.mean.flatten(1), uv.modes)).double().cpu().numpy()
        fields = fields.reshape(len(fields), 3, uv.map_size, uv.map_size)
        inside = (uv.weight > 0).cpu().numpy()
        mirrored = fields[..., ::-1] * np.array([-1.0, 1.0, 1.0])[:, None, None]
        wanted, known = (part[:, :, inside & inside[:, ::-1]].reshape(len(part), -1).T for part in (mirrored, fields))
        wanted[:, 0] -= known[:, 0]
        shifts = np.repeat(np.eye(3), len(known) // 3, axis=0)
        columns = np.concatenate((known[:, 1:], shifts), 1)
        size = np.linalg.norm(columns, axis=0)
        size[size < 1e-9 * size.max()] = np.inf  # of modes that do nothing here, such as the eyeballs'
        solved = torch.from_numpy(np.linalg.lstsq(columns / size, wanted, rcond=1e-6)[0] / size[:, None]).float()
        self.register_buffer("offset", solved[:, 0].contiguous(), persistent=False)
        self.register_buffer("linear", solved[:, 1:].T.contiguous(), persistent=False)

    def forward(self, pose: Tensor, coefficients: Tensor, flipped: Tensor) -> tuple[Tensor, Tensor]:
        """Pose (B, 3, 4), model to crop pixels, and coefficients (B, K), of the mirrored faces where flipped (B,)."""
        with torch.autocast(pose.device.type, enabled=False):
            found, shift = (coefficients @ self.linear + self.offset).split([coefficients.shape[1], 3], 1)
            # Both sides are mirrored, the model's x and the image's: the rotation stays one.
            turned = pose[:, :, :3] * pose.new_tensor([-1, 1, 1])
            column = turned @ shift[:, :, None] + pose[:, :, 3:]
            moved = torch.cat((turned, column), 2) * pose.new_tensor([-1, 1, 1])[:, None]
            moved = torch.cat((moved[:, :1] + moved.new_tensor([0, 0, 0, self.last_pixel]), moved[:, 1:]), 1)
        return (torch.where(flipped[:, None, None], moved, pose), torch.where(flipped[:, None], found, coefficients))
