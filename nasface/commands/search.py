"""`nasface search`."""

from __future__ import annotations

from pathlib import Path

from nasface.commands.command import RESUME, RUN, Command
from nasface.config import Experiment
from nasface.runs import Run, open_run
from nasface.space.architecture import load_record
from nasface.space.space import load_space


def search(experiment: Experiment, run: str | None, resume: bool) -> None:
    """Train the supernet, search it, write best.json."""
    from nasface import workflow
    from nasface.tasks.training import make_trainer

    space = load_space(experiment.space)
    # Whatever is wrong with the settings shall come out now, not after the training.
    experiment.network.check(space)
    workflow.make_sampler(experiment, space)
    workflow.make_search_strategy(experiment, space)
    make_trainer(experiment.device, logger=False)
    folder = open_run("search", experiment, space.name, resume, run)
    print(f"run      {folder.folder}")
    print(
        f"space    {space.name}: L={space.layers}, D={space.scales}, {space.num_connections} connections,"
        f" {_power(space.count_members())} members"
    )
    with workflow.timed(folder, "data_s"):
        workspace = workflow.prepare(experiment, space)
    supernet = workflow.train_supernet(workspace, folder)
    result = workflow.search(workspace, supernet, folder, resume)
    best = workflow.write_best(workspace, folder, result)
    folder.update_summary(finished=True)
    _print_search(folder, best)


def _print_search(folder: Run, best: Path) -> None:
    summary = folder.read_summary()
    scores = load_record(best).scores
    found, costs = summary["search"], summary["costs"]
    bins = " / ".join("-" if value is None else f"{value:.2f}" for value in scores["nme"])
    print(f"\nfound    {best}: {scores['parameters'] / 1e6:.2f} M parameters, {scores['macs'] / 1e6:.1f} M MACs")
    print(f"NME (%)  {bins}, mean {scores['penalty']:.2f} on validation faces, with the supernet's weights")
    print(
        f"search   {found['evaluations']} evaluations, {found['stopped_early']} stopped early,"
        f" {100 * found['work_saved']:.0f} % of the multiply-adds saved by reuse and early rejection"
    )
    print("costs    " + ", ".join(f"{name.removesuffix('_s')} {seconds:.0f} s" for name, seconds in costs.items()))
    print(f"drawing  {folder.path('architecture.png')}")
    print(f"next     make retrain ARCH={best}")


def _power(number: int) -> str:
    text = str(number)
    return text if len(text) < 7 else f"{text[0]}.{text[1]}e{len(text) - 1}"


COMMAND = Command(search, "Train the multi-path supernet, search it, write best.json.", (RUN, RESUME))
