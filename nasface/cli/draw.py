"""`nasface draw`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import ARCH, Command, Option


def draw(arch: str, output: str) -> None:
    """Draw an architecture."""
    from nasface.pipelines.architectures import member
    from nasface.report.drawing import draw_architecture

    architecture = member(arch)
    draw_architecture(architecture, Path(output))
    print(output)


COMMAND = Command(
    draw,
    (
        Option("arch", str, "best.json", ARCH),
        Option("output", str, "architecture.svg", "file to write, .svg or .png"),
    ),
)
