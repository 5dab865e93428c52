"""`nasface draw`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command


def draw(arch: str = "best.json", output: str = "architecture.svg") -> None:
    """Draw an architecture.

    Args:
        arch: architecture: a JSON file such as best.json, preset/hourglass, preset/prnet or preset/hrnet.
        output: file to write, .svg or .png.
    """
    from nasface.pipelines.architectures import member_record
    from nasface.report.drawing import draw_architecture
    from nasface.space.record import found_width

    record = member_record(arch)
    draw_architecture(record.architecture, Path(output), width=found_width(record.provenance))
    print(output)


COMMAND = Command(draw)
