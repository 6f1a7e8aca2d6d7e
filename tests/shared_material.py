"""Finds the real material that lies beside a checkout; tests that need it skip, with the reason, where it is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared(name: str) -> Path:
    """The path of one piece of shared material; skips the test where it is absent."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"needs the real material ../shared/data/{name}, which is not beside this checkout")
    return path
