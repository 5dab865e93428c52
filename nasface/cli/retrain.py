"""`nasface retrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse.typing import PositiveFloat

from nasface.cli.command import FACES, MACHINE, SIZES, TRAINING, Command
from nasface.config import Experiment, MultipathConfig
from nasface.runs.run import open_run
from nasface.space.record import load_record
from nasface.utils.errors import UserError
from nasface.utils.run_files import supernet_file


def retrain(
    experiment: Experiment,
    arch: str = "best.json",
    scale: PositiveFloat = 1.0,
    init: str = "scratch",
    label: str | None = None,
    run: str | None = None,
    resume: bool = False,
) -> None:
    """Train one network from scratch, evaluate it, print the field's table.

    Args:
        experiment: every setting.
        arch: architecture: a JSON file such as best.json, preset/hourglass, preset/prnet, preset/hrnet, or random; or a
            fixed network by its name in `nasface list`.
        scale: multiplier of a fixed network's widths: 1 is the paper's, 0.5 or 0.25 is for a CPU.
        init: initial weights: scratch; of a fixed network a network.pt of it, or a checkpoint that 3DDFA_V2 published
            (.pth); of a member of a space supernet (of the run in the architecture's file), or a supernet.pt.
        label: name of the row in the table.
        run: id of the run, its folder under runs/; made from time and settings where empty.
        resume: continue the newest unfinished run of these settings (or the one of --run).
    """
    from nasface.pipelines import retrain as pipeline
    from nasface.pipelines.workspace import prepare
    from nasface.report.tables import yaw_table
    from nasface.tracking.artifacts import parents_of
    from nasface.tracking.wandb import sync_line

    asked = experiment.network.width
    experiment, spec, name, weights, start = _checked(experiment, arch, scale, init)
    folder = open_run("retrain", experiment, spec.digest, resume, run, init)
    print(f"run      {folder.folder}")
    if asked not in (MultipathConfig.width, width := experiment.network.width):
        print(f"width    {width}, which was found with the connections of {arch}, in the place of {asked}")
    with folder.timed("data_s"):
        workspace = prepare(experiment, spec.architecture and spec.architecture.space)
    row = pipeline.retrain(workspace, spec, folder, start, label or name, parents_of(arch, weights)).row
    folder.update_summary(finished=True)
    print(
        f"\nNME (%) by yaw on {workspace.faces.test.name} ({len(workspace.faces.test)} faces),"
        f" trained in {row.train_s:.0f} s\n"
    )
    print(yaw_table([row]))
    print(f"\nweights  {folder.path('network.pt')}")
    print(f"next     nasface predict photo.jpg --weights {folder.folder}")
    print(f"         nasface evaluate --weights {folder.folder} --benchmark aflw2000 --root DIR")
    print(f"         nasface report {folder.folder}")
    if line := sync_line(folder.folder):
        print(line)


def _checked(
    experiment: Experiment, arch: str = "best.json", scale: float = 1.0, init: str = "scratch", **_: object
) -> tuple[Experiment, Any, str, Path | None, Any]:
    """What `resolve_network` gives, the supernet that gives the weights, and what sets them, once whatever is wrong
    with the settings has come out."""
    from nasface.data.sources import check_sets
    from nasface.nets.registry import NETWORKS
    from nasface.pipelines.architectures import resolve_network
    from nasface.training.fit import make_trainer
    from nasface.training.tasks import needed_labels

    experiment, spec, name = resolve_network(experiment, arch, scale)
    if spec.architecture is None and init == "supernet":
        raise UserError(f"--init {init} is for networks of a multi-path space; give a network.pt of {arch}")
    if spec.architecture is not None and scale != 1:
        raise UserError(f"--scale is for fixed networks ({', '.join(NETWORKS.names())}): give --network.width")
    make_trainer(experiment.device, logger=False)
    check_sets(experiment.data, needed_labels(spec))
    weights = None if init == "scratch" or spec.architecture is None else _supernet_file(init, arch)
    return experiment, spec, name, weights, _start(experiment, spec, weights or init)


def _start(experiment: Experiment, spec: Any, init: str | Path) -> Any:
    """What gives a fresh network its weights, or None; a UserError where they are another network's."""
    from nasface.faces.ddfa_model import WHITENING_FILE_V2, load_whitening
    from nasface.nets.baselines.mobilenet import WIDTHS, adopt_published, load_published, published_arch
    from nasface.nets.weights import load_network, load_supernet

    if init == "scratch":
        return None
    if spec.architecture is not None:
        state = load_supernet(init, spec.architecture.space, experiment.network).child(spec.architecture).state_dict()
        return lambda network: network.load_state_dict(state)
    arch = published_arch(init)
    if arch is None:
        found = load_network(init)
        if found.spec.digest != spec.digest or found.spec.input_size != spec.input_size:
            raise UserError(f"{init} is of {found.spec.digest} at {found.spec.input_size} pixels: give one of --arch")
        return lambda network: network.load_state_dict(found.state_dict())
    if getattr(spec, "name", None) not in WIDTHS:
        raise UserError(f"{init} is a published {arch}: give --arch {arch}")
    published = load_published(init, WIDTHS[arch])
    whitening = load_whitening(Path(experiment.data.ddfa_assets) / WHITENING_FILE_V2)
    return lambda network: adopt_published(network, published, whitening)


def _supernet_file(init: str, arch: str) -> Path:
    if init != "supernet":
        return Path(init)
    run = load_record(arch).provenance.get("run")
    if not run:
        raise UserError(
            f"{arch} does not say which run's supernet it comes from: give --init runs/<id>/supernet/supernet.pt"
        )
    return supernet_file(str(run))


COMMAND = Command(
    retrain,
    ("seed", "runs", *FACES, *SIZES, *TRAINING, "retrain.optimizer.schedule", "retrain.videos", *MACHINE, "log.wandb"),
    _checked,
)
