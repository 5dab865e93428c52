"""What an earlier version needs on one core, and this one on one and on two, at the same work.

    python -m benchmarks.cores [--baseline 17b6e01] [--rounds 3]

The work, each version in a process of its own: a supernet trained (all steps on its children), its space searched by
the paper's simulated annealing, and HRNet as a member trained from scratch; networks with the head and the change of
scale that both versions have, `cells`. The earlier version is taken from the repository's history, so this needs a
clone with git. A row ends with how many times as fast two cores are today as one core was. Let nothing run beside it;
on a machine that others share, let the versions take several turns (`--rounds`), of which the fastest of each work
counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import run_benchmark
from nasface.report.tables import text_table
from nasface.search.strategies.samos import SAMOS
from nasface.utils.errors import UserError
from nasface.utils.files import write_json

REPOSITORY = Path(__file__).parents[1]
MEMBER = REPOSITORY / "search_spaces" / "presets" / "hrnet.json"
"""What is retrained. It names no sizes, which the earlier version would not read: both take their default's."""
SPACE = "name: multipath\nlayers: 10\nscales: 4\nconnections: [4, 8]\n"
"""The space of the baseline: a quarter to a half of a gap's connections."""
FACES = ("--data.train_count", "1000", "--data.val_count", "400", "--data.test_count", "100")
FORMER = ("--network.head", "cells", "--network.resample", "cells", "--retrain.optimizer.kind", "adamw")
"""The networks of the baseline, and their optimizer."""
FORMER_TRAINING = (
    *("--supernet.whole", "0", "--supernet.optimizer.kind", "adamw"),
    *("--supernet.optimizer.lr", "0.002", "--supernet.optimizer.warmup", "0.05"),
)
"""The training of its supernet."""


@dataclass(frozen=True)
class Work:
    """How much is done: steps of the supernet, candidates of the search, steps of the retraining."""

    supernet: int
    candidates: int
    retraining: int


@dataclass(frozen=True)
class Way:
    """A version and the cores that it gets.

    Attributes:
        name: of its column.
        code: the folder that holds the package.
        cores: threads.
        search: further arguments of `search`.
        both: of `search` and `retrain`.
    """

    name: str
    code: Path
    cores: int
    search: tuple[str, ...] = ()
    both: tuple[str, ...] = ()


def ways(baseline: Path, name: str) -> list[Way]:
    """The columns: `name`, whose package is in the folder `baseline`, on one core, and this version on one and two."""
    paper = json.dumps(SAMOS.PAPER)
    search = ("--on", "supernet", *FORMER_TRAINING, "--search.max_macs", "0", "--search.settings", paper)
    today = [Way(f"today, {cores} core(s)", REPOSITORY, cores, search, FORMER) for cores in (1, 2)]
    return [Way(f"{name}, 1 core", baseline, 1), *today]


def seconds_of(way: Way, work: Work, folder: Path) -> dict[str, float]:
    """Do the work in an empty folder: seconds of each part, by its name."""
    (folder / "space.yaml").write_text(SPACE)
    common = [*way.both, *FACES, "--seed", "0", "--log.wandb", "off", "--device.accelerator", "cpu"]
    common += ["--device.threads", str(way.cores)]
    search = ["search", "--space", "space.yaml", "--output", "best.json", *way.search, *common]
    search += ["--supernet.steps", str(work.supernet), "--search.iterations"]
    _run(way, [*search, str(work.candidates), "--run", "search"], folder)
    costs = _costs(folder / "runs" / "search")
    steps = str(work.retraining)
    retrain = ["retrain", "--arch", str(MEMBER), "--run", "retrain", *common]
    _run(way, [*retrain, "--retrain.steps", steps, "--retrain.evaluate_every", steps], folder)
    return {
        f"supernet, {work.supernet} steps": costs["supernet_s"],
        f"search, {work.candidates} candidates": costs["search_s"] + costs["calibration_s"],
        f"retraining, {work.retraining} steps": _costs(folder / "runs" / "retrain")["retrain_s"],
    }


def least_seconds(ways: Sequence[Way], work: Work, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """The least seconds of each part of the work, by way, of several rounds in each of which every way has its turn."""
    least: dict[str, dict[str, float]] = {}
    for turn in range(rounds):
        for number, way in enumerate(ways):
            place = folder / f"{turn}-{number}"
            place.mkdir()
            if (rendered := folder / f"{turn - 1}-{number}" / "cache").is_dir():
                rendered.rename(place / "cache")
            seconds = seconds_of(way, work, place)
            print(f"{way.name}: " + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()), flush=True)
            before = least.setdefault(way.name, seconds)
            least[way.name] = {name: min(value, before[name]) for name, value in seconds.items()}
    return least


def _run(way: Way, arguments: Sequence[str], folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(way.code), "OMP_NUM_THREADS": str(way.cores)}
    command = [sys.executable, "-m", "nasface", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise UserError(f"{way.name}: {' '.join(arguments[:1])} ended with {done.returncode}: {said}")


def _costs(run: Path) -> dict[str, float]:
    costs = json.loads((run / "summary.json").read_text())["costs"]
    assert isinstance(costs, dict)
    return costs


def cores_table(seconds: dict[str, dict[str, float]]) -> str:
    """Rows of work, columns of ways (seconds by way and work, the baseline first), and the gain of the last."""
    names = list(seconds)
    first, last = names[0], names[-1]
    body = [
        [
            work,
            *(f"{seconds[name][work]:.1f} s" for name in names),
            f"{seconds[first][work] / seconds[last][work]:.2f} x",
        ]
        for work in seconds[first]
    ]
    return text_table(["", *names, "gain"], body)


def unpack(commit: str, folder: Path) -> None:
    """The package of a commit of this repository.

    Raises:
        UserError: there is no git, or no such commit.
    """
    try:
        archive = subprocess.run(
            ["git", "archive", commit, "nasface"], cwd=REPOSITORY, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise UserError(f"this repository has no commit {commit}: run it in a clone with its history") from None
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--baseline", default="17b6e01", help="commit of the earlier version")
    parser.add_argument("--supernet", type=int, default=100, help="steps of the supernet's training")
    parser.add_argument("--candidates", type=int, default=200, help="that the search looks at")
    parser.add_argument("--retraining", type=int, default=150, help="steps of the retraining")
    parser.add_argument("--rounds", type=int, default=1, help="turns of every version, of which the fastest count")
    parser.add_argument("--json", default="runs/benchmarks/cores.json", help="file of the figures")
    given = parser.parse_args(arguments)
    work = Work(given.supernet, given.candidates, given.retraining)
    with tempfile.TemporaryDirectory() as scratch:
        baseline = Path(scratch, "baseline")
        baseline.mkdir()
        unpack(given.baseline, baseline)
        seconds = least_seconds(ways(baseline, given.baseline), work, given.rounds, Path(scratch))
    print("\n" + cores_table(seconds))
    write_json(Path(given.json), {"work": vars(given), "seconds": seconds})
    print(f"figures  {given.json}")


if __name__ == "__main__":
    run_benchmark(main)
