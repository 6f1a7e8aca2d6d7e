"""A site and a collector for every test that asks for them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.probes.fake_collector import FakeCollector, fake_collector
from tests.probes.fake_site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def quick_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is tested by those tests that count its steps, and by probes in processes of their own."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with fake_collector() as listening:
        yield listening


@pytest.fixture
def site(tmp_path: Path, collector: FakeCollector) -> Site:
    return Site(tmp_path, collector.url)
