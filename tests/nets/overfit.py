"""Over-fit runs: a network that learns cannot but know eight faces by heart."""

from __future__ import annotations

import torch

from nasface.data.module import prepare_batch
from nasface.nets.network import Network
from nasface.nets.registry import create_network
from nasface.training.tasks import make_task
from tests.helpers.toy import MAP, SIZE, toy_context, toy_faces


def overfit(name: str, scale: float, steps: int, lr: float = 5e-3) -> tuple[float, float, float]:
    """Train a registered network on eight faces of the toy world, without augmentation.

    Returns:
        The first loss, the last, and the mean error (pixels) of the landmarks in training mode.
    """
    torch.manual_seed(0)
    return learn_by_heart(create_network(name, SIZE, MAP, scale), steps, lr)


def learn_by_heart(network: Network, steps: int, lr: float = 5e-3) -> tuple[float, float, float]:
    """The same of a network that is made."""
    faces = toy_faces(8)
    task = make_task(network, toy_context())
    task.learn_statistics(faces)
    tensors = {
        key: torch.from_numpy(getattr(faces, key)) for key in ("landmarks", "box", "yaw", "pose", "coefficients")
    }
    batch = prepare_batch({"image": torch.from_numpy(faces.images), **tensors, "seed": 0}, None)
    optimizer = torch.optim.Adam(task.network.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = task.loss(batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.network.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        error = task(batch["image"]).landmarks[..., :2] - batch["landmarks"][..., :2]
    return losses[0], losses[-1], float(error.norm(dim=-1).mean())
