"""Reads W&B's offline files back: what `wandb sync` would upload."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as protocol

_FILE_HEADER, _BLOCK, _RECORD_HEADER = 7, 32768, 7
_WHOLE, _LAST = 1, 4


@dataclass(frozen=True)
class OfflineRun:
    """One W&B run.

    Attributes:
        folder: its files.
        run: name, group, job type, project.
        config: settings.
        rows: of its history, in order.
        artifacts: that it logged or used.
    """

    folder: Path
    run: protocol.RunRecord
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    artifacts: list[protocol.ArtifactRecord]

    @property
    def keys(self) -> set[str]:
        return {key for row in self.rows for key in row if not key.startswith("_")}

    def values(self, key: str) -> list[Any]:
        return [row[key] for row in self.rows if key in row]

    def table(self, key: str) -> list[dict[str, Any]]:
        """The rows of the last table under a key."""
        content = json.loads((self.folder / "files" / self.values(key)[-1]["path"]).read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]

    def images(self, key: str) -> list[Path]:
        """The files of the last images under a key."""
        value = self.values(key)[-1]
        names = value["filenames"] if "filenames" in value else [value["path"]]
        return [self.folder / "files" / name for name in names]

    def logged(self, used: bool = False) -> dict[str, protocol.ArtifactRecord]:
        """Artifacts of ours by name that the run made, or used."""
        return {
            one.name: one for one in self.artifacts if one.use_after_commit == used and not one.type.startswith("run_")
        }


def read_offline(folder: Path) -> list[OfflineRun]:
    """The runs under `folder`, in the order in which they began."""
    return [_read(path) for path in sorted(folder.glob("**/wandb/offline-run-*/run-*.wandb"))]


def _read(path: Path) -> OfflineRun:
    run, config, rows, artifacts = protocol.RunRecord(), {}, [], []
    for record in _records(path.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            config |= {item.key: json.loads(item.value_json) for item in run.config.update}
        elif kind == "history":
            rows.append(_nested(record.history.item))
        elif kind == "artifact":
            artifacts.append(record.artifact)
    return OfflineRun(path.parent, run, config, rows, artifacts)


def _nested(items: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for item in items:
        *outer, last = item.nested_key or [item.key]
        place = row
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = json.loads(item.value_json)
    return row


def _records(data: bytes) -> Iterator[protocol.Record]:
    """The records of the file, which is a LevelDB log: blocks of 32 KiB, each record in one part or several."""
    assert data[:4] == b":W&B"
    place, parts = _FILE_HEADER, b""
    while place + _RECORD_HEADER <= len(data):
        left = _BLOCK - place % _BLOCK
        if left < _RECORD_HEADER:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        place += _RECORD_HEADER
        parts += data[place : place + size]
        place += size
        if kind in (_WHOLE, _LAST):
            record, parts = protocol.Record.FromString(parts), b""
            yield record
