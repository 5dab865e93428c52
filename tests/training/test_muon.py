"""Muon: what it does to matrices and to everything else, against torch's own optimizers."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from nasface.training import muon
from nasface.training.muon import MATRIX_STEP, Muon, orthogonalised


@pytest.mark.parametrize(("rows", "columns"), [(16, 144), (8, 8), (40, 12)])
def test_singular_values_are_near_one_and_their_vectors_stay(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(5, rows, columns)
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ orthogonalised([matrices])[0] @ v.mT
    values = inside.diagonal(dim1=1, dim2=2)
    assert (values > 0.3).all() and (values < 1.3).all() and values.median() > 0.7
    torch.testing.assert_close(inside, torch.diag_embed(values), rtol=0, atol=1e-4)


def _iterated(matrices: Tensor) -> Tensor:
    """The source's iteration, as it stands, in 64 bits."""
    wide = matrices.double() if matrices.shape[1] <= matrices.shape[2] else matrices.double().mT
    x = wide / wide.norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if matrices.shape[1] <= matrices.shape[2] else x.mT


@pytest.mark.parametrize("smallest", [1, 1e-3, 1e-8])
def test_stacks_of_several_shapes_come_out_as_the_sources_iteration_has_them(smallest: float) -> None:
    """Whatever the range of their singular values: those of a Gram matrix are the squares of the matrix's."""
    torch.manual_seed(0)
    shapes = [(3, 16, 144), (2, 16, 16), (1, 40, 16), (4, 64, 80)]
    stacks = []
    for shape in shapes:
        u, s, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
        stacks.append(u * torch.logspace(0, math.log10(smallest), s.shape[1]) @ v)
    for stack, found in zip(stacks, orthogonalised(stacks), strict=True):
        assert found.shape == stack.shape
        expected = _iterated(stack)
        assert (found - expected).norm() < 2e-3 * expected.norm()


def test_a_zero_gradient_moves_nothing() -> None:
    assert not orthogonalised([torch.zeros(2, 3, 4)])[0].any()


class _Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = nn.ModuleList(nn.Conv2d(4, 6, 3, bias=False) for _ in range(3))
        self.wide, self.norm, self.linear = nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Linear(6, 2)
        self.unused = nn.Conv2d(4, 6, 3)
        self.cell_bias = nn.Parameter(torch.zeros(1, 4, 5, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.wide(x) + self.cell_bias)
        parts = [layer(x).relu().mean((2, 3)) for layer in self.same]
        return self.linear(parts[0] + 2 * parts[1] - parts[2])


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(8, 3, 5, 5, generator=generator)).square().mean().backward()
        optimizer.step()


def test_convolutions_move_as_with_torchs_muon_and_the_rest_as_with_adamw() -> None:
    torch.manual_seed(0)
    ours = _Layers()
    for step in range(3):  # from the same weights each time: torch's iterations are in 16 bits
        theirs = copy.deepcopy(ours)
        optimizer = Muon(ours.parameters(), lr=1e-3, weight_decay=0.1)
        before = {name: value.clone() for name, value in ours.named_parameters()}
        _train(ours, optimizer, steps=1, seed=step)
        x = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(step))
        theirs(x).square().mean().backward()
        matrices = {
            name: value for name, value in theirs.named_parameters() if name.endswith("weight") and value.ndim == 4
        }
        others = [value for name, value in theirs.named_parameters() if name not in matrices]
        torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1).step()
        for name, value in theirs.named_parameters():
            if name not in matrices:
                torch.testing.assert_close(ours.get_parameter(name), value, rtol=1e-5, atol=1e-7)
        for name, value in matrices.items():
            if value.grad is None:
                torch.testing.assert_close(ours.get_parameter(name), before[name], rtol=0, atol=0)
                continue
            flat = nn.Parameter(before[name].flatten(1).clone())
            flat.grad = value.grad.flatten(1)
            torch.optim.Muon([flat], lr=1e-3 * MATRIX_STEP, weight_decay=0.1 / MATRIX_STEP).step()
            moved = (ours.get_parameter(name) - before[name]).flatten(1)
            expected = flat.detach() - before[name].flatten(1)
            assert (moved - expected).norm() < 0.05 * expected.norm(), name


def test_momentum_is_nesterovs() -> None:
    """Two steps of one matrix by hand."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(2, 1, 1, 3))
    optimizer = Muon([weight], lr=0.01)
    first, second = torch.randn(2, 2, 1, 1, 3)
    for gradient in (first, second):
        weight.grad = gradient.clone()
        optimizer.step()
    mean = 0.05 * first
    updates = [0.05 * first + 0.95 * mean]
    mean = 0.95 * mean + 0.05 * second
    updates.append(0.05 * second + 0.95 * mean)
    expected = -0.01 * MATRIX_STEP * sum(orthogonalised([update.flatten(1)[None]])[0][0] for update in updates)
    torch.testing.assert_close(weight.detach().flatten(1), expected)


def test_layers_are_orthogonalised_each_for_itself() -> None:
    torch.manual_seed(0)
    together = _Layers()
    alone = copy.deepcopy(together)
    _train(together, Muon(together.parameters()))
    optimizers = [Muon([parameter]) for parameter in alone.parameters()]

    class All:
        def zero_grad(self) -> None:
            for optimizer in optimizers:
                optimizer.zero_grad()

        def step(self) -> None:
            for optimizer in optimizers:
                optimizer.step()

    _train(alone, All())  # type: ignore[arg-type]  # has what `_train` calls
    for name, value in together.named_parameters():
        torch.testing.assert_close(alone.get_parameter(name), value, rtol=1e-4, atol=1e-5, msg=name)


def test_the_memory_layout_changes_nothing() -> None:
    torch.manual_seed(0)
    plain = _Layers()
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    for network in (plain, other):
        _train(network, Muon(network.parameters()))
    for name, value in plain.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), value, rtol=1e-4, atol=1e-5, msg=name)


def test_it_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    network = _Layers()
    optimizer = Muon(network.parameters())
    _train(network, optimizer)
    later = copy.deepcopy(network)
    resumed = Muon(later.parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for trained, its in ((network, optimizer), (later, resumed)):
        _train(trained, its, seed=2)
    for name, value in network.named_parameters():
        torch.testing.assert_close(later.get_parameter(name), value, rtol=0, atol=0, msg=name)


def test_a_state_that_lies_elsewhere_follows_its_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint's step stays on the CPU, whose kernels are not those of the device: here `meta`, for a GPU."""
    network = torch.nn.BatchNorm2d(3)
    optimizer = Muon(network.parameters())
    network(torch.ones(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    state, away = optimizer.state_dict(), torch.nn.BatchNorm2d(3).to("meta")
    for values in state["state"].values():
        values |= {name: values[name].to("meta") for name in ("mean", "square")}
    resumed, seen = Muon(away.parameters()), []
    resumed.load_state_dict(state)
    monkeypatch.setattr(muon, "adamw", lambda *tensors, **_: seen.extend(tensor for part in tensors for tensor in part))
    for parameter in away.parameters():
        parameter.grad = torch.zeros_like(parameter)
    resumed.step()
    assert len(seen) == 10 and {tensor.device.type for tensor in seen} == {"meta"}
