from __future__ import annotations

import numpy as np
import pytest

from nasface.faces.rasterize import depth_buffer, faces_camera, rasterize
from tests.faces.exact_visibility import vertex_visibility


def brute_force(vertices: np.ndarray, triangles: np.ndarray, size: int, cull: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel against every triangle by solving for its barycentric weights."""
    index, depth = np.full((size, size), -1), np.full((size, size), -np.inf)
    for t, corners in enumerate(triangles):
        p = vertices[corners]
        system = np.vstack([p[:, :2].T, np.ones(3)])
        outward = np.cross(p[1] - p[0], p[2] - p[0])[2]
        if cull and outward > 0:  # y is down: a triangle seen from outside has a negative cross product
            continue
        for row in range(size):
            for column in range(size):
                w = np.linalg.solve(system, [column, row, 1.0])
                if w.min() >= 0 and w @ p[:, 2] > depth[row, column]:
                    index[row, column], depth[row, column] = t, w @ p[:, 2]
    return index, depth


@pytest.mark.parametrize("cull", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force(seed: int, cull: bool) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-4, 16, (18, 3))
    triangles = rng.permutation(18).reshape(6, 3)
    index, weights, depth = rasterize(vertices, triangles, 12, cull=cull)
    expected_index, expected_depth = brute_force(vertices, triangles, 12, cull)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_allclose(depth, expected_depth, rtol=1e-5)
    hit = index >= 0
    assert 0 < hit.sum() < 144
    rows, columns = np.nonzero(hit)
    points = np.einsum("nk,nkd->nd", weights[hit], vertices[triangles[index[hit]]])
    np.testing.assert_allclose(points, np.stack([columns, rows, depth[hit]], axis=1), atol=1e-4)


def test_pixel_centres_are_integers_and_edges_leave_no_crack() -> None:
    vertices = np.array([[0.0, 0, 0], [7, 0, 0], [7, 7, 0], [0, 7, 0]])
    index, weights, _ = rasterize(vertices, np.array([[0, 2, 1], [0, 3, 2]]), 9)
    np.testing.assert_array_equal(index >= 0, np.pad(np.ones((8, 8), dtype=bool), ((0, 1), (0, 1))))
    np.testing.assert_allclose(weights.sum(axis=2)[:8, :8], 1.0, rtol=1e-6)


def test_nearer_surface_wins_whatever_the_order() -> None:
    square = np.array([[0.0, 0], [9, 0], [9, 9], [0, 9]])
    vertices = np.vstack([np.c_[square, np.full(4, 1.0)], np.c_[square, np.full(4, 2.0)]])
    far, near = [[0, 2, 1], [0, 3, 2]], [[4, 6, 5], [4, 7, 6]]
    for order in (far + near, near + far):
        index, _, depth = rasterize(vertices, np.array(order), 10)
        assert (np.array(order)[index].min(axis=(0, 1, 2)) == 4).all()
        np.testing.assert_array_equal(depth, 2.0)


def test_rectangular_image_and_triangles_outside_it() -> None:
    vertices = np.array([[-50.0, -50, 3], [-40, -50, 3], [-40, -40, 3]])
    index, weights, depth = rasterize(vertices, np.array([[0, 1, 2]]), (4, 6))
    assert index.shape == (4, 6) and weights.shape == (4, 6, 3)
    assert (index == -1).all() and np.isneginf(depth).all()


def sphere(rings: int = 12, sectors: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A closed sphere of radius 10 around (16, 16, 0) in crop pixels, triangles counter-clockwise from outside with y
    up."""
    theta = np.linspace(0, np.pi, rings)
    phi = np.arange(sectors) * 2 * np.pi / sectors + 0.05
    grid = np.stack(
        [
            np.sin(theta)[:, None] * np.cos(phi),
            np.cos(theta)[:, None] * np.ones(sectors),
            np.sin(theta)[:, None] * np.sin(phi),
        ],
        axis=-1,
    )
    triangles = []
    for i in range(rings - 1):
        for j in range(sectors):
            a, b = i * sectors + j, i * sectors + (j + 1) % sectors
            c, d = a + sectors, b + sectors
            triangles += [[a, b, c], [b, d, c]]
    return grid.reshape(-1, 3), np.array(triangles)


def test_visible_vertices_of_a_sphere_are_its_front() -> None:
    unit, triangles = sphere()
    corners = unit[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = (normals * corners.mean(axis=1)).sum(axis=1)
    assert (outward > -1e-12).all()
    vertices = unit * [10, -10, 10] + [16, 16, 0]
    middle = (np.abs(unit[:, 2]) > 0.35) & (np.abs(unit[:, 1]) < 0.99)
    visible = vertex_visibility(vertices, triangles)
    np.testing.assert_array_equal(visible[middle], unit[middle, 2] > 0)
    chosen = np.flatnonzero(middle)[::7]
    np.testing.assert_array_equal(vertex_visibility(vertices, triangles, chosen), visible[chosen])
    # A wall in front hides what lies behind it and nothing else.
    wall = np.array([[0.0, 0, 50], [16, 0, 50], [16, 40, 50], [0, 40, 50]])
    count = len(vertices)
    walled = vertex_visibility(
        np.vstack([vertices, wall]),
        np.vstack([triangles, [[count, count + 2, count + 1], [count, count + 3, count + 2]]]),
    )
    np.testing.assert_array_equal(walled[:count], visible & (vertices[:, 0] > 16))
    assert walled[count:].all()


def test_depth_buffer_hides_what_lies_behind() -> None:
    unit, triangles = sphere()
    vertices = unit * [10, -10, 10] + [160, -40, 0]
    buffer = depth_buffer(vertices, triangles, 128)
    front = np.array([160.0, -40, 0]) + np.array([[0.5, 0.5, 10], [0.5, 0.5, 8], [0.5, 0.5, -10], [30, 0, -99]])
    np.testing.assert_array_equal(buffer.sees(front, 0.5), [True, False, False, True])
    assert buffer.sees(front, 2.5)[1]
    middle = (np.abs(unit[:, 2]) > 0.35) & (np.abs(unit[:, 1]) < 0.99)
    seen = buffer.sees(vertices, 0.1) & faces_camera(vertices, triangles)
    np.testing.assert_array_equal(seen[middle], unit[middle, 2] > 0)


def test_what_is_hardly_in_front_does_not_hide_within_the_tolerance() -> None:
    square = np.array([[0.0, 0], [9, 0], [9, 9], [0, 9]])
    patch = np.array([[4.0, 4, 0], [5, 4, 0], [5, 5, 0]])
    vertices = np.vstack([np.c_[square, np.full(4, 2.0)], patch])
    triangles = np.array([[0, 2, 1], [0, 3, 2], [4, 6, 5]])
    assert not vertex_visibility(vertices, triangles, [4, 5, 6], tolerance=1.9).any()
    assert vertex_visibility(vertices, triangles, [4, 5, 6], tolerance=2.1).all()


def test_a_vertex_seen_from_behind_is_not_visible() -> None:
    vertices = np.array([[0.0, 0, 0], [5, 0, 0], [0, 5, 0]])
    assert vertex_visibility(vertices, np.array([[0, 2, 1]])).all()
    assert not vertex_visibility(vertices, np.array([[0, 1, 2]])).any()
