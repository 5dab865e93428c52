"""Network weights on disk, with what they belong to."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import safe_open

from nasface.config import MultipathConfig, recorded_sizes
from nasface.nets.cost import on_meta
from nasface.nets.multipath import MemberSpec, Supernet
from nasface.nets.network import Network, NetworkSpec
from nasface.nets.registry import BaselineSpec
from nasface.nets.short_tensors import lengthen
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError
from nasface.utils.files import atomic_write
from nasface.utils.reading import reading
from nasface.utils.schema import checked
from nasface.utils.tensors import check_state, read_tensors

_KINDS = ("supernet", "network")
_MEND = "train again or restore it"


class _Fixed(TypedDict):
    """What a file says of a baseline."""

    fixed: BaselineSpec


class _Sizes(TypedDict):
    """What it says of a supernet."""

    layers: int
    scales: int
    network: MultipathConfig


class _Member(_Sizes):
    """What it says of a member of a space."""

    codes: list[int]


class _Faces(TypedDict):
    """What it says of the faces that a network was trained on."""

    folder: str | None
    experiment: dict[str, Any]


def save_weights(path: str | Path, network: Supernet | Network, faces: dict[str, Any] | None = None) -> None:
    """Write the weights of a supernet or of a network, atomically; with `faces`, what the output means (of
    `nasface.inference.trained.trained_record`), the file can predict."""
    write_record(path, weights_record(network, faces))


def weights_record(network: Supernet | Network, faces: dict[str, Any] | None = None) -> dict[str, Any]:
    """What `save_weights` writes."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return {**network.description(), "state": state, **({"faces": faces} if faces else {})}


def write_record(path: str | Path, record: dict[str, Any]) -> None:
    """`torch.save`, atomically."""
    # Through memory, because torch's own writer reports a full disk as an internal error of its zip archive.
    content = io.BytesIO()
    torch.save(record, content)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def state_digest(network: torch.nn.Module) -> str:
    """16 hexadecimal digits of all weights and buffers: equal for equal networks."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_supernet(path: str | Path, space: MultipathSpace, config: MultipathConfig) -> Supernet:
    """Read a supernet of `space` with sizes `config`; a UserError where the file is broken or holds another kind, space
    or size."""
    record = read_weights(path, "supernet")
    if (record["layers"], record["scales"]) != (space.layers, space.scales):
        raise UserError(
            f"{path} holds a supernet of {record['layers']} layers and {record['scales']} scales, but space"
            f" {space.name!r} has {space.layers} and {space.scales}: use the space that it was trained with"
        )
    # A file of a version without some size has what is now its default.
    trained, asked = asdict(recorded_sizes(record["network"])), asdict(config)
    for key in sorted(trained.keys() | asked.keys()):
        if trained.get(key) != asked.get(key):
            raise UserError(
                f"{path} was trained with network.{key} {trained.get(key)}, not {asked.get(key)}: use the same"
            )
    supernet = Supernet(space, config)
    _load_state(supernet, record["state"], path)
    return supernet


def load_network(path: str | Path) -> Network:
    """Read a network with its own architecture or name, and sizes; a UserError where the file is broken or of another
    kind."""
    return network_of(read_weights(path, "network"), path)


def network_of(record: dict[str, Any], path: str | Path, ours: bool = False) -> Network:
    """The network of a record that was read from `path`; see `load_network`. The sizes in a file of `ours` are not
    checked, for which torch loads its compiler, and that takes seconds."""
    with reading(path, "does not describe a network", _MEND):
        spec = _spec_of(record)
        if not ours:
            _check_sizes(spec, record)
        network = spec.build()
    _load_state(network, record["state"], path)
    return network


def _check_sizes(spec: NetworkSpec, record: dict[str, Any]) -> None:
    with on_meta():  # before memory is taken for sizes that are not the weights'
        wanted = sum(value.numel() for value in spec.build().state_dict().values())
    if wanted > 2 * sum(value.numel() for value in record["state"].values()) + 1_000_000:
        raise ValueError(f"its sizes are those of {wanted / 1e6:.0f} million weights")


def _spec_of(record: dict[str, Any]) -> NetworkSpec:
    """The inverse of `NetworkSpec.description`."""
    if "fixed" in record:
        return BaselineSpec(**record["fixed"])
    space = MultipathSpace(name="recorded", layers=record["layers"], scales=record["scales"])
    return MemberSpec(Architecture(space, tuple(record["codes"])), recorded_sizes(record["network"]))


def read_weights(path: str | Path, kind: str) -> dict[str, Any]:
    """The record that `save_weights` wrote; nothing but tensors and plain values is ever unpickled."""
    fault = "is not a readable weights file"
    with reading(path, fault, _MEND, f"train a {kind} first"):
        with Path(path).open("rb") as stream:
            safe = stream.read(9)[8:] == b"{"  # the length of a safetensors header, then the header
        record = _read_safetensors(path) if safe else read_tensors(path, fault, _MEND)
        if record.get("kind") not in _KINDS:
            raise UserError(f"{path} is not a weights file of nasface: {_MEND}")
        if record["kind"] != kind:
            raise UserError(f"{path} holds a {record['kind']}, not a {kind}")
        check_state(record.get("state"))
    with reading(path, "does not describe a network", _MEND):
        checked(_Fixed if "fixed" in record else _Sizes if kind == "supernet" else _Member, record, "")
        if record.get("faces") is not None:
            checked(_Faces, record["faces"], "faces")
    return record


def _read_safetensors(path: str | Path) -> dict[str, Any]:
    """The same record from a file of `nasface export --format safetensors`."""
    with safe_open(str(path), framework="pt") as content:
        record = json.loads((content.metadata() or {}).get("nasface", "null"))
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    if not isinstance(record, dict) or not isinstance(record.get("faces"), dict):
        raise ValueError("no description of a network")
    faces = {
        name: tensors.pop(f"faces.{name}") for name in ("mean", "weight", "landmark_uv") if f"faces.{name}" in tensors
    }
    return {**record, "state": lengthen(tensors), "faces": {**record["faces"], **faces} or None}


def _load_state(network: torch.nn.Module, state: dict[str, torch.Tensor], path: str | Path) -> None:
    with reading(path, "does not fit its own description", _MEND):
        network.load_state_dict(state)
