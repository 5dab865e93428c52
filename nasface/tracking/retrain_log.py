"""What W&B shows of a trained network: CED curves, faces with predicted and true landmarks, its costs, its line of the
table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import wandb

from nasface.metrics.aflw2000 import YAW_BINS, yaw_bin
from nasface.metrics.ced import area_under_ced, ced_curve, failure_rate
from nasface.report.faces import draw_results
from nasface.report.tables import NMERow
from nasface.space.space import Architecture
from nasface.tracking.search_log import architecture_image, png_image

if TYPE_CHECKING:
    from pytorch_lightning.loggers import WandbLogger

    from nasface.evaluation.test_faces import TestFaces

CED_THRESHOLD = 10.0
"""Right end of the CED curves, of the area below, and of what is not a failure, in percent."""
_CED_POINTS = 101


def log_results(
    logger: WandbLogger, row: NMERow, faces: TestFaces, figure: Path, architecture: Architecture | None
) -> None:
    """Log the results of a network on the test faces.

    Args:
        logger: of the retraining's W&B run.
        row: its line in the table.
        faces: its errors on all faces, and the best, median and worst ones.
        figure: PNG of faces over the range of yaw.
        architecture: what is drawn, of a member of a multi-path space.
    """
    values: dict[str, Any] = {
        "test/auc": area_under_ced(faces.nme, CED_THRESHOLD),
        "test/failure_rate": failure_rate(faces.nme, CED_THRESHOLD),
        "test/ced": _ced_chart(faces),
        "test/faces": wandb.Image(str(figure), caption="predicted and true landmarks, and the dense shape, by yaw"),
        "test/best_median_worst": wandb.Image(_examples(faces), caption="best, median and worst faces"),
        "test/table": _table(row),
    }
    costs = {"parameters": row.parameters, "macs": row.macs, "latency_ms": row.latency_ms, "train_s": row.train_s}
    values |= {f"cost/{name}": value for name, value in costs.items() if value is not None}
    if architecture is not None:
        values["retrain/architecture"] = wandb.Image(architecture_image(architecture), caption=architecture.digest)
    logger.experiment.log(values)


def ced_curves(nme: np.ndarray, yaw: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Thresholds (T,) in percent, and the share (T,) of the faces up to each, of all and of each yaw bin that has a
    face.

    Args:
        nme: (N,) percent.
        yaw: (N,) degrees; a face whose yaw is not known is in no bin.
    """
    thresholds = np.linspace(0, CED_THRESHOLD, _CED_POINTS)
    bins = yaw_bin(yaw)
    parts = {"all": nme} | {name: nme[bins == number] for number, name in enumerate(YAW_BINS)}
    return thresholds, {name: ced_curve(part, thresholds) for name, part in parts.items() if len(part)}


def _ced_chart(faces: TestFaces) -> Any:
    thresholds, curves = ced_curves(faces.nme, faces.yaw)
    shares = [curve.tolist() for curve in curves.values()]
    return wandb.plot.line_series(thresholds.tolist(), shares, list(curves), "Faces up to an NME", "NME (%)")


def _examples(faces: TestFaces) -> Any:
    chosen = faces.example
    figure = draw_results(
        faces.images,
        faces.predicted,
        faces.true,
        faces.dense if faces.dense.size else None,
        faces.nme[chosen],
        path=None,
        inside=faces.inside,
        columns=max(1, len(chosen) // 3),
    )
    return png_image(figure)


def _table(row: NMERow) -> wandb.Table:
    columns = ["network", *YAW_BINS, "mean", "all", "dense", "roughness", "parameters", "macs", "latency_ms", "train_s"]
    values = [row.name, *row.bins, row.mean, row.all, row.dense, row.roughness, row.parameters]
    values += [row.macs, row.latency_ms, row.train_s]
    numbers = [None if value is None or not np.isfinite(value) else value for value in values[1:]]
    return wandb.Table(columns=columns, data=[[row.name, *numbers]])
