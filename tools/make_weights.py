"""Makes the networks that come with the program (nasface/inference/weights): each is searched, trained on rendered
faces alone, and packaged with a card of its figures.

    make weights                                   # both; hours on two cores, minutes on a GPU
    make weights ARGS="s --retrain.steps 4000"     # one of them, with other settings of its training
    make weights ARGS="--experiment smoke --into build/weights"   # the whole way in minutes, the package left alone

Killed, the same command goes on. A network whose architecture lies in search_spaces/found is not searched again; delete
that file to search anew. Delete runs/weights-s to train anew. With --into FOLDER, all of these are in that folder.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nasface.inference.export import export_network, need, onnx_session
from nasface.inference.packaged import FOLDER
from nasface.nets.cost import least_time
from nasface.nets.weights import read_weights
from nasface.report.tables import text_table
from nasface.space.record import load_record
from nasface.tracking.environment import environment
from nasface.utils.errors import UserError
from nasface.utils.files import write_text
from nasface.utils.run_files import read_summary

ROOT = Path(__file__).resolve().parents[1]
SIZES = ("s", "m")
_REPEATS = 200  # images that are timed; the least time is the network's, the others are the machine's

CARD = """# nasface-s and nasface-m

Networks for 3D face alignment: a face image of {side} x {side} pixels in; 68 3D landmarks, a dense UV position map and
the head's pose out. `nasface predict photo.jpg` and `nasface.load()` take nasface-m; `--weights nasface-s` is the fast
one.

| | |
|---|---|
| Architecture | members of the multi-path space (MONAS), found by search{searched_at}: search_spaces/found |
| Training data | {train_count} faces rendered from the head that ships with nasface, which is CC0; no photograph |
| Made by | `make weights` (experiments/weights_s.yaml, experiments/weights_m.yaml), {steps} steps |
| Licence | CC0 1.0, see LICENSE |

NME (%) by yaw on {test_count} rendered test faces of other identities (68 points, over the root of the box's area),
and the time of one image in onnxruntime on one thread of {cpu}:

```
{table}
```

## Limits

- No photograph was used in training. `nasface evaluate --weights nasface-m --benchmark aflw2000 --root DIR` prints
  the errors on photographs, twice those on rendered faces: those of version 0.2 have a mean of 4.68 % (m) and 5.15 %
  (s) on 101 images of AFLW2000-3D. They are largest under hands, hair, masks and strong make-up, on children, and on
  dark or blurred pictures.
- Shape and depth are those of a linear model. They are no measurement of a person's head.
- The networks say where a face's parts are, not whose face it is; they must not be used to tell people's character,
  health or origin.
"""


@dataclass(frozen=True)
class Places:
    """Where what is made lies: the networks' files, the architectures that were found, the runs."""

    package: Path = FOLDER
    found: Path = ROOT / "search_spaces" / "found"
    runs: Path = ROOT / "runs"

    @classmethod
    def inside(cls, folder: Path) -> Places:
        """All of them in one folder."""
        return cls(folder, folder / "found", folder / "runs")


def main(arguments: list[str]) -> None:
    """Make what is named, or both, and write the card of what is there."""
    parser = argparse.ArgumentParser(usage="make weights ARGS='[s] [m] [--into FOLDER] [--experiment NAME] [settings]'")
    parser.add_argument("sizes", nargs="*", choices=[*SIZES, []], metavar="size", help="s, m; both where none is named")
    parser.add_argument("--into", type=Path, help="folder for all that is made, in the place of the package")
    parser.add_argument("--experiment", help="settings of search and training in the place of weights_s, weights_m")
    known, settings = parser.parse_known_args(arguments)
    need("onnxscript")  # which is needed at the end only, after hours
    places = Places.inside(known.into.resolve()) if known.into else Places()
    for size in known.sizes or SIZES:
        experiment = known.experiment or f"weights_{size}"
        _search(places, size, experiment)
        _train(places, size, experiment, settings)
    write_card(places)


def write_card(places: Places) -> None:
    """Package the networks whose runs have ended, and print and write what the card says of them."""
    rows, about = [], {}
    for size in SIZES:
        run = places.runs / f"weights-{size}"
        if read_summary(run).get("finished"):
            rows.append(_package(places, size, run))
            about = {**read_summary(run), "record": read_weights(run / "network.pt", "network")["faces"]["experiment"]}
    header = ["", "[0,30]", "[30,60]", "[60,90]", "mean", "dense", "roughness", "parameters", "MACs", "ms", "file"]
    table, experiment = text_table(header, rows), about["record"]
    side = experiment["network"]["input_size"]
    print(table)
    card = CARD.format(
        table=table,
        cpu=environment()["cpu"],
        side=side,
        searched_at=_searched_at(places, side),
        steps=experiment["retrain"]["steps"],
        train_count=experiment["data"]["train_count"],
        test_count=experiment["data"]["test_count"],
    )
    write_text(places.package / "MODEL_CARD.md", card)


def _searched_at(places: Places, side: int) -> str:
    """At which sizes of image the networks were found, where those are others than the side that they take."""
    found = (load_record(path).provenance.get("network", {}) for path in places.found.glob("nasface-*.json"))
    others = {sizes.get("input_size", side) for sizes in found} - {side}
    return f" at {' and '.join(map(str, sorted(others)))} pixels" if others else ""


def _search(places: Places, size: str, experiment: str) -> None:
    found, run = places.found / f"nasface-{size}.json", places.runs / f"weights-search-{size}"
    if not found.is_file():
        _nasface("search", run, "--experiment", experiment, "--output", str(found))


def _train(places: Places, size: str, experiment: str, settings: list[str]) -> None:
    arch, label = places.found / f"nasface-{size}.json", f"nasface-{size}"
    words = ("--experiment", experiment, "--arch", str(arch), "--label", label, *settings)
    _nasface("retrain", places.runs / f"weights-{size}", *words)


def _nasface(command: str, run: Path, *words: str) -> None:
    """Run a command, or go on with its run; nothing where that has ended."""
    if run.is_dir() and read_summary(run).get("finished"):
        return
    resume = ("--resume", "true") if run.is_dir() else ()
    line = [command, "--run", run.name, "--runs", str(run.parent), *words, *resume]
    if code := subprocess.run([sys.executable, "-m", "nasface", *line], cwd=ROOT).returncode:
        sys.exit(code)


def _package(places: Places, size: str, run: Path) -> list[str]:
    """Write the network's file, and what the card says of it."""
    packed, onnx = places.package / f"nasface-{size}.safetensors", run / "network.onnx"
    export_network(run, packed, "safetensors", half=True)
    export_network(packed, onnx, "onnx")
    shutil.copyfile(run / "faces.png", places.runs / f"nasface-{size}.png")
    result = read_summary(run)["result"]
    errors = [*result["bins"], result["mean"], result["dense"], result["roughness"]]
    costs = [f"{result['parameters'] / 1e6:.2f} M", f"{result['macs'] / 1e6:.1f} M", f"{onnx_latency(onnx):.2f}"]
    megabytes = f"{packed.stat().st_size / 1e6:.1f} MB"
    return [f"nasface-{size}", *("-" if value is None else f"{value:.2f}" for value in errors), *costs, megabytes]


def onnx_latency(path: Path) -> float:
    """The least milliseconds of one image in onnxruntime on one thread."""
    session = onnx_session(path, threads=1)
    (wanted,) = session.get_inputs()
    image = {wanted.name: np.zeros([1, *wanted.shape[1:]], np.float32)}
    return least_time(partial(session.run, None, image), _REPEATS)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"make weights: {error}")
