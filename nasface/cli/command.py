"""What a command is, and the settings that the help of several shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature


@dataclass(frozen=True)
class Command:
    """What a command runs and what it takes; its line of help stands in `nasface.cli.commands`.

    Attributes:
        run: the function behind it. Its parameters are the options: their types are checked, those without a default
            are given by their place, and what its docstring says of each is the help. `experiment` is filled from the
            experiment's settings.
        settings: the experiment's settings that `--help` shows, by dotted name; `--help-all` shows every one. None for
            a command that takes no experiment.
        check: given the same as `run`, raises a UserError where the values do not fit each other or name what there is
            not, and does nothing else.
    """

    run: Callable[..., None]
    settings: tuple[str, ...] | None = None
    check: Callable[..., object] = dict

    @property
    def places(self) -> list[str]:
        """The options that are given by their place."""
        return [option.name for option in self._parameters() if option.default is option.empty]

    @property
    def options(self) -> list[str]:
        """The options that are given by their name."""
        return [option.name for option in self._parameters() if option.default is not option.empty]

    def _parameters(self) -> list[Parameter]:
        return [option for name, option in signature(self.run).parameters.items() if name != "experiment"]


SIZES = ("network.input_size", "network.map_size", "network.width")
FACES = ("data.train", "data.test", "data.cache", "data.train_count", "data.val_count")
TRAINING = ("retrain.steps", "retrain.batch_size", "retrain.loss", "retrain.evaluate_every", "retrain.optimizer.lr")
MACHINE = ("device.accelerator", "device.devices", "device.precision", "device.threads")
"""Settings that the help of several commands shows."""
