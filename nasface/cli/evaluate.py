"""`nasface evaluate`."""

from __future__ import annotations

from pathlib import Path

from nasface.cli.command import Command
from nasface.utils.errors import UserError


def evaluate(
    weights: list[str] | None = None,
    benchmark: str | None = None,
    root: str | None = None,
    files: str | None = None,
    output: str | None = None,
    arch: str | None = None,
    model: str | None = None,
    cache: str | None = None,
    flip_test: bool = False,
    list: bool = False,
) -> None:
    """Evaluate networks on a published benchmark: its table, errors of every face, figures.

    Args:
        weights: networks of the program (nasface-s, nasface-m), a run or its network.pt, published checkpoints, exports
            (ONNX, TorchScript, safetensors); several side by side.
        benchmark: its name, see list.
        root: folder of the benchmark's set.
        files: further folder with the benchmark's optional files.
        output: folder to write to; evaluation/ and the benchmark's name where empty.
        arch: mobilenet_x05 or mobilenet, of published weights that do not show it.
        model: morphable model as in predict, and of the set's parameters; as the weights say where empty.
        cache: folder in which to keep the set's crops; none where empty (rendered videos: `cache`).
        flip_test: average what is found on each face and on its mirror image.
        list: name the benchmarks with set, points, protocol, source, and what a folder must hold.
    """
    from nasface.evaluation.benchmark import BENCHMARKS, Request
    from nasface.pipelines.evaluate import evaluate as evaluate_all
    from nasface.utils.progress import progress_for

    if list:
        print("\n\n".join(_described(name) for name in BENCHMARKS.names()))
        return
    if not weights or benchmark is None:
        raise UserError("give --weights FILE and --benchmark NAME; nasface evaluate --list names the benchmarks")
    folder = Path(output or f"evaluation/{benchmark}")
    place, further = (None if path is None else Path(path) for path in (root, files))
    request = Request(benchmark, 0, place, further, cache=cache, progress=progress_for("reading faces"))
    result = evaluate_all(weights, request, folder, arch, model, flip_test)
    print(f"{result.title}\n")
    print(result.table())
    print("".join(f"\nleft out  {line}" for line in result.left_out))
    print(f"written  {folder}: {', '.join(path.name for path in result.files)}")


def _described(name: str) -> str:
    from nasface.evaluation.benchmark import BENCHMARKS

    entry = BENCHMARKS.get(name)
    lines = {"points": entry.points, "protocol": entry.protocol, "source": entry.source, "root": entry.holds}
    return "\n".join([f"{name}: {entry.set}", *(f"  {key:9s} {value}" for key, value in lines.items())])


COMMAND = Command(evaluate)
