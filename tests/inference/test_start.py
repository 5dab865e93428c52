"""What a prediction with the packaged networks loads."""

from __future__ import annotations

import subprocess
import sys


def test_neither_lightning_nor_the_compiler_is_loaded() -> None:
    """They take more time than all else."""
    code = "import sys, nasface; nasface.load().outputs(); print([m for m in sys.modules if m in sys.argv[1:]])"
    heavy = ["pytorch_lightning", "torch._dynamo", "matplotlib", "optuna", "wandb"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
