"""Fixed networks by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasface.nets.baselines.hourglass import HourglassUV
from nasface.nets.baselines.prnet import PRNet
from nasface.nets.cost import on_meta
from nasface.nets.network import UV_MAP, scaled
from nasface.nets.registry import NETWORKS, BaselineSpec, create_network, register_network
from nasface.nets.uv_head import UVNetwork
from nasface.nets.weights import load_network, read_weights, save_weights, write_record
from nasface.utils.errors import UserError


def test_the_known_names() -> None:
    names = NETWORKS.names()
    assert set(names) >= {"prnet", "hrnet", "hourglass1", "hourglass2", "hourglass4"}
    assert list(names) == sorted(names)
    for name in names:
        candidate = NETWORKS.get(name)
        assert candidate.name == name and candidate.paper and candidate.target


def test_a_network_by_name() -> None:
    torch.manual_seed(3)
    network = create_network("prnet", input_size=32, map_size=16, scale=0.25)
    assert isinstance(network, PRNet) and network.spec == BaselineSpec("prnet", 32, 16, 0.25)
    torch.manual_seed(3)
    same = create_network("prnet", input_size=32, map_size=16, scale=0.25).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("stacks", [1, 2, 4])
def test_an_hourglass_has_as_many_stacks_as_its_name_says(stacks: int) -> None:
    with on_meta():
        assert len(create_network(f"hourglass{stacks}").body.stacks) == stacks


def test_unknown_names_and_sizes_are_one_line() -> None:
    with pytest.raises(UserError, match="unknown network 'marble'; known are: .*hourglass1, hourglass2, .*prnet"):
        create_network("marble")
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="the scale of \\w+ must be a number greater than 0"):
            create_network("prnet", scale=scale)
    with pytest.raises(UserError, match="must be at least 1"):
        create_network("prnet", map_size=0)


def test_an_own_network() -> None:
    with NETWORKS.scope():

        @register_network("mine", paper="Doe, 2030", target=UV_MAP)
        def mine(spec: BaselineSpec) -> UVNetwork:
            return HourglassUV(spec, stacks=3)

        assert "mine" in NETWORKS.names()
        assert create_network("mine", 32, 32, 0.05).spec.name == "mine"
        with pytest.raises(ValueError, match="'mine' is taken by tests.nets.test_registry.*mine"):
            register_network("mine", paper="", target="")(mine)
        with pytest.raises(ValueError, match="'prnet' is taken by nasface.nets.baselines.prnet.prnet.*test_registry"):
            register_network("prnet", paper="", target="")(mine)
    assert "mine" not in NETWORKS.names()


def test_digests() -> None:
    assert BaselineSpec("prnet").digest == BaselineSpec("prnet", 256, 256).digest == "prnet"
    assert BaselineSpec("prnet", scale=0.25).digest == "prnet-x0.25"


@given(st.integers(1, 2000), st.floats(0.001, 8), st.sampled_from([4, 8]))
def test_scaled_widths(width: int, scale: float, unit: int) -> None:
    found = scaled(width, scale, unit)
    assert scaled(width, 1, unit) == width
    if scale != 1:
        assert found >= unit and found % unit == 0
        assert found == unit or abs(found - width * scale) <= unit / 2


@pytest.mark.parametrize(
    "change",
    [{"name": "marble"}, {"name": "prnet", "scale": -1}, {"input_size": "32"}, {"surplus": 1}, {"map_size": 8}],
)
def test_a_damaged_description_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "n.pt"
    save_weights(path, create_network("hourglass1", 32, 32, 0.05))
    assert load_network(path).spec == BaselineSpec("hourglass1", 32, 32, 0.05)
    record = read_weights(path, "network")
    write_record(path, {**record, "fixed": {**record["fixed"], **change}})
    with pytest.raises(UserError, match=r"n\.pt does not (describe a network|fit its own).*train again or restore it"):
        load_network(path)
