"""Files of tensors, which are somebody else's: nothing but tensors and plain values is read from them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from nasface.utils.reading import reading


def read_tensors(path: str | Path, fault: str, mend: str, absent: str = "") -> dict[str, Any]:
    """The dictionary that `torch.save` wrote, on the CPU; arguments and errors of `reading`."""
    with reading(path, fault, mend, absent):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any("/code/" in name for name in archive.namelist()):
                    raise ValueError("it is TorchScript, which is for predict and evaluate alone")
                # torch packs nothing; what unpacks to terabytes is not its own
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise ValueError("its archive is compressed")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        # Torch's own text explains at length how to read it all the same.
        except (pickle.UnpicklingError, LookupError, EOFError):
            raise ValueError("it is not torch.save's, or holds more than tensors") from None
        if not isinstance(content, dict):
            raise ValueError(f"holds {type(content).__name__}, no dictionary")
        return content


def check_state(state: Any) -> None:
    """Raise a ValueError where a network's weights are no named finite tensors; it names the first that is not."""
    if not isinstance(state, dict):
        raise ValueError("its weights are no dictionary")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor) or not isinstance(name, str):
            raise ValueError(f"its weight {name!r} is no tensor")
        if not torch.isfinite(value).all():
            raise ValueError(f"its weight {name} is not finite")
