from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ddfa_crops import (
    benchmark_region,
    box_region,
    clip_region,
    cut_benchmark,
    cut_released,
    landmark_region,
    round_away,
    to_photograph,
    to_photograph_exactly,
)

# A box from (100, 50) to (140, 110): centre (120, 80), longer side 60, diagonal of its square 84.85.
POINTS = np.array([[100, 50, 9], [140, 110, -9], [120, 80, 0.0]])


def test_the_square_around_landmarks() -> None:
    half = 60 / 2**0.5
    np.testing.assert_allclose(landmark_region(POINTS), [120 - half, 80 - half, 120 + half, 80 + half])


def test_the_benchmark_rounds_the_corner_and_then_the_far_corner() -> None:
    # 120 - 42.43 = 77.57, 80 - 42.43 = 37.57; 78 + 84.85 = 162.85, 38 + 84.85 = 122.85.
    assert benchmark_region(POINTS).tolist() == [78, 38, 163, 123]
    # Halves go away from zero, where numpy's go to the even number.
    assert round_away(np.array([0.5, -0.5, 1.5, 2.5, -2.5, 2.49])).tolist() == [1, -1, 2, 3, -3, 2]


def test_the_benchmark_region_is_a_square_whatever_the_face() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = benchmark_region(rng.uniform(-20, 470, (68, 2)))
        assert right - left == bottom - top


def test_the_box_policy() -> None:
    # Sides 100 and 140: mean 120; side int(189.6) = 189; centre (60, 90 + 16.8).
    np.testing.assert_allclose(box_region([10, 20, 110, 160]), [60 - 94.5, 106.8 - 94.5, 60 + 94.5, 106.8 + 94.5])


def test_a_clipped_region_ends_at_the_photograph() -> None:
    assert clip_region([-4, 0, 460, 300], 450, 400).tolist() == [1, 1, 450, 300]
    assert clip_region([5, 6, 7, 8], 450, 400).tolist() == [5, 6, 7, 8]


def test_a_benchmark_crop_holds_both_ends_and_black_beyond() -> None:
    image = np.arange(40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8)
    inside = cut_benchmark(image, [11, 6, 30, 25], 20)
    np.testing.assert_array_equal(inside, image[5:25, 10:30])
    beyond = cut_benchmark(image, [-3, -5, 16, 14], 20)
    np.testing.assert_array_equal(beyond[6:, 4:], image[:14, :16])
    assert not beyond[:6].any() and not beyond[:, :4].any()


def test_a_released_crop_leaves_the_far_end_out_and_may_be_oblong() -> None:
    image = np.random.default_rng(1).integers(1, 255, (60, 60, 3)).astype(np.uint8)
    np.testing.assert_array_equal(cut_released(image, [9.6, 20.4, 29.6, 40.4], 20), image[20:40, 10:30])
    # Ends of 29.4 and 30.6 make it 20 x 21 pixels, which all are squeezed into the crop.
    oblong = cut_released(np.full_like(image, 200), [9.4, 9.6, 29.4, 30.6], 20)
    assert (oblong == 200).all()


@settings(max_examples=30, deadline=None)
@given(st.floats(-100, 300), st.floats(-100, 300), st.floats(20, 500))
def test_back_in_the_photograph(left: float, top: float, side: float) -> None:
    region = np.array([[left, top, left + side, top + side]])
    crop = np.array([[[0, 0, 0], [120, 120, 120], [60, 30, 12.0]]])
    back = to_photograph(crop, region)[0]
    np.testing.assert_allclose(back[0], [left, top, 0])
    np.testing.assert_allclose(back[1], [left + side, top + side, side])
    np.testing.assert_allclose(back[2], [left + side / 2, top + side / 4, side / 10])
    # What the two ways back differ by: half a pixel of the photograph less half one of the crop, and the last pixel.
    exact = to_photograph_exactly(crop, region)[0]
    shift = 0.5 * ((side + 1) / 120 - 1)
    np.testing.assert_allclose(exact[:, :2], back[:, :2] + crop[0, :, :2] / 120 + shift, atol=1e-9)


def test_a_clipped_region_stretches_the_landmarks() -> None:
    crop = np.array([[[0, 0, 0], [120, 120, 60.0]]])
    back = to_photograph(crop, [clip_region([-29, 101, 90, 220], 450, 450)])[0]
    assert back[:, 0].tolist() == [1, 90] and back[:, 1].tolist() == [101, 220]
    assert back[1, 2] == pytest.approx(60 * (89 + 119) / 240)


def test_the_exact_way_back_undoes_the_crop() -> None:
    """A blob in the photograph is found in the crop, and comes back to where it was drawn."""
    column, row = np.meshgrid(np.arange(300), np.arange(300))
    x, y = 141.3, 97.8
    blob = 255 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 12.0**2))
    region = np.array([31, 21, 270, 260])  # 1-based, 240 wide
    crop = cut_benchmark(np.repeat(blob[..., None], 3, 2).astype(np.uint8), region)[..., 0].astype(float)
    column, row = np.meshgrid(np.arange(120), np.arange(120))
    found = np.array([[(crop * column).sum(), (crop * row).sum()]]) / crop.sum()
    back = to_photograph_exactly(found[None], region[None])[0, 0] - 1
    np.testing.assert_allclose(back, [x, y], atol=0.05)
