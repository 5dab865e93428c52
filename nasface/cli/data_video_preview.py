"""`nasface data video-preview`."""

from __future__ import annotations

from jsonargparse.typing import NonNegativeFloat, PositiveInt

from nasface.cli.command import Command, Option
from nasface.cli.data_build import SEED, SIZE


def video_preview(size: int, seed: int, frames: int, rows: int, strength: float, output: str) -> None:
    """Draw a contact sheet of short videos."""
    from nasface.config import VideoConfig
    from nasface.rendering.video_preview import draw_video_preview

    draw_video_preview(output, VideoConfig(frames=int(frames)).stronger(strength), int(size), int(seed), int(rows))
    print(output)


COMMAND = Command(
    video_preview,
    (
        SIZE,
        SEED,
        Option("frames", PositiveInt, 8, "frames of a video, of which the first is the still image"),
        Option("rows", PositiveInt, 5, "faces, one per row, from -90 to +90 degrees of yaw"),
        Option("strength", NonNegativeFloat, 1.0, "multiplier of all changes between frames"),
        Option("output", str, "video.png", "file to write"),
    ),
)
