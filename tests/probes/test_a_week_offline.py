"""A week without the collector: afterwards everything arrives, oldest first, and new data do not wait behind it."""

from __future__ import annotations

import itertools
import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.probes.fake_collector import FakeCollector, Reply, listening
from tests.probes.fake_site import NOON, FakeClock, Site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow
WEEK = timedelta(days=7)
HOUR_S = 3600
# 500 lines an hour of about 200 bytes, so about 13 MB in the week.
LINES_AN_HOUR = 400
MEMORY_LIMIT_BYTES = 6 * 1024 * 1024


class BusyClock(FakeClock):
    """While the probe sleeps, jobs end."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._meanwhile()


def numbers_of(text: str) -> str:
    return " ".join(line.split()[0] for line in text.splitlines())


def test_a_week_offline_arrives_whole_in_order_of_age_in_bounded_memory(tmp_path: Path) -> None:
    site = Site(tmp_path, "http://127.0.0.1:9", "file")
    site.set("probe", interval_s=HOUR_S, heartbeat_s=4 * HOUR_S)
    site.set("file", paths=tmp_path / "a.swf", format="swf")
    site.set("outbox", batch_kb=64)
    written = 0

    def jobs_end() -> None:
        nonlocal written
        until = int((site.clock.now() - NOON).total_seconds() / HOUR_S * LINES_AN_HOUR)
        with (tmp_path / "a.swf").open("a") as stream:
            while written < until:
                stream.write(f"{written} {'0 10 1 ' * 25}\n")
                written += 1

    site.clock = BusyClock(jobs_end)
    tracemalloc.start()
    site.probe().run(lambda: site.clock.now() < NOON + WEEK)
    at_the_end = written
    assert len(list((site.state / "outbox").iterdir())) > 250
    # A reboot, and a collector that has moved and takes only ten batches at a time.
    collector = FakeCollector()
    taken = 0

    def ten_at_a_time(path: str, body: bytes) -> Reply | None:
        nonlocal taken
        taken += path == "/api/v1/batches"
        return Reply(503, {}, {"Retry-After": "600"}) if taken % 11 == 10 else None

    collector.difficult = ten_at_a_time
    collector.keep = numbers_of  # what the fake keeps is not the probe's memory
    with listening(collector):
        site.set("collector", url=collector.url)
        site.probe().run(lambda: site.clock.now() < NOON + WEEK + timedelta(hours=10))
        collector.difficult = lambda path, body: None
        site.clock.advance(HOUR_S)
        assert site.once().level == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    numbers = [[int(number) for number in delivery.text.split()] for delivery in collector.deliveries]
    arrived = [number for batch in numbers for number in batch]
    assert sorted(arrived) == list(range(written))
    old = [batch[0] for batch in numbers if batch[0] < at_the_end]
    by_age = [first for first, after in itertools.pairwise(old) if first < after]
    assert len(by_age) > 0.7 * len(old)
    new_at = next(place for place, batch in enumerate(numbers) if batch[-1] >= at_the_end)
    assert len(numbers) - new_at > 60, "the backlog took no time, so this shows nothing"
    assert new_at < 100, "the first data after the outage waited behind the whole backlog"
    assert peak < MEMORY_LIMIT_BYTES
    assert collector.mistakes == []
