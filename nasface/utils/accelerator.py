"""Where what is not trained by Lightning computes."""

from __future__ import annotations

import torch


def uses_gpu(accelerator: str) -> bool:
    """Whether `device.accelerator`, as Lightning reads it, means an NVIDIA GPU on this machine."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
