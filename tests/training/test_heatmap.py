"""The heatmap task: its loss (Eq. 1 of Guo et al.), coherence, landmarks without depth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nasface.config import AugmentConfig, HeatmapConfig, ViewConfig
from nasface.data.augment import _draw
from nasface.data.module import SeededBatches, prepare_batch
from nasface.evaluation.inference import evaluate_faces
from nasface.faces.landmarks import FLIP_68
from nasface.faces.morphable import load_embedded_head
from nasface.faces.uv import uv_basis
from nasface.nets.heatmap_network import HeatmapNetwork
from nasface.nets.registry import BaselineSpec, create_network
from nasface.report.faces import results_figure
from nasface.training.targets.heatmap import HeatmapTask, coherence_loss, heatmap_loss, view_seed
from nasface.training.targets.heatmap_coding import draw_heatmaps
from nasface.training.targets.views import Views, draw_views
from nasface.training.tasks import make_task
from nasface.training.uv_target import UVTarget
from tests.faces.mirror import mirror_landmarks
from tests.helpers.toy import SIZE, toy_context, toy_faces

ORDER = torch.from_numpy(FLIP_68.copy())


class Pointwise(HeatmapNetwork):
    """Heatmaps of every cell's own colours, the same for a landmark and its mirror image: it moves with the image."""

    def __init__(self, symmetric: bool = True, coherent: bool = True) -> None:
        super().__init__(BaselineSpec("sdu-dual", SIZE), stride=1, coherent=coherent)
        torch.manual_seed(0)
        weight = torch.randn(68, 3)
        self.weight = nn.Parameter((weight + weight[ORDER]) / 2 if symmetric else weight)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [torch.einsum("nc,bchw->bnhw", self.weight, image)]


def task_of(network: HeatmapNetwork, config: HeatmapConfig | None = None, seed: int = 0) -> HeatmapTask:
    context = toy_context()
    experiment = replace(context.experiment, heatmap=config or HeatmapConfig(), seed=seed)
    return HeatmapTask(network, replace(context, experiment=experiment))


def batch_of(count: int = 3, seed: int = 0) -> dict[str, Tensor]:
    faces = toy_faces(count, seed)
    keys = ("landmarks", "box", "yaw", "pose", "coefficients")
    tensors = {key: torch.from_numpy(getattr(faces, key)) for key in keys}
    return prepare_batch({"image": torch.from_numpy(faces.images), **tensors, "seed": 0}, None)


def test_cross_entropy_by_hand() -> None:
    target = torch.tensor([[0.0, 1.0], [0.5, 0.25]])
    logits = torch.tensor([[-1.0, 2.0], [0.0, 1.0]])
    p = 1 / (1 + np.exp(-logits.numpy().astype(float)))
    t = target.numpy().astype(float)
    cross = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    entropy = (np.log(2) - 0.25 * np.log(0.25) - 0.75 * np.log(0.75)) / 4
    assert heatmap_loss([logits], target).item() == pytest.approx(cross - entropy, abs=1e-6)
    assert heatmap_loss([torch.logit(target.clamp(1e-6, 1 - 1e-6))], target).item() == pytest.approx(0, abs=1e-5)


def test_a_predictor_that_moves_with_the_image_is_coherent() -> None:
    """A linear one, under any affine map and mirror: reading between cells is linear, too."""
    views = draw_views(6, ViewConfig(), 11)
    assert views.flipped.any() and not views.flipped.all()
    images = torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    both = Pointwise()(torch.cat((images, views.images(images))))
    assert coherence_loss(both, views).item() < 1e-10
    other = draw_views(6, ViewConfig(), 12)
    assert coherence_loss(both, other).item() > 1e-3


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("flipped", [False, True])
def test_right_angles_and_mirrors_keep_any_pointwise_predictor_coherent(quarters: int, flipped: bool) -> None:
    turn = torch.linalg.matrix_power(torch.tensor([[0.0, -1], [1, 0]]), quarters)
    linear = torch.diag(torch.tensor([-1.0, 1])) @ turn if flipped else turn
    views = Views(torch.cat((linear, torch.zeros(2, 1)), 1)[None], torch.tensor([flipped]))
    images = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    both = torch.cat((images, views.images(images)))
    assert coherence_loss(Pointwise()(both), views).item() < 1e-10
    found = coherence_loss(Pointwise(symmetric=False)(both), views).item()
    assert (found > 1e-3) == flipped, "a mirror must rename the landmarks, and a rotation must not"


def test_coherence_is_the_mean_square_where_both_views_are() -> None:
    half = Views(torch.tensor([[[1.0, 0, 1.0], [0, 1, 0]]]), torch.tensor([False]))
    both = torch.zeros(2, 68, 4, 4)
    both[1, ..., :2] = 0.5  # there both views are
    both[1, ..., 2:] = 9.0
    assert coherence_loss([both], half).item() == pytest.approx(0.25)
    assert coherence_loss([both, 2 * both], half).item() == pytest.approx((0.25 + 1) / 2), "a mean over stacks"


def test_loss_is_equation_1() -> None:
    network, config = Pointwise(), HeatmapConfig(sigma=1.5, coherence=0.3)
    task, batch = task_of(network, config, seed=4), batch_of()
    values = task.loss(batch)
    views = draw_views(3, config.view, view_seed(4, 0))
    points = task.uv.target_landmarks(batch)
    first, second = network(batch["image"]), network(views.images(batch["image"]))
    target = draw_heatmaps(points, SIZE, 1, 1.5)
    truth = heatmap_loss(first, target) + heatmap_loss(second, views.heatmaps(target))
    agreement = coherence_loss([torch.cat((first[0], second[0]))], views)
    torch.testing.assert_close(values["truth"], truth)
    torch.testing.assert_close(values["coherence"], agreement)
    torch.testing.assert_close(values["loss"], truth + 0.3 * agreement)
    assert HeatmapConfig().coherence == 0.001


def test_second_views_do_not_follow_from_the_augmentation() -> None:
    """Both are drawn from a seed of the step."""
    angles: list[tuple[float, float]] = []
    for batch in SeededBatches(1000, 16, 20, seed=3):
        views = draw_views(16, ViewConfig(flip=0), view_seed(3, len(angles) // 16))
        moved = _draw(torch.zeros(16, 3, 8, 8), AugmentConfig(), batch.seed).forward
        both = (torch.atan2(one[:, 1, 0], one[:, 0, 0]) for one in (moved, views.places))
        angles += zip(*(one.tolist() for one in both), strict=True)
    assert len(angles) == 320 and abs(np.corrcoef(np.array(angles).T)[0, 1]) < 0.2


def test_landmarks_that_are_not_known_do_not_count_in_either_view() -> None:
    """The corners of a second view may lie outside the first one's maps, which are 0 there."""
    task, batch = task_of(Pointwise()), batch_of(8)
    del batch["pose"], batch["coefficients"]
    batch["landmarks"][:, :17] = torch.nan
    views = draw_views(8, task.config.view, 0)
    target = draw_heatmaps(batch["landmarks"], SIZE, 1, 1.5)
    both = torch.cat((target, views.heatmaps(target)))
    assert not both[8:, :, 0, 0].isnan().all(), "a view begins outside"
    count = int(both.isnan().flatten(-2).any(-1).sum())
    assert count == 2 * 8 * 17
    assert all(torch.isfinite(value) for value in task.loss(batch).values())


def test_the_second_views_truth_is_the_firsts_moved() -> None:
    """A landmark's Gaussian grows and shrinks with the face, as what the network finds does."""
    small = Views(torch.tensor([[[1.25, 0, 0], [0, 1.25, 0]]]), torch.tensor([False]))
    target = draw_heatmaps(torch.full((1, 68, 2), 15.5), 32, 1, 3.0)
    width = small.heatmaps(target)[0, 0].sum() / target[0, 0].sum()
    assert width.item() == pytest.approx(1 / 1.25**2, abs=0.02)


def test_coherence_pulls_where_heatmaps_are_nearly_empty() -> None:
    """Logits of -6, as of most cells, that differ by 1: probabilities would differ by 0.004, with no gradient."""
    logits = torch.full((2, 68, 8, 8), -6.0)
    logits[1] = -5.0
    logits.requires_grad_()
    still = Views(torch.eye(3)[None, :2], torch.tensor([False]))
    coherence_loss([logits], still).backward()
    assert logits.grad[1].sum().item() == pytest.approx(2, rel=1e-3)


def test_targets_are_made_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from nasface.training.targets import heatmap

    calls, logarithms, xlogy = [], [], torch.xlogy
    monkeypatch.setattr(torch, "xlogy", lambda *given: logarithms.append(given) or xlogy(*given))
    monkeypatch.setattr(heatmap, "draw_heatmaps", lambda *given: calls.append(given) or draw_heatmaps(*given))
    network = create_network("sdu-outside", SIZE, 16, 1 / 16)
    assert len(network.stacks) == 2
    task_of(network).loss(batch_of())
    assert len(calls) == 1 and len(logarithms) == 2  # the entropy of what is and of what is not


def test_a_network_without_coherence_sees_one_view() -> None:
    network = Pointwise(coherent=False)
    values = task_of(network).loss(batch := batch_of())
    assert set(values) == {"loss"}
    points = task_of(network).uv.target_landmarks(batch)
    torch.testing.assert_close(
        values["loss"], heatmap_loss(network(batch["image"]), draw_heatmaps(points, SIZE, 1, 1.0))
    )


def test_all_stacks_are_trained() -> None:
    network = create_network("fan", SIZE, 16, 1 / 16)
    task_of(network).loss(batch_of())["loss"].backward()
    assert all(stack.head.weight.grad.abs().sum() > 0 for stack in network.stacks)
    assert all((stack.head.bias.grad != 0).all() for stack in network.stacks)


class Known(HeatmapNetwork):
    """Heatmaps of landmarks that it was told."""

    def __init__(self, points: Tensor) -> None:
        super().__init__(BaselineSpec("fan", SIZE), stride=2)
        self.points, self.unused = points, nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> list[Tensor]:
        heatmaps = draw_heatmaps(self.points[: len(image)], SIZE // 2, 2, 1.0).double()
        right = torch.logit(heatmaps.clamp(1e-300, 1 - 1e-9)).float()
        return [torch.zeros_like(right), right]


def test_the_last_stacks_landmarks_without_depth(tmp_path: Path) -> None:
    faces = toy_faces(3)
    task = task_of(Known(torch.from_numpy(faces.landmarks)))
    prediction = task(torch.zeros(3, 3, SIZE, SIZE))
    assert prediction.landmarks.shape == (3, 68, 3) and prediction.dense is None
    assert prediction.landmarks[..., 2].isnan().all()
    np.testing.assert_allclose(prediction.landmarks[..., :2].numpy(), faces.landmarks[..., :2], atol=0.1)
    nme = task.evaluate(batch_of())[1]["nme"]
    assert nme.isfinite().all() and nme.max() < 0.5
    figure = results_figure(evaluate_faces(task, faces, spread=3).spread, tmp_path / "faces.png")
    assert len(figure.axes) == 3, "landmarks alone: there is no dense shape to draw"
    assert "nan" not in " ".join(axes.get_title() for axes in figure.axes)
    assert cv2.imread(str(tmp_path / "faces.png")) is not None


@pytest.mark.parametrize("name", ["sdu-outside", "fan"])
def test_the_task_of_a_registered_network(name: str) -> None:
    task = make_task(create_network(name, SIZE, 16, 1 / 16), toy_context())
    assert isinstance(task, HeatmapTask) and task.mirrors
    assert task.loss(batch_of())["loss"].isfinite()


def test_mirrored_faces_have_mirrored_targets() -> None:
    """The augmentation's own mirror, with a head whose chart is symmetric: places are mirrored and renamed."""
    uv = UVTarget(uv_basis(load_embedded_head(), 32), SIZE)
    modes = uv.modes.shape[0]
    pose = torch.tensor([[[9.0, 0, 2, 14], [0, -9, 1, 17], [-2, 1, 9, 0]]])
    batch = {"coefficients": torch.zeros(1, modes), "pose": pose, "flipped": torch.tensor([False])}
    plain = uv.target_landmarks(batch)[0].numpy()
    mirrored = uv.target_landmarks({**batch, "flipped": torch.tensor([True])})[0].numpy()
    assert np.abs(mirrored - plain).max() > 1
    np.testing.assert_allclose(mirrored, mirror_landmarks(plain, SIZE), rtol=0, atol=0.02)
