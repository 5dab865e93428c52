"""Every setting of an experiment, typed, with its meaning and default; `nasface COMMAND --help-all` prints them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ActionConfigFile, ArgumentParser
from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from nasface.utils.errors import UserError, nearest, without_passwords
from nasface.utils.resources import resource_folder
from nasface.utils.type_words import kind_of


@dataclass(frozen=True)
class DataConfig:
    """Where the faces come from.

    Attributes:
        train: training and validation faces, a registered set (docs/data.md): `synthetic` (rendered on this machine
            from the embedded head), `ddfa` (3DDFA's released layout), `w300lp` (300W-LP's photographs), `300w`, `aflw`,
            ...; or several with their shares of every batch: `[synthetic:0.5, w300lp:0.5]`, equal ones where left out.
        test: test faces: `synthetic`, `aflw2000` (AFLW2000-3D), or another registered set.
        cache: folder in which rendered and decoded faces are kept.
        domain: look of the synthetic test faces: `studio`, or `wild`, harder pictures with 2D labels only; training and
            validation faces are always `studio`'s, whose 3D labels they need.
        seed: of the synthetic faces.
        train_count: training faces of each set (0: all of a real one); where empty, 6000 synthetic ones, and all of a
            real set.
        val_count: faces for validation, by which alone a search scores its members (0: all that the real list holds).
        test_count: synthetic test faces.
        ddfa: folder in 3DDFA's layout (images, lists, parameters).
        ddfa_assets: folder of 3DDFA's morphable model files (40 + 10 modes).
        w300lp: folder of 300W-LP (AFW, HELEN, IBUG, LFPW).
        bfm: model of 300W-LP's targets: file BFM.mat of face3d with BFM_UV.mat beside it (199 + 29 modes), or folder
            configs of 3DDFA_V2 with bfm_noneck_v3.pkl (40 + 10); where empty, 3DDFA's in ddfa_assets.
        aflw2000: folder of AFLW2000-3D (jpg and mat pairs).
        folders: of sets that have no setting of their own, each by its name: `--data.folders.mine data/mine`.
    """

    train: list[str] | str = "synthetic"
    test: str = "synthetic"
    cache: str = "cache"
    domain: Literal["studio", "wild"] = "studio"
    seed: NonNegativeInt = 0
    train_count: NonNegativeInt | None = None
    val_count: NonNegativeInt = 400
    test_count: NonNegativeInt = 1000
    ddfa: str = "data/aflw_120x120"
    ddfa_assets: str = "data/3ddfa"
    w300lp: str = "data/300W_LP"
    bfm: str = ""
    aflw2000: str = "data/AFLW2000"
    folders: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AugmentConfig:
    """Strength of each augmentation; 0 switches it off.

    Attributes:
        rotation: largest in-plane rotation in degrees.
        scale: largest relative change of size: 0.3 gives 0.7 to 1.3 times it.
        shift: largest shift, as a fraction of the image's side.
        flip: probability of a left-right mirror.
        colour: largest relative change of each channel's gain, of brightness and of contrast.
        grey: probability of a grey image.
        erase: probability of an erased rectangle.
        noise: largest standard deviation of pixel noise, in units of the 0..255 range.
    """

    rotation: NonNegativeFloat = 20.0
    scale: ClosedUnitInterval = 0.1
    shift: ClosedUnitInterval = 0.05
    flip: ClosedUnitInterval = 0.5
    colour: ClosedUnitInterval = 0.2
    grey: ClosedUnitInterval = 0.1
    erase: ClosedUnitInterval = 0.2
    noise: NonNegativeFloat = 4.0


@dataclass(frozen=True)
class MultipathConfig:
    """Sizes of a multi-path network; the connections are the architecture's.

    Attributes:
        input_size: side of the square input image in pixels.
        map_size: side of the UV position map that the head writes, in cells.
        stem_stride: input pixels per cell of the finest scale (a power of two, at least 2).
        width: channels of the finest scale, a multiple of 8; each coarser scale has half as many more. A search by
            trainings of a space with several widths, such as the default one, chooses among those.
        widths: channels of every scale, coarsest first, where they should be others; such a search refuses them.
        head_width: channels between the output node and the map.
        head: how the map is written: `anchors` (heatmaps of anchor points, from which a smooth shape follows), or
            `cells` (each cell of the finest scale writes its part of the map, as in earlier versions).
        resample: how a connection changes the scale: `pool` (means and bilinear interpolation with a 1x1 convolution),
            `conv` (`pool`, downward a 3x3 convolution), or `cells` (a learnt projection of every cell, as in earlier
            versions: several times the parameters).
    """

    input_size: PositiveInt = 64
    map_size: PositiveInt = 64
    stem_stride: PositiveInt = 4
    width: PositiveInt = 32
    widths: list[PositiveInt] | None = None
    head_width: PositiveInt = 64
    head: Literal["anchors", "cells"] = "anchors"
    resample: Literal["pool", "conv", "cells"] = "pool"

    def scale_widths(self, scales: int) -> list[int]:
        """Channels of every scale, coarsest first."""
        if self.widths:
            return list(self.widths)
        return [self.width + self.width // 2 * coarser for coarser in range(scales - 1, -1, -1)]

    def stem_widths(self, width: int) -> list[int]:
        """Channels after each stride-2 convolution of the stem."""
        steps = self.stem_stride.bit_length() - 1
        return [max(width >> (steps - 1 - step), min(16, width)) for step in range(steps)]

    def check(self, scales: int, space: str) -> None:
        """Refuse sizes that a space cannot have.

        Args:
            scales: of the space.
            space: its name.

        Raises:
            UserError: widths, stem or sizes do not fit its scales.
        """
        for name, most in (("input_size", 4096), ("map_size", 4096), ("width", 65536), ("head_width", 65536)):
            if getattr(self, name) > most:
                raise UserError(f"network.{name} {getattr(self, name)} is more than {most}: choose a smaller one")
        finest = self.input_size // self.stem_stride
        widths = self.scale_widths(scales)
        if len(widths) != scales:
            raise UserError(
                f"network.widths has {len(widths)} numbers but space {space!r} has {scales} scales: give one each"
            )
        if any(width < 4 or width % 4 for width in widths):
            if not self.widths:
                raise UserError(f"network.width must be a positive multiple of 8, not {self.width}")
            raise UserError(f"network.widths must be positive multiples of 4, not {widths}")
        if self.stem_stride < 2 or self.stem_stride & (self.stem_stride - 1):
            raise UserError(f"network.stem_stride must be a power of two of at least 2, not {self.stem_stride}")
        if self.input_size % (self.stem_stride * 2 ** (scales - 1)):
            unit = self.stem_stride * 2 ** (scales - 1)
            raise UserError(
                f"network.input_size {self.input_size} must be a multiple of {unit} (stem_stride * 2^(scales - 1))"
            )
        if self.map_size % finest:
            raise UserError(f"network.map_size {self.map_size} must be a multiple of the finest scale's side, {finest}")


EARLIER_SIZES = {"head": "cells", "resample": "cells"}
"""What files of earlier versions mean by saying nothing of it."""


def recorded_sizes(record: Mapping[str, Any]) -> MultipathConfig:
    """The sizes in a file of this or an earlier version, which had one head and one change of scale only.

    Raises:
        TypeError: an unknown size.
    """
    return MultipathConfig(**{**EARLIER_SIZES, **record})


OptimizerKind = Literal["muon", "adamw", "adam", "nadam", "rmsprop", "sgd"]


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer, PyTorch's, and its schedule.

    Attributes:
        lr: learning rate; of a retraining, where empty, the network's own: 0.005 for members of a space, 0.002 for
            others.
        kind: `muon` (momentum with orthogonalised updates for convolutions, AdamW for the rest), `adamw`, `adam`,
            `nadam`, `rmsprop` or `sgd`; of a retraining, where empty, the network's own: `muon` for members of a space,
            `adamw` for others.
        schedule: `constant`; `cosine` down to zero after a short warm-up; `steps` (times `factor` at each of
            `milestones`); or `exponential` (times `factor` every `every` steps).
        warmup: share of the steps over which a cosine schedule rises; of a retraining, where empty, the network's own:
            0.25 for members of a space, 0.05 for others.
        milestones: of the schedule `steps`: optimizer steps, or epochs where `retrain.epochs` is set.
        factor: of the schedules `steps` and `exponential`.
        every: steps between two falls of an exponential schedule.
        momentum: of `sgd`.
        weight_decay: decoupled from the gradient in `muon` and `adamw`, a part of it in the others.
        clip: largest gradient norm; 0 switches clipping off.
    """

    lr: PositiveFloat | None = 1e-3
    kind: OptimizerKind | None = "adamw"
    schedule: Literal["constant", "cosine", "steps", "exponential"] = "cosine"
    warmup: ClosedUnitInterval | None = 0.05
    milestones: list[PositiveFloat] = field(default_factory=list)
    factor: PositiveFloat = 0.1
    every: PositiveInt = 1000
    momentum: ClosedUnitInterval = 0.9
    weight_decay: NonNegativeFloat = 0.0
    clip: NonNegativeFloat = 1.0


@dataclass(frozen=True)
class SupernetOptimizerConfig(OptimizerConfig):
    """A supernet's optimizer, whose kind, learning rate and warm-up no network fills in.

    Attributes:
        lr: learning rate.
        kind: `muon` (momentum with orthogonalised updates for convolutions, AdamW for the rest), `adamw`, `adam`,
            `nadam`, `rmsprop` or `sgd`.
        warmup: share of the steps over which a cosine schedule rises.
    """

    lr: PositiveFloat = 5e-3
    kind: OptimizerKind = "muon"
    warmup: ClosedUnitInterval = 0.25


@dataclass(frozen=True)
class DeviceConfig:
    """Lightning's Trainer settings.

    Attributes:
        accelerator: `auto`, `cpu`, `gpu`, ...
        devices: how many, or `auto`.
        num_nodes: machines.
        strategy: `auto`, or `ddp_find_unused_parameters_true` for several processes (a step uses only its children's
            weights).
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        threads: CPU threads of one process; 0 leaves it to torch.
        workers: processes that make the frames of trainings on short videos, ahead of the training; where empty, as
            many as there are cores beside the training's. The frames are the same with any number.
        graphs: on a GPU, launch a training pass of a network of UV maps as a whole (CUDA graphs); its small operations
            keep a GPU waiting otherwise. Without effect in mixed precision, and where gradients are accumulated.
    """

    accelerator: str = "auto"
    devices: str | int = "auto"
    num_nodes: PositiveInt = 1
    strategy: str = "auto"
    precision: str = "32-true"
    threads: NonNegativeInt = 0
    workers: NonNegativeInt | None = None
    graphs: bool = False


@dataclass(frozen=True)
class SupernetConfig:
    """Training of the supernet.

    Attributes:
        sampler: how the children of a step are drawn: `mnus` (unbiased, the paper's) or `uniform`.
        children: K, children a step; 4 in the paper. With `repeats` of 1 every connection is taken exactly once in a
            step, by one of them, and trained by it unless it leads nowhere there: in `multipath` 4 % of the inner
            connections of a step do, and 35 % with the paper's K of 4, most of them near the output. The fewer
            children, the denser they are, and the sooner they learn.
        repeats: how often each connection of an inner gap is taken by the children of one step; drawn per step from
            these. A child holds repeats / K of a gap's connections: a half by default. (The paper's Fig. 2 has a
            quarter, of which 2 or 3 of 4 are left once dead ends are dropped.)
        last_repeats: the same of the last gap, which joins all scales to the output, as in nearly all members that the
            search visits; as `repeats` where empty.
        whole: share of the steps, the first ones, in which a single child takes every connection, HPM or identity: with
            the change of scale `pool`, children of random connections learn next to nothing before there are features.
            0 in the paper.
        steps: optimizer steps.
        batch_size: faces a step (of one process, before accumulation).
        accumulate: batches whose gradients make one optimizer step.
        loss: `l1`, `l2` or `distance`.
        heatmaps: weight of the loss of the anchors' heatmaps, for networks that have some.
        landmarks: weight of the error of the 68 landmarks in the image plane, over their box, which is what the NME
            measures; for networks of UV maps.
        checkpoint_every: steps between checkpoints; a killed training goes on from the last one.
        optimizer: Muon, or another, and its schedule.
        augmentation: of the training faces.
    """

    sampler: str = "mnus"
    children: PositiveInt = 2
    repeats: list[PositiveInt] = field(default_factory=lambda: [1])
    last_repeats: PositiveInt | None = 2
    whole: ClosedUnitInterval = 0.5
    steps: PositiveInt = 800
    batch_size: PositiveInt = 16
    accumulate: PositiveInt = 1
    loss: Literal["l1", "l2", "distance"] = "distance"
    heatmaps: NonNegativeFloat = 1.0
    landmarks: NonNegativeFloat = 0.0
    checkpoint_every: PositiveInt = 50
    optimizer: SupernetOptimizerConfig = field(default_factory=SupernetOptimizerConfig)
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class SearchConfig:
    """The search on a supernet or a table. One by trainings takes the penalty and the limits of it.

    Attributes:
        strategy: `samos` (simulated annealing, the paper's), `random`, `random-sample` (one draw), `evolution`
            (regularized), `spos` (its evolution), `local`, `nsga2` (several objectives), a sampler of Optuna such as
            `optuna/tpe`, or a tuner of NNI such as `nni/tpe`.
        settings: the strategy's own, each by its name, such as `--search.settings.temperature 0.1`.
        iterations: architectures that the search proposes, after those that it begins with.
        penalty: what the search minimises, NME (%) on the validation faces: `mean` of the yaw bins, `all` faces alike
            (which is less noisy: few faces are profiles), or one bin.
        objectives: several for a Pareto front: penalty, and any of macs, parameters, memory (bytes), latency (ms, one
            thread), latency_all (all threads). `nsga2` and Optuna's samplers minimise all of them.
        max_macs: largest number of multiply-adds of an architecture; 0 for no limit. Left empty, it is 1.25 times the
            median of the space's random members, or what its well-known networks need where that is more, of
            network.width, where the space says which are drawn, and no limit elsewhere.
        max_latency: longest time of an image in onnxruntime on one thread of this machine, in milliseconds; 0 for no
            limit. Connections are measured once, into the run's folder, and a member's time is predicted from them. A
            search by trainings then has no limit on multiply-adds unless max_macs is given, and measures what it finds.
        max_parameters: largest number of parameters; 0 for no limit.
        max_memory: largest peak memory of its activations for one image, in bytes; 0 for no limit.
        calibration: training faces on which an architecture's batch norm is calibrated.
        chunk: validation faces in one batch.
        reuse: keep the activations that an architecture shares with the last accepted one.
        early_rejection: stop an evaluation whose rejection is certain.
        storage: Optuna storage URL (a database's, or grpc://host:port of a storage proxy), or a journal file; a
            journal file in the run's folder where empty.
    """

    strategy: str = "samos"
    settings: dict[str, Any] = field(default_factory=dict)
    iterations: PositiveInt = 200
    penalty: Literal["mean", "all", "0-30", "30-60", "60-90"] = "mean"
    objectives: list[str] = field(default_factory=lambda: ["penalty"])
    max_macs: NonNegativeFloat | None = None
    max_latency: NonNegativeFloat = 0.0
    max_parameters: NonNegativeFloat = 0.0
    max_memory: NonNegativeFloat = 0.0
    calibration: PositiveInt = 128
    chunk: PositiveInt = 50
    reuse: bool = True
    early_rejection: bool = True
    storage: str = ""


@dataclass(frozen=True)
class FinalistsConfig:
    """Short trainings that decide among the best members of a search; not part of the MONAS paper, and off by default.

    Attributes:
        count: members on the shortlist; 0 takes the member with the lowest penalty, as the paper does.
        steps: optimizer steps of each training; its other settings are those of retrain.
        distance: connections in which the members of the shortlist differ from each other, as far as the search has
            met such members.
        workers: trainings side by side, each with one thread; 0 for one a core.
    """

    count: NonNegativeInt = 0
    steps: PositiveInt = 150
    distance: NonNegativeInt = 24
    workers: NonNegativeInt = 0


@dataclass(frozen=True)
class HalvingConfig:
    """Search by short trainings (`nasface search --on trainings`): evolution, then successive halving.

    Attributes:
        candidates: members that begin: the well-known networks that keep the limits, those of `adapt`, and random ones.
        adapt: let well-known networks that miss the limits begin, too, once they keep them: with HPM blocks in place
            of identities or the reverse, and by random moves where those are not enough. Where a space has several
            widths, each network begins at the next greater one as well, with so many blocks fewer.
        generations: rounds of changed members.
        children: members of each, changed from the best so far.
        parents: the best members that have children, in turn.
        moves: most random moves between a parent and its child; m moves are drawn with a probability that falls as 1/m.
        steps: optimizer steps of a training in the first rounds, and in those of the best; each starts anew. The other
            settings are those of retrain.
        keep: members of one in so many go on to the next number of steps.
        batch_size: faces a step.
        last_batch_size: faces a step in the last round, which decides; those of the others where empty.
        share: least share of the limit that members have: of `search.max_latency`, or else of `search.max_macs`.
        workers: trainings side by side, each with one thread; 0 for one a core. The result is the same with any number.
    """

    candidates: PositiveInt = 8
    adapt: bool = True
    generations: NonNegativeInt = 2
    children: PositiveInt = 4
    parents: PositiveInt = 2
    moves: PositiveInt = 12
    steps: list[PositiveInt] = field(default_factory=lambda: [250, 1000])
    keep: PositiveInt = 8
    batch_size: PositiveInt = 16
    last_batch_size: PositiveInt | None = None
    share: ClosedUnitInterval = 0.75
    workers: NonNegativeInt = 0


@dataclass(frozen=True)
class RetrainConfig:
    """Training of one network from scratch.

    Attributes:
        steps: optimizer steps.
        epochs: passes over the training faces, in the place of steps; empty leaves steps. Of short videos every frame
            counts as a face.
        batch_size: faces a step (of one process, before accumulation).
        accumulate: batches whose gradients make one optimizer step; 1 for searches by trainings and tables.
        loss: `l1`, `l2` or `distance`.
        heatmaps: weight of the loss of the anchors' heatmaps, for networks that have some.
        landmarks: weight of the error of the 68 landmarks in the image plane, over their box, which is what the NME
            measures; for networks of UV maps.
        evaluate_every: steps between validations and checkpoints.
        videos: test faces of which short videos are made to measure stability; 0 leaves it out.
        optimizer: Muon, AdamW or another, and its schedule.
        augmentation: of the training faces.
    """

    steps: PositiveInt = 1200
    epochs: PositiveFloat | None = None
    batch_size: PositiveInt = 32
    accumulate: PositiveInt = 1
    loss: Literal["l1", "l2", "distance"] = "distance"
    heatmaps: NonNegativeFloat = 1.0
    landmarks: NonNegativeFloat = 0.0
    evaluate_every: PositiveInt = 600
    videos: NonNegativeInt = 0
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=None, kind=None, warmup=None))
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class VideoConfig:
    """3D-aided short-video synthesis.

    Attributes:
        frames: n, adjacent frames made of one still image; a batch holds batch_size / n videos. 1 makes none.
        random: frames that do not follow each other: each is moved at random, as far as the last frame of a video may
            be (`rnd.` in 3DDFA_V2's Table 4).
        yaw: largest change of yaw from frame to frame, in degrees; it grows away from the frontal view.
        pitch: the same of pitch, in either direction.
        roll: largest in-plane rotation from frame to frame, in degrees.
        scale: largest relative change of size from frame to frame.
        shift: largest shift from frame to frame, as a fraction of the image's side.
        noise: largest standard deviation of pixel noise, in units of the 0..255 range.
        blur: longest motion blur, as a fraction of the image's side.
    """

    frames: PositiveInt = 1
    random: bool = False
    yaw: NonNegativeFloat = 2.0
    pitch: NonNegativeFloat = 1.0
    roll: NonNegativeFloat = 1.0
    scale: NonNegativeFloat = 0.01
    shift: NonNegativeFloat = 0.01
    noise: NonNegativeFloat = 4.0
    blur: NonNegativeFloat = 0.04

    def stronger(self, factor: float) -> VideoConfig:
        """The same with every change multiplied."""
        changes = ("yaw", "pitch", "roll", "scale", "shift", "noise", "blur")
        return replace(self, **{name: factor * getattr(self, name) for name in changes})


@dataclass(frozen=True)
class ViewConfig:
    """How much a second view differs from the first.

    Attributes:
        rotation: largest rotation in degrees.
        scale: largest relative change of size: 0.2 gives 0.8 to 1.2 times it.
        shift: largest shift, as a fraction of the image's side.
        flip: probability of a left-right mirror.
    """

    rotation: NonNegativeFloat = 40.0
    scale: ClosedUnitInterval = 0.2
    shift: ClosedUnitInterval = 0.05
    flip: ClosedUnitInterval = 0.5


@dataclass(frozen=True)
class HeatmapConfig:
    """Training of networks that regress landmark heatmaps.

    Attributes:
        sigma: standard deviation of the Gaussians in cells of the heatmap.
        coherence: weight (lambda) of the squared difference between the predictions of two views, for the networks
            that are trained on two.
        view: the second view.
    """

    sigma: PositiveFloat = 1.0
    coherence: NonNegativeFloat = 0.001
    view: ViewConfig = field(default_factory=ViewConfig)


@dataclass(frozen=True)
class ParametersConfig:
    """Training of the networks that regress 3DMM parameters.

    Attributes:
        objective: `paper` (what the network's paper uses), or one of 3DDFA_V2's: `vdc` (vertex distance), `wpdc`
            (weighted parameter distance, slow and literal), `fwpdc` (the same, fast), `vdc_from_fwpdc` (one after the
            other), `vanilla_joint` (their weighted sum), `meta_joint` (both looked ahead with, the better one taken;
            twice the work of a step).
        landmarks: use of the 2D landmarks beside it: `paper`, `none`, `regression` (a branch of its own, dropped after
            training) or `constraint` (on the face that the parameters give).
        beta: share of fWPDC in `vanilla_joint`.
        switch: share of the steps after which `vdc_from_fwpdc` goes over to VDC.
        look_ahead: k, steps that `meta_joint` looks ahead; the next batch decides and trains nothing.
        corrections: T, how often DHM and RHG draw the face that they have and correct it; the network's own number
            where empty.
        video: batches of short synthetic videos in place of stills, where `frames` is more than 1.
    """

    objective: Literal["paper", "vdc", "wpdc", "fwpdc", "vdc_from_fwpdc", "vanilla_joint", "meta_joint"] = "paper"
    landmarks: Literal["paper", "none", "regression", "constraint"] = "paper"
    beta: ClosedUnitInterval = 0.5
    switch: ClosedUnitInterval = 0.5
    look_ahead: PositiveInt = 100
    corrections: PositiveInt | None = None
    video: VideoConfig = field(default_factory=VideoConfig)


@dataclass(frozen=True)
class VolumeConfig:
    """Training of networks that regress volumes (`jvcr` and its kin).

    Attributes:
        sigma: deviation of a landmark's Gaussian in voxels, which are 4 pixels wide.
        colours: which landmark has which colour in a semantic volume: `sorted` (hues in the landmarks' order) or
            `random`.
        pretrain: share of the steps in which the volume estimator and the coordinate regressor learn separately, from
            drawn volumes; 0 trains in one stage.
        finetune_lr: factor of the learning rate after that.
        wild: faces without depth that are mixed in after that, as many as others: none where empty, a registered set
            (see `data.train`), or a folder in 3DDFA's layout.
        adversarial: train against a discriminator after that.
        coord: weight of the coordinates' error for the volume estimator.
        aux: weight of the coordinates' error for the discriminator; 0 isolates it from the coordinate regressor, with
            whom it shares an encoder otherwise.
        adv: weight of the discriminator's reconstruction error for the volume estimator.
        gamma: ratio of the reconstruction errors of estimated and drawn volumes at which they are in balance.
        balance: rate at which the weight of estimated volumes, mu, follows their distance from that balance.
    """

    sigma: PositiveFloat = 1.0
    colours: Literal["sorted", "random"] = "sorted"
    pretrain: ClosedUnitInterval = 0.5
    finetune_lr: PositiveFloat = 1.0
    wild: str = ""
    adversarial: bool = False
    coord: NonNegativeFloat = 1.0
    aux: NonNegativeFloat = 0.1
    adv: NonNegativeFloat = 0.001
    gamma: PositiveFloat = 0.7
    balance: NonNegativeFloat = 0.001


@dataclass(frozen=True)
class CompareConfig:
    """Networks that are compared under one protocol.

    Attributes:
        networks: what `retrain --arch` takes, each followed by `@SCALE` to multiply its widths, then by settings of its
            own (of retrain, volume, heatmap, parameters), then by `as NAME` for another name in the table:
            `hourglass2@0.25`, `mobilenet@0.5 parameters.objective=vdc as Baseline VDC`. `@NAME` stands for all of
            experiments/lists/NAME.yaml (or of a file by its path). The searched network (the experiment's `output`) is
            left out where no search has written it yet.
        seeds: of the trainings; several give a mean and a deviation.
    """

    networks: list[str] = field(
        default_factory=lambda: ["best.json", "random", "preset/hourglass", "preset/prnet", "preset/hrnet"]
    )
    seeds: list[NonNegativeInt] = field(default_factory=lambda: [0])


@dataclass(frozen=True)
class LogConfig:
    """Weights & Biases.

    Attributes:
        wandb: `auto` (online with an account, else offline files), `online`, `offline` or `off`.
        project: W&B project.
    """

    wandb: Literal["auto", "online", "offline", "off"] = "auto"
    project: str = "nasface"


@dataclass(frozen=True)
class Experiment:
    """One experiment: data, space, sizes, supernet training, search, retraining.

    Attributes:
        name: of the experiment.
        space: architecture space: a name in search_spaces/ or a path to a YAML file.
        seed: of everything that is drawn.
        runs: folder of the runs.
        output: where the search leaves the architecture that it found.
        data: faces.
        network: sizes.
        supernet: supernet training.
        search: search.
        finalists: short trainings after it.
        halving: short trainings in its place.
        retrain: training of one network.
        compare: which networks `nasface compare` trains.
        volume: of networks that regress volumes.
        heatmap: of networks that regress heatmaps.
        parameters: of networks that regress 3DMM parameters.
        device: where it runs.
        log: logging.
    """

    name: str = "default"
    space: str = "multipath_wide"
    seed: NonNegativeInt = 0
    runs: str = "runs"
    output: str = "best.json"
    data: DataConfig = field(default_factory=DataConfig)
    network: MultipathConfig = field(default_factory=MultipathConfig)
    supernet: SupernetConfig = field(default_factory=SupernetConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    finalists: FinalistsConfig = field(default_factory=FinalistsConfig)
    halving: HalvingConfig = field(default_factory=HalvingConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    volume: VolumeConfig = field(default_factory=VolumeConfig)
    heatmap: HeatmapConfig = field(default_factory=HeatmapConfig)
    parameters: ParametersConfig = field(default_factory=ParametersConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, _plain(getattr(self, entry.name)))


def recorded_settings(experiment: Experiment) -> dict[str, Any]:
    """The settings as files hold them: nested, without the password of the search's database."""
    settings = asdict(experiment)
    settings["search"]["storage"] = without_passwords(experiment.search.storage or "") or experiment.search.storage
    return settings


def _plain(value: Any) -> Any:
    """Settings as plain numbers: the command line's parser has number types of its own."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)})
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(value) if isinstance(value, int) else float(value)


@dataclass(frozen=True)
class RenamedSetting:
    """A setting under a former name.

    Attributes:
        name: of today.
        default: its value where a file of then leaves it alone, as runs have recorded it.
        strategies: whose setting it is.
    """

    name: str
    default: float
    strategies: tuple[str, ...]


# Former name -> today's. Files and command lines of users keep working with the former ones.
RENAMED_SETTINGS = {
    f"search.{name}": RenamedSetting(f"search.settings.{name}", default, strategies)
    for name, default, strategies in (
        ("temperature", 1024.0, ("samos",)),
        ("factor", 0.85, ("samos",)),
        ("acceptance", 0.0, ("samos",)),
        ("chains", 1, ("samos",)),
        ("restart_after", 0, ("samos",)),
        ("moves", 1, ("samos",)),
        ("population", 0, ("evolution", "spos", "nsga2")),
    )
}


EARLIER_SETTINGS: dict[str, dict[str, Any]] = {
    "data": {"folders": {}},
    "network": EARLIER_SIZES,
    "supernet": {"whole": 0.0},
}
"""What runs of earlier versions had, whose records say nothing of it."""


_OF_RUNS = {"space", "data", "network", "supernet", "search", "retrain", "device", "log"}  # a user's file lacks some


def current_settings(recorded: dict[str, Any], strategy: str | None = None) -> dict[str, Any]:
    """Settings as a file holds them, under the names of today, with what a run of an earlier version could only have.

    What another strategy than the search's was given under a former name is left out, as it had no effect then; so are
    the defaults of then in what a run has recorded: all names, whether they were given or not.

    Args:
        recorded: nested settings of an experiment, as YAML gives them.
        strategy: the search's, where it is not the recorded one.
    """
    if recorded.keys() >= _OF_RUNS:
        sections = [name for name in EARLIER_SETTINGS if isinstance(recorded[name], dict)]  # others are complained of
        recorded = recorded | {name: EARLIER_SETTINGS[name] | recorded[name] for name in sections}
    search = recorded.get("search")
    former = {name.partition(".")[2]: entry for name, entry in RENAMED_SETTINGS.items()}
    if not isinstance(search, dict) or not former.keys() & search.keys():
        return recorded
    strategy = strategy or search.get("strategy")
    recorded_all = former.keys() <= search.keys()  # by a run; in a user's own file a default was meant
    own = {
        name: value
        for name, value in search.items()
        if name in former
        and not (recorded_all and value == former[name].default)
        and strategy in (None, *former[name].strategies)
    }
    kept = {name: value for name, value in search.items() if name not in former}
    return recorded | {"search": kept | {"settings": own | (search.get("settings") or {})}}


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    if not isinstance(settings, Mapping):
        return {prefix: settings}
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def add_settings(parser: ArgumentParser) -> None:
    """Let a parser take files of settings (`--config`) and every setting of an experiment, by its dotted name."""
    parser.add_argument(
        "--config",
        action=ActionConfigFile,
        help="YAML file of settings (`--experiment NAME` reads experiments/NAME.yaml); later ones win",
    )
    parser.add_class_arguments(Experiment)
    for group in parser._action_groups:  # a heading says whose settings follow, and not only what they are about
        section = next((action.dest for action in group._group_actions), "")
        if any(action.dest.startswith(f"{section}.") for action in group._group_actions):
            group.title = f"{section} ({group.title})"


def take_settings(values: dict[str, Any]) -> Experiment:
    """Take the experiment out of what a parser with `add_settings` has read, and leave what else was read."""
    values.pop("config", None)
    return Experiment(**{entry.name: values.pop(entry.name) for entry in fields(Experiment)})


def experiment_of(settings: Any) -> Experiment:
    """The experiment with some settings, checked as the command line's are; the others have their defaults.

    Args:
        settings: a mapping of settings by section, as runs and studies record them, former names of settings
            included. Texts are read as the command line reads them.

    Raises:
        UserError: it is no mapping, or one is no setting of this version or not of its type.
    """
    if isinstance(settings, Mapping):
        check_sections(settings, Experiment())
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Experiment)
    try:
        return take_settings(vars(parser.instantiate(parser.parse_object(current_settings(settings)))))
    except Exception as error:  # the parser's exceptions are many
        raise UserError(_complaint(parser, error)) from None


def check_sections(settings: Mapping[str, Any], defaults: Any, prefix: str = "", origin: str = "") -> None:
    """Refuse a section of settings that is given as a plain value (`data: 3`); the parser would pass over it.

    Args:
        settings: by section.
        defaults: the data class that they are of.
        prefix: sections around them, with a dot.
        origin: what the complaint begins with.

    Raises:
        UserError: see above.
    """
    for entry in fields(defaults):
        expected = getattr(defaults, entry.name)
        if not is_dataclass(expected) or entry.name not in settings:
            continue
        value, name = settings[entry.name], f"{prefix}{entry.name}"
        if not isinstance(value, Mapping):
            keys = ", ".join(inner.name for inner in fields(expected))
            raise UserError(f"{origin}{name} must be a section of settings ({keys}), not {value!r:.80}")
        check_sections(value, expected, f"{name}.", origin)


def _complaint(parser: ArgumentParser, error: Exception) -> str:
    """What the parser says of settings, in our words where it is of a value's type."""
    text = " ".join(str(error).split()) or repr(error)
    key = re.match(r'Parser key "(.+?)":', text)
    hint = next((getattr(one, "_typehint", None) for one in parser._actions if key and one.dest == key[1]), None)
    return f"{key[1]}: must be {kind_of(hint)}" if key and hint is not None else text


EXPERIMENTS = resource_folder("experiments")


def experiment_file(name: str) -> Path:
    """The YAML file of an experiment, by its name in experiments/ or by its path.

    Raises:
        UserError: there is none.
    """
    for path in (EXPERIMENTS / f"{name}.yaml", Path(name)):
        if name and path.is_file():
            return path
    known = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))
    listed = ", ".join(known)
    raise UserError(f"unknown experiment {name!r}: give one of {listed}, or a YAML file's path{nearest(name, known)}")
