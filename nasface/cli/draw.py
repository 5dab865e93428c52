"""`nasface draw`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import ARCH, Command, Option
from nasface.pipelines.architectures import member


def draw(arch: str, output: str) -> None:
    """Draw an architecture."""
    from nasface.report.drawing import draw_architecture

    architecture = member(arch)
    draw_architecture(architecture, Path(output))
    print(output)


COMMAND = Command(
    draw,
    "Draw an architecture as SVG or PNG.",
    (
        Option("arch", str, "best.json", ARCH),
        Option("output", str, "architecture.svg", "file to write, .svg or .png"),
    ),
    experiment=False,
)
