"""The W&B dashboard: which panels a stage has, and how W&B's own library (extra `workspace`) lays them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nasface.metrics.aflw2000 import BIN_NAMES
from nasface.utils.errors import UserError

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

STEP = "trainer/global_step"
"""What Lightning logs beside every figure: optimizer steps, or the number of an evaluation."""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        kind: `lines` over the steps, `number` (the last one, a bar for each run), `images`, `table`, `scatter` (points
            of a table) or `curves` (a chart of W&B's line series).
        title: above it; W&B gives tables none.
        keys: what it shows, as it is logged.
        axes: of a `scatter`: columns of its table.
    """

    kind: Literal["lines", "number", "images", "table", "scatter", "curves"]
    title: str
    keys: tuple[str, ...]
    axes: tuple[str, str] | None = None


@dataclass(frozen=True)
class Stage:
    """A section of the dashboard, with the job type of the W&B runs that fill it."""

    name: str
    job_type: str
    panels: tuple[Panel, ...]


def _bins(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}/nme_{name}" for name in BIN_NAMES)


STAGES = (
    Stage("Supernet training", "supernet", (Panel("lines", "Loss", ("supernet/loss",)),)),
    Stage(
        "Search",
        "search",
        (
            Panel("lines", "Incumbent (NME, %)", ("search/incumbent",)),
            Panel("lines", "Evaluated members (NME, %)", ("search/penalty", "search/bound")),
            Panel("lines", "NME by yaw (%)", _bins("search")),
            Panel("lines", "Temperature", ("search/temperature",)),
            Panel("lines", "Acceptance", ("search/acceptance",)),
            Panel("lines", "Work saved by reuse and early rejection", ("search/saved",)),
            Panel("scatter", "Penalty (%) against multiply-adds", ("search/pareto_chart_table",), ("macs", "penalty")),
            Panel("images", "Pareto front", ("search/pareto",)),
            Panel("images", "Best architecture", ("search/best",)),
            Panel("images", "Incumbents", ("search/architecture",)),
            Panel("table", "All evaluated members", ("search/members",)),
        ),
    ),
    Stage(
        "Retraining",
        "retrain",
        (
            Panel("lines", "Training loss", ("train/loss",)),
            Panel("lines", "Its parts", ("train/maps", "train/heatmaps")),
            Panel("lines", "Validation NME (%)", ("val/nme",)),
            Panel("lines", "Validation NME by yaw (%)", _bins("val")),
            Panel("number", "Test NME (%)", ("test/nme",)),
            Panel("number", "Test NME by yaw (%)", _bins("test")),
            Panel("number", "Dense test NME (%)", ("test/nme_dense",)),
            Panel("number", "Roughness of the dense shape (%)", ("test/roughness",)),
            Panel("curves", "Cumulative error distribution", ("test/ced_table",)),
            Panel("number", "Area under the CED up to 10 %, failures above", ("test/auc", "test/failure_rate")),
            Panel("number", "Multiply-adds", ("cost/macs",)),
            Panel("images", "Predicted and true landmarks", ("test/faces",)),
            Panel("images", "Best, median and worst faces", ("test/best_median_worst",)),
            Panel("images", "Architecture", ("retrain/architecture",)),
            Panel("table", "Results", ("test/table",)),
        ),
    ),
)


def build_workspace(entity: str, project: str, name: str) -> Workspace:
    """The dashboard as an object of wandb-workspaces, whose `save()` writes it to W&B. Runs are grouped by experiment,
    then by stage.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces import expr, workspaces
    except ImportError:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'nasface[workspace]'") from None
    sections = [
        workspaces.Section(name=stage.name, panels=[_panel(panel) for panel in stage.panels], is_open=True)
        for stage in STAGES
    ]
    grouping = workspaces.RunsetSettings(groupby=[expr.Metric("Group"), expr.Metric("JobType")])
    return workspaces.Workspace(entity=entity, project=project, name=name, sections=sections, runset_settings=grouping)


def _panel(panel: Panel) -> Any:
    from wandb_workspaces.reports import v2

    keys = list(panel.keys)
    if panel.kind == "lines":
        return v2.LinePlot(title=panel.title, x=STEP, y=keys)
    if panel.kind == "number":
        return v2.BarPlot(title=panel.title, metrics=keys)
    if panel.kind == "images":
        return v2.MediaBrowser(title=panel.title, media_keys=keys)
    if panel.kind == "table":
        return v2.WeavePanelSummaryTable(table_name=keys[0])
    columns = ("step", "lineKey", "lineVal")  # of W&B's line series
    chart, fields = "wandb/lineseries/v0", dict(zip(columns, columns, strict=True))
    strings = {"title": panel.title, "xname": "NME (%)"}
    if panel.axes is not None:
        chart, fields = "wandb/scatter/v0", dict(zip("xy", panel.axes, strict=True))
        strings = {"title": panel.title}
    query = {"summaryTable": {"tableKey": keys[0]}}
    return v2.CustomChart(query=query, chart_name=chart, chart_fields=fields, chart_strings=strings)
