"""`nasface data video-preview`."""

from __future__ import annotations

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveInt

from nasface.cli.command import Command


def video_preview(
    size: PositiveInt = 64,
    seed: NonNegativeInt = 0,
    frames: PositiveInt = 8,
    rows: PositiveInt = 5,
    strength: NonNegativeFloat = 1.0,
    output: str = "video.png",
) -> None:
    """Draw a contact sheet of short videos.

    Args:
        size: image size in pixels.
        seed: random seed; every seed gives another set.
        frames: frames of a video, of which the first is the still image.
        rows: faces, one per row, from -90 to +90 degrees of yaw.
        strength: multiplier of all changes between frames.
        output: file to write.
    """
    from nasface.config import VideoConfig
    from nasface.rendering.video_preview import draw_video_preview

    draw_video_preview(output, VideoConfig(frames=int(frames)).stronger(strength), int(size), int(seed), int(rows))
    print(output)


COMMAND = Command(video_preview)
