"""What probes saw in their pools, beside the running cores that the records make."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.intake.contacts import Contact, Sample, note
from gridkeeper.monitoring.pools import PoolHour, pools, read_pool_hours
from gridkeeper.queries.periods import Period
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

DAYS = Period(date(2017, 1, 31), date(2017, 2, 2))
FIRST = datetime(2017, 1, 31, tzinfo=UTC)


def sampled(minutes: int, *samples: Sample, probe: str = "slurm:kp", resource: str = "kp") -> Contact:
    return Contact(probe, resource, "heartbeat", FIRST + timedelta(minutes=minutes), {}, samples)


def test_the_moments_of_an_hour_make_one_mean_over_accounts_and_vos(database: sa.Engine) -> None:
    running, pending = Sample("running", 4, 32, "physics"), Sample("pending", 2, 8, "physics")
    note(
        database,
        [
            sampled(-1, running),
            sampled(0, running, pending, Sample("running", 1, 16, "", "osg")),
            sampled(30, running),
            sampled(60, pending),
            sampled(48 * 60, running),
            sampled(10, Sample("running", 1, 1), probe="condor:ap", resource=""),
        ],
    )
    assert read_pool_hours(database, DAYS) == (
        PoolHour("condor:ap", None, FIRST, 1, 1, 1, 0, 0),
        PoolHour("slurm:kp", "kp", FIRST, 2, 40, 4.5, 4, 1),
        PoolHour("slurm:kp", "kp", FIRST + timedelta(hours=1), 1, 0, 0, 8, 2),
    )


def test_pools_stand_beside_what_the_records_say_in_the_same_hours(tmp_path: Path) -> None:
    home = InventedHome(
        tmp_path / "home",
        "{resources: [{name: Kingspeak, aliases: [kp]}], mapping: [{when: {account: own}, vo: utah, grid: Local}]}",
    )
    home.slurm("kp", every_day("2017-01-31", "2017-02-02", number=1, hours=10, cores=8, account="own"))
    hours = [FIRST + timedelta(hours=number) for number in range(48)]
    samples = [PoolHour("slurm:kp", "kp", hour, 4, 4.0, 1.0, 2.0, 1.0) for hour in hours[:24]]
    samples += [PoolHour("condor:ap", None, hour, 4, 100.0, 100.0, 0.0, 0.0) for hour in hours[:24]]
    access_point, kingspeak = pools(home.books(), samples, DAYS, hours[12])
    assert (kingspeak.probe, kingspeak.resource, kingspeak.hours) == ("slurm:kp", "Kingspeak", 12)
    assert (kingspeak.running_cores, kingspeak.running_jobs, kingspeak.pending_cores) == (4.0, 1.0, 2.0)
    assert kingspeak.derived == pytest.approx(10 * 8 / 12), (
        "10 hours of 8 cores end at noon; local jobs are in the pool, too"
    )
    assert kingspeak.difference == pytest.approx(80 / 12 - 4)
    assert kingspeak.ratio == pytest.approx(80 / 48)
    assert (access_point.derived, access_point.difference, access_point.ratio) == (None, None, None)
    assert pools(home.books(), samples, DAYS, hours[0]) == ()
    assert pools(home.books(), (), DAYS, hours[12]) == ()
