"""`nasface data build`."""

from __future__ import annotations

from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from nasface.cli.command import Command, Option

DOMAIN = Option("domain", Literal["studio", "wild"], "studio", "studio (3D labels), or wild (harder, 2D labels only)")
SPLIT = Option("split", Literal["train", "val", "test"], "train", "train, val or test, which share no identities")
SEED = Option("seed", NonNegativeInt, 0, "random seed; every seed gives another set")
SIZE = Option("size", PositiveInt, 64, "image size in pixels")


def build(
    domain: Literal["studio", "wild"],
    split: Literal["train", "val", "test"],
    count: int,
    size: int,
    seed: int,
    cache: str,
    workers: int,
) -> None:
    """Render a synthetic set into the cache; once killed, it continues with the missing faces."""
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
        Option("count", PositiveInt, 6000, "number of faces"),
        SIZE,
        SEED,
        Option("cache", str, "cache", "folder to write to; trainings look in their data.cache"),
        Option("workers", NonNegativeInt, 0, "number of processes, 0 for one per core; the files do not depend on it"),
    ),
)
