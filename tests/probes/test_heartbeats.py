"""A heartbeat always comes: where its samples are too much for it, without them, and that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.probes.contract import HEARTBEAT_BYTES, MOST_SAMPLES
from tests.probes.fake_collector import FakeCollector, Reply

if TYPE_CHECKING:
    from tests.probes.fake_site import Site

BEATS = "/api/v1/heartbeats"


def accounts(count: int, long: int = 0) -> str:
    """A squeue that names so many accounts."""
    return f"for number in range({count}): print(f'RUNNING|8|alice|account-{{number}}{'x' * long}')\n"


def test_as_many_accounts_as_may_be_are_told(site: Site, collector: FakeCollector) -> None:
    site.command("squeue", accounts(MOST_SAMPLES, 20))
    assert site.once().level == 0
    (beat,) = collector.heartbeats
    assert len(beat["samples"]) == MOST_SAMPLES


def test_one_account_more_than_a_heartbeat_may_have_and_it_comes_without_any(
    site: Site, collector: FakeCollector
) -> None:
    site.command("squeue", accounts(MOST_SAMPLES + 1))
    verdict = site.once()
    (beat,) = collector.heartbeats
    assert beat["samples"] == []
    assert "more accounts and VOs than a heartbeat may have (5,000)" in beat["problem"]
    assert (verdict.level, "than a heartbeat may have (5,000)" in verdict.line) == (1, True)


def test_samples_that_make_it_too_long_are_left_out_and_the_heartbeat_comes(
    site: Site, collector: FakeCollector
) -> None:
    site.command("squeue", accounts(MOST_SAMPLES, 240))
    verdict = site.once()
    (beat,) = collector.heartbeats
    assert beat["samples"] == []
    assert "5,000 accounts and VOs make a heartbeat of" in beat["problem"]
    assert f"at most {HEARTBEAT_BYTES:,} bytes" in verdict.line


def test_a_collector_with_a_smaller_limit_gets_the_heartbeat_without_samples(
    site: Site, collector: FakeCollector
) -> None:
    collector.difficult = lambda path, body: (
        Reply(413, {"error": "too long"}) if path == BEATS and len(body) > 1000 else None
    )
    site.command("squeue", accounts(100))
    verdict = site.once()
    (beat,) = collector.heartbeats
    assert beat["samples"] == []
    assert "answers 413: too long" in verdict.line
    site.command("squeue", accounts(1))
    site.clock.advance(3600)
    assert site.once().level == 0, "what is told again is no problem any more"
