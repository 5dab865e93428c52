"""The networks that `--arch` names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasface.config import Experiment
from nasface.nets.multipath import MemberSpec
from nasface.pipelines.architectures import resolve_network
from nasface.space.presets import FOLDER


@pytest.mark.parametrize(
    ("sizes", "kind"), [({"width": 24, "head": "anchors"}, "cells"), ({"width": 24, "resample": "conv"}, "conv")]
)
def test_a_file_that_says_nothing_of_the_change_of_scale_is_of_an_earlier_version(
    tmp_path: Path, sizes: dict[str, object], kind: str
) -> None:
    record = json.loads((FOLDER / "hrnet.json").read_text())
    record["provenance"] = {"strategy": "samos", "network": sizes}
    best = tmp_path / "best.json"
    best.write_text(json.dumps(record))
    experiment, spec, _ = resolve_network(Experiment(), str(best))
    assert isinstance(spec, MemberSpec) and spec.config == experiment.network
    assert (spec.config.resample, spec.config.width) == (kind, 24)


def test_a_file_without_sizes_has_the_experiment_s() -> None:
    experiment, _, _ = resolve_network(Experiment(), str(FOLDER / "hrnet.json"))
    assert experiment.network == Experiment().network
