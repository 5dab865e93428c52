"""Memory that a process keeps for the tensors to come."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from nasface.utils.kept_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use(rounds):
    for _ in range(rounds):
        tensors = [torch.ones(1 << 20) for _ in range(8)]
        del tensors
use(3)
before = faults()
use(10)
print(kept, faults() - before)
"""


def run(word: str, **more: str) -> tuple[str, int]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", FAULTS, word]
    told = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True).stdout.split()
    return told[0], int(told[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can be told")
def test_freed_tensors_are_taken_again_without_page_faults() -> None:
    pages = 10 * 8 * (4 << 20) // os.sysconf("SC_PAGE_SIZE")
    kept, faults = run("keep")
    assert kept == "True" and faults < pages / 100
    told, own = run("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert told == "False" and own > pages / 4  # what the user has said holds
