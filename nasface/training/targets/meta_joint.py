"""Meta-joint optimisation: look ahead with two losses from one state, go on with the one that got further.

Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment", ECCV 2020, section 2.2, Algorithm 1 and Fig. 7.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nasface.nets.face_vector import VectorNetwork
from nasface.nets.network import full_precision
from nasface.training.face_task import TaskContext
from nasface.training.prediction import FacePrediction
from nasface.training.targets.parameters import ParametersTask
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write

BRANCHES = ("fwpdc", "vdc")
"""The losses that are looked ahead with; a selection is an index of this."""


class MetaJointTask(ParametersTask):
    """Trains a network by Algorithm 1.

    Two copies of the network start from one state and take k steps on the same meta-train batches, one by fWPDC and one
    by VDC. The next batch, the meta-test batch, trains nothing: the copy with the lower VDC on it, without gradient and
    with running batch norm statistics, gives its weights, statistics and optimizer state to the other. Faces of the
    meta-test batch that were in one of the k batches (the order of the faces begins anew after each pass) do not count.
    The last batch of the training always decides, so that its end is a selected state.

    Attributes:
        selections: one entry for each selection so far: the `batch` after which it was made, the VDC of each copy under
            its loss's name, and which was `selected`.
    """

    def __init__(self, network: VectorNetwork, context: TaskContext) -> None:
        super().__init__(network, context)
        if context.experiment.retrain.accumulate != 1:
            raise UserError("parameters.objective meta_joint takes retrain.accumulate 1: choose a larger batch_size")
        self.automatic_optimization = False
        self.rival: VectorNetwork | None = None
        self.rival_branch: nn.Module | None = None
        self.batches, self.ahead, self.leader = 0, 0, 0
        self.seen: list[int] = []
        self.selections: list[dict[str, Any]] = []

    def setup(self, stage: str) -> None:
        # Not before: the network has its statistics, and its memory layout, only now.
        if stage == "fit" and self.rival is None:
            self.rival, self.rival_branch = copy.deepcopy(self.network), copy.deepcopy(self.landmark_branch)

    def on_fit_start(self) -> None:
        if str(self.trainer.precision) == "16-mixed":
            raise UserError("parameters.objective meta_joint has no loss scaling: give device.precision bf16-mixed")

    def forward(self, image: Tensor) -> FacePrediction:
        # In the middle of a look-ahead the two differ: the loss that won last speaks for both.
        return self.predict(self.network if self.leader == 0 or self.rival is None else self.rival, image)

    def copies(self) -> Iterator[tuple[str, VectorNetwork, nn.Module | None]]:
        """Loss, network and landmark branch of the two copies."""
        assert self.rival is not None  # since `setup`
        return zip(BRANCHES, (self.network, self.rival), (self.landmark_branch, self.rival_branch), strict=True)

    def training_step(self, batch: dict[str, Tensor], _index: int) -> None:  # type: ignore[override]  # steps by itself
        if self.ahead < self.config.look_ahead and self.batches + 1 < self.total_steps:
            self._look_ahead(batch)
        else:
            self._select(batch)
        self.batches += 1
        scheduler: Any = self.lr_schedulers()
        scheduler.step()

    def _look_ahead(self, batch: dict[str, Tensor]) -> None:
        optimizer: Any = self.optimizers()
        total = torch.zeros((), device=self.device)
        for name, network, branch in self.copies():
            loss = self.finite(self.losses(network, branch, batch, name)["loss"])
            self.log(f"train/{name}", loss.detach(), prog_bar=True)
            total = total + loss
        optimizer.zero_grad()
        # Their parameters have nothing in common, hence neither have the two gradients of the sum.
        self.manual_backward(total)
        for _, network, branch in self.copies():
            self._clip(network, branch)
        optimizer.step()
        self.ahead += 1
        self.seen += batch["index"].tolist()

    def _clip(self, *modules: nn.Module | None) -> None:
        if self.optimizer_config.clip > 0:
            parameters = [parameter for module in modules if module is not None for parameter in module.parameters()]
            nn.utils.clip_grad_norm_(parameters, self.optimizer_config.clip)

    def _select(self, batch: dict[str, Tensor]) -> None:
        errors = [self._meta_test(network, batch) for _, network, _ in self.copies()]
        self.leader = errors.index(min(errors))
        self._share(self.leader)
        self.ahead, self.seen = 0, []
        names = dict(zip(BRANCHES, errors, strict=True))
        self.selections.append({"batch": self.batches, **names, "selected": BRANCHES[self.leader]})
        if self.logger:
            values = {f"meta/vdc_after_{name}": error for name, error in names.items()}
            self.logger.log_metrics(values | {"meta/selected_vdc": float(self.leader)}, step=self.batches)

    @torch.no_grad()
    def _meta_test(self, network: VectorNetwork, batch: dict[str, Tensor]) -> float:
        """VDC on the faces of a batch that were not looked ahead on (on all, where there is no other)."""
        network.eval()
        output = network(batch["image"]).float()
        with full_precision(output):
            true = self.true_face(batch)
            values = self.vdc(self.face(network, output, true), true)
        network.train()
        error = self.finite(values[unseen(batch["index"], self.seen)].mean())
        return float(self.trainer.strategy.reduce(error, reduce_op="mean"))

    @torch.no_grad()
    def _share(self, winner: int) -> None:
        """Give the winner's weights, statistics and optimizer state to the other copy."""
        modules = [nn.ModuleList(m for m in copied[1:] if m is not None) for copied in self.copies()]
        source, target = modules[winner], modules[1 - winner]
        target.load_state_dict(source.state_dict())
        state = cast(Optimizer, self.optimizers(use_pl_optimizer=False)).state
        for mine, other in zip(source.parameters(), target.parameters(), strict=True):
            if mine in state:
                state[other] = copy.deepcopy(state[mine])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta_joint"] = {
            "batches": self.batches,
            "ahead": self.ahead,
            "leader": self.leader,
            "seen": self.seen,
            "selections": self.selections,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in checkpoint["meta_joint"].items():
            setattr(self, name, value)

    def on_fit_end(self) -> None:
        super().on_fit_end()
        callback: Any = self.trainer.checkpoint_callback
        if self.trainer.is_global_zero and callback is not None and callback.dirpath and self.selections:
            folder = Path(callback.dirpath)
            with atomic_write(folder / "selection.json") as path:
                path.write_text(json.dumps(self.selections, indent=1) + "\n", encoding="utf-8")
        self.leader, self.rival, self.rival_branch = 0, None, None


def unseen(index: Tensor, seen: list[int]) -> Tensor:
    """Which faces (B,) bool of a batch are not among those seen; all, where all are."""
    new = ~torch.isin(index, torch.tensor(seen, dtype=torch.long, device=index.device))
    return new if new.any() else torch.ones_like(new)
