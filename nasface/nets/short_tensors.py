"""Tensors with few bits, for files that are given away: nothing that a network finds changes by more than rounding.

Weights of two dimensions and more have 16 bits. Of a basis (a buffer whose rows are components, the largest first) the
rows that are small have 8 bits and a step each, so that no entry is rounded by more than 16 bits round the largest.
"""

from __future__ import annotations

from torch import Tensor, cat, int8, nn

_FINE, _STEP = ":int8", ":step"
_SMALL = 254 / 2**12  # of the largest entry: half of 1 / 127 of this is what 16 bits round the largest by


def shorten(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network with few bits; `lengthen` gives it back."""
    bases = {name for name, value in network.named_buffers() if value.ndim == 2}
    short: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point() or value.ndim < 2:
            short[name] = value
            continue
        if name in bases:
            largest = value.abs().amax(1)
            kept = int((largest > _SMALL * largest.max()).nonzero().max()) + 1 if largest.any() else 0
            step = largest[kept:].clamp(min=1e-30) / 127
            short |= {name + _FINE: (value[kept:] / step[:, None]).round().to(int8), name + _STEP: step}
            value = value[:kept]
        short[name] = value.half()
    return short


def lengthen(short: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state that `shorten` was given, but for its rounding; another state as it is."""
    state = {name: value for name, value in short.items() if not name.endswith((_FINE, _STEP))}
    for name, value in short.items():
        if name.endswith(_FINE):
            name = name.removesuffix(_FINE)
            small = value.float() * short[name + _STEP][:, None]
            state[name] = cat((state[name].float(), small))
    return state
