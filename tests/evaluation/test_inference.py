from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from nasface.config import AugmentConfig
from nasface.data.module import BatchSettings, FaceDataModule
from nasface.evaluation.inference import evaluate_faces, predict_faces
from nasface.training.prediction import FacePrediction
from nasface.training.tasks import make_task
from tests.helpers.toy import toy_context, toy_faces
from tests.inference.world import toy_network


class Brightness(nn.Module):
    """Puts all landmarks of a face at its photograph's brightness; counts what it is asked at a time."""

    def __init__(self, dense: bool = True) -> None:
        super().__init__()
        self.weight, self.still, self.dense = nn.Parameter(torch.ones(())), nn.Dropout(), dense
        self.sizes: list[int] = []

    def forward(self, image: Tensor) -> FacePrediction:
        assert not (self.training or self.still.training or torch.is_grad_enabled())
        self.sizes.append(len(image))
        level = (self.weight * image.mean((1, 2, 3)) * 128 + 127.5).to(torch.bfloat16)
        maps = level[:, None, None, None].expand(-1, 3, 4, 4) if self.dense else None
        return FacePrediction(level[:, None, None].expand(-1, 68, 3), maps)


IMAGES = np.broadcast_to(20 * np.arange(7, dtype=np.uint8)[:, None, None, None], (7, 8, 8, 3))


def test_predictions_are_in_the_order_of_the_images() -> None:
    network = Brightness()
    found = predict_faces(network, IMAGES, batch=3, dense=True)
    assert network.sizes == [3, 3, 1]
    assert found.landmarks.shape == (7, 68, 3) and found.landmarks.dtype == np.float32
    np.testing.assert_allclose(found.landmarks[:, 5, 1], 20 * np.arange(7), atol=0.5)
    assert found.dense is not None and found.dense.shape == (7, 3, 4, 4)
    np.testing.assert_allclose(found.dense[:, 0, 0, 0], 20 * np.arange(7), atol=0.5)


def test_dense_shapes_are_kept_where_they_are_asked_for_and_known() -> None:
    assert predict_faces(Brightness(), IMAGES).dense is None
    assert predict_faces(Brightness(dense=False), IMAGES, dense=True).dense is None


def test_every_module_goes_back_to_its_own_mode() -> None:
    network = Brightness()
    network.still.eval()
    predict_faces(network, IMAGES)
    assert network.training and not network.still.training
    with pytest.raises(RuntimeError, match="permute"):
        predict_faces(network, IMAGES[:, 0, 0])
    assert network.training and not network.still.training


def test_figures_are_those_that_lightning_logs() -> None:
    task, faces = make_task(toy_network(), toy_context()), toy_faces(11)
    data = FaceDataModule(faces, faces, BatchSettings(4, 1, 0, AugmentConfig(), evaluation_size=4))
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    (logged,) = trainer.validate(task, datamodule=data, verbose=False)
    figures = evaluate_faces(task, faces, batch=4).figures
    assert {"nme", "nme_all", "nme_dense", "nme_0-30"} <= figures.keys()
    assert {f"val/{name}" for name in figures} == logged.keys()
    for name, value in figures.items():
        assert value == pytest.approx(logged[f"val/{name}"], rel=1e-6, nan_ok=True), name
    assert "nme_dense" not in evaluate_faces(task, replace(faces, coefficients=None, pose=None)).figures


def test_what_is_shown_are_faces_of_the_set() -> None:
    task, faces = make_task(toy_network(), toy_context()), toy_faces(11)
    found = evaluate_faces(task, faces, each=2, spread=4)
    assert len(found.spread.images) == 4 and len(found.faces.example) == 6
    every = predict_faces(task, faces.images).landmarks
    np.testing.assert_allclose(found.faces.predicted, every[found.faces.example], rtol=1e-4, atol=1e-4)
    for image, predicted, yaw, nme in zip(
        found.spread.images, found.spread.predicted, found.spread.yaw, found.spread.nme, strict=True
    ):
        (index,) = np.flatnonzero(faces.yaw == yaw)
        assert np.array_equal(image, faces.images[index])
        np.testing.assert_allclose(predicted, every[index], rtol=1e-4, atol=1e-4)
        assert nme == pytest.approx(found.faces.nme[index], rel=1e-5)
