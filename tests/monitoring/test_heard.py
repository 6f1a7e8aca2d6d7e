"""What probes say of themselves: read from both databases, and what it means at a moment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import writing
from gridkeeper.federation.model import Registry
from gridkeeper.intake.contacts import Contact, Sample, note
from gridkeeper.intake.tables import CONTACTS
from gridkeeper.monitoring.backlogs import Backlog
from gridkeeper.monitoring.heard import HEARD_DAYS, Heard, pulse_of, read_heard
from gridkeeper.monitoring.silence import judge
from gridkeeper.monitoring.states import State
from tests.monitoring.invented import beats, day, every_hour, history, moment, state_of, track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

NOW = moment(70, 12)


def alive(hours: Iterable[datetime], at: datetime) -> bool:
    pulse = pulse_of(beats("A", hours), at)
    assert pulse is not None
    return pulse.is_beating


@pytest.mark.parametrize(
    "every, still, over", [(1, 3, 4), (3, 7, 16), (24, 40, 80)], ids=["hourly", "every third hour", "daily"]
)
def test_a_probe_is_unheard_when_it_misses_its_own_rhythm(every: int, still: int, over: int) -> None:
    hours = every_hour(moment(50), moment(60), every)
    assert alive(hours, hours[-1] + timedelta(hours=still))
    assert not alive(hours, hours[-1] + timedelta(hours=over))


def test_a_probe_of_a_few_words_is_given_a_day() -> None:
    hours = every_hour(moment(50), moment(50, 3))
    assert alive(hours, hours[-1] + timedelta(hours=24))
    assert not alive(hours, hours[-1] + timedelta(hours=26))


def test_at_an_earlier_moment_only_the_hours_before_it_are_known() -> None:
    heard = beats("A", every_hour(moment(50), moment(60)), backlog=lambda number: number)
    pulse = pulse_of(heard, moment(55))
    assert pulse is not None
    assert (pulse.last_at, pulse.backlog) == (moment(55), Backlog(records=120))
    assert pulse_of(heard, moment(49)) is None


def test_a_backlog_that_falls_back_or_is_small_is_not_late() -> None:
    def late(amounts: Sequence[int | None]) -> bool:
        hours = every_hour(NOW - timedelta(hours=len(amounts) - 1), NOW + timedelta(hours=1))
        pulse = pulse_of(
            beats("A", hours, backlog=lambda number: amounts[number]), hours[-1] + timedelta(hours=1)
        )
        return pulse is not None and pulse.late_since is not None

    assert late([0] * 30 + [150, 300, 450, 600, 750, 900])
    assert not late([0] * 30 + [150, 300, 450, 0, 100, 200])
    assert not late([0] * 30 + [1, 2, 3, 4, 5, 6])
    assert not late([1000] * 36)
    assert not late([None] * 36)


def test_what_the_collector_notes_is_read_back(database: sa.Engine) -> None:
    first = NOW - timedelta(days=HEARD_DAYS + 5)
    hours = every_hour(first, NOW, 6)
    note(
        database,
        [
            Contact("slurm:a", "A", "heartbeat", hour, {"version": "1.2", "backlog_batches": number, "problem": "disk full"})
            for number, hour in enumerate(hours)
        ]
        + [Contact("ce:b", "", "handshake", NOW - timedelta(hours=1), {"address": "192.0.2.7"})],
    )  # fmt: skip
    unnamed, named = read_heard(database, NOW)
    assert unnamed == Heard("ce:b", None, "handshake", NOW - timedelta(hours=1), NOW - timedelta(hours=1), hours=((NOW - timedelta(hours=1), Backlog()),))  # fmt: skip
    assert (named.probe, named.resource, named.first_at, named.last_at) == ("slurm:a", "A", first, hours[-1])
    assert (named.version, named.backlog.batches, named.problem) == ("1.2", len(hours) - 1, "disk full")
    assert [hour for hour, _ in named.hours] == [
        hour for hour in hours if hour >= NOW - timedelta(days=HEARD_DAYS)
    ]
    assert named.hours[-1] == (hours[-1], Backlog(batches=len(hours) - 1))
    assert read_heard(database, moment(0))[1].hours == ()


def test_the_latest_look_at_a_pool_says_what_runs(database: sa.Engine) -> None:
    def looked(hours: int, *samples: Sample) -> Contact:
        return Contact("slurm:a", "A", "heartbeat", NOW - timedelta(hours=hours), {}, samples)

    note(database, [looked(5, Sample("running", 9, 90)), looked(2, Sample("running", 1, 8, "x"), Sample("running", 2, 4, "y"), Sample("pending", 5, 50))])  # fmt: skip
    assert read_heard(database, NOW)[0].running_cores == 12
    assert read_heard(database, NOW - timedelta(hours=3))[0].running_cores == 90
    assert read_heard(database, NOW - timedelta(hours=6))[0].running_cores is None


def test_a_database_without_contacts_says_nothing(sqlite_database: sa.Engine) -> None:
    assert read_heard(sqlite_database, NOW) == ()


def test_states_follow_from_what_the_database_holds(sqlite_database: sa.Engine) -> None:
    hours = every_hour(NOW - timedelta(days=10), NOW)
    note(
        sqlite_database,
        [Contact("slurm:A", "A", "heartbeat", hour, {"backlog_batches": 0}) for hour in hours],
    )
    with writing(sqlite_database) as connection:
        connection.execute(
            sa.update(CONTACTS).values(oldest_waiting_at=NOW - timedelta(days=3), backlog_batches=9)
        )
    tracks = (track("A", range(70)), track("B", range(60)))
    found = judge(history(*tracks, until=70), Registry(), NOW, read_heard(sqlite_database, NOW))
    assert state_of(found, "A").state is State.LATE
    assert state_of(found, "A").last_contact_at == hours[-1]
    assert state_of(found, "B").state is State.SILENT
    assert found.until == day(70)
