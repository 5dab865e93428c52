"""The W&B run of a retraining, and what it shows of the network: CED curves, faces with predicted and true landmarks,
its costs, its line of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nasface.config import Experiment
from nasface.evaluation.inference import Evaluation
from nasface.evaluation.test_faces import TestFaces
from nasface.metrics.aflw2000 import YAW_BINS, yaw_bin
from nasface.metrics.ced import area_under_ced, ced_curve, failure_rate
from nasface.report.faces import draw_results
from nasface.report.tables import NMERow
from nasface.runs.metrics import RunMetrics
from nasface.runs.run import Run
from nasface.space.space import Architecture
from nasface.tracking.artifacts import NETWORK, RunFile
from nasface.tracking.search_log import architecture_image, png_image
from nasface.tracking.stage_log import StageLog

CED_THRESHOLD = 10.0
"""Right end of the CED curves, of the area below, and of what is not a failure, in percent."""
_CED_POINTS = 101


class RetrainStage(StageLog):
    """The W&B run of a retraining, or nothing where logging is off.

    Args:
        experiment: settings; `log` says whether and where.
        run: holds in the end network.pt and faces.png, the figure of faces over the range of yaw.
        parents: files that the network goes back to, for W&B's lineage.
    """

    def __init__(self, experiment: Experiment, run: Run, parents: tuple[RunFile, ...] = ()) -> None:
        super().__init__(experiment, run, "retrain")
        self._run, self._parents, self._steps = run, parents, experiment.retrain.steps
        self.used(*parents)

    def finish(self, row: NMERow, evaluation: Evaluation, architecture: Architecture | None) -> None:
        """Log what came out on the test faces, and the network's file, and end the W&B run.

        Args:
            row: the network's line in the table.
            evaluation: its figures and its errors on all faces, and the best, median and worst ones.
            architecture: what is drawn, of a member of a multi-path space.
        """
        figures = {f"test/{name}": value for name, value in evaluation.figures.items()}
        RunMetrics(self._run.folder, "test/").log_metrics(figures, self._steps)
        if self.logger is not None:
            self.logger.log_metrics(figures, self._steps)
        if self.wandb is not None:
            self.wandb.experiment.log(_results(row, evaluation.faces, self._run.path("faces.png"), architecture))
        network = RunFile(self._run.path("network.pt"), NETWORK, self._run.id)
        self.made(network, self._parents, label=row.name, nme=row.mean)
        self.close()


def _results(row: NMERow, faces: TestFaces, figure: Path, architecture: Architecture | None) -> dict[str, Any]:
    import wandb

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
    return values


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
    import wandb

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


def _table(row: NMERow) -> Any:
    import wandb

    columns = ["network", *YAW_BINS, "mean", "all", "dense", "roughness", "parameters", "macs", "latency_ms", "train_s"]
    values = [row.name, *row.bins, row.mean, row.all, row.dense, row.roughness, row.parameters]
    values += [row.macs, row.latency_ms, row.train_s]
    numbers = [None if value is None or not np.isfinite(value) else value for value in values[1:]]
    return wandb.Table(columns=list[str | int](columns), data=[[row.name, *numbers]])
