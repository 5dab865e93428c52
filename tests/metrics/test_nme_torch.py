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
    over_box = nme_torch.mean_over_box(nme_torch.point_errors(ours, true), sides)
    np.testing.assert_allclose(over_box.numpy(), expected, rtol=1e-12)
