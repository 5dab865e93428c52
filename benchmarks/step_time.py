"""Time and memory of training steps: of a supernet as one routed pass, with its K children on a thread each (on a CPU,
as it is trained there) and as K separate passes, and of one network.

    python -m benchmarks.step_time [--experiment NAME] [--repeats 4] [--on cpu]

The K separate passes train the same children on the same images: derived networks that share the supernet's modules,
run one after the other, gradients accumulating. Images are noise: time does not depend on what they show.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import Option, described, gibibytes, parse, peak_bytes, reset_peak, run_benchmark
from nasface.config import Experiment
from nasface.data.augment import normalise
from nasface.nets.multipath import MultipathNetwork, Supernet
from nasface.pipelines.supernet import make_sampler
from nasface.report.tables import milliseconds, text_table
from nasface.space.catalogue import load_space
from nasface.space.space import Architecture, MultipathSpace
from nasface.training.children import ChildrenThreads
from nasface.training.targets.uv import uv_loss
from nasface.utils.errors import UserError
from nasface.utils.files import write_json
from nasface.utils.kept_memory import keep_freed_memory

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
OPTIONS = (
    Option("repeats", int, 4, "steps that are timed of each kind, after one to warm up; the medians are shown"),
    Option("on", str, "cpu", "cpu, or another torch device such as cuda"),
)

Losses = Callable[[int], Sequence[Callable[[], Tensor]]]
"""Of a step's number: the passes of the step, each giving a loss to run backward from."""


@dataclass(frozen=True)
class StepTime:
    """Medians over steps.

    Attributes:
        kind: of step.
        precision: fp32 or bf16.
        forward_ms, backward_ms, update_ms: of one whole step, all of its passes.
        images: images through a network in one step, each child's counted.
        peak_bytes: greatest memory: resident on the CPU, allocated on a GPU.
    """

    kind: str
    precision: str
    forward_ms: float
    backward_ms: float
    update_ms: float
    images: int
    peak_bytes: int

    @property
    def total_ms(self) -> float:
        return self.forward_ms + self.backward_ms + self.update_ms

    @property
    def images_per_second(self) -> float:
        return 1000 * self.images / self.total_ms


def sharing_child(supernet: Supernet, architecture: Architecture) -> MultipathNetwork:
    """A derived network whose modules are the supernet's own, so that gradients accumulate there."""
    child = MultipathNetwork(architecture, supernet.config)
    child.stem, child.head = supernet.stem, supernet.head
    for name in list(child.connections):
        child.connections[name] = supernet.connections[name]
    return child


def measure(
    ways: dict[str, Losses], network: nn.Module, images: int, precision: str, repeats: int, device: torch.device
) -> list[StepTime]:
    """Time `repeats` optimizer steps of each way after one to warm up; the ways take turns, so that whatever else the
    machine does falls on all."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6, weight_decay=0.0, fused=True)
    times: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in ways}
    peaks = dict.fromkeys(ways, 0)
    for step in range(repeats + 1):
        for kind, losses in ways.items():
            optimizer.zero_grad(set_to_none=True)
            _reset(device)
            times[kind].append(_one_step(losses(step), optimizer, PRECISIONS[precision], device))
            peaks[kind] = max(peaks[kind], _peak(device))
    return [
        StepTime(kind, precision, *_medians(times[kind][1:]), images=images, peak_bytes=peaks[kind]) for kind in ways
    ]


def _one_step(
    passes: Sequence[Callable[[], Tensor]],
    optimizer: torch.optim.Optimizer,
    dtype: torch.dtype | None,
    device: torch.device,
) -> tuple[float, float, float]:
    """Seconds of forward, backward and update."""
    forward = backward = 0.0
    for run in passes:
        start = now(device)
        with torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            loss = run()
        middle = now(device)
        loss.backward()
        forward, backward = forward + middle - start, backward + now(device) - middle
        del loss
    start = now(device)
    optimizer.step()
    return forward, backward, now(device) - start


def _medians(times: Sequence[tuple[float, float, float]]) -> list[float]:
    return [1000 * statistics.median(values) for values in zip(*times, strict=True)]


def now(device: torch.device) -> float:
    """Seconds, when what was given to the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _reset(device: torch.device) -> None:
    reset_peak()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_bytes()


def noise(experiment: Experiment, count: int, device: torch.device) -> Tensor:
    """Normalised noise images (count, 3, S, S)."""
    size = experiment.network.input_size
    images = np.random.default_rng(experiment.seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return normalise(torch.from_numpy(images)).to(device)


def supernet_steps(
    experiment: Experiment,
    space: MultipathSpace,
    precision: str,
    repeats: int,
    device: torch.device,
    compare: bool = True,
) -> list[StepTime]:
    """A supernet step done both ways on the same children; without `compare` the routed pass alone."""
    torch.manual_seed(experiment.seed)
    supernet = Supernet(space, experiment.network).to(device, memory_format=torch.channels_last)
    sampler, loss = make_sampler(experiment, space), _loss(experiment, device)
    image = noise(experiment, experiment.supernet.batch_size, device)
    codes = [sampler.sample(step) for step in range(repeats + 1)]
    children = [
        [sharing_child(supernet, Architecture(space, tuple(map(int, code))).canonical).train() for code in of_step]
        for of_step in codes
    ]

    def routed(step: int) -> list[Callable[[], Tensor]]:
        return [lambda: loss(supernet(image, codes[step]), experiment.supernet.loss)]

    def separate(step: int) -> list[Callable[[], Tensor]]:
        share = len(children[step])
        return [lambda child=child: loss(child(image), experiment.supernet.loss) / share for child in children[step]]

    count = len(codes[0]) * len(image)

    def side_by_side(step: int) -> list[Callable[[], Tensor]]:
        return [lambda: threads.loss(image, codes[step], lambda of: loss(of.maps, experiment.supernet.loss))]

    threads = ChildrenThreads(supernet)
    ways: dict[str, Losses] = {"supernet, routed pass": routed}
    if compare and device.type == "cpu" and torch.get_num_threads() > 1:
        ways["supernet, a thread a child"] = side_by_side
    if compare:
        ways[f"supernet, {len(codes[0])} separate passes"] = separate
    return measure(ways, supernet, count, precision, repeats, device)


def retraining_step(
    experiment: Experiment, space: MultipathSpace, precision: str, repeats: int, device: torch.device
) -> list[StepTime]:
    """A step of one derived network, a uniform random member."""
    torch.manual_seed(experiment.seed)
    member = space.random_architecture(np.random.default_rng([experiment.seed, 3]))
    network = MultipathNetwork(member, experiment.network).to(device, memory_format=torch.channels_last).train()
    loss, image = _loss(experiment, device), noise(experiment, experiment.retrain.batch_size, device)

    def alone(step: int) -> list[Callable[[], Tensor]]:
        return [lambda: loss(network(image), experiment.retrain.loss)]

    return measure({"retraining, random member": alone}, network, len(image), precision, repeats, device)


def _loss(experiment: Experiment, device: torch.device) -> Callable[[Tensor, str], Tensor]:
    side = experiment.network.map_size
    target, weight = torch.zeros(3, side, side, device=device), torch.ones(side, side, device=device)
    return lambda maps, kind: uv_loss(maps, target, weight, kind)


def step_table(steps: Sequence[StepTime]) -> str:
    body = [
        [
            item.kind,
            item.precision,
            *(milliseconds(value) for value in (item.forward_ms, item.backward_ms, item.update_ms, item.total_ms)),
            f"{item.images_per_second:.0f}",
            gibibytes(item.peak_bytes),
        ]
        for item in steps
    ]
    return text_table(["", "", "forward", "backward", "update", "step", "images/s", "peak memory"], body)


def find_device(name: str) -> torch.device:
    """The torch device of that name.

    Raises:
        UserError: there is none.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device {name!r} ({str(error).splitlines()[0]}): use cpu") from None
    return device


def main(arguments: Sequence[str]) -> int:
    parsed = parse(__doc__.splitlines()[0], OPTIONS, arguments, "step_time")
    experiment, repeats = parsed.experiment, parsed.own["repeats"]
    if repeats < 1:
        raise UserError(f"--repeats must be at least 1, not {repeats}")
    space = load_space(experiment.space)
    experiment.network.check(space.scales, space.name)
    keep_freed_memory()  # as every training does
    if experiment.device.threads:
        torch.set_num_threads(experiment.device.threads)
    device = find_device(parsed.own["on"])
    print(
        f"{experiment.name}: {space.title}, {experiment.supernet.children} children, input"
        f" {experiment.network.input_size} px, batch {experiment.supernet.batch_size} (supernet) and"
        f" {experiment.retrain.batch_size} (retraining); {device}, {torch.get_num_threads()} threads;"
        f" median of {repeats}"
    )
    steps: list[StepTime] = []
    for precision in PRECISIONS:
        steps += supernet_steps(experiment, space, precision, repeats, device)
        steps += retraining_step(experiment, space, precision, repeats, device)
    print(f"\n{step_table(steps)}\n\nimages/s counts an image once for each child that sees it")
    print("\n".join(routed_lines(steps)))
    output = parsed.own["json"]
    write_json(output, results(experiment, steps))
    print(f"figures  {output}")
    return 0


def routed_lines(steps: Sequence[StepTime]) -> list[str]:
    """How much faster than separate passes the routed one is, in each precision."""
    lines = []
    for precision in dict.fromkeys(item.precision for item in steps):
        of = [one.total_ms for one in steps if one.precision == precision and one.kind.startswith("supernet")]
        lines.append(f"{precision}: the routed pass is {of[-1] / of[0]:.2f} x as fast")
    return lines


def results(experiment: Experiment, steps: Sequence[StepTime]) -> dict[str, Any]:
    values = [asdict(item) | {"total_ms": item.total_ms, "images_per_second": item.images_per_second} for item in steps]
    return {"threads": torch.get_num_threads(), "steps": values, "experiment": described(experiment)}


if __name__ == "__main__":
    run_benchmark(main)
