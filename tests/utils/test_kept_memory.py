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


def run(word: str, script: str = FAULTS, **more: str) -> tuple[str, int]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", script, word]
    told = subprocess.run(command, env=environment | more, capture_output=True, text=True, check=True).stdout.split()
    return told[0], int(told[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can be told")
def test_freed_tensors_are_taken_again_without_page_faults() -> None:
    pages = 10 * 8 * (4 << 20) // os.sysconf("SC_PAGE_SIZE")
    kept, faults = run("keep")
    assert kept == "True" and faults < pages / 100
    told, own = run("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert told == "False" and own > pages / 4  # what the user has said holds


THREADS = FAULTS.replace("range(8)", "range(64)").replace(
    "use(3)\nbefore",
    """
import threading
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)
alone, both = use, threading.Barrier(2)
def in_thread(rounds):
    both.wait()
    alone(rounds)
def use(rounds):
    list(pool.map(in_thread, [rounds] * 2))
use(3)
before""",
)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone can be told")
def test_so_are_those_of_threads() -> None:
    """They have heaps of 64 MiB of their own, given back by another rule."""
    pages = 2 * 10 * 64 * (4 << 20) // os.sysconf("SC_PAGE_SIZE")
    kept, faults = run("keep", script=THREADS)
    assert kept == "True" and faults < pages / 100
