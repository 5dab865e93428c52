"""Commands that are killed at random moments and started again: what they end with is what an uninterrupted one ends
with.

    python -m benchmarks.kills --rounds 20 [--first 0]

Each round takes one kind of command, kills it (SIGKILL, with all that it has started) at two random moments, starts
it again until it ends, and compares. Prints each round and exact continuations of rounds; exits with 1 where one
differs. A round depends on its number and the seed alone: `--first` goes on after those that are printed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from nasface.utils.ending import one_line

KILLS = 2
_FACES = ("--data.train_count", "24", "--data.val_count", "12", "--data.test_count", "9", "--data.cache", "cache")
_TINY = (
    *("--experiment", "smoke", *_FACES, "--log.wandb", "off", "--device.accelerator", "cpu", "--device.threads", "1"),
    *("--supernet.steps", "4", "--supernet.checkpoint_every", "2", "--supernet.batch_size", "4"),
    *("--search.iterations", "6", "--search.calibration", "8", "--search.strategy", "random"),
    *("--retrain.steps", "4", "--retrain.evaluate_every", "2", "--retrain.batch_size", "4"),
)
_SWEEP = {
    "method": "grid",
    "metric": {"name": "val/nme"},
    "command": ["nasface", "retrain", "--arch=random", *_TINY, "${args}"],
    "parameters": {"retrain.loss": {"values": ["l1", "l2"]}},
}


def _best(folder: Path) -> object:
    record = json.loads((folder / "runs/r/best.json").read_text())
    return record["code"], record["scores"]["penalty"]


def _network(folder: Path) -> object:
    state = torch.load(folder / "runs/r/network.pt", weights_only=True)["state"]
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in state.values())).hexdigest()


def _faces(folder: Path) -> object:
    files = sorted(path for path in (folder / "cache").rglob("*") if path.is_file())
    return [(path.relative_to(folder), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def _compared(folder: Path) -> object:
    rows = json.loads((folder / "runs/r/comparison.json").read_text())
    return [(row["name"], row["mean"], row["all"]) for row in rows]


def _swept(folder: Path) -> object:
    with (folder / "runs/r/runs.csv").open(newline="") as stream:
        return sorted((row["run"], row["state"], row["val/nme"]) for row in csv.DictReader(stream))


def _table(folder: Path) -> object:
    rows = map(json.loads, (folder / "table/trainings.jsonl").read_text().splitlines())
    return sorted(tuple(str(value) for name, value in sorted(row.items()) if name != "seconds") for row in rows)


@dataclass(frozen=True)
class Kind:
    """A command, what it leaves, and whether `--run r` names its records, which `--resume true` goes on with."""

    words: tuple[str, ...]
    result: Callable[[Path], object]
    resumes: bool = True


KINDS = {
    "faces": Kind(("data", "build", "--count", "40", "--size", "32", "--cache", "cache"), _faces, False),
    "training": Kind(("retrain", "--arch", "random", *_TINY), _network),
    "search by trainings": Kind(("search", "--on", "trainings", *_TINY), _best),
    "search": Kind(("search", "--on", "supernet", *_TINY), _best),
    "search of two workers": Kind(("search", "--on", "supernet", "--workers", "2", *_TINY), _best),
    "sweep": Kind(("sweep", "sweep.yaml", "--where", "here"), _swept),
    "comparison": Kind(("compare", "--compare.networks", "[random, preset/prnet]", *_TINY), _compared),
    "table": Kind(("table", "build", "--folder", "table", "--members", "6", "--workers", "2", *_TINY), _table, False),
}


def run(kind: Kind, folder: Path, seconds: float | None) -> bool:
    """Run a command, and kill it after so long; whether it has ended by itself.

    Raises:
        RuntimeError: it failed.
    """
    resume = ["--run", "r", *(["--resume", "true"] if (folder / "runs/r").exists() else [])] if kind.resumes else []
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "nasface", *kind.words, *resume],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
    if code:
        raise RuntimeError((folder / "said.txt").read_text()[-300:])
    return True


def kills(rounds: int, seed: int = 0, kinds: tuple[str, ...] = tuple(KINDS), first: int = 0) -> Iterator[str]:
    """What was wrong with each round, empty where nothing was; they are spread over the kinds.

    Args:
        rounds: number of the last one, plus 1.
        seed: of the moments.
        kinds: in KINDS.
        first: number of the first one.
    """
    wanted: dict[str, tuple[object, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        for number in (*range(-len(kinds), 0), *range(first, rounds)):  # at first, each kind once without a kill
            name = kinds[number % len(kinds)]
            kind, folder = KINDS[name], Path(place, str(number))
            folder.mkdir()
            (folder / "sweep.yaml").write_text(yaml.safe_dump(_SWEEP))
            if number < 0:
                start = time.perf_counter()
                run(kind, folder, None)
                wanted[name] = kind.result(folder), time.perf_counter() - start
                continue
            shares = np.random.default_rng([seed, number]).uniform(0.1, 1.0, KILLS)
            try:
                moments = [float(share) * wanted[name][1] for share in shares]
                for moment in (*moments, None):  # one that has ended before its kill is not started again
                    if run(kind, folder, moment):
                        break
                found = "" if kind.result(folder) == wanted[name][0] else "another result"
            except (RuntimeError, OSError) as error:
                found = " ".join(str(error).split())
            print(f"round {number}, {name}: {found or 'exact'}", flush=True)
            shutil.rmtree(folder)
            yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    found: list[str] = []
    try:
        for one in kills(arguments.rounds, arguments.seed, tuple(arguments.kinds), arguments.first):
            found.append(one)
    finally:  # also where it is ended in the middle
        print(f"exact continuations {found.count('')} of {len(found)}")
    sys.exit(any(found))


if __name__ == "__main__":
    with one_line("error"):
        main()
