"""Tensors with few bits are given back as they were, but for rounding that is bounded."""

from __future__ import annotations

import torch
from torch import nn

from nasface.nets.short_tensors import lengthen, shorten


class _Basis(nn.Module):
    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)
        self.register_buffer("modes", rows)
        self.register_buffer("count", torch.tensor(3))


def test_small_rows_of_a_basis_have_eight_bits_and_no_entry_loses_more_than_the_largest_does() -> None:
    rows = torch.randn(20, 50, generator=torch.Generator().manual_seed(0)) * 0.7 ** torch.arange(20)[:, None]
    network = _Basis(rows)
    state = network.state_dict()
    short = shorten(network, state)
    again = lengthen(short)
    assert short["modes:int8"].dtype == torch.int8 and 0 < len(short["modes"]) < 20
    assert again.keys() == state.keys()
    assert torch.equal(again["linear.bias"], state["linear.bias"]) and again["count"] == 3
    assert short["linear.weight"].dtype == torch.float16 and "linear.weight:int8" not in short
    assert (again["modes"] - rows).abs().max() <= rows.abs().max() / 2**11
    network.load_state_dict(again)


def test_a_basis_without_small_rows_and_one_of_zeros_come_back() -> None:
    for rows in (torch.ones(3, 5), torch.zeros(3, 5)):
        network = _Basis(rows)
        assert torch.equal(lengthen(shorten(network, network.state_dict()))["modes"].float(), rows)


def test_a_state_of_former_versions_is_left_as_it_is() -> None:
    state = {"weight": torch.ones(2, 2).half(), "bias": torch.zeros(2)}
    assert all(lengthen(state)[name] is value for name, value in state.items())
