"""`nasface draw`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command


def draw(arch: str = "best.json", output: str = "architecture.svg") -> None:
    """Draw an architecture.

    Args:
        arch: architecture: a JSON file such as best.json, preset/hourglass, preset/prnet, preset/hrnet, or random.
        output: file to write, .svg or .png.
    """
    from nasface.pipelines.architectures import member
    from nasface.report.drawing import draw_architecture

    architecture = member(arch)
    draw_architecture(architecture, Path(output))
    print(output)


COMMAND = Command(draw)
