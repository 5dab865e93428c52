"""Steps that are timed do what training does: the same loss and gradients both ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import step_time
from benchmarks.step_time import (
    measure,
    noise,
    retraining_step,
    routed_lines,
    sharing_child,
    step_table,
    supernet_steps,
)
from nasface.space.path_samplers import MNUS
from nasface.space.space import Architecture
from nasface.utils.errors import UserError
from tests.benchmarks.toy import SPACE, toy_experiment, toy_supernet

CPU = torch.device("cpu")


def test_separate_passes_leave_the_gradients_of_the_routed_pass(tmp_path: Path) -> None:
    supernet = toy_supernet().train()
    codes = MNUS(SPACE, 3, 0).sample(0)
    image = noise(toy_experiment(tmp_path), 4, CPU)
    supernet(image, codes).square().mean().backward()
    routed = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}
    supernet.zero_grad(set_to_none=True)
    for code in codes:
        child = sharing_child(supernet, Architecture(SPACE, tuple(map(int, code))).canonical).train()
        (child(image).square().mean() / len(codes)).backward()
    separate = {name: p.grad for name, p in supernet.named_parameters() if p.grad is not None}
    assert routed.keys() == separate.keys() and len(routed) > 20
    for name, gradient in routed.items():
        torch.testing.assert_close(separate[name], gradient, rtol=1e-3, atol=1e-6)


def count_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves one second whenever it is looked at: passes add up."""
    clock = iter(range(1000))
    monkeypatch.setattr(step_time, "now", lambda _device: float(next(clock)))


def test_every_kind_is_timed_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count_looks(monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    peaks = iter((5, 3, 70, 6, 4, 20, 30, 10, 40, 40))
    monkeypatch.setattr(step_time, "peak_bytes", lambda: next(peaks) << 20)
    experiment = toy_experiment(tmp_path)
    steps = supernet_steps(experiment, SPACE, "fp32", 1, CPU) + retraining_step(experiment, SPACE, "bf16", 1, CPU)
    assert [item.images for item in steps] == [6, 6, 6, 2]
    passes = [(item.forward_ms, item.backward_ms) for item in steps]
    assert passes == [(1000, 1000), (1000, 1000), (3000, 3000), (1000, 1000)]
    assert [item.total_ms for item in steps] == [3000, 3000, 7000, 3000]
    assert [item.peak_bytes >> 20 for item in steps] == [6, 4, 70, 30]  # the greatest, the step to warm up included
    assert len(supernet_steps(experiment, SPACE, "fp32", 1, CPU, compare=False)) == 1
    again = [replace(item, precision="bf16", update_ms=item.update_ms + 1000) for item in steps[:3]]
    assert routed_lines([*steps[:3], *again]) == [
        "fp32: the routed pass is 2.33 x as fast",
        "bf16: the routed pass is 2.00 x as fast",
    ]
    lines = step_table(steps).splitlines()[2:]
    assert [line.split("  ")[0] for line in lines] == [item.kind for item in steps]


def test_ways_take_turns_and_the_first_step_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    weight = torch.nn.Linear(1, 1)
    count_looks(monkeypatch)

    def way(name: str, passes: int) -> step_time.Losses:
        def losses(step: int) -> list:
            seen.append((name, step))
            return [lambda: weight(torch.ones(1, 1)).sum()] * passes

        return losses

    one, two = measure({"a": way("a", 1), "b": way("b", 2)}, weight, 5, "fp32", 2, CPU)
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert (one.forward_ms, one.backward_ms, one.update_ms) == (1000, 1000, 1000)
    assert (two.forward_ms, two.backward_ms, two.update_ms) == (2000, 2000, 1000)
    assert two.images_per_second == pytest.approx(1.0)


def test_bad_settings_are_named() -> None:
    with pytest.raises(UserError, match="--repeats"):
        step_time.main(["--repeats", "0"])
    with pytest.raises(UserError, match="no device 'nothing'"):
        step_time.main(["--on", "nothing"])
