"""Compiled loops that PyTorch's own threads share, so that no others wait beside them for a core."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import llvmlite.binding
import torch
from numba import cfunc, njit, types
from torch import Tensor

_NUMBER, _SIZE = "nasface_thread_number", "nasface_team_size"
_FAST = {"reassoc", "nsz", "arcp", "contract"}  # not "nnan": what is no number stays none

thread_number: Any = types.ExternalFunction(_NUMBER, types.int32())
"""Within a loop: which of the team's threads runs it, from 0 on."""
team_size: Any = types.ExternalFunction(_SIZE, types.int32())
"""Within a loop: how many threads run it."""


@njit(cache=True)
def own_share(count: int) -> tuple[int, int]:
    """Within a loop: the first of `count` things that are this thread's, and the first behind them. A thread has the
    same share in every loop, so that it finds in its core's cache what it has just written or read."""
    number, threads = thread_number(), team_size()
    return count * number // threads, count * (number + 1) // threads


class Arguments:
    """What a loop is given: whole numbers, real numbers and the memory of tensors."""

    def __init__(self, numbers: Sequence[int], reals: Sequence[float], tensors: Sequence[Tensor | None]) -> None:
        self._numbers = (ctypes.c_int64 * len(numbers))(*numbers)
        self._reals = (ctypes.c_double * len(reals))(*reals)
        self._tensors = tensors  # else the memory could be another's
        places = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
        first = ctypes.addressof(self._numbers), ctypes.addressof(self._reals)
        self.pointers = (ctypes.c_void_p * (2 + len(places)))(*first, *places)


Loop = Callable[[Arguments], None]


def team_loop(function: Callable[[Any], None]) -> Loop:
    """A function, compiled, that all threads run at once, each on the part of the work that is its own.

    It is given pointers, to be read with `numba.carray`: to the whole numbers (int64), the real numbers (float64), and
    the tensors of its `Arguments`. It runs without Python's lock, on as many threads as PyTorch has where it is called,
    or on one where PyTorch's threads are not GNU's OpenMP. Compiling takes seconds, and is kept in a file.
    """
    start = _openmp()
    compiled: Any = cfunc(types.void(types.CPointer(types.voidptr)), cache=True, fastmath=_FAST)(function)
    alone = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(compiled.address)

    def run(arguments: Arguments) -> None:
        threads = torch.get_num_threads()
        if threads == 1 or start is None:
            alone(arguments.pointers)
        else:
            start(compiled.address, arguments.pointers, threads, 0)  # `compiled` keeps the memory that the code lies in

    return run


def has_team() -> bool:
    """Whether loops run on PyTorch's threads here, and not on one."""
    return _openmp() is not None


@cache
def _openmp() -> Any:
    """What starts PyTorch's threads, or None; what loops ask of them is made known to the compiler."""
    try:
        # Only what is loaded already: with a second library, threads of two teams would wait for the same cores.
        library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
        start, number, size = library.GOMP_parallel, library.omp_get_thread_num, library.omp_get_num_threads
        # PyTorch's first: on a thread that has not computed yet, it tells the library how many there are.
        if torch.get_num_threads() != library.omp_get_max_threads():
            raise OSError("not PyTorch's")
    except (OSError, AttributeError):
        llvmlite.binding.add_symbol(_NUMBER, _always(0).address)
        llvmlite.binding.add_symbol(_SIZE, _always(1).address)
        return None
    for name, function in ((_NUMBER, number), (_SIZE, size)):
        llvmlite.binding.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    start.argtypes, start.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint), None
    return start


@cache
def _always(value: int) -> Any:
    """A compiled function that gives a number."""
    return cfunc(types.int32())(lambda: value)
