"""`nasface evaluate` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nasface.evaluation.benchmark import BENCHMARKS
from nasface.nets.baselines.mobilenet import MobileNetV1
from tests.data.aflw2000_files import write_aflw2000
from tests.data.test_landmark_sets import write_plain
from tests.evaluation.benchmarks.files import WRITERS
from tests.faces.ddfa_files import write_assets
from tests.helpers.tiny import Command
from tests.inference.world import toy_weights


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, a published checkpoint beside its model, and a network that was trained here."""
    folder = tmp_path_factory.mktemp("evaluate")
    write_assets(folder / "assets")
    torch.manual_seed(0)
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in MobileNetV1(0.5).state_dict().items()}},
        folder / "assets" / "published.pth",
    )
    write_aflw2000(folder / "AFLW2000", folder / "assets", (10, -45, 80, 20))
    (folder / "trained").mkdir()
    toy_weights(folder / "trained" / "network.pt")
    return folder


def test_networks_side_by_side(nasface: Command, place: Path) -> None:
    weights = [str(place / "assets" / "published.pth"), str(place / "trained" / "network.pt")]
    arguments = ["evaluate", "--benchmark", "aflw2000", "--root", str(place / "AFLW2000"), "--output", "out"]
    result = nasface(*arguments, "--weights", *weights)
    assert result.code == 0, result.errors
    content = json.loads(Path("out/result.json").read_text())
    assert content["images"] == 4 and content["weights"] == dict(zip(("published", "trained"), weights, strict=True))
    figures = content["results"]["2D"]
    assert list(figures) == ["published", "trained"]
    assert figures["published"]["counts"] == {"[0,30]": 2, "[30,60]": 1, "[60,90]": 1}
    assert f"{figures['published']['mean']:.3f}" in result.output and "left out  trained, dense" in result.output
    # The dense rows are the published network's alone, whose maps are on a chart that the set has a truth for.
    dense = [list(networks) for name, networks in content["results"].items() if name.startswith("dense")]
    assert dense == 6 * [["published"]]
    with open("out/errors.csv", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["image"] for line in lines] == [f"image0{number}.jpg" for number in range(4)]
    values = [float(line["trained: 2D"]) for line in lines]
    assert np.mean(values) == pytest.approx(figures["trained"]["all"], rel=1e-4)
    head = Path("out/table.md").read_text().splitlines()[:4]
    assert head[0].startswith("AFLW2000-3D, 4 images: ")
    assert head[2:] == [f"- {label}: {path}" for label, path in content["weights"].items()]
    for name in ("ced.png", "faces-published.png", "faces-trained.png", "table.md"):
        assert (Path("out") / name).stat().st_size > 0


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_every_benchmark_from_files_to_pictures(name: str, nasface: Command, place: Path, tmp_path: Path) -> None:
    """Whatever points a set has, they are compared and drawn."""
    folder, published = tmp_path / "sets" / name, ("aflw2000", "synthetic_videos")  # of a model's parameters
    if name not in published:
        folder.mkdir(parents=True)
    WRITERS[name](folder)
    weights = place / "assets" / "published.pth" if name in published else place / "trained" / "network.pt"
    result = nasface("evaluate", "--weights", str(weights), "--benchmark", name, "--root", str(folder))
    assert result.code == 0, result.errors
    content = json.loads(Path(f"evaluation/{name}/result.json").read_text())
    with open(f"evaluation/{name}/errors.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == content["images"] > 0
    assert all(weights.stem in rows or "trained" in rows for rows in content["results"].values())
    for path in ("ced.png", f"faces-{'published' if name in published else 'trained'}.png"):
        assert (Path("evaluation") / name / path).stat().st_size > 0


def test_mirrored_too(nasface: Command, place: Path) -> None:
    arguments = ["evaluate", "--benchmark", "aflw2000", "--root", str(place / "AFLW2000")]
    weights = ["--weights", str(place / "trained" / "network.pt")]
    results = []
    for extra in ((), ("--flip-test",), ("--flip_test", "true")):
        assert nasface(*arguments, *weights, *extra).code == 0
        results.append(json.loads(Path("evaluation/aflw2000/result.json").read_text()))
    assert [result["flip_test"] for result in results] == [False, True, True]
    assert results[0]["results"] != results[1]["results"] == results[2]["results"]


def test_the_list_names_every_benchmark(nasface: Command) -> None:
    result = nasface("evaluate", "--list")
    assert result.code == 0
    for name in BENCHMARKS.names():
        entry = BENCHMARKS.get(name)
        told = f"{name}: {entry.set}", entry.points, entry.protocol, entry.source, entry.holds
        assert all(text in result.output for text in told)


def test_what_a_user_can_mend_is_one_line(nasface: Command, place: Path) -> None:
    network, root = str(place / "trained" / "network.pt"), str(place / "AFLW2000")
    (place / "empty").mkdir(exist_ok=True)
    Path("page.pt").write_text("<!DOCTYPE html>")
    Path("text.pt").write_text("every word a weight")
    write_plain(place / "frames", ["a/0.png", "b/0.png"], 68, 3)  # videos without motion
    for arguments, said in (
        ([], "give --weights FILE and --benchmark NAME"),
        (["--weights", network, "--benchmark", "aflw200", "--root", root], "did you mean aflw2000"),
        (["--weights", network, "--benchmark", "aflw2000"], "where is AFLW2000-3D? give its folder by --root"),
        (["--weights", network, "--benchmark", "aflw2000", "--root", str(place / "no")], "no is not a folder"),
        (["--weights", network, "--benchmark", "aflw2000", "--root", str(place / "empty")], "holds no .jpg"),
        (["--weights", "absent.pt", "--benchmark", "aflw2000", "--root", root], "absent.pt does not exist"),
        (["--weights", "absent.onnx", "--benchmark", "aflw2000", "--root", root], "absent.onnx does not exist"),
        (["--weights", "page.pt", "--benchmark", "aflw2000", "--root", root], "(it is not torch.save's, or holds more"),
        (["--weights", "text.pt", "--benchmark", "aflw2000", "--root", root], "(it is not torch.save's, or holds more"),
        (["--weights", network, "--benchmark", "aflw2000", "--root", root, "--files", "no"], "no is not a folder"),
        (["--weights", network, "--benchmark", "menpo3d", "--root", str(place / "frames")], "stability: no face of"),
        (["--weights", network, network, "--benchmark", "aflw2000", "--root", root], "names a file twice"),
        (["--weights", "absent.pt", "--benchmark", "aflw2000", "--output", "page.pt/x"], "page.pt is no folder"),
    ):
        result = nasface("evaluate", *arguments)
        assert result.code == 2 and said in result.line, (arguments, result)
    assert not Path("evaluation").exists()


def test_the_published_network_has_its_known_figures(nasface: Command, shared_data: Path) -> None:
    """As `python -m benchmarks.published_mobilenet` prints them for the 101 images of the sample."""
    weights, root = shared_data / "3ddfa" / "mb05_120x120.pth", shared_data / "aflw2000_sample" / "AFLW2000"
    if not (weights.is_file() and root.is_dir()):
        pytest.skip(f"no published network or no sample of AFLW2000-3D in {shared_data}")
    assert nasface("evaluate", "--weights", str(weights), "--benchmark", "aflw2000", "--root", str(root)).code == 0
    figures = json.loads(Path("evaluation/aflw2000/result.json").read_text())["results"]["2D"]["mb05_120x120"]
    assert tuple(figures["groups"].values()) == pytest.approx((3.301, 3.432, 4.260), abs=2e-3)
    assert (figures["mean"], figures["all"]) == pytest.approx((3.664, 3.647), abs=2e-3)


@pytest.mark.parametrize("kind", ["onnx", "torchscript", "safetensors"])
def test_exports_have_their_networks_figures(nasface: Command, place: Path, kind: str) -> None:
    for package in {"onnx": ("onnx", "onnxscript", "onnxruntime"), "safetensors": ("safetensors",)}.get(kind, ()):
        pytest.importorskip(package)
    network = place / "trained" / "network.pt"
    exported = "exported.onnx" if kind == "onnx" else "exported.file"
    assert nasface("export", "--weights", str(network), "--format", kind, "--output", exported).code == 0
    root = ["--benchmark", "aflw2000", "--root", str(place / "AFLW2000")]
    result = nasface("evaluate", "--weights", str(network), exported, *root)
    assert result.code == 0, result.errors
    rows = json.loads(Path("evaluation/aflw2000/result.json").read_text())["results"]["2D"]
    assert rows["exported"]["all"] == pytest.approx(rows["trained"]["all"], rel=1e-4)


def test_the_dense_shape_of_an_export_needs_its_model(nasface: Command, place: Path) -> None:
    """Such a file does not say which model's vertices it gives."""
    weights, assets = str(place / "assets" / "published.pth"), str(place / "assets")
    assert nasface("export", "--weights", weights, "--format", "torchscript", "--output", "x.ts").code == 0
    arguments = ["evaluate", "--weights", "x.ts", "--benchmark", "aflw2000", "--root", str(place / "AFLW2000")]
    results = []
    for extra, said in (
        ([], "left out  x, dense: the file does not say of which"),
        (["--model", assets], "dense 3D, "),
    ):
        result = nasface(*arguments, *extra)
        assert result.code == 0 and said in result.output, result
        results.append(json.loads(Path("evaluation/aflw2000/result.json").read_text())["results"])
    assert len(results[1]) == len(results[0]) + 6


def test_a_model_for_the_set_is_not_the_networks(nasface: Command, place: Path) -> None:
    """A network keeps the morphable model that its file says, whatever --model gives for others."""
    arguments = ["--weights", "nasface-s", "--benchmark", "aflw2000", "--root", str(place / "AFLW2000")]
    results = []
    for extra in ([], ["--model", str(place / "assets")]):
        assert nasface("evaluate", *arguments, *extra).code == 0
        results.append(json.loads(Path("evaluation/aflw2000/result.json").read_text())["results"])
    assert results[0] == results[1]
