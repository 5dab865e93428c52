"""Square crops."""

from __future__ import annotations

import numpy as np

from nasface.data.crops import crop_square, resize_image


def test_a_crop_is_black_outside_the_image() -> None:
    image = np.arange(1, 49, dtype=np.uint8).reshape(4, 4, 3)
    crop = crop_square(image, -1, 2, 4)
    np.testing.assert_array_equal(crop[:2, 1:], image[2:, :3])
    assert not crop[2:].any() and not crop[:, 0].any()
    assert not crop_square(image, 10, 10, 3).any()
    np.testing.assert_array_equal(crop_square(image, 1, 1, 2), image[1:3, 1:3])


def test_shrinking_averages() -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[::2, ::2] = 200
    assert (resize_image(image, 4) == 50).all()
    assert resize_image(image, 8) is image
    assert resize_image(image, 16).shape == (16, 16, 3)
