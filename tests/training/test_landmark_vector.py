"""Networks of 68 landmarks as one vector, on faces without a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nasface.data.augment import normalise
from nasface.nets.registry import create_network
from nasface.training.tasks import make_task, needed_labels
from tests.helpers.toy import SIZE, toy_context, toy_faces


@pytest.mark.parametrize(
    ("name", "needs"),
    [("dhm_landmarks", "depth"), ("rhg_landmarks", "depth"), ("dhm", "model"), ("fan", "points"), ("jvcr", "points")],
)
def test_what_a_network_asks_of_labels(name: str, needs: str) -> None:
    assert needed_labels(create_network(name, 64, scale=1 / 16).spec) == needs


def test_landmarks_that_are_not_annotated_do_not_count() -> None:
    torch.manual_seed(0)
    faces = toy_faces(12)
    landmarks = faces.landmarks.copy()
    landmarks[:, 60] = np.nan
    task = make_task(create_network("dhm_landmarks", SIZE), toy_context())
    task.learn_statistics(replace(faces, landmarks=landmarks, pose=None, coefficients=None))
    mean = task.network.vector.mean.view(68, 3)
    assert torch.isfinite(mean).all()
    torch.testing.assert_close(mean[60], torch.from_numpy(faces.landmarks[:, 60].mean(0)), atol=1.0, rtol=0)
    batch = {"image": normalise(torch.from_numpy(faces.images)), "landmarks": torch.from_numpy(landmarks)}
    loss = task.eval().loss(batch)["loss"]
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(p.grad).all() for p in task.parameters() if p.grad is not None)
    errors = task.evaluate(batch | {"box": torch.from_numpy(faces.box)})[1]["nme"]
    assert torch.isfinite(errors).all()
