"""Whether the paper's experiment runs at all here: two supernet steps and one evaluation at its full sizes.

    python -m benchmarks.paper_smoke [--batch 2] [--faces 8]

It is experiments/paper.yaml with the numbers of faces and steps cut down and synthetic faces in place of 300W-LP;
space, resolution, widths and children are untouched. Nothing is kept but the figures.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import Option, described, gibibytes, names_settings, parse, peak_bytes, reset_peak, run_benchmark
from benchmarks.step_time import StepTime, supernet_steps
from nasface.config import Experiment
from nasface.evaluation.supernet import make_evaluator
from nasface.nets.cost import Cost, count_parameters, measure_cost
from nasface.nets.multipath import MultipathNetwork
from nasface.pipelines.supernet import train_supernet
from nasface.pipelines.workspace import prepare
from nasface.report.tables import milliseconds, quantity
from nasface.runs.run import Run
from nasface.search.strategy import Outcome, Proposal
from nasface.space.catalogue import load_space
from nasface.utils.errors import UserError
from nasface.utils.files import write_json

STEPS = 2
OPTIONS = (
    Option("batch", int, 2, "faces in a training batch, in place of the experiment's"),
    Option("faces", int, 8, "synthetic training faces, and as many for validation"),
)


@dataclass(frozen=True)
class Smoke:
    """What a smoke run found.

    Attributes:
        supernet_parameters: of the whole supernet.
        member: digest of the random member that was evaluated, and
        cost: what its network costs.
        training_peak: greatest resident memory of `STEPS` training steps, in bytes.
        training_s: their seconds, checkpoint included.
        step: one step of the supernet, warm.
        evaluation_s: seconds of one evaluation, calibration included.
        evaluation_peak: its greatest resident memory in bytes.
        outcome: of the evaluation.
    """

    supernet_parameters: int
    member: str
    cost: Cost
    training_peak: int
    training_s: float
    step: StepTime
    evaluation_s: float
    evaluation_peak: int
    outcome: Outcome


def smaller(experiment: Experiment, batch: int, faces: int, folder: Path) -> Experiment:
    """The experiment with few synthetic faces and two steps, everything below `folder`."""
    data = replace(
        experiment.data,
        train="synthetic",
        test="synthetic",
        cache=str(folder / "cache"),
        train_count=faces,
        val_count=faces,
        test_count=1,
    )
    return replace(
        experiment,
        runs=str(folder),
        data=data,
        supernet=replace(experiment.supernet, steps=STEPS, batch_size=batch, checkpoint_every=STEPS),
        search=replace(
            experiment.search,
            calibration=min(experiment.search.calibration, faces),
            chunk=min(experiment.search.chunk, faces),
        ),
        log=replace(experiment.log, wandb="off"),
    )


def smoke(experiment: Experiment) -> Smoke:
    """Train a supernet for the experiment's steps and evaluate one random member."""
    space = load_space(experiment.space)
    workspace = prepare(experiment, space)
    reset_peak()
    run = Run(Path(experiment.runs) / "smoke")
    supernet = train_supernet(workspace, run)
    training_peak = peak_bytes()
    reset_peak()
    evaluate = make_evaluator(supernet, workspace.uv, workspace.faces, workspace.experiment)
    member = space.random_architecture(np.random.default_rng(experiment.seed))
    start = time.perf_counter()
    outcome = evaluate(Proposal(member))
    seconds, evaluation_peak = time.perf_counter() - start, peak_bytes()
    (step,) = supernet_steps(experiment, space, "fp32", 1, torch.device("cpu"), compare=False)
    return Smoke(
        supernet_parameters=count_parameters(supernet),
        member=member.digest,
        cost=measure_cost(MultipathNetwork(member, experiment.network), experiment.network.input_size, repeats=3),
        training_peak=training_peak,
        training_s=run.read_summary()["costs"]["supernet_s"],
        step=step,
        evaluation_s=seconds,
        evaluation_peak=evaluation_peak,
        outcome=outcome,
    )


def report(result: Smoke, experiment: Experiment, small: Experiment) -> str:
    faces, network = small.search.calibration, experiment.network
    space = load_space(experiment.space)
    lines = [
        f"{experiment.name}: {space.title}, input {network.input_size} px, map {network.map_size} x"
        f" {network.map_size}, widths {network.scale_widths(space.scales)},"
        f" {experiment.supernet.children} children a step",
        f"supernet       {quantity(result.supernet_parameters)} parameters",
        f"random member  {result.member}: {quantity(result.cost.parameters)} parameters,"
        f" {quantity(result.cost.macs)} MACs, {milliseconds(result.cost.latency_ms)} on one CPU thread",
        f"training       {STEPS} steps of batch {small.supernet.batch_size} (the experiment's:"
        f" {experiment.supernet.batch_size}) in {result.training_s:.1f} s; a warm step"
        f" {milliseconds(result.step.total_ms)}; peak memory {gibibytes(result.training_peak)}",
        f"evaluation     {faces} calibration and {small.data.val_count} validation faces in"
        f" {result.evaluation_s:.1f} s; peak memory {gibibytes(result.evaluation_peak)}; NME"
        f" {result.outcome.penalty:.1f} % (after {STEPS} steps: the mean face)",
    ]
    return "\n".join(lines)


def results(result: Smoke, experiment: Experiment, small: Experiment) -> dict[str, Any]:
    return {
        "supernet_parameters": result.supernet_parameters,
        "member": result.member,
        "member_parameters": result.cost.parameters,
        "member_macs": result.cost.macs,
        "batch_size": small.supernet.batch_size,
        "training_s": result.training_s,
        "step_ms": result.step.total_ms,
        "training_peak_bytes": result.training_peak,
        "evaluation_s": result.evaluation_s,
        "evaluation_peak_bytes": result.evaluation_peak,
        "penalty": result.outcome.penalty,
        "threads": torch.get_num_threads(),
        "experiment": described(experiment),
    }


def main(arguments: Sequence[str]) -> int:
    named = list(arguments) if names_settings(arguments) else ["--experiment", "paper", *arguments]
    parsed = parse(__doc__.splitlines()[0], OPTIONS, named, "paper_smoke")
    experiment, own = parsed.experiment, parsed.own
    for name in ("batch", "faces"):
        if own[name] < 1:
            raise UserError(f"--{name} must be at least 1, not {own[name]}")
    with tempfile.TemporaryDirectory() as folder:
        small = smaller(experiment, own["batch"], own["faces"], Path(folder))
        result = smoke(small)
    print(f"\n{report(result, experiment, small)}")
    output = own["json"]
    write_json(output, results(result, experiment, small))
    print(f"figures        {output}")
    return 0


if __name__ == "__main__":
    run_benchmark(main)
