"""What a probe of ours says of itself: every heartbeat that a probe makes is taken, and each backlog stands in its own unit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.intake.tables import CONTACT_HOURS, CONTACTS, POOL_SAMPLES
from gridkeeper.monitoring.backlogs import Backlog
from gridkeeper.monitoring.heard import pulse_of, read_heard
from gridkeeper.probes.contract import HEARTBEAT_BYTES, MOST_NAME_CHARACTERS, MOST_SAMPLES
from gridkeeper.probes.errors import SourceFailed
from gridkeeper.probes.heartbeat import encoded
from gridkeeper.probes.queues import Tally
from tests.collectors import LOCAL, Collector, collector
from tests.web.gratia_posts import envelope, handshake, post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
BEATS = "/api/v1/heartbeats"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}}, "resources: [{name: alpha}]\n")
    yield made
    made.close()


def beat(**facts: object) -> dict[str, object]:
    return {"probe": "slurm:alpha", "resource": "alpha", "version": "0.1.0", **facts}


def test_the_largest_queue_that_a_probe_reports_is_taken(gate: Collector) -> None:
    tally = Tally()
    for number in range(MOST_SAMPLES // 2):
        tally.add(f"department-of-physics-{number:05}", "cms", "running", 8)
        tally.add(f"department-of-physics-{number:05}", "cms", "pending", 8)
    with pytest.raises(SourceFailed, match=r"more accounts and VOs than a heartbeat may have \(5,000\)"):
        tally.add("one more", None, "running", 1)
    from dataclasses import asdict

    body = encoded(beat(samples=[asdict(sample) for sample in tally.samples()]))
    assert 256 * 1024 < len(body) < HEARTBEAT_BYTES
    alice = gate.client(gate.token("alpha"))
    assert alice.post(BEATS, content=body).status_code == 202
    with reading(gate.services.engine) as connection:
        assert (
            connection.execute(sa.select(sa.func.count()).select_from(POOL_SAMPLES)).scalar_one()
            == MOST_SAMPLES
        )


def test_a_name_that_no_collector_takes_is_cut_by_the_probe_and_never_refused_for_ever(
    gate: Collector,
) -> None:
    tally = Tally()
    for end in "ab":
        tally.add("ü" * 400 + end, "c\0ms", "running", 8)
    (sample,) = tally.samples()
    assert (sample.jobs, len(sample.account or ""), sample.vo) == (2, MOST_NAME_CHARACTERS, "cms")
    told = [{"account": sample.account, "vo": sample.vo, "state": "running", "jobs": 2, "cores": 16}]
    assert (
        gate.client(gate.token("alpha")).post(BEATS, content=encoded(beat(samples=told))).status_code == 202
    )


def test_batches_records_and_jobs_are_kept_apart_and_a_probe_that_changed_its_kind_leaves_none_behind(
    gate: Collector,
) -> None:
    old = gate.client()

    def word() -> tuple[int | None, ...]:
        with reading(gate.services.engine) as connection:
            found = connection.execute(sa.select(CONTACTS).where(CONTACTS.c.resource == "alpha")).one()
        return found.backlog_batches, found.backlog_records, found.backlog_jobs, found.backlog_bytes

    body = post(
        "multiupdate", envelope(handshake("alpha")), probe="condor:ce.example.org", xmlfiles=5, backlog=9
    )
    assert old.post("/gratia-servlets/rmi", content=body).content == b"OK"
    gate.load()
    assert word() == (None, 5, 9, None)
    told = beat(
        probe="condor:ce.example.org", backlog_batches=3, backlog_bytes=900, oldest_waiting_at=NOW.isoformat()
    )
    assert old.post(BEATS, json=told).status_code == 202
    assert word() == (3, None, None, 900)
    with reading(gate.services.engine) as connection:
        hour = connection.execute(sa.select(CONTACT_HOURS).where(CONTACT_HOURS.c.contacts == 2)).one()
    assert (hour.most_backlog_batches, hour.most_backlog_records, hour.most_backlog_jobs) == (3, 5, 9)
    assert old.post("/gratia-servlets/rmi", content=body).content == b"OK"
    gate.load()
    assert word() == (None, 5, 9, None)


def test_a_probe_of_ours_whose_batches_are_not_taken_becomes_late_and_its_unit_is_named(
    gate: Collector,
) -> None:
    alice = gate.client(gate.token("alpha"))
    for hour in range(36, -1, -1):
        moment = NOW - timedelta(hours=hour)
        gate.services.now = lambda moment=moment: moment  # type: ignore[misc]
        waiting = max(0, 9 - hour)  # a small site: one batch an hour
        oldest = (NOW - timedelta(hours=8)).isoformat() if waiting else None
        told = beat(backlog_batches=waiting, oldest_waiting_at=oldest)
        assert alice.post(BEATS, content=json.dumps(told)).status_code == 202
    (heard,) = read_heard(gate.services.engine, NOW)
    pulse = pulse_of(heard, NOW)
    assert pulse is not None
    assert pulse.backlog == Backlog(batches=9)
    assert pulse.backlog.sentence == "9 batches wait at its probe"
    assert pulse.late_since == NOW - timedelta(hours=12)
    earlier = pulse_of(heard, NOW - timedelta(hours=10))
    assert earlier is not None
    assert earlier.late_since is None
