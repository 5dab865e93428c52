"""Benchmarks of landmark sets on files in each set's format, with errors that are worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from nasface.evaluation.benchmark import BENCHMARKS, BenchmarkFaces, Prediction, Request
from nasface.evaluation.video_stability import STILL
from nasface.inference.aligner import FaceAligner
from nasface.pipelines.evaluate import require
from nasface.utils.errors import UserError
from tests.data.test_landmark_sets import (
    draw_points,
    face_points,
    t7_tensor,
    write_aflw,
    write_cofw,
    write_plain_set,
    write_pts,
)

SIZE = 96


def opened(name: str, root: Path) -> BenchmarkFaces:
    return BENCHMARKS.get(name).open(Request(name, SIZE, root))


def all_at(place: tuple[float, float, float], count: int) -> Prediction:
    """Every point of every face in one place, so that each mean of points is there, too."""
    return Prediction(np.tile(np.array(place, dtype=np.float32), (count, 68, 1)))


def shifted(entry: BenchmarkFaces) -> Prediction:
    """The truth, 3 pixels to the right and 4 down: every point is 5 away."""
    return Prediction(entry.faces.landmarks + np.array([3, 4, 0], dtype=np.float32))


def distances(entry: BenchmarkFaces, dimensions: int = 2) -> np.ndarray:
    """(N, M) of the truth to (10, 20, 30)."""
    return np.linalg.norm(entry.faces.landmarks[..., :dimensions] - np.array([10, 20, 30])[:dimensions], axis=2)


def test_aflw(tmp_path: Path) -> None:
    write_aflw(tmp_path)
    entry = opened("aflw", tmp_path)
    (row,) = entry.measure(all_at((10, 20, 0), 2))
    expected = 100 * np.nanmean(distances(entry), axis=1) / np.sqrt(entry.faces.box.prod(1))
    np.testing.assert_allclose(row.values, expected, rtol=1e-5)
    summary = row.summary(8.0)
    assert summary.counts == {"[0,30]": 1, "[30,60]": 1, "[60,90]": 0} and summary.mean == pytest.approx(
        expected.mean()
    )
    assert entry.names == ["0.jpg", "1.jpg"] and "AFLW_GT_pts68.npy is not at hand" in entry.left_out[0]


@pytest.mark.parametrize("place", ["set", "set/test.configs", ".", "files"])
def test_the_fitted_points_of_aflw_are_read_wherever_they_are_found(tmp_path: Path, place: str) -> None:
    write_aflw(tmp_path / "set")
    fitted = np.zeros((2, 2, 68))
    fitted[:, 0, 1], fitted[:, 1, 1] = 120, 60  # pixels of the photographs: 60 x 30 and 240 x 120 of 120
    (tmp_path / place).mkdir(exist_ok=True)
    np.save(tmp_path / place / "AFLW_GT_pts68.npy", fitted)
    entry = BENCHMARKS.get("aflw").open(Request("aflw", 120, tmp_path / "set", files=tmp_path / "files"))
    np.testing.assert_allclose(entry.faces.box, [[60, 30], [240, 120]], atol=1e-3)
    assert not entry.left_out


def test_aflw_lfpa(tmp_path: Path) -> None:
    truth, visible = [face_points(index, 34) for index in range(3)], np.ones((3, 34), bool)
    visible[0, :30] = False
    visible[2] = False
    order = np.arange(34)
    order[33] = -1
    write_plain_set(tmp_path, truth, visible=visible, yaw=np.array([1.0, -80.0, 3]), of_68=order)
    entry = opened("aflw_lfpa", tmp_path)
    (row,) = entry.measure(all_at((10, 20, 0), 3))
    apart, length = distances(entry), np.sqrt(entry.faces.box.prod(1))
    expected = 100 * np.array([apart[0, 30:33].mean(), apart[1, :33].mean()]) / length[:2]
    np.testing.assert_allclose(row.values[:2], expected, rtol=1e-5)
    assert "has no box" in entry.left_out[0]
    assert row.summary(8.0).images == 2 and row.summary(8.0).all == pytest.approx(expected.mean(), rel=1e-5)
    # Each point is compared with the landmark that the file names.
    landmarks = np.full((3, 68, 3), 1e4, dtype=np.float32)
    landmarks[:, :33] = entry.faces.landmarks[:, :33]
    np.testing.assert_allclose(entry.measure(Prediction(landmarks))[0].values[:2], 0, atol=1e-4)
    for more in ({}, {"of_68": order.astype(float)}, {"of_68": order + 60}):
        write_plain_set(tmp_path, truth, visible=visible, **more)
        with pytest.raises(UserError, match="needs of_68, 34 indices"):
            opened("aflw_lfpa", tmp_path)


def test_3dfaw(tmp_path: Path) -> None:
    write_plain_set(tmp_path / "test", [face_points(index, 66, 3) for index in range(2)])
    entry = opened("3dfaw", tmp_path)
    points = entry.faces.landmarks
    eyes = np.linalg.norm(points[:, 36] - points[:, 45], axis=1)
    landmarks = np.zeros((2, 68, 3), dtype=np.float32)
    landmarks[:, np.delete(np.arange(68), [60, 64])] = 1.2 * points + [0, 0, 50]
    rows = {row.name: row.values for row in entry.measure(Prediction(landmarks))}
    wrong = 0.2 * points
    wrong[..., 2] -= wrong[..., 2].mean(axis=1, keepdims=True)  # the mean depth is made equal
    np.testing.assert_allclose(rows["GTE"], 100 * np.linalg.norm(wrong, axis=2).mean(1) / eyes, rtol=1e-4)
    np.testing.assert_allclose(rows["CVGTCE"], 0, atol=1e-3)  # it is a similarity of the truth
    assert entry.names == ["video0/0.jpg", "video0/1.jpg"]


def test_ls3d_w(tmp_path: Path) -> None:
    for index, subset in enumerate(("300VW-3D", "Menpo-3D", "Menpo-3D")):
        path = tmp_path / subset / f"{index}.png"
        draw_points(path, face_points(index))
        path.with_suffix(".t7").write_bytes(t7_tensor(face_points(index), "Double"))
    entry = opened("ls3d_w", tmp_path)
    (row,) = entry.measure(shifted(entry))
    np.testing.assert_allclose(row.values, 500 / np.sqrt(entry.faces.box.prod(1)), rtol=1e-4)
    assert row.summary(7.0).counts == {"300VW-3D": 1, "Menpo-3D": 2}
    assert (
        opened("ls3d_w", tmp_path / "Menpo-3D").measure(shifted(opened("ls3d_w", tmp_path / "Menpo-3D")))[0].groups
        == {}
    )


def write_300w(folder: Path) -> None:
    for index, place in enumerate(("helen/testset", "helen/trainset", "lfpw/testset", "IBUG", "IBUG", "afw")):
        path = folder / place / f"{index}.jpg"
        draw_points(path, face_points(index))
        write_pts(path.with_suffix(".pts"), face_points(index) + 1)


def test_300w(tmp_path: Path) -> None:
    write_300w(tmp_path)
    entry = opened("300w", tmp_path)
    assert entry.names == ["helen/testset/0.jpg", "lfpw/testset/2.jpg", "IBUG/3.jpg", "IBUG/4.jpg"]
    rows = {row.name: row for row in entry.measure(shifted(entry))}
    assert list(rows) == ["over outer eye corners", "over eye centres", "over box diagonal"]
    points = entry.faces.landmarks[..., :2]
    corners = np.linalg.norm(points[:, 36] - points[:, 45], axis=1)
    centres = np.linalg.norm(points[:, 36:42].mean(1) - points[:, 42:48].mean(1), axis=1)
    diagonal = np.linalg.norm(entry.faces.box, axis=1)
    for row, length in zip(rows.values(), (corners, centres, diagonal), strict=True):
        np.testing.assert_allclose(row.values, 500 / length, rtol=1e-4)
        summary = row.summary(8.0)
        assert summary.counts == {"challenging": 2, "common": 2} and summary.mean is None
        assert summary.groups["common"] == pytest.approx((500 / length)[:2].mean(), rel=1e-4)
        assert summary.all == pytest.approx((500 / length).mean(), rel=1e-4)
    (tmp_path / "IBUG").rename(tmp_path / "other")
    with pytest.raises(UserError, match="has no folder ibug"):
        opened("300w", tmp_path)


def test_ibug_and_menpo_2d(tmp_path: Path) -> None:
    write_300w(tmp_path)
    draw_points(tmp_path / "profile.jpg", face_points(9))
    write_pts(tmp_path / "profile.pts", face_points(9, 39) + 1)
    entry = opened("ibug", tmp_path / "IBUG")
    assert entry.names == ["3.jpg", "4.jpg"] and entry.measure(shifted(entry))[0].name == "over outer eye corners"
    entry = opened("menpo2d", tmp_path)
    first = entry.measure(shifted(entry))[0]
    assert first.name == "over box diagonal" and len(entry.names) == 6 == len(first.values)
    assert entry.left_out == ["1 faces with another number of points than 68"]
    np.testing.assert_allclose(first.values, 500 / np.linalg.norm(entry.faces.box, axis=1), rtol=1e-4)
    (tmp_path / "few").mkdir()
    (tmp_path / "profile.jpg").rename(tmp_path / "few" / "profile.jpg")
    (tmp_path / "profile.pts").rename(tmp_path / "few" / "profile.pts")
    with pytest.raises(UserError, match="holds no face"):
        opened("menpo2d", tmp_path / "few")


def test_cofw(tmp_path: Path) -> None:
    truth, occluded = [face_points(index, 29) for index in range(2)], np.zeros((2, 29))
    occluded[0, :20] = 1
    write_cofw(tmp_path / "COFW_test_color.mat", truth, occluded, "T")
    entry = opened("cofw29", tmp_path)
    rows = {row.name: row.values for row in entry.measure(all_at((10, 20, 0), 2))}
    points, apart = entry.faces.landmarks, distances(entry)
    length = np.linalg.norm(points[:, 8, :2] - points[:, 9, :2], axis=1)
    known = np.delete(np.arange(29), [5, 7])  # the lower edges of the brows are not among 68 points
    np.testing.assert_allclose(rows["27 points"], 100 * apart[:, known].mean(1) / length, rtol=1e-5)
    expected = 100 * np.array([apart[0, 20:].mean(), apart[1, known].mean()]) / length
    np.testing.assert_allclose(rows["27 points, not occluded"], expected, rtol=1e-5)
    assert BENCHMARKS.get("cofw29").threshold == 10
    with pytest.raises(UserError, match="has no test_annotations"):
        opened("cofw68", tmp_path)
    home = tmp_path / "COFW68_Data" / "test_annotations"
    home.mkdir(parents=True)
    for number in (1, 2):
        content = {"Points": face_points(number - 1) + 1, "Occ": np.arange(68)[:, None] < 5}
        savemat(home / f"{number}_points.mat", content)
    entry = opened("cofw68", tmp_path)
    points = entry.faces.landmarks[..., :2]
    assert not entry.faces.visible[:, :5].any() and entry.faces.visible[:, 5:].all()
    rows = {row.name: row.values for row in entry.measure(shifted(entry))}
    centres = np.linalg.norm(points[:, 36:42].mean(1) - points[:, 42:48].mean(1), axis=1)
    np.testing.assert_allclose(rows["over eye centres"], 500 / centres, rtol=1e-4)
    (home / "2_points.mat").unlink()
    with pytest.raises(UserError, match="2_points.mat does not exist"):
        opened("cofw68", tmp_path)


@pytest.mark.parametrize("count", [68, 84])
def test_menpo3d(tmp_path: Path, count: int) -> None:
    """Motion is measured in the frames, though every frame is cropped around its own face."""
    truth = [face_points(index, count, 3) for index in range(4)]  # two videos of two frames
    write_plain_set(tmp_path, truth)
    entry = opened("menpo3d", tmp_path)
    chosen = np.r_[0:33:2, 33:84] if count == 84 else np.arange(68)
    true = np.stack(truth)[:, chosen, :2]
    cropped = entry.faces.landmarks[:, chosen]
    length = np.sqrt(np.ptp(true, axis=1).prod(1))
    rows = {row.name: row for row in entry.measure(Prediction(cropped))}
    assert rows["stability"].counts.tolist() == [False, True, False, True]
    np.testing.assert_allclose(rows["stability"].values[[1, 3]], 0, atol=1e-3)
    # 5 pixels of the frame away in every second frame: each motion is 5 pixels wrong.
    scale = np.ptp(cropped[..., 0], axis=1) / np.ptp(true[..., 0], axis=1)
    jitter = np.array([0, 1, 0, 1]) * scale
    moved = cropped + jitter[:, None, None] * np.array([3, 4, 0])
    rows = {row.name: row for row in entry.measure(Prediction(moved))}
    np.testing.assert_allclose(rows["stability"].values[[1, 3]], 500 / length[[1, 3]], rtol=1e-3)
    np.testing.assert_allclose(
        rows["2D"].values, [0, *(500 / length[1:2]), 0, *(500 / length[3:])], rtol=1e-3, atol=1e-3
    )
    still = {row.name: row for row in entry.measure(Prediction(entry.constant[STILL]))}["stability"]
    motion = np.linalg.norm(true[[1, 3]] - true[[0, 2]], axis=2).mean(1)
    np.testing.assert_allclose(still.values[[1, 3]], 100 * motion / length[[1, 3]], rtol=1e-3)


@pytest.mark.parametrize(("name", "folder", "count"), [("3dfaw", "test", 66), ("menpo3d", "", 68)])
def test_a_face_that_lacks_points_is_named_where_all_are_compared(
    tmp_path: Path, name: str, folder: str, count: int
) -> None:
    truth = [face_points(index, count, 3) for index in range(2)]
    truth[1][7] = np.nan
    write_plain_set(tmp_path / folder, truth)
    with pytest.raises(UserError, match=r"video0/1.jpg of .* lacks points \(1 such faces\)"):
        opened(name, tmp_path)


def test_a_network_without_what_is_compared_is_one_line() -> None:
    def flat(crops: np.ndarray) -> tuple[np.ndarray, None]:
        return np.full((len(crops), 68, 3), np.nan), None

    network = FaceAligner(flat, 32, np.zeros((68, 3)))
    require(BENCHMARKS.get("300w"), "mine", network)
    with pytest.raises(UserError, match=r"3dfaw compares depth \(66 in 3D\); mine gives 68 points in 2D: leave it out"):
        require(BENCHMARKS.get("3dfaw"), "mine", network)
    with pytest.raises(UserError, match="florence compares dense shapes"):
        require(BENCHMARKS.get("florence"), "mine", network)


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_a_wrong_root_is_one_line(name: str, tmp_path: Path) -> None:
    """None given, absent, and empty."""
    if name.startswith("cofw"):
        pytest.importorskip("h5py")
    for root in (None, tmp_path / "absent", tmp_path):
        if name == "synthetic_videos" and root is None:
            continue  # it renders faces
        with pytest.raises(UserError) as caught:
            BENCHMARKS.get(name).open(Request(name, SIZE, root))
        assert "\n" not in str(caught.value) and (
            root is None or str(root) in str(caught.value) or "--model" in str(caught.value)
        )
