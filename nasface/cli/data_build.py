"""`nasface data build`."""

from __future__ import annotations

from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from nasface.cli.command import Command


def build(
    domain: Literal["studio", "wild"] = "studio",
    split: Literal["train", "val", "test"] = "train",
    count: PositiveInt = 6000,
    size: PositiveInt = 64,
    seed: NonNegativeInt = 0,
    cache: str = "cache",
    workers: NonNegativeInt = 0,
) -> None:
    """Render a synthetic set into the cache; once killed, it continues with the missing faces.

    Args:
        domain: studio (3D labels), or wild (harder, 2D labels only).
        split: train, val or test, which share no identities.
        count: number of faces.
        size: image size in pixels.
        seed: random seed; every seed gives another set.
        cache: folder to write to; trainings look in their data.cache.
        workers: number of processes, 0 for one per core; the files do not depend on it.
    """
    from nasface.rendering.synthetic import SyntheticFaces, build_synthetic
    from nasface.utils.progress import progress_for

    progress = progress_for(f"rendering {split} faces")
    faces = SyntheticFaces(split, int(count), int(size), int(seed), domain)
    build_synthetic(faces, cache, progress, int(workers))
    print(f"{faces.count} faces  {cache}/{faces.name}")


COMMAND = Command(build)
