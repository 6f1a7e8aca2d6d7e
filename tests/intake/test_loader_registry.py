"""A loader makes the summaries by the registry as its file says now, however long ago it was started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from gridkeeper.federation.reading import read_home
from gridkeeper.summaries.months import REGISTRY_POSITION
from tests.served import served
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
BEFORE, AFTER = (f"resources: [{{name: alpha, site: {site}}}]\n" for site in ("Springfield", "Shelbyville"))


def test_a_registry_that_changed_since_the_loader_began_is_the_one_that_counts(tmp_path: Path) -> None:
    with served(tmp_path, BEFORE) as home:
        headers = {"Authorization": f"Bearer {home.token('alpha')}"}
        address = f"{home.url}/api/v1/batches?format=sacct&resource=alpha"
        assert httpx.post(address, content=sacct(1, 2), headers=headers, trust_env=False).status_code == 202
        home.wait_until_loaded()
        home.place.home.federation.write_text(AFTER, encoding="utf-8")
    # Told to stop, the loader brings the summaries up to what it loaded.
    made_by = home.place.lake.snapshot().handle("usage_daily_end").position(REGISTRY_POSITION)
    assert made_by == read_home(home.place.home).revision
