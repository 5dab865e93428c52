"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples (research data, not part of the repository); skips the test where it is absent."""
    folder = Path(os.environ.get("NASFACE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real samples at {folder} (set NASFACE_SHARED_DATA)")
    return folder
