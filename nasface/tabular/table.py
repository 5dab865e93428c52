"""The tabular benchmark: a space of which every member was trained on its own; a search on it takes milliseconds.

A table is one Parquet file: a row for each training (a member and a seed), and in its metadata, as JSON under the key
`nasface`, the space and every setting of the trainings. `nasface table build` writes it.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nasface.metrics.aflw2000 import FIGURES
from nasface.space.counting import power
from nasface.space.space import Architecture, MultipathSpace
from nasface.utils.errors import UserError, first_line, nearest
from nasface.utils.files import atomic_write
from nasface.utils.reading import require_file

_ASSETS = Path(__file__).resolve().parent / "assets"
SHORTER = ("bands-250", "bands-600")
"""Members of the table `bands` after trainings of so many steps."""
SHIPPED = {name: _ASSETS / f"{name}.parquet" for name in ("table", "bands", *SHORTER)}
"""Tables that come with the program: every member of the space `table`; members of three costs of `multipath`."""
FACES = ("val", "test")
"""The face sets that a training is measured on."""
_FLOATS = (*(f"{faces}_{name}" for faces in FACES for name in FIGURES), "seconds")
_INTEGERS = ("seed", "parameters", "macs")
_TEXTS = ("digest", "code")
COLUMNS = (*_TEXTS, *_INTEGERS, *_FLOATS)


@dataclass(frozen=True)
class TrainedMember:
    """A member that was trained on its own, by one seed.

    Attributes:
        digest: of the member.
        code: its operations, one digit per connection.
        seed: of first weights and batches.
        parameters: how many.
        macs: multiply-adds of one image.
        val: NME (%) on the validation faces: three yaw bins, their mean, over all faces.
        test: the same on the test faces.
        seconds: CPU time of the training, on one thread; on a GPU, its share of the time of those trained together.
    """

    digest: str
    code: str
    seed: int
    parameters: int
    macs: int
    val: tuple[float, ...]
    test: tuple[float, ...]
    seconds: float

    def row(self) -> dict[str, Any]:
        """As the file's columns have it."""
        row: dict[str, Any] = {name: getattr(self, name) for name in (*_TEXTS, *_INTEGERS, "seconds")}
        for faces in FACES:
            values = getattr(self, faces)
            row |= {f"{faces}_{name}": value for name, value in zip(FIGURES, values, strict=True)}
        return {name: row[name] for name in COLUMNS}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> TrainedMember:
        """Inverse of `row`.

        Raises:
            KeyError, TypeError, ValueError: it is no such row.
        """
        values: dict[str, Any] = {name: str(row[name]) for name in _TEXTS}
        values |= {name: int(row[name]) for name in _INTEGERS} | {"seconds": float(row["seconds"])}
        for faces in FACES:
            values[faces] = tuple(float(row[f"{faces}_{name}"]) for name in FIGURES)
        return cls(**values)


@dataclass(frozen=True)
class MemberTable:
    """Trained members of a space.

    Attributes:
        space: the space.
        trainings: of all members and seeds.
        settings: what else the figures depend on, as JSON can hold it.
    """

    space: MultipathSpace
    trainings: tuple[TrainedMember, ...]
    settings: dict[str, Any]

    @cached_property
    def by_member(self) -> dict[str, tuple[TrainedMember, ...]]:
        """digest -> its trainings by rising seed."""
        found: dict[str, list[TrainedMember]] = {}
        for training in sorted(self.trainings, key=lambda one: one.seed):
            found.setdefault(training.digest, []).append(training)
        return {digest: tuple(trainings) for digest, trainings in found.items()}

    @property
    def complete(self) -> bool:
        """Whether every member of the space is in it."""
        return len(self.by_member) == self.space.count_members()

    def check_complete(self) -> None:
        """Raise a UserError where members of the space are missing, without which it cannot be searched."""
        if not self.complete:
            raise UserError(
                f"the table has {len(self.by_member)} of {power(self.space.count_members())} members of"
                f" {self.space.title}, and a search needs all: take --on table, or go on with `nasface table build`"
            )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of all rows."""
        rows = sorted(json.dumps(one.row()) for one in self.trainings)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]

    def errors(self, faces: str = "val", *, over_all: bool = False) -> dict[str, float]:
        """digest -> NME (%), mean of the seeds, on the `val` or `test` faces: the mean of the yaw bins, or that over
        all faces alike."""
        return {
            digest: float(np.mean([getattr(one, faces)[4 if over_all else 3] for one in trainings]))
            for digest, trainings in self.by_member.items()
        }

    def member(self, digest: str) -> Architecture:
        """The architecture of a digest."""
        return Architecture(self.space, tuple(map(int, self.by_member[digest][0].code)))

    def noise(self, faces: str = "val") -> tuple[float, float]:
        """Standard deviations of the NME (%): between members (of their means over the seeds), and between the seeds
        of a member; the latter is NaN where all have one seed."""
        groups = [[getattr(one, faces)[3] for one in trainings] for trainings in self.by_member.values()]
        several = [np.var(group, ddof=1) for group in groups if len(group) > 1]
        between = float(np.std([np.mean(group) for group in groups], ddof=1)) if len(groups) > 1 else float("nan")
        return between, float(np.sqrt(np.mean(several))) if several else float("nan")

    def agreement(self, faces: str = "val") -> float:
        """Kendall's tau between the members' ranks by one seed and by another, the mean over pairs of seeds: what no
        predictor of a single training can pass by much. NaN where fewer than two members have two seeds."""
        from scipy.stats import kendalltau  # half a second that a search on a table should not cost

        by_seed: dict[int, dict[str, float]] = {}
        for one in self.trainings:
            by_seed.setdefault(one.seed, {})[one.digest] = getattr(one, faces)[3]
        taus = []
        for first, second in itertools.combinations(by_seed.values(), 2):
            both = [digest for digest in first if digest in second]
            if len(both) > 1:
                taus.append(kendalltau([first[one] for one in both], [second[one] for one in both]).statistic)
        return float(np.mean(taus)) if taus else float("nan")

    def noise_line(self, faces: str = "val") -> str:
        """`noise` and `agreement` as they are told."""
        between, seeds = self.noise(faces)
        told = "" if math.isnan(between) else f"sd between members {between:.3f}, "
        if math.isnan(seeds):
            return told + "one seed a member"
        return told + f"between the seeds of a member {seeds:.3f}; tau between seeds {self.agreement(faces):+.3f}"

    def check(self) -> None:
        """Raise a ValueError where a row is no member of the space, its digest is another one's, or it is there
        twice."""
        for digest, trainings in self.by_member.items():
            if {one.code for one in trainings} != {trainings[0].code} or len({one.seed for one in trainings}) < len(
                trainings
            ):
                raise ValueError(f"member {digest} is there twice")
            codes = tuple(map(int, trainings[0].code))
            if not self.space.is_member(codes) or Architecture(self.space, codes).digest != digest:
                raise ValueError(f"{trainings[0].code} is no member {digest} of the space")

    def save(self, path: str | Path) -> None:
        """Write the Parquet file atomically.

        Raises:
            UserError: it cannot be written, or pyarrow is missing.
        """
        arrow, parquet = _pyarrow()
        rows = [one.row() for one in sorted(self.trainings, key=lambda one: (one.seed, one.code))]
        fields = [(name, arrow.string()) for name in _TEXTS] + [(name, arrow.int64()) for name in _INTEGERS]
        fields += [(name, arrow.float64()) for name in _FLOATS]
        space = {
            "name": self.space.name,
            "layers": self.space.layers,
            "scales": self.space.scales,
            "connections": self.space.connections,
            "drawn": self.space.drawn,
        }
        about = json.dumps({"format": 1, "space": space, "settings": self.settings})
        table = arrow.Table.from_pylist(rows, schema=arrow.schema(fields, metadata={"nasface": about}))
        content = io.BytesIO()  # through memory: Python's own writing says when a disk is full
        parquet.write_table(table, content, compression="zstd", compression_level=19)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content.getbuffer())


def load_table(path: str | Path = "table") -> MemberTable:
    """Read a table: a file, or one of `SHIPPED` by its name.

    Raises:
        UserError: there is none, it is damaged or of something else, or pyarrow is missing.
    """
    arrow, parquet = _pyarrow()
    path = SHIPPED.get(str(path), Path(path))
    mend = "build it by `nasface table build`"
    if not path.exists():
        raise UserError(f"{path} does not exist: {mend}")
    require_file(path, mend)
    try:
        content = parquet.read_table(path)
        about = json.loads(content.schema.metadata[b"nasface"])
        space = about["space"]
        ranges = (None if one is None else tuple(one) for one in (space["connections"], space.get("drawn")))
        table = MemberTable(
            MultipathSpace(space["name"], space["layers"], space["scales"], *ranges),
            tuple(TrainedMember.of_row(row) for row in content.to_pylist()),
            dict(about["settings"]),
        )
        table.check()
    except (OSError, KeyError, TypeError, ValueError, arrow.ArrowException) as error:
        reason = first_line(error)
        raise UserError(f"{path} is no table of trained members ({reason}): {mend}") from None
    return table


def read_table(on: str) -> MemberTable:
    """The table that `--on` names: one that comes with the program, or a Parquet file.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if on not in SHIPPED and not on.endswith(".parquet"):
        raise UserError(
            f"--on must be supernet, trainings, table or a .parquet file of `nasface table build`, not {on!r}"
            + nearest(on, ("supernet", "trainings", "table"))
        )
    return load_table(on)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("a table of trained members needs the package pyarrow: pip install pyarrow") from None
    return pyarrow, pyarrow.parquet
