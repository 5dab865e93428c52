"""What a prediction with the packaged networks, and a worker that joins a search, load."""

from __future__ import annotations

import subprocess
import sys


def test_neither_lightning_nor_the_compiler_is_loaded() -> None:
    """They take more time than all else."""
    code = """
import sys, nasface
nasface.load().outputs()
print([name for name in sys.argv[1:] if name in sys.modules])
import nasface.pipelines.join_search
print([name for name in sys.argv[1:] if name in sys.modules])
"""
    heavy = ["pytorch_lightning", "torch._dynamo", "matplotlib", "optuna", "wandb"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['optuna']"]
