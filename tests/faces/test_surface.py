"""Meshes of position maps: smooth borders, no folds."""

from __future__ import annotations

import cv2
import numpy as np

from nasface.faces.morphable import load_embedded_head
from nasface.faces.surface import chart_surface, folded_edges
from nasface.faces.uv import chart_cells, grid_triangles, uv_basis


def border_angles(uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How sharply the border turns at each of its vertices, in degrees."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), 1)
    found, counts = np.unique(edges, axis=0, return_counts=True)
    border = found[counts == 1]
    turns = []
    for vertex in np.unique(border):
        ends = border[(border == vertex).any(1)]
        if len(ends) != 2:
            continue
        first, second = (uv[end[end != vertex][0]] - uv[vertex] for end in ends)
        cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
        turns.append(180 - np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(turns)


def test_the_embedded_face_has_no_fold_and_no_steps() -> None:
    head = load_embedded_head()
    basis = uv_basis(head, 64)
    assert np.array_equal(chart_cells(head, 64), basis.inside)
    surface = chart_surface(basis.inside)
    assert folded_edges(surface.vertices(basis.mean), surface.triangles) == 0
    stepped = grid_triangles(basis.inside)
    cells = np.stack([np.arange(64 * 64) % 64, np.arange(64 * 64) // 64], -1) / 63
    assert np.mean(border_angles(cells, stepped) > 60) > 0.2
    assert np.mean(border_angles(surface.uv, surface.triangles) > 60) < 0.02


def test_the_outline_is_even() -> None:
    """Without bumps and dents it is hardly longer than its convex hull; the openings stay."""
    inside = chart_cells(load_embedded_head(), 64)
    surface = chart_surface(inside)
    edges = np.sort(np.concatenate([surface.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), 1)
    found, counts = np.unique(edges, axis=0, return_counts=True)
    border = found[counts == 1]
    outer = (np.abs(surface.uv[border].mean(1) - 0.5) > 0.3).any(1)
    length = np.linalg.norm(np.diff(surface.uv[border[outer]], axis=1), axis=2).sum()
    hull = cv2.convexHull(surface.uv)
    assert length < 1.02 * cv2.arcLength(hull, True)
    assert (~outer).sum() > 40  # eyes and mouth
    assert len(surface.uv) > 0.8 * inside.sum()


def test_triangles_keep_their_side() -> None:
    inside = np.hypot(*(np.mgrid[:20, :20] - 9.5)) < 8
    inside[8:11, 8:12] = False
    surface = chart_surface(inside)
    a, b, c = np.swapaxes(surface.uv[surface.triangles], 0, 1).astype(float)
    areas = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (areas < 0).all()  # v points down


def test_a_whole_chart_stays_a_grid() -> None:
    surface = chart_surface(np.ones((5, 5), bool))
    assert len(surface.triangles) == 32
    np.testing.assert_array_equal(surface.uv * 4, np.round(surface.uv * 4))


def test_folds_are_counted() -> None:
    triangles = np.array([[0, 1, 2], [1, 3, 2]])
    flat = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], float)
    assert folded_edges(flat, triangles) == 0
    folded = flat.copy()
    folded[3] = [0.1, 0.1, 0.2]
    assert folded_edges(folded, triangles) == 1 and folded_edges(folded, triangles, 170) == 0
