"""The recurrence of DHM: draw the face that one has, look at it with the image, correct it, T times.

Sun et al., "Deep Evolutionary 3D Diffusion Heat Maps for Large-pose Face Alignment", BMVC 2018, section 3.2, Eq. 4
and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nasface.nets.face_vector import AngleVector, LandmarkVector, VectorNetwork
from nasface.nets.layers.diffusion import diffusion_maps, landmark_maps
from nasface.nets.network import full_precision
from nasface.nets.registry import BaselineSpec

BASEL_MODES = 199 + 29
"""Identity and expression modes of the paper's full Basel model; with the 6 numbers of the pose, 234."""

CHANNELS, FLAT_CHANNELS = 3 + 3, 3 + 1
"""Channels of image and heat maps: those of the three dimensions, or of the places only."""


class VanillaCell(nn.Module):
    """Eq. 4: h' = tanh(W_ih x + W_hh h), without biases."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(features, hidden, bias=False)
        self.hidden = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the cell says (B, hidden), and its state for the next step."""
        new = (self.input(x) if state is None else self.input(x) + self.hidden(state)).tanh()
        return new, new


class LongShortCell(nn.Module):
    """An LSTM cell (Hochreiter and Schmidhuber 1997); called as `VanillaCell` is."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(features, hidden)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        new = self.cell(x, state)
        return new[0], new


class FeedForwardCell(nn.Module):
    """No recurrence: h = relu(W x + b), whatever came before; called as `VanillaCell` is."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.layer = nn.Linear(features, hidden)

    def forward(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        return self.layer(x).relu(), state


class Evolution(VectorNetwork):
    """Images (B, 3, S, S) -> whitened vectors (B, P) after T corrections of the mean face.

    In each step the present face is drawn as heat maps beside the image, features of both go through the cell, and
    W_ho h / T is added to the vector; gradients go back through all of it, the drawing included. The paper's step is
    W_ho h. The share of T is the same family of networks with a smaller step of W_ho in training: without it the four
    corrections add up, and at the learning rate of the other networks RHG loses the face and does not come back.

    Args:
        spec: name and sizes.
        vector: what is corrected; whitened 0, where it starts, is the mean training face.
        extract: makes features (B, features) of image and maps (B, CHANNELS or FLAT_CHANNELS, S, S).
        features: how many.
        cell: makes the cell from (features, hidden).
        hidden: size of the cell's state.
        steps: T; 4 in the paper's Fig. 5.
        sigma: of the heat maps, in pixels.
        flat: draw the landmarks' places only (the paper's 2D-RNN), in one channel.
    """

    shared: Tensor
    corrections: Tensor

    def __init__(
        self,
        spec: BaselineSpec,
        vector: AngleVector | LandmarkVector,
        extract: nn.Module,
        features: int,
        cell: Callable[[int, int], nn.Module],
        hidden: int,
        steps: int = 4,
        sigma: float = 1.0,
        flat: bool = False,
    ) -> None:
        super().__init__(spec, vector)
        self.steps, self.sigma, self.flat = steps, sigma, flat
        self.register_buffer("shared", torch.ones(()))  # how maps are drawn, see `diffusion_maps`
        self.register_buffer("corrections", torch.ones((), dtype=torch.int64))
        self.extract, self.cell = extract, cell(features, hidden)
        self.set_corrections(steps)
        self.correct = _correction(hidden, vector.size)

    def set_corrections(self, count: int) -> None:
        self.steps, self.repeated = count, {"extract": count}
        self.corrections.fill_(count)

    def resize_output(self, size: int) -> None:
        if size != self.correct.out_features:
            self.correct = _correction(self.correct.in_features, size, self.correct.weight.device)

    def heat_maps(self, vector: Tensor) -> Tensor:
        """What the face of a whitened vector (B, P) looks like to the network: (B, 1 or 3, S, S)."""
        landmarks = self.vector.landmarks(vector)
        with full_precision(landmarks):
            draw = landmark_maps if self.flat else diffusion_maps
            return draw(landmarks, self.spec.input_size, self.sigma, self.shared)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        state_dict.setdefault(f"{prefix}shared", torch.zeros(()))  # a file of 0.1, whose maps were sums
        count = state_dict.setdefault(f"{prefix}corrections", torch.tensor(self.steps))  # of one before 0.2
        if not count.is_meta and 1 <= int(count) <= 1000:
            self.set_corrections(int(count))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def evolve(self, image: Tensor) -> list[Tensor]:
        """The vector (B, P) before and after each of the T steps: T + 1 of them."""
        state: Any = None
        vectors = [image.new_zeros(image.shape[0], self.vector.size)]
        for _ in range(self.steps):
            seen = torch.cat((image, self.heat_maps(vectors[-1]).to(image.dtype)), 1)
            said, state = self.cell(self.extract(seen), state)
            vectors.append(vectors[-1] + self.correct(said).float() / self.steps)
        return vectors

    def forward(self, image: Tensor) -> Tensor:
        return self.evolve(image)[-1]


def _correction(hidden: int, size: int, device: torch.device | None = None) -> nn.Linear:
    """W_ho, small at first."""
    layer = nn.Linear(hidden, size, bias=False, device=device)
    nn.init.normal_(layer.weight, std=0.01)
    return layer
