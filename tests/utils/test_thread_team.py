"""Compiled loops on PyTorch's threads."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import torch
from numba import carray

from nasface.utils.compute_threads import torch_threads
from nasface.utils.thread_team import Arguments, team_loop, team_size, thread_number
from tests.nets.test_batch_norm import maps_of
from tests.nets.test_hpm import block_of, pass_of


def _who(data: Any) -> None:
    """Every thread writes its number and the team's size into a row of its own, plus what it was given."""
    numbers, reals = carray(data[0], 1, np.int64), carray(data[1], 1, np.float64)
    into = carray(data[2], (numbers[0], 2), np.float64)
    into[thread_number(), 0] = thread_number() + reals[0]
    into[thread_number(), 1] = team_size()


def test_every_thread_runs_the_loop_once() -> None:
    loop = team_loop(_who)
    for threads in (1, 2, 5, 2):
        into = torch.full((8, 2), -1.0, dtype=torch.float64)
        with torch_threads(threads):
            loop(Arguments((8,), (0.5,), (into,)))
        assert into[:threads, 0].tolist() == [number + 0.5 for number in range(threads)]
        assert into[:threads, 1].tolist() == [threads] * threads
        assert (into[threads:] == -1).all()


WITHOUT = """
import ctypes
import json
import torch

load = ctypes.CDLL
def absent(name, *given, **named):
    if name and "gomp" in str(name):
        raise OSError("no such library")
    return load(name, *given, **named)
ctypes.CDLL = absent

from tests.nets.test_batch_norm import maps_of
from tests.nets.test_hpm import block_of, pass_of
from nasface.nets.layers import batch_norm
from nasface.utils.thread_team import has_team

batch_norm._FEWEST = 1
assert not has_team()
block, x = block_of(8), maps_of(3, 8, 5, 5)
torch.set_num_threads(2)
assert not batch_norm.has_loops(block.norm1, x)  # on one thread they would be the slower ones
torch.set_num_threads(1)
assert batch_norm.has_loops(block.norm1, x)
print(json.dumps([value.double().sum().item() for value in pass_of(block, x, x)]))
"""


def test_one_thread_does_it_where_pytorchs_threads_are_others() -> None:
    """As on macOS, whose OpenMP is LLVM's."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with torch_threads(1):
        true = [value.double().sum().item() for value in pass_of(block_of(8), maps_of(3, 8, 5, 5), maps_of(3, 8, 5, 5))]
    np.testing.assert_allclose(json.loads(done.stdout), true, rtol=1e-3, atol=1e-3)
