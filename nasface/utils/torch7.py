"""Torch7's binary files (.t7): tensors, tables, numbers and strings; nothing in a file is run.

LS3D-W's landmarks come in them. The format is that of torch7's File:writeObject (torch/torch7, File.lua and
doc/serialization.md): a type number before every object, an index before tables and torch objects so that a second
mention refers to the first, and a version and a class name before torch objects.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from nasface.utils.reading import reading

_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN = range(6)
_TYPES = {"Byte": "u1", "Char": "i1", "Short": "<i2", "Int": "<i4", "Long": "<i8", "Float": "<f4", "Double": "<f8"}
_MAX_DEPTH = 64


def load_t7(path: str | Path) -> Any:
    """What a file holds: an array, a number, a string, a bool, None, or a dict of these for a table.

    Raises:
        UserError: the file is absent, truncated, or holds anything else, such as a function.
    """
    with reading(path, "is not a readable .t7 of tensors", "restore it from its source"):
        return _Reader(Path(path).read_bytes()).object()


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.place, self.depth = content, 0, 0
        self.known: dict[int, Any] = {}

    def object(self) -> Any:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError("tables too deep")
        kind = self.integer()
        if kind == _NIL:
            value: Any = None
        elif kind == _NUMBER:
            (value,) = self.unpack("<d")
        elif kind == _STRING:
            value = self.string()
        elif kind == _BOOLEAN:
            value = self.integer() == 1
        elif kind in (_TABLE, _TORCH):
            value = self.indexed(kind)
        else:
            raise ValueError(f"object of type {kind}")
        self.depth -= 1
        return value

    def indexed(self, kind: int) -> Any:
        index = self.integer()
        if index not in self.known:
            if kind == _TABLE:
                self.known[index] = table = {}
                for _ in range(self.integer()):
                    key = self.object()
                    table[key] = self.object()
            else:
                self.known[index] = self.torch()
        return self.known[index]

    def torch(self) -> np.ndarray:
        name = self.string()
        if name.startswith("V "):
            name = self.string()
        dtype = np.dtype(_TYPES[name.removeprefix("torch.").removesuffix("Tensor").removesuffix("Storage")])
        if name.endswith("Storage"):
            return self.numbers(dtype, self.unpack("<q")[0])
        dimensions = self.integer()
        sizes, strides = (self.numbers(np.dtype("<i8"), dimensions).tolist() for _ in range(2))
        (offset,) = self.unpack("<q")
        storage = self.object()
        if storage is None or not dimensions:
            return np.empty(0, dtype)
        if not isinstance(storage, np.ndarray) or storage.dtype != dtype or storage.ndim != 1:
            raise ValueError("a tensor over something else than a storage of its type")
        # In whole numbers of Python: those of numpy wrap around, and a view beyond its storage is not checked again.
        last = offset - 1 + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        if offset < 1 or min(sizes) < 0 or min(strides) < 0 or math.prod(sizes) and last >= len(storage):
            raise ValueError("tensor larger than its storage")
        if math.prod(sizes) > len(self.content):
            raise ValueError("more numbers than the file has bytes")
        if not math.prod(sizes):
            return np.empty(sizes, dtype)
        view = np.lib.stride_tricks.as_strided(
            storage[offset - 1 :], sizes, [step * dtype.itemsize for step in strides]
        )
        return view.copy()

    def integer(self) -> int:
        return self.unpack("<i")[0]

    def string(self) -> str:
        return bytes(self.numbers(np.dtype("u1"), self.integer())).decode("latin1")

    def numbers(self, dtype: np.dtype, count: int) -> np.ndarray:
        if count < 0 or self.place + count * dtype.itemsize > len(self.content):
            raise ValueError("the file ends early")
        values = np.frombuffer(self.content, dtype, count, self.place)
        self.place += count * dtype.itemsize
        return values

    def unpack(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self.content, self.place)
        self.place += struct.calcsize(form)
        return values
