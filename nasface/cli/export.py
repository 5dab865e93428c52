"""`nasface export`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nasface.cli.command import Command, Option


def export(weights: str, format: str, output: str | None, model: str | None) -> None:
    """Write a trained network for another program, and show that it computes the same."""
    from nasface.inference.export import FORMATS, export_network
    from nasface.report.tables import text_table

    path = Path(output or Path(weights).with_suffix(f".torchscript{FORMATS[format]}" if format == "torchscript" else
                                                    FORMATS[format]))  # fmt: skip
    trained, parity = export_network(weights, path, format, model)
    print(f"greatest difference from PyTorch, crops of {trained.input_size} x {trained.input_size} pixels\n")
    body = [[entry.output, str(entry.batch), f"{entry.difference:.1e} px"] for entry in parity]
    print(text_table(["output", "batch", format], body))
    print(f"\nwritten  {path} ({path.stat().st_size / 2**20:.1f} MiB)")


COMMAND = Command(
    export,
    (
        Option("weights", str, "network.pt", "network.pt of a retraining"),
        Option("format", Literal["onnx", "torchscript", "safetensors"], "onnx", "file format"),
        Option("output", str | None, None, "file to write; beside the weights where empty"),
        Option("model", str | None, None, "morphable model as in `nasface predict`, where the weights do not say it"),
    ),
)
