"""A Slurm for all tests that want one; without one they are skipped, or fail where `make test-slurm` asked for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.slurm.cluster import Cluster, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIRED = os.environ.get("GRIDKEEPER_REQUIRE_SLURM") == "1"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    reason = why_not()
    if reason is not None:
        if REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    # Not in pytest's folder: that is closed to others, and here jobs of others find their Slurm.
    folder = Path(tempfile.mkdtemp(prefix="gridkeeper-slurm-"))
    folder.chmod(0o755)
    started = Cluster(folder)
    try:
        started.start()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)
