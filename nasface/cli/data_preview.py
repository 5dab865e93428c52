"""`nasface data preview`."""

from __future__ import annotations

from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from nasface.cli.command import Command


def preview(
    domain: Literal["studio", "wild"] = "studio",
    split: Literal["train", "val", "test"] = "train",
    size: PositiveInt = 64,
    seed: NonNegativeInt = 0,
    columns: PositiveInt = 9,
    rows: PositiveInt = 2,
    map_size: PositiveInt = 64,
    output: str = "preview.png",
) -> None:
    """Draw a contact sheet.

    Args:
        domain: studio (3D labels), or wild (harder, 2D labels only).
        split: train, val or test, which share no identities.
        size: image size in pixels.
        seed: random seed; every seed gives another set.
        columns: faces in a row, from -90 to +90 degrees of yaw.
        rows: rows of faces.
        map_size: size of the UV maps in cells.
        output: file to write.
    """
    from nasface.rendering.preview import draw_preview
    from nasface.rendering.synthetic import SyntheticFaces

    faces = SyntheticFaces(split, int(columns) * int(rows), int(size), int(seed), domain)
    draw_preview(output, faces, int(columns), int(map_size))
    print(output)


COMMAND = Command(preview)
