"""AFLW with 21 points, as 3DDFA's benchmark_aflw.py compares them."""

from __future__ import annotations

from nasface.data.sets.aflw import DATASET_URL, FITTED_FILE, fitted_points, load_aflw, read_names
from nasface.evaluation.benchmark import BenchmarkFaces, Errors, Prediction, Request, register_benchmark, yaw_groups
from nasface.metrics.aflw import points_21
from nasface.metrics.nme import mean_over_box, point_errors


@register_benchmark(
    "aflw",
    set="AFLW",
    points="21, visible ones",
    protocol="NME over sqrt(w h) of the 68 fitted points' box, mean of three yaw bins",
    source=f"3DDFA, benchmark_aflw.py; {DATASET_URL}",
    holds=f"AFLW_GT_crop and .list, AFLW_GT_pts21.npy, _crop_yaws.npy, _crop_roi_box.npy; {FITTED_FILE} where wanted",
)
def aflw(request: Request) -> BenchmarkFaces:
    fitted = fitted_points(request.folder) or request.optional(FITTED_FILE)
    faces = load_aflw(request.folder, request.crops, fitted)
    groups, visible = yaw_groups(faces.yaw), faces.visible

    def measure(found: Prediction) -> list[Errors]:
        errors = point_errors(points_21(found.landmarks), faces.landmarks)
        return [Errors("21 points", mean_over_box(errors, faces.box, visible), groups, balanced=True)]

    note = f"the box of the 68 fitted points: {FITTED_FILE} is not at hand; errors are over that of the visible points"
    left_out = [] if fitted else [note]
    return BenchmarkFaces(faces, read_names(request.folder), measure, left_out=left_out)
