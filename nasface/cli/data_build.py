"""`nasface data build`."""

from __future__ import annotations

from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from nasface.cli.command import Command, Option

DOMAIN = Option("domain", Literal["studio", "wild"], "studio", "studio (3D labels), or wild (harder, 2D labels only)")
SPLIT = Option("split", Literal["train", "val", "test"], "train", "train, val or test; the people in them differ")
SEED = Option("seed", NonNegativeInt, 0, "another seed is another set")
SIZE = Option("size", PositiveInt, 64, "side of the images in pixels")


def build(
    domain: Literal["studio", "wild"],
    split: Literal["train", "val", "test"],
    count: int,
    size: int,
    seed: int,
    cache: str,
    workers: int,
) -> None:
    """Draw a synthetic set into the cache."""
    from nasface.rendering.synthetic import SyntheticFaces, build_synthetic
    from nasface.utils.progress import progress_for

    progress = progress_for(f"rendering {split} faces")
    faces = SyntheticFaces(split, int(count), int(size), int(seed), domain)
    build_synthetic(faces, cache, progress, int(workers))
    print(f"{faces.count} faces  {cache}/{faces.name}")


COMMAND = Command(
    build,
    (
        DOMAIN,
        SPLIT,
        Option("count", PositiveInt, 6000, "faces"),
        SIZE,
        SEED,
        Option("cache", str, "cache", "folder of the sets; training finds them there (data.cache)"),
        Option("workers", NonNegativeInt, 0, "processes, 0: one per core; the files do not depend on it"),
    ),
)
