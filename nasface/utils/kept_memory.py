"""Memory that a process keeps for the tensors to come."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
_MOST = 2**31 - 1
_LARGEST = (2**30, 2**25)  # bytes; some versions take no more than the second
_PAD = 2**26  # bytes: as much as a further thread's heap has
_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the C library keep what freed tensors took, for those that come next; whether it does (glibc alone can).

    Every step of a training takes and frees the same tensors. By default large ones are given back to the system in
    between and cost a page fault for each 4 KiB when they are taken again: a tenth of a step on a CPU. The most memory
    that a process has at once stays the same, but that each of several threads keeps the most that it has had. What
    the user has told the C library by environment variables holds.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name in os.environ for name in _OWN):
        return False
    mallopt(_TOP_PAD, _PAD)  # the heaps of threads other than the first are given back by this, not by the threshold
    return bool(mallopt(_TRIM_THRESHOLD, _MOST)) and any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST)
