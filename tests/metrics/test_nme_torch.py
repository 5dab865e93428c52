from __future__ import annotations

import numpy as np
import torch

from nasface.metrics import nme, nme_torch


def test_an_error_by_hand() -> None:
    target = torch.zeros(2, 68, 3)
    prediction = target + torch.tensor([3.0, 4.0, 100.0])
    found = nme_torch.nme_68(prediction, target, torch.tensor([[10.0, 40.0], [5.0, 5.0]]))
    torch.testing.assert_close(found, torch.tensor([25.0, 100.0]))
    torch.testing.assert_close(nme_torch.point_errors(prediction, target, 3)[0, 0], torch.tensor(10025.0).sqrt())


def test_the_two_kinds_of_arrays_agree() -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(0, 20, (2, 5, 68, 3))
    box = rng.uniform(10, 90, (5, 2))
    ours, true, sides = (torch.from_numpy(array) for array in (prediction, target, box))
    expected = nme.nme_68(prediction, target, box)
    np.testing.assert_allclose(nme_torch.nme_68(ours, true, sides).numpy(), expected, rtol=1e-12)
    with_all = nme_torch.mean_over_box(nme_torch.point_errors(ours, true), sides, torch.ones(5, 68, dtype=torch.bool))
    np.testing.assert_allclose(with_all.numpy(), expected, rtol=1e-12)
    over_box = nme_torch.mean_over_box(nme_torch.point_errors(ours, true), sides)
    np.testing.assert_allclose(over_box.numpy(), expected, rtol=1e-12)


def test_points_that_are_not_known_do_not_count_and_predictions_that_are_no_number_do() -> None:
    errors = torch.tensor([[1.0, 3.0, torch.nan, 8.0], [torch.nan, 1.0, 1.0, 1.0]])
    known = torch.tensor([[True, True, False, True], [True, True, True, True]])
    found = nme_torch.mean_over_box(errors, torch.full((2, 2), 10.0), known)
    assert found[0].item() == 40 and found[1].isnan()
    errors.requires_grad_()
    nme_torch.mean_over_box(errors, torch.full((2, 2), 10.0), known)[0].backward()
    assert errors.grad is not None and errors.grad[0, 2] == 0
