"""One small sample federation for all tests of this room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.demo import Ledger, generate

if TYPE_CHECKING:
    from pathlib import Path

SCALE = 0.001


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sample federation at SCALE."""
    directory = tmp_path_factory.mktemp("sample")
    generate(directory, SCALE)
    return directory


@pytest.fixture(scope="session")
def ledger(sample: Path) -> Ledger:
    """Its ledger, as it stands in the file."""
    return Ledger.read(sample / "ledger.json")
