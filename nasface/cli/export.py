"""`nasface export`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nasface.cli.command import Command


def export(
    weights: str = "nasface-m",
    format: Literal["onnx", "torchscript", "safetensors"] = "onnx",
    output: str | None = None,
    model: str | None = None,
    half: bool = False,
) -> None:
    """Write a trained network for another program, and show that it computes the same.

    Args:
        weights: a packaged network, nasface-s or nasface-m; network.pt of a retraining, or its run's folder; or a
            checkpoint that 3DDFA_V2 published (.pth), with 3DDFA's files beside it or in the folder --model.
        format: file format.
        output: file to write; beside the weights where empty, of a packaged network here.
        model: morphable model as in `nasface predict`, where the weights do not say it.
        half: safetensors with 16 bits a weight.
    """
    from nasface.inference.export import FORMATS, export_network
    from nasface.report.tables import text_table

    ending = f".torchscript{FORMATS[format]}" if format == "torchscript" else FORMATS[format]
    path = Path(output) if output else _beside(Path(weights), ending)
    trained, parity = export_network(weights, path, format, model, half)
    print(f"greatest difference from PyTorch, crops of {trained.input_size} x {trained.input_size} pixels\n")
    body = [[entry.output, str(entry.batch), f"{entry.difference:.1e} px"] for entry in parity]
    print(text_table(["output", "batch", format], body))
    print(f"\nwritten  {path} ({path.stat().st_size / 2**20:.1f} MiB)")


def _beside(weights: Path, ending: str) -> Path:
    if weights.is_dir():  # a run, whose name may hold dots
        weights = weights if weights.name not in ("", "..") else weights.resolve()
        return weights.with_name(weights.name + ending)
    return weights.with_suffix(ending)


COMMAND = Command(export)
