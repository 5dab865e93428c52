"""What fixed seeds give, one line a stage: two versions of this program that print the same lines compute the same.

    python -m benchmarks.fingerprints --samples DIR > before.txt     # in each version's own checkout

The stages: a smoke search and its best.json, a replay on the table with every strategy, the supernet's weights, a
retraining, one short training per target representation, and, where real samples are at hand (3ddfa/ and
others), the published MobileNet's landmarks on one photograph and short trainings on photographs. Everything runs
through the `nasface` command on one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nasface.utils.ending import one_line

REPOSITORY = Path(__file__).resolve().parent.parent
STRATEGIES = (
    *("samos", "random", "random-sample", "evolution", "spos", "local", "nsga2"),
    *("optuna/random", "optuna/tpe", "optuna/qmc", "optuna/nsga2", "nni/random", "nni/evolution", "nni/tpe"),
)
TARGETS = (
    *("preset/hrnet", "hourglass1@0.125", "mobilenet@0.25", "dhm@0.25", "fan@0.125", "sdu-hourglass-resnet-1@0.125"),
    "jvcr@0.125",
)
SIZES = ("--network.input_size", "64", "--network.map_size", "64")
PLAIN = ("--overlay", "false", "--obj", "false")
SHORT = ("--retrain.steps", "6", "--retrain.evaluate_every", "3", "--retrain.batch_size", "4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, help="folder of real samples; those stages are left out without it")
    parser.add_argument("--settings", default="", help="settings of every search and training, such as defaults of old")
    arguments = parser.parse_args()
    samples = arguments.samples
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, value in _stages(work, samples.absolute() if samples else None, shlex.split(arguments.settings)):
            print(f"{name:40s}{value}", flush=True)


def _stages(work: Path, samples: Path | None, settings: Sequence[str]) -> Any:
    smoke = ("--experiment", "smoke", "--device.threads", "1", "--device.accelerator", "cpu", "--log.wandb", "off")
    smoke = (*smoke, *settings)
    _run(work, "search", *smoke, "--run", "search")
    yield "search: best.json", _architecture(work / "best.json")
    yield "search: supernet", weights_digest(work / "runs/search/supernet/supernet.pt")
    _run(work, "retrain", *smoke, "--run", "retrain", "--arch", "best.json")
    yield "retrain: network", weights_digest(work / "runs/retrain/network.pt")
    yield "retrain: result", _result(work / "runs/retrain/summary.json")
    for strategy in STRATEGIES:
        run = strategy.replace("/", "-")
        _run(work, "search", "--on", "table", "--search.strategy", strategy, "--run", run, "--log.wandb", "off")
        yield f"table: {strategy}", _architecture(work / "runs" / run / "best.json")
    for target in TARGETS:
        name, _, scale = target.partition("@")
        run = name.replace("/", "-")
        sizes = (
            () if "preset" in target else ("--scale", scale, "--network.input_size", "64", "--network.map_size", "64")
        )
        _run(work, "retrain", *smoke, *SHORT, "--run", run, "--arch", name, *sizes)
        yield f"target: {target}", weights_digest(work / "runs" / run / "network.pt")
        yield f"target: {target} result", _result(work / "runs" / run / "summary.json")
    if samples is None:
        return
    assets = ("--data.ddfa_assets", str(samples / "3ddfa"))
    photograph = samples / "aflw2000_sample" / "AFLW2000" / "image00021.jpg"
    published = ("--weights", str(samples / "3ddfa" / "mb05_120x120.pth"), "--arch", "mobilenet_x05")
    published += ("--model", str(samples / "3ddfa"))
    _run(
        work, "predict", str(photograph), *published, "--box", "120,120,200,200", "--overlay", "false", "--obj", "false"
    )
    (record,) = (work / "predictions").rglob("*.json")
    (face,) = json.loads(record.read_text())["faces"]
    yield "published MobileNet: landmarks", _digest(np.asarray(face["landmarks"]))
    photographs = (
        *("--data.train", "ddfa", "--data.ddfa", str(samples / "aflw_120x120"), *assets),
        *("--data.test", "aflw2000", "--data.aflw2000", str(samples / "aflw2000_sample" / "AFLW2000")),
    )
    for arch in ("best.json", "mobilenet"):
        run = f"photographs-{arch.partition('.')[0]}"
        scale = () if arch == "best.json" else ("--scale", "0.25")
        _run(work, "retrain", *smoke, *SHORT, *photographs, "--run", run, "--arch", arch, *scale)
        yield f"photographs: {arch}", weights_digest(work / "runs" / run / "network.pt")
        yield f"photographs: {arch} result", _result(work / "runs" / run / "summary.json")


def _run(work: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nasface", *arguments]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def _architecture(path: Path) -> str:
    content = json.loads(path.read_text())
    kept = {key: value for key, value in content.items() if key != "provenance"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _result(path: Path) -> str:
    """NME of the three yaw bins, their mean, and that of all."""
    result = json.loads(path.read_text())["result"]
    return " ".join(f"{value:.5f}" for value in (*result["bins"], result["mean"], result["all"]))


def weights_digest(path: Path) -> str:
    """Digest of the tensors of a file of weights, by name; whatever else the file says is left out."""
    return _digest(*(tensor.detach().cpu().contiguous().numpy() for _, tensor in _tensors(torch.load(path))))


def _tensors(value: Any, name: str = "") -> list[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        return [(name, value)]
    if not isinstance(value, dict):
        return []
    return sorted(pair for key, inner in value.items() for pair in _tensors(inner, f"{name}.{key}"))


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    with one_line("error"):
        main()
