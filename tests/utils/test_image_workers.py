"""Work of several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nasface.utils.image_workers import in_processes

REPOSITORY = Path(__file__).resolve().parent.parent.parent
AFTER_THREADS = """
import cv2, numpy as np
from nasface.utils.image_workers import in_processes
cv2.setNumThreads(4)
picture = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
for _ in range(3):
    cv2.GaussianBlur(picture, (31, 31), 5)  # starts OpenCV's threads
print(sorted(in_processes(lambda job: (job * job, cv2.getNumThreads()), range(4), 2)), cv2.getNumThreads())
"""


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_job_is_done_once(workers: int) -> None:
    assert sorted(in_processes(lambda job: 10 * job, range(5), workers)) == [0, 10, 20, 30, 40]


def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_processes(lambda job: 1 / job, [1, 0], 2))


def test_processes_fork_beside_the_threads_of_opencv() -> None:
    """A forked process that waits for its parent's threads would wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER_THREADS], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[(0, 1), (1, 1), (4, 1), (9, 1)] 4"
