"""`nasface search`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt

from nasface.cli.command import FACES, SIZES, Command
from nasface.config import Experiment, MultipathConfig, flat
from nasface.runs.run import Run, open_run
from nasface.space.catalogue import load_space
from nasface.space.counting import power
from nasface.space.record import found_width, load_record
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError
from nasface.utils.files import check_output
from nasface.utils.run_files import read_summary, run_folder

_TRAININGS = "-trainings"
"""Ends the label of a run that searches by trainings."""


def search(
    experiment: Experiment,
    run: str | None = None,
    resume: bool = False,
    workers: NonNegativeInt | None = None,
    reuse_supernet: bool = False,
    on: str = "",
) -> None:
    """Search the space by short trainings, on a supernet, or on a table; write best.json.

    Args:
        experiment: every setting.
        run: id of the run, its folder under runs/; made from time and settings where empty.
        resume: continue the newest unfinished run of these settings (or the one of --run).
        workers: number of processes; for trainings one a core where empty, and the result is the same with any number.
            On a supernet 1 where empty, which gives the same result every time; with more, or with 0 here and others
            elsewhere, `nasface search-worker` may join from any machine.
        reuse_supernet: take the supernet of an earlier run with the same faces, space, sizes, training and seed, where
            there is one.
        on: what scores a member: `trainings`, short ones of its own (evolution and successive halving, see
            --halving.candidates); `supernet`, which is trained first (with MNUS, and searched with SAMOS, as the MONAS
            paper does); `table`, the tabular benchmark that comes with the program; or another .parquet file of
            `nasface table build`. A table brings its own space and sizes. Where empty, a supernet if a setting is
            given that only such a search has (supernet.*, finalists.*, search.strategy and its kin; of a file, where it
            is not the default), else trainings.
    """
    on = on or kind_of_search(experiment, run if resume else None, reuse_supernet)
    if on == "supernet":
        _search_supernet(experiment, run, resume, 1 if workers is None else workers, reuse_supernet)
    elif on == "trainings":
        if reuse_supernet:
            raise UserError("a search by trainings has no supernet: leave out --reuse_supernet, or give --on supernet")
        if workers is not None:
            experiment = replace(experiment, halving=replace(experiment.halving, workers=workers))
        _search_trainings(experiment, run, resume)
    else:
        _search_table(experiment, run, resume, workers, on)


_OF_BOTH = ("penalty", "max_macs", "max_latency", "max_parameters", "max_memory")
"""What a search by trainings takes of `search.*`; the rest is of a search on a supernet."""


_FORMER_DEFAULTS = {
    "supernet.whole": 0.0,
    "supernet.optimizer.lr": 0.002,
    "supernet.optimizer.kind": "adamw",
    "supernet.optimizer.warmup": 0.05,
}
"""What the runs of earlier versions have recorded of a supernet, asked for or not."""


def kind_of_search(experiment: Experiment, resumed: str | None = None, reuse_supernet: bool = False) -> str:
    """Whether a search that does not say so is on a supernet or by trainings: as the run to be resumed began, or by the
    settings that are not the defaults."""
    if resumed and (label := read_summary(run_folder(experiment.runs, resumed)).get("label")):
        return "trainings" if label.endswith(_TRAININGS) else "supernet"
    return "supernet" if reuse_supernet or _of_a_supernet(experiment) else "trainings"


def _of_a_supernet(experiment: Experiment) -> list[str]:
    """The settings that only a search on a supernet has, by their dotted names, and that are not the defaults."""
    given = flat(asdict(experiment))
    # The settings of runs of former versions hold other defaults of a supernet's training.
    former = _FORMER_DEFAULTS if _FORMER_DEFAULTS.items() <= given.items() else {}
    return [name for name in _not_defaults(experiment) if _only_of_a_supernet(name) and name not in former]


def _not_defaults(experiment: Experiment) -> list[str]:
    """The settings that are not the defaults, by their dotted names."""
    given, defaults = flat(asdict(experiment)), flat(asdict(Experiment()))
    return [name for name, value in given.items() if value != defaults.get(name)]


def _only_of_a_supernet(name: str) -> bool:
    """Whether a setting, by its dotted name, is of a search on a supernet alone. The chunk, for which runs of former
    versions have recorded other defaults, is not taken for one."""
    of_both = {"search.chunk", *(f"search.{one}" for one in _OF_BOTH)}
    return name.startswith(("supernet.", "search.", "finalists.")) and name not in of_both


def asks_for_supernet(words: Sequence[str]) -> bool:
    """Whether a command line gives a setting that only a search on a supernet has, the default's own value, too."""
    return any(_only_of_a_supernet(word[2:].partition("=")[0]) for word in words if word.startswith("--"))


def _search_table(experiment: Experiment, run: str | None, resume: bool, workers: int | None, on: str) -> None:
    from nasface.pipelines import search_table as table_search

    if workers not in (None, 1):
        raise UserError("--workers is for other searches: one on a table takes seconds in one process")
    experiment, table = table_search.checked_table(experiment, on)
    space = table.space
    folder = open_run("search", experiment, f"{space.name}-{table.fingerprint[:8]}", resume, run)
    print(f"run      {folder.folder}")
    print(
        f"table    {on}: {space.count_members()} members, L={space.layers}, D={space.scales}, each trained on its own"
    )
    found = table_search.search_table(experiment, table, folder, resume)
    folder.update_summary(finished=True)
    result, counts = found.result, folder.read_summary()["search"]
    best = folder.path("best.json") if experiment.output == Experiment.output else experiment.output
    print(f"found    {best}: member {result.best.digest}, rank {found.rank} of {space.count_members()}")
    print(
        f"NME (%)  {result.penalty:.3f} on validation faces, {result.penalty - found.least:.3f} above the table's least"
    )
    print(f"         {found.test:.3f} on test faces, {found.test - found.test_least:.3f} above the table's least")
    print(f"search   {counts['evaluations']} evaluations, {counts['looked_up']} looked up again")


def _search_trainings(experiment: Experiment, run: str | None, resume: bool) -> None:
    from nasface.pipelines.search_trainings import search_by_trainings
    from nasface.tracking.environment import environment
    from nasface.tracking.wandb import sync_line

    space = _space_of_trainings(experiment)
    folder = open_run("search", experiment, f"{space.name}{_TRAININGS}", resume, run)
    folder.update_summary(environment=environment(), seeds={"experiment": experiment.seed})
    print(f"run      {folder.folder}")
    print(f"space    {space.name}: L={space.layers}, D={space.scales}, {power(space.count_members())} members")
    if unused := _of_a_supernet(experiment):
        print(f"unused   {', '.join(unused)}: only a search on a supernet has them")
    if space.widths and (width := experiment.network.width) != MultipathConfig.width:
        limited = experiment.search.max_macs is not None or experiment.search.max_latency
        use = "is unused" if limited else "sets no more than the limit on multiply-adds"
        print(f"width    {width} {use}: {space.name} leaves the width to the search, {_of_one_width(space)} does not")
    best = search_by_trainings(experiment, space, folder, print)
    _print_found(folder, best, experiment, f"after {experiment.halving.steps[-1]} steps of its own")
    if (weights := folder.path("network.pt")).exists():
        print(f"weights  {weights}; nasface predict photo.jpg --weights {folder.folder}")
    _print_latency(folder.read_summary())
    _print_costs(folder, best)
    if line := sync_line(folder.folder):
        print(line)


def _search_supernet(experiment: Experiment, run: str | None, resume: bool, workers: int, reuse_supernet: bool) -> None:
    from nasface.evaluation.supernet import search_device
    from nasface.pipelines import search as pipeline
    from nasface.search.storage import open_storage
    from nasface.tracking.environment import environment
    from nasface.tracking.wandb import sync_line

    strategy = _strategy(experiment)
    space = strategy.space
    if experiment.search.storage:  # tried before hours are spent
        with open_storage(experiment.search.storage, shared=workers != 1):
            pass
    folder = open_run("search", experiment, space.name, resume, run)
    device = {"device": search_device(experiment)}
    folder.update_summary(environment=environment() | device, seeds={"experiment": experiment.seed})
    print(f"run      {folder.folder}")
    if unused := [name for name in _not_defaults(experiment) if name.startswith("halving.")]:
        print(f"unused   {', '.join(unused)}: only a search by trainings has them")
    print(
        f"space    {space.name}: L={space.layers}, D={space.scales}, {space.num_connections} connections,"
        f" {power(space.count_members())} members"
    )
    if space.widths:
        sizes = experiment.network
        print(
            f"width    {sizes.scale_widths(space.scales)[-1]} (network.{'widths' if sizes.widths else 'width'}):"
            " a supernet has one"
        )
    if workers > (chains := strategy.settings.get("chains", workers)):
        print(f"workers  samos walks {chains} chain(s), so others wait: see --search.settings.chains")
    found = pipeline.search(
        experiment, space, folder, resume=resume, workers=workers, reuse_supernet=reuse_supernet, say=print
    )
    _print_search(folder, found.best, experiment)
    if front := found.front:
        print(f"front    {len(front)} members, {front[0]} to {front[-1].name}; figure {folder.path('pareto.png')}")
    if line := sync_line(folder.folder):
        print(line)


def _check(
    experiment: Experiment, on: str = "", run: str | None = None, reuse_supernet: bool = False, **_: object
) -> None:
    on = on or kind_of_search(experiment, run, reuse_supernet)
    if on == "supernet":
        _strategy(experiment)
    elif on == "trainings":
        _space_of_trainings(experiment)
    else:
        from nasface.pipelines import search_table as table_search

        table_search.checked_table(experiment, on)


def _strategy(experiment: Experiment) -> Any:
    """The strategy of a search on a supernet, once whatever is wrong with the settings has come out."""
    from nasface.pipelines.scoring import make_search_strategy
    from nasface.pipelines.supernet import make_sampler

    if experiment.finalists.count and len(experiment.search.objectives) > 1:
        raise UserError("finalists.count is for one objective: leave it out, or search.objectives")
    space = _checked_space(experiment)
    make_sampler(experiment, space)
    return make_search_strategy(experiment, space)


def _space_of_trainings(experiment: Experiment) -> MultipathSpace:
    from nasface.tabular.training import check_alike

    if not experiment.halving.steps:
        raise UserError("halving.steps is empty: give the steps of each round's trainings, such as [250,1000]")
    if any(after <= before for before, after in pairwise(experiment.halving.steps)):
        raise UserError(f"halving.steps {experiment.halving.steps} do not rise: each round trains longer than the last")
    if len(experiment.search.objectives) > 1:
        raise UserError("a search by trainings minimises the error alone: leave out --search.objectives")
    check_alike(experiment.retrain)
    space = _checked_space(experiment)
    if space.widths and experiment.network.widths:
        raise UserError(
            f"space {space.name} leaves the width to the search: leave out --network.widths, or take"
            f" {_of_one_width(space)}"
        )
    return space


def _of_one_width(space: MultipathSpace) -> str:
    """What to take in the place of a space that leaves the width to the search."""
    return "--space multipath" if space.name == "multipath_wide" else "a space without widths"


def _checked_space(experiment: Experiment) -> MultipathSpace:
    """The space, once whatever is wrong with output, sizes, data or device has come out."""
    from nasface.data.sources import check_sets
    from nasface.training.fit import make_trainer

    check_output(experiment.output)
    space = load_space(experiment.space)
    experiment.network.check(space.scales, space.name)
    check_sets(experiment.data)
    make_trainer(experiment.device, logger=False)
    return space


def _print_search(folder: Run, best: Path, experiment: Experiment) -> None:
    summary = folder.read_summary()
    found = summary["search"]
    _print_found(folder, best, experiment, "with the supernet's weights")
    print(
        f"search   {found['evaluations']} evaluations, {found['stopped_early']} stopped early,"
        f" {100 * found['work_saved']:.0f} % of the multiply-adds saved by reuse and early rejection"
    )
    print(
        f"         {found['unique']} different members, {found['looked_up']} proposals answered from the record"
        + "".join(f", {count} above max_{name} never evaluated" for name, count in found["rejected"].items())
    )
    _print_latency(summary)
    if shortlist := summary.get("finalists"):
        errors = [math.inf if one["nme"] is None else one["nme"] for one in shortlist["members"]]
        print(
            f"finals   {len(errors)} members trained for {shortlist['steps']} steps: {min(errors):.2f} to"
            f" {max(errors):.2f} % on validation faces; number {errors.index(min(errors)) + 1} by penalty is the best"
        )
    _print_costs(folder, best)


def _print_latency(summary: dict[str, Any]) -> None:
    if not (latency := summary.get("latency")):
        return
    off = f"{100 * latency['error']:.0f} % off on average here, {100 * latency['worst']:.0f} % at most"
    print(f"latency  {latency['ms']:.2f} ms predicted for onnxruntime on one thread; such predictions were {off}")
    if measured := latency.get("measured"):
        above = measured > latency["limit"]
        print(
            f"         {measured:.2f} ms measured"
            + (", above the limit: search again with a lower one" if above else "")
        )


def _print_found(folder: Run, best: Path, experiment: Experiment, how: str) -> None:
    record = load_record(folder.path("best.json"))  # another search may have replaced `best`
    scores, width = record.scores, found_width(record.provenance)
    bins = " / ".join("-" if value is None else f"{value:.2f}" for value in scores["nme"])
    print(
        f"\nfound    {best}: {scores['parameters'] / 1e6:.2f} M parameters, {scores['macs'] / 1e6:.1f} M MACs"
        + (f", width {width}" if width else "")
    )
    print(f"NME (%)  {bins}, {experiment.search.penalty} {scores['penalty']:.2f} on validation faces, {how}")


def _print_costs(folder: Run, best: Path) -> None:
    costs = folder.read_summary()["costs"]
    print("costs    " + ", ".join(f"{name.removesuffix('_s')} {seconds:.0f} s" for name, seconds in costs.items()))
    print(f"drawing  {folder.path('architecture.png')}")
    print(f"next     make retrain ARCH={best}")


COMMAND = Command(
    search,
    (
        *("space", "seed", "output", *FACES, *SIZES),
        *("supernet.sampler", "supernet.steps", "supernet.batch_size", "supernet.optimizer.lr"),
        *("search.strategy", "search.iterations", "search.objectives", "search.max_macs", "search.max_latency"),
        "halving.candidates",
        *("device.accelerator", "device.devices", "device.threads", "log.wandb"),
    ),
    _check,
)
