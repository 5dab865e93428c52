"""fWPDC beside WPDC: time of one batch, and how far apart their values are.

    python -m benchmarks.losses [--batch 128] [--map_size 64] [--assets FOLDER] [--json FILE]

3DDFA_V2 (Guo et al., ECCV 2020, section 2.2) prints 41.7 ms for WPDC and 3.6 ms for fWPDC with 128 samples. Here both
are forward passes on the cells of the UV chart, of the embedded head or, with --assets, of 3DDFA's model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nasface.faces.camera import make_pose
from nasface.faces.ddfa_model import load_ddfa_model
from nasface.faces.morphable import MorphableModel, load_embedded_head
from nasface.faces.uv import uv_basis
from nasface.training.targets.parameter_losses import Face, Points, fwpdc_weights, vdc, weighted_cost, wpdc_weights
from nasface.utils.ending import one_line
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write


@dataclass(frozen=True)
class Times:
    """Median milliseconds of a batch, the losses' means, and the largest difference between their weights."""

    batch: int
    points: int
    parameters: int
    wpdc_ms: float
    fwpdc_ms: float
    vdc_ms: float
    wpdc: float
    fwpdc: float
    largest_difference: float


def chart_points(model: MorphableModel, map_size: int) -> Points:
    """The model's points in the cells of its chart."""
    basis = uv_basis(model, map_size)
    inside = basis.weight > 0
    return Points(
        torch.from_numpy(basis.mean[:, inside].copy()),
        torch.from_numpy(basis.basis[:, inside].transpose(2, 0, 1).reshape(basis.basis.shape[-1], -1).copy()),
    )


def random_faces(model: MorphableModel, batch: int, size: int = 120) -> tuple[Face, Face]:
    """True faces in crops of `size` pixels, and predictions a little off."""
    rng = np.random.default_rng(0)
    scale = 0.7 * size / np.ptp(model.mean[:, 1])
    angles = rng.uniform(-1, 1, (batch, 3)) * [30, 90, 30]
    pose = make_pose(scale * rng.uniform(0.8, 1.2, batch), angles, rng.uniform(0.4, 0.6, (batch, 3)) * size)
    coefficients = rng.normal(size=(batch, model.coefficient_count)) * model.coefficient_std
    true = Face(torch.from_numpy(pose), torch.from_numpy(coefficients.astype(np.float32)))
    return true, Face(*(part * torch.from_numpy(rng.normal(1, 0.05, part.shape)).float() for part in true))


def measure(model: MorphableModel, batch: int, map_size: int, repeats: int) -> Times:
    """Time the losses on random faces."""
    points, (true, predicted) = chart_points(model, map_size), random_faces(model, batch)
    norms = points.modes.norm(dim=1)
    whitened = [torch.cat((face.pose.flatten(1), face.coefficients), 1) for face in (predicted, true)]
    whitened = [(part - whitened[1].mean(0)) / whitened[1].std(0).clamp(min=1e-6) for part in whitened]
    slow, slow_ms = timed(lambda: wpdc_weights(points, predicted, true), max(1, repeats // 5))
    fast, fast_ms = timed(lambda: fwpdc_weights(points, norms, predicted, true), repeats)
    _, vdc_ms = timed(lambda: vdc(points, predicted, true), repeats)
    values = [float(weighted_cost(weights, *whitened).mean()) for weights in (slow, fast)]
    difference = float((slow - fast).abs().max())
    return Times(batch, points.mean.shape[1], slow.shape[1], slow_ms, fast_ms, vdc_ms, *values, difference)


def timed(work: Callable[[], Tensor], repeats: int) -> tuple[Tensor, float]:
    """Result of the work, and its median milliseconds after one run to warm up."""
    result, times = work(), []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(1000 * (time.perf_counter() - start))
    return result, statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128, help="faces (default 128)")
    parser.add_argument("--map_size", type=int, default=64, help="side of the UV map (default 64)")
    parser.add_argument("--repeats", type=int, default=15, help="runs of the fast losses; a fifth of the slow one's")
    parser.add_argument("--assets", type=Path, help="folder of 3DDFA's model files, for its 40 + 10 modes")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    if min(arguments.batch, arguments.repeats) < 1 or arguments.map_size < 8:
        raise UserError("--batch and --repeats must be at least 1, --map_size at least 8")
    model = load_ddfa_model(arguments.assets) if arguments.assets else load_embedded_head()
    times = measure(model, arguments.batch, arguments.map_size, arguments.repeats)
    print(f"{model.name}: {times.points} points, {times.parameters} parameters, batch {times.batch}")
    print(f"{torch.get_num_threads()} CPU thread(s), forward pass\n")
    print(f"{'loss':<8}{'ms':>10}{'value':>12}")
    for name, milliseconds, value in (
        ("WPDC", times.wpdc_ms, f"{times.wpdc:.5f}"),
        ("fWPDC", times.fwpdc_ms, f"{times.fwpdc:.5f}"),
        ("VDC", times.vdc_ms, ""),
    ):
        print(f"{name:<8}{milliseconds:>10.1f}{value:>12}")
    print(f"\n{times.wpdc_ms / times.fwpdc_ms:.0f} times as fast; weights differ by {times.largest_difference:.1e}")
    if arguments.json:
        with atomic_write(arguments.json) as path:
            path.write_text(json.dumps(asdict(times), indent=1) + "\n")


if __name__ == "__main__":
    with one_line("error"):
        main()
