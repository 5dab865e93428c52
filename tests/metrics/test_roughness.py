from __future__ import annotations

import pytest
import torch

from nasface.metrics.roughness import roughness

BOX = torch.tensor([[4.0, 9.0]])


def test_a_tilted_plane_is_smooth() -> None:
    rows, columns = torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij")
    plane = torch.stack([columns, 2 * rows, 3 * columns - rows])[None]
    assert roughness(plane, torch.ones(5, 5, dtype=torch.bool), BOX).item() == pytest.approx(0, abs=1e-5)


def test_one_raised_cell_by_hand() -> None:
    """Second differences through it: 1, -2, 1 along its row and its column, so 8 in all; 3 x 5 places a direction."""
    maps = torch.zeros(1, 3, 5, 5)
    maps[0, 2, 2, 2] = 0.75
    every = torch.ones(5, 5, dtype=torch.bool)
    assert roughness(maps, every, BOX).item() == pytest.approx(100 * 8 * 0.75 / 30 / 6)


def test_cells_outside_do_not_count() -> None:
    maps = torch.zeros(1, 3, 5, 5)
    maps[0, :, 0, 0] = torch.nan
    inside = torch.ones(5, 5, dtype=torch.bool)
    inside[0, 0] = False
    assert roughness(maps, inside, BOX).item() == 0


def test_creases_between_tiles_are_seen() -> None:
    """Stairs of 4 x 4 tiles are rougher than the slope that they stand for, whose error is the same everywhere."""
    slope = torch.arange(16.0).expand(1, 3, 16, 16)
    stairs = 4 * torch.floor(slope / 4) + 1.5
    every = torch.ones(16, 16, dtype=torch.bool)
    assert roughness(stairs, every, BOX).item() > 100 * roughness(slope, every, BOX).item() + 1
