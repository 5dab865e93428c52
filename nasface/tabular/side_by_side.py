"""Training many small networks on one GPU at the same time.

A step of a multi-path network is a thousand small operations: a GPU waits for their launches, and one of them fills a
small part of it. So a network's whole step (pass, gradient, optimizer) is one CUDA graph, and the graphs of several
networks run on streams of their own, over the same batches, which stay in the GPU's memory.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

import torch
from torch import Tensor, nn

from nasface.config import RetrainConfig
from nasface.nets.network import channels_last
from nasface.tabular.training import DivergedError, SharedBatches
from nasface.training.optimizers import learning_rate_factor, make_optimizer
from nasface.training.targets.uv import output_loss
from nasface.training.uv_target import UVTarget
from nasface.utils.errors import UserError

TOGETHER = 16
"""Networks that are trained at the same time where nobody says another number."""
GRAPHED = ("muon", "adam", "adamw")
"""Optimizers whose step can be part of a graph."""
_WARM_UP = 2  # passes before a capture, in which libraries choose their kernels


class GraphedStep:
    """The training step of one network, as a CUDA graph on a stream of its own; the network is as it was, and its
    optimizer has made no step, until `run` is called.

    Args:
        network: on the GPU, in training mode.
        images, target: a batch there, of the shapes of all later ones.
        uv: reads landmarks and weighs regions, there too.
        config: loss, optimizer and its schedule.
        steps: of the training, for the schedule.
    """

    def __init__(
        self, network: Any, images: Tensor, target: Tensor, uv: UVTarget, config: RetrainConfig, steps: int
    ) -> None:
        self.network, self._images, self._target = network, images.clone(), target.clone()
        self._uv, self._config = uv, config
        self._parameters = list(network.parameters())
        self._factor = learning_rate_factor(config.optimizer, steps)
        self._optimizer, _ = make_optimizer(self._parameters, config.optimizer, lambda step: 1.0)
        self._lr = self._optimizer.defaults["lr"]
        self._rate = torch.tensor(self._lr, device=images.device)
        for group in self._optimizer.param_groups:
            group.update(lr=self._rate, capturable=True)
        self.stream = torch.cuda.Stream(images.device)
        self._graph = torch.cuda.CUDAGraph()
        self._capture()

    def _step(self) -> Tensor:
        output = self.network.output(self._images)
        loss = output_loss(self.network, output, self._target, self._uv, self._config)["loss"]
        loss.backward()
        if self._config.optimizer.clip > 0:
            nn.utils.clip_grad_norm_(self._parameters, self._config.optimizer.clip)
        self._optimizer.step()
        return loss.detach()

    def _capture(self) -> None:
        """Steps before the capture make what is made once (the optimizer's state, libraries' plans); what they have
        changed is put back."""
        first = [tensor.detach().clone() for tensor in self._state()]
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(_WARM_UP):
                self._step()
                self._optimizer.zero_grad()
        self.stream.synchronize()
        with torch.cuda.graph(self._graph, stream=self.stream):
            self.loss = self._step()
        with torch.no_grad():
            for tensor, value in zip(self._state(), first, strict=True):
                tensor.copy_(value)
            for state in self._optimizer.state.values():
                for value in state.values():
                    value.zero_()
        torch.cuda.synchronize()

    def _state(self) -> list[Tensor]:
        return [*self._parameters, *self.network.buffers()]

    def run(self, batches: Sequence[tuple[Tensor, Tensor]], stop: Event) -> None:
        """Train on the batches, one a step, or until `stop` is set.

        Raises:
            DivergedError: the loss is no number.
        """
        with torch.cuda.stream(self.stream):
            for step, (images, target) in enumerate(batches):
                self._images.copy_(images)
                self._target.copy_(target)
                self._rate.fill_(self._lr * self._factor(step))
                self._graph.replay()
                if step % 50 == 49 or step == len(batches) - 1:  # keeps the queue short
                    self._check(step)
                    if stop.is_set():
                        return

    def _check(self, step: int) -> None:
        self.stream.synchronize()
        if not torch.isfinite(self.loss):
            loss = self.loss.item()
            raise DivergedError(f"the training loss became {loss} by step {step}: lower retrain.optimizer.lr")


def train_together(
    builds: Sequence[Callable[[], Any]], batches: SharedBatches, device: torch.device
) -> tuple[list[nn.Module], float]:
    """Train networks from scratch at the same time, as `train_alone` trains each, up to the order of sums.

    Args:
        builds: make the networks; the first weights of each are drawn from the batches' seed.
        batches: of all of them.
        device: a GPU.

    Returns:
        The networks there, in evaluation mode, and the seconds that all have taken together.

    Raises:
        DivergedError: the loss of one is no number.
        UserError: the optimizer is none of `GRAPHED`.
    """
    config = batches.config
    if config.optimizer.kind not in GRAPHED:
        raise UserError(
            f"retrain.optimizer.kind {config.optimizer.kind} cannot train side by side on a GPU: use one of"
            f" {', '.join(GRAPHED)}, or --device.accelerator cpu"
        )
    start = time.perf_counter()
    kept = batches.on(device)
    uv = copy.deepcopy(batches.uv).to(device)
    steps = []
    with _full_convolutions():
        for build in builds:
            torch.manual_seed(batches.seed)
            network: Any = channels_last(build()).train()
            network.learn(batches.maps)
            steps.append(GraphedStep(network.to(device), *kept[0], uv, config, len(batches)))
    run_in_threads([partial(step.run, kept) for step in steps])  # a launch lets go of the interpreter's lock
    return [step.network.eval() for step in steps], time.perf_counter() - start


def run_in_threads(functions: Sequence[Callable[[Event], None]]) -> None:
    """Call every function in a thread of its own with an event that is set as soon as one of them has failed or the
    program is interrupted; ends when all have returned, with that error."""
    stop = Event()
    with ThreadPoolExecutor(len(functions)) as pool:
        try:
            for future in as_completed([pool.submit(function, stop) for function in functions]):
                future.result()
        except BaseException:
            stop.set()
            raise


@contextmanager
def _full_convolutions() -> Iterator[None]:
    """Convolutions that are captured are those of 32 bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
