"""`nasface table build`."""

from __future__ import annotations

import statistics
from pathlib import Path

from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from nasface.cli.command import FACES, SIZES, TRAINING, Command
from nasface.config import Experiment
from nasface.space.catalogue import load_space
from nasface.utils.errors import UserError
from nasface.utils.files import check_output


def table_build(
    experiment: Experiment,
    folder: str | None = None,
    parquet: str | None = None,
    members: NonNegativeInt = 0,
    bands: tuple[PositiveFloat, ...] = (),
    seeds: tuple[NonNegativeInt, ...] = (0,),
    workers: PositiveInt = 1,
    together: PositiveInt = 16,
) -> None:
    """Train every member of a small space on its own and write one table.

    Args:
        experiment: every setting.
        folder: folder of the trainings' records; RUNS/table-SPACE where empty.
        parquet: file to write; table.parquet in the folder where empty.
        members: number of members, the first of a fixed random order; 0 for all.
        bands: multiply-adds, such as [12e6,25e6,50e6]: as many members of each, within a tenth of it and of every
            density, in the place of uniform ones; for spaces that are too large for all.
        seeds: training seeds; every member is trained once with each.
        workers: number of processes, with one thread each; on a GPU there is one.
        together: networks that a GPU trains at the same time.
    """
    from nasface.pipelines.build_table import build_table
    from nasface.tabular.training import check_alike
    from nasface.training.fit import make_trainer

    make_trainer(experiment.device, logger=False)
    check_alike(experiment.retrain)
    space = load_space(experiment.space)
    experiment.network.check(space.scales, space.name)
    place = Path(folder or Path(experiment.runs, f"table-{space.name}"))
    print(f"space    {space.name}: L={space.layers}, D={space.scales}, {space.count_members()} members")
    print(f"records  {place}; the same command goes on with what is missing")
    path = Path(parquet or place / "table.parquet")
    check_output(path)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) not in (b"PAR1", b""):
                raise UserError(f"{path} exists, and is no table: choose another --parquet")
    table = build_table(experiment, space, place, members, seeds, workers, bands, together)
    table.save(path)
    errors = list(table.errors("test").values())
    best, median, worst = min(errors), statistics.median(errors), max(errors)
    seconds = sum(one.seconds for one in table.trainings)
    print(f"\nmembers  {len(errors)}, {len(table.trainings)} trainings, {seconds:.0f} s of one thread or GPU")
    print(f"NME (%)  best {best:.2f}, median {median:.2f}, worst {worst:.2f} on test faces")
    print(f"         {table.noise_line('test')}")
    print(f"table    {path}, {path.stat().st_size / 1024:.0f} KiB")


COMMAND = Command(table_build, ("space", "seed", "runs", *FACES, "data.test_count", *SIZES, *TRAINING))
