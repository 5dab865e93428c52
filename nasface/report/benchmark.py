"""The table of a benchmark: protocols, and under each the networks side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nasface.evaluation.benchmark import Summary
from nasface.report.tables import NOTHING, markdown_table, text_table

Summaries = Mapping[str, Mapping[str, Summary]]
"""By protocol, then by network."""


def benchmark_table(summaries: Summaries, threshold: float, *, markdown: bool = False) -> str:
    """Errors in percent by group, their mean where the protocol has one, over all faces, and their distribution.

    Args:
        summaries: figures; a single network's protocols are lines of their own, several stand below their protocol.
        threshold: percent, of the areas and failure rates.
        markdown: for a README instead of a console.
    """
    every = [summary for networks in summaries.values() for summary in networks.values()]
    groups = list(dict.fromkeys(name for summary in every for name in summary.groups))
    balanced = any(summary.mean is not None for summary in every)
    header = ["NME (%)", *groups, *["mean"] * balanced, "all", f"AUC {threshold:g} %", f"failures {threshold:g} %"]
    body = []
    several = max(map(len, summaries.values())) > 1
    for protocol, networks in summaries.items():
        if several:
            body.append([protocol, *[""] * len(header)])
        for network, summary in networks.items():
            body.append([f"  {network}" if several else protocol, *_figures(summary, groups, balanced)])
    return (markdown_table if markdown else text_table)([*header, "images"], body)


def _figures(summary: Summary, groups: list[str], balanced: bool) -> list[str]:
    figures = [*(summary.groups.get(name, math.nan) for name in groups), *[summary.mean] * balanced, summary.all]
    counts = [str(summary.counts[name]) for name in groups if name in summary.counts]
    split = len(counts) > 1 and sum(summary.counts.values()) == summary.images
    return [
        *(NOTHING if value is None or math.isnan(value) else f"{value:.3f}" for value in figures),
        *(f"{100 * value:.2f}" for value in (summary.auc, summary.failures)),
        " / ".join(counts) if split else str(summary.images),
    ]
