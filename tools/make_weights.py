"""Makes the networks that come with the program (nasface/inference/weights): each is searched, trained on rendered
faces alone, and packaged with a card of its figures.

    make weights                                   # both; hours on two cores, minutes on a GPU
    make weights ARGS="s --retrain.steps 4000"     # one of them, with other settings of its training

Killed, the same command goes on. A network whose architecture lies in search_spaces/found is not searched again; delete
that file to search anew. Delete runs/weights-s to train anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from nasface.inference.export import export_network, onnx_session
from nasface.inference.packaged import FOLDER
from nasface.nets.cost import least_time
from nasface.nets.weights import read_weights
from nasface.report.tables import text_table
from nasface.tracking.environment import environment
from nasface.utils.files import write_text
from nasface.utils.run_files import read_summary

ROOT = Path(__file__).resolve().parents[1]
FOUND, RUNS = ROOT / "search_spaces" / "found", ROOT / "runs"
SIZES = ("s", "m")
_REPEATS = 200  # images that are timed; the least time is the network's, the others are the machine's

CARD = """# nasface-s and nasface-m

Networks for 3D face alignment: a face image of 64 x 64 pixels in; 68 3D landmarks, a dense UV position map and the
head's pose out. `nasface predict photo.jpg` and `nasface.load()` take nasface-m; `--weights nasface-s` is the fast one.

| | |
|---|---|
| Architecture | members of the multi-path space (MONAS), found by search: search_spaces/found |
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
  the errors on photographs, twice those on rendered faces: on 101 images of AFLW2000-3D a mean of 5.66 % (m) and
  5.91 % (s). They are largest under hands, hair, masks and strong make-up, on children, and on dark or blurred
  pictures.
- Shape and depth are those of a linear model. They are no measurement of a person's head.
- The networks say where a face's parts are, not whose face it is; they must not be used to tell people's character,
  health or origin.
"""


def main(arguments: list[str]) -> None:
    """Make what is named, or both, and write the card of what is there."""
    chosen = [word for word in arguments if word in SIZES] or list(SIZES)
    settings = [word for word in arguments if word not in SIZES]
    for size in chosen:
        _search(size)
        _train(size, settings)
    write_card()


def write_card() -> None:
    """Package the networks whose runs have ended, and print and write what the card says of them."""
    rows, about = [], {}
    for size in SIZES:
        run = RUNS / f"weights-{size}"
        if read_summary(run).get("finished"):
            rows.append(_package(size, run))
            about = {**read_summary(run), "record": read_weights(run / "network.pt", "network")["faces"]["experiment"]}
    header = ["", "[0,30]", "[30,60]", "[60,90]", "mean", "dense", "roughness", "parameters", "MACs", "ms", "file"]
    table, experiment = text_table(header, rows), about["record"]
    print(table)
    card = CARD.format(
        table=table,
        cpu=environment()["cpu"],
        steps=experiment["retrain"]["steps"],
        train_count=experiment["data"]["train_count"],
        test_count=experiment["data"]["test_count"],
    )
    write_text(FOLDER / "MODEL_CARD.md", card)


def _search(size: str) -> None:
    found, run = FOUND / f"nasface-{size}.json", RUNS / f"weights-search-{size}"
    if not found.is_file():
        _nasface("search", run, "--experiment", f"weights_{size}", "--output", str(found))


def _train(size: str, settings: list[str]) -> None:
    arch, label = FOUND / f"nasface-{size}.json", f"nasface-{size}"
    words = ("--experiment", f"weights_{size}", "--arch", str(arch), "--label", label, *settings)
    _nasface("retrain", RUNS / f"weights-{size}", *words)


def _nasface(command: str, run: Path, *words: str) -> None:
    """Run a command, or go on with its run; nothing where that has ended."""
    if run.is_dir() and read_summary(run).get("finished"):
        return
    resume = ("--resume", "true") if run.is_dir() else ()
    line = [command, "--run", run.name, "--runs", str(RUNS), *words, *resume]
    if code := subprocess.run([sys.executable, "-m", "nasface", *line], cwd=ROOT).returncode:
        sys.exit(code)


def _package(size: str, run: Path) -> list[str]:
    """Write the network's file, and what the card says of it."""
    packed, onnx = FOLDER / f"nasface-{size}.safetensors", run / "network.onnx"
    export_network(run, packed, "safetensors", half=True)
    export_network(packed, onnx, "onnx")
    shutil.copyfile(run / "faces.png", RUNS / f"nasface-{size}.png")
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
    main(sys.argv[1:])
