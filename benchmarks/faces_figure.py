"""The figure of test faces that a retraining writes, of any network of UV maps: the tutorial's picture.

python -m benchmarks.faces_figure --weights nasface-m --output docs/faces.png
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from nasface.config import Experiment
from nasface.evaluation.inference import evaluate_faces
from nasface.inference.packaged import find_weights
from nasface.nets.weights import load_network
from nasface.pipelines.workspace import prepare
from nasface.report.faces import results_figure
from nasface.training.face_task import TaskContext
from nasface.training.tasks import make_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="nasface-m", help="a packaged network, or network.pt (nasface-m)")
    parser.add_argument("--output", default="faces.png")
    parser.add_argument("--faces", type=int, default=200, help="rendered faces that are tested (200)")
    options = parser.parse_args()
    network, default = load_network(find_weights(options.weights)), Experiment()
    experiment = replace(
        default,
        data=replace(default.data, train_count=64, val_count=16, test_count=options.faces),
        network=replace(default.network, input_size=network.spec.input_size),
    )
    workspace = prepare(experiment, None)
    context = TaskContext(workspace.uv, workspace.faces.model, experiment)
    task = make_task(network, context).eval()
    evaluation = evaluate_faces(task, workspace.faces.test)
    results_figure(evaluation.spread, options.output)
    print(f"NME (%)  {evaluation.figures['nme']:.2f} on {options.faces} rendered faces\nwritten  {options.output}")


if __name__ == "__main__":
    main()
