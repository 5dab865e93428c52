"""`nasface data preview`."""

from __future__ import annotations

from typing import Literal

from jsonargparse.typing import PositiveInt

from nasface.cli.command import Command, Option
from nasface.cli.data_build import DOMAIN, SEED, SIZE, SPLIT


def preview(
    domain: Literal["studio", "wild"],
    split: Literal["train", "val", "test"],
    size: int,
    seed: int,
    columns: int,
    rows: int,
    map_size: int,
    output: str,
) -> None:
    """Draw a contact sheet."""
    from nasface.rendering.preview import draw_preview
    from nasface.rendering.synthetic import SyntheticFaces

    faces = SyntheticFaces(split, int(columns) * int(rows), int(size), int(seed), domain)
    draw_preview(output, faces, int(columns), int(map_size))
    print(output)


COMMAND = Command(
    preview,
    (
        DOMAIN,
        SPLIT,
        SIZE,
        SEED,
        Option("columns", PositiveInt, 9, "faces in a row, from -90 to +90 degrees of yaw"),
        Option("rows", PositiveInt, 2, "rows of faces"),
        Option("map_size", PositiveInt, 64, "size of the UV maps in cells"),
        Option("output", str, "preview.png", "file to write"),
    ),
)
