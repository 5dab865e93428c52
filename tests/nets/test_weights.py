"""Weights on disk: what comes back is what was written, and everything else is refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nasface.config import MultipathConfig
from nasface.nets.multipath import MultipathNetwork, Supernet
from nasface.nets.weights import load_network, load_supernet, save_weights, state_digest
from nasface.space.space import MultipathSpace
from nasface.utils.errors import UserError

SPACE = MultipathSpace(name="tiny", layers=4, scales=2)
CONFIG = MultipathConfig(input_size=16, map_size=8, width=8, head_width=4, head="cells")


def supernet(seed: int = 0) -> Supernet:
    torch.manual_seed(seed)
    return Supernet(SPACE, CONFIG)


def test_a_supernet_comes_back(tmp_path: Path) -> None:
    network = supernet().to(memory_format=torch.channels_last)
    save_weights(tmp_path / "s.pt", network)
    found = load_supernet(tmp_path / "s.pt", SPACE, CONFIG)
    assert found.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in network.state_dict().items())
    assert state_digest(found) == state_digest(network) != state_digest(supernet(1))


def test_a_network_comes_back_with_its_architecture(tmp_path: Path) -> None:
    network = MultipathNetwork(SPACE.random_architecture(np.random.default_rng(0)), CONFIG).eval()
    save_weights(tmp_path / "n.pt", network)
    found = load_network(tmp_path / "n.pt").eval()
    assert found.architecture.codes == network.architecture.codes and found.config == CONFIG
    image = torch.randn(2, 3, 16, 16)
    assert torch.equal(found(image), network(image))


def test_another_space_size_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.pt"
    save_weights(path, supernet())
    other = MultipathSpace(name="other", layers=5, scales=2)
    with pytest.raises(UserError, match="of 4 layers and 2 scales, but space 'other' has 5 and 2: use the space"):
        load_supernet(path, other, CONFIG)
    wider = MultipathConfig(input_size=16, map_size=8, width=16, head_width=4, head="cells")
    with pytest.raises(UserError, match="with network.width 8, not 16: use the same"):
        load_supernet(path, SPACE, wider)
    with pytest.raises(UserError, match="holds a supernet, not a network"):
        load_network(path)
    with pytest.raises(UserError, match="absent.pt does not exist"):
        load_network(tmp_path / "absent.pt")


class Touch:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("damage", ["half", "empty", "text", "code", "list", "keys", "state", "codes", "folder"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: str) -> None:
    path, proof = tmp_path / "n.pt", tmp_path / "proof"
    network = MultipathNetwork(SPACE.random_architecture(np.random.default_rng(0)), CONFIG)
    save_weights(path, network)
    content, record = path.read_bytes(), torch.load(path, weights_only=True)
    if damage == "half":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("weights\n")
    elif damage == "code":
        torch.save({**record, "state": Touch(proof)}, path, pickle_module=pickle)
    elif damage == "list":
        torch.save([1, 2], path)
    elif damage == "keys":
        torch.save({"kind": "network"}, path)
    elif damage == "state":
        torch.save({**record, "state": dict(list(record["state"].items())[1:])}, path)
    elif damage == "codes":
        torch.save({**record, "codes": [7, *record["codes"]]}, path)
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(UserError, match=r"n\.pt .*(train again or restore it|not a weights file)") as error:
        load_network(path)
    assert "\n" not in str(error.value)
    assert not proof.exists()


@pytest.mark.parametrize("place", ["os.replace", "os.fsync", "pathlib.Path.write_bytes"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    path = tmp_path / "s.pt"
    save_weights(path, supernet())
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(UserError, match="cannot write .*s.pt: No space left on device; free space"):
            save_weights(path, supernet(1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path], "something was left behind"
