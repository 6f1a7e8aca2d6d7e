"""What probes say stays bounded: samples become their hours, the reports' figures stay to the last digit, old hours go."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.cli.serving import upkeep
from gridkeeper.cli.wiring import wired
from gridkeeper.clock import now
from gridkeeper.config import Home
from gridkeeper.database import reading
from gridkeeper.intake.contacts import Contact, Sample, note
from gridkeeper.intake.rolling_up import forget_hours, roll_up
from gridkeeper.intake.tables import CONTACT_HOURS, POOL_HOURS, POOL_SAMPLES
from gridkeeper.monitoring.heard import read_heard
from gridkeeper.monitoring.pools import read_pool_hours
from gridkeeper.queries.periods import Period

if TYPE_CHECKING:
    from pathlib import Path

FIRST = datetime(2026, 11, 18, tzinfo=UTC)
DAYS = Period(date(2026, 11, 18), date(2026, 11, 21))
UNTIL = datetime(2026, 11, 21, tzinfo=UTC)


def invented(seed: int = 1) -> list[Contact]:
    """Two pools over three days, looked at every few minutes; one of them with gaps and without a resource."""
    chance = random.Random(seed)
    contacts = []
    for probe, resource, every in (("slurm:kp", "kp", 5), ("condor:ap", "", 37)):
        for minutes in range(0, 3 * 24 * 60, every):
            samples = tuple(
                Sample(
                    state, chance.randrange(99), chance.randrange(999), account, chance.choice(("", "cms"))
                )
                for account in ("physics", "chemistry", "")
                for state in ("running", "pending")
                if chance.random() < 0.7
            )
            at = FIRST + timedelta(minutes=minutes, seconds=chance.randrange(60))
            contacts.append(Contact(probe, resource, "heartbeat", at, {}, samples))
    return contacts


def rows(engine: sa.Engine, table: sa.Table) -> int:
    with reading(engine) as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


@pytest.mark.parametrize("hours", [1, 29, 72])
def test_figures_of_hours_that_were_rolled_up_are_the_same_to_the_last_digit(
    database: sa.Engine, hours: int
) -> None:
    note(database, invented())
    before = read_pool_hours(database, DAYS)
    assert len(before) > 100
    running = [(one.probe, one.running_cores) for one in read_heard(database, UNTIL)]
    many = rows(database, POOL_SAMPLES)
    assert roll_up(database, FIRST + timedelta(hours=hours)) == hours
    assert read_pool_hours(database, DAYS) == before
    assert [(one.probe, one.running_cores) for one in read_heard(database, UNTIL)] == running
    assert rows(database, POOL_HOURS) <= 2 * hours
    assert rows(database, POOL_SAMPLES) < many
    assert (rows(database, POOL_SAMPLES) == 0) is (hours == 72)
    assert roll_up(database, FIRST + timedelta(hours=hours)) == 0, "twice does nothing more"


def test_what_ran_at_a_past_moment_is_known_though_its_samples_are_gone(sqlite_database: sa.Engine) -> None:
    note(sqlite_database, invented())
    moment = FIRST + timedelta(hours=40)
    known = [one.running_cores for one in read_heard(sqlite_database, moment)]
    roll_up(sqlite_database, UNTIL)
    assert [one.running_cores for one in read_heard(sqlite_database, moment)] == known


def test_an_hour_that_is_not_over_is_left_alone_and_late_samples_are_added_to_theirs(
    database: sa.Engine,
) -> None:
    one = Contact(
        "slurm:kp", "kp", "heartbeat", FIRST + timedelta(minutes=10), {}, (Sample("running", 1, 8),)
    )
    note(database, [one])
    assert roll_up(database, FIRST + timedelta(minutes=59)) == 0
    assert roll_up(database, FIRST + timedelta(minutes=60)) == 1
    late = Contact(
        "slurm:kp", "kp", "heartbeat", FIRST + timedelta(minutes=50), {}, (Sample("running", 3, 24),)
    )
    note(database, [late])
    before = read_pool_hours(database, DAYS)
    assert [(hour.moments, hour.running_cores) for hour in before] == [(2, 16.0)]
    assert roll_up(database, UNTIL) == 1
    assert read_pool_hours(database, DAYS) == before
    assert read_heard(database, UNTIL)[0].running_cores == 24


def test_hours_older_than_a_limit_are_forgotten(database: sa.Engine) -> None:
    note(database, invented())
    roll_up(database, UNTIL)
    assert forget_hours(database, FIRST + timedelta(hours=24)) > 0
    with reading(database) as connection:
        for table in (CONTACT_HOURS, POOL_HOURS):
            assert connection.execute(sa.select(sa.func.min(table.c.hour))).scalar_one() == FIRST + timedelta(
                days=1
            )
    assert forget_hours(database, UNTIL) > 0
    assert (rows(database, CONTACT_HOURS), rows(database, POOL_HOURS)) == (0, 0)


def test_the_daily_upkeep_does_both_by_the_settings(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    home.settings.write_text("[probes]\nsamples_days = 2\nhours_days = 30\n", encoding="utf-8")
    place = wired(home.path)
    today = now()
    samples = (Sample("running", 1, 8),)
    ages = (40, 10, 1)
    note(
        place.database(),
        [Contact("slurm:kp", "kp", "heartbeat", today - timedelta(days=age), {}, samples) for age in ages],
    )
    work = upkeep(place)
    work["roll samples up"]()
    assert (rows(place.database(), POOL_SAMPLES), rows(place.database(), POOL_HOURS)) == (1, 2)
    work["forget old hours"]()
    assert (rows(place.database(), POOL_HOURS), rows(place.database(), CONTACT_HOURS)) == (1, 2)
