"""Keeps what probes say bounded: samples of pools become sums of their hours, and hours are let go after years."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gridkeeper.database import insert, reading, writing
from gridkeeper.intake.tables import CONTACT_HOURS, POOL_HOURS, POOL_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_HOUR = timedelta(hours=1)
_SUMMED = ("moments", "running_cores", "running_jobs", "pending_cores", "pending_jobs")


@dataclass
class _PoolHour:
    """One pool's hour, as it is added up."""

    sums: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    running_at: defaultdict[datetime, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, sample: Any) -> None:
        for what in ("cores", "jobs"):
            self.sums[f"{sample.state}_{what}"] += getattr(sample, what)
        self.running_at[sample.at] += sample.cores if sample.state == "running" else 0

    def row(self) -> dict[str, Any]:
        last = max(self.running_at)
        told = {name: self.sums[name] for name in _SUMMED} | {"moments": len(self.running_at)}
        return told | {"last_at": last, "last_running_cores": self.running_at[last]}


def roll_up(engine: sa.Engine, before: datetime) -> int:
    """Roll samples of pools up to their hours: one row a pool and hour, in place of one an account, state and moment.

    An hour at a time, so that nobody waits long for the database; whatever ends it, each sample is in one table only.

    before:  hours that end later are left as they are.
    Returns: how many hours were rolled up. Raises: DatabaseUnavailable (retryable).
    """
    hours = 0
    while (hour := _oldest(engine)) is not None and hour + _HOUR <= before:
        with writing(engine) as connection:
            _roll_up_hour(connection, hour)
        hours += 1
    return hours


def forget_hours(engine: sa.Engine, before: datetime) -> int:
    """Forget in which hours probes were heard, and what their pools had in them.

    Returns: how many rows went. Raises: DatabaseUnavailable (retryable).
    """
    with writing(engine) as connection:
        return sum(
            connection.execute(sa.delete(table).where(table.c.hour < before)).rowcount
            for table in (CONTACT_HOURS, POOL_HOURS)
        )


def _oldest(engine: sa.Engine) -> datetime | None:
    with reading(engine) as connection:
        at: datetime | None = connection.execute(sa.select(sa.func.min(POOL_SAMPLES.c.at))).scalar_one()
    return None if at is None else at.replace(minute=0, second=0, microsecond=0)


def _roll_up_hour(connection: sa.Connection, hour: datetime) -> None:
    """What is taken out is what is added up, so two servers that roll up at once count nothing twice."""
    sample = POOL_SAMPLES.c
    taken = connection.execute(
        sa.delete(POOL_SAMPLES)
        .where(sample.at >= hour, sample.at < hour + _HOUR)
        .returning(sample.probe, sample.resource, sample.at, sample.state, sample.jobs, sample.cores)
    )
    pools: defaultdict[tuple[str, str], _PoolHour] = defaultdict(_PoolHour)
    for one in taken:
        pools[one.probe, one.resource].add(one)
    _add(
        connection,
        (
            {"probe": probe, "resource": resource, "hour": hour} | pool.row()
            for (probe, resource), pool in pools.items()
        ),
    )


def _add(connection: sa.Connection, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        changed: dict[str, Any] = {name: POOL_HOURS.c[name] + row[name] for name in _SUMMED}
        later = POOL_HOURS.c.last_at < row["last_at"]
        for name in ("last_running_cores", "last_at"):
            changed[name] = sa.case(
                (later, sa.literal(row[name], POOL_HOURS.c[name].type)), else_=POOL_HOURS.c[name]
            )
        connection.execute(
            insert(connection, POOL_HOURS)
            .values(row)
            .on_conflict_do_update(index_elements=["probe", "resource", "hour"], set_=changed)
        )
