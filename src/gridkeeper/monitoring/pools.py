"""Running and pending cores as probes saw them in their pools, beside the running cores that the records make."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.federation.mapping import Mapper
from gridkeeper.intake.tables import POOL_HOURS, POOL_SAMPLES
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

_HOUR_US = SECONDS_PER_HOUR * 1_000_000
_HOUR = timedelta(hours=1)
_SUMS = ("moments", "running_cores", "running_jobs", "pending_cores", "pending_jobs")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# All grids: the pool does not tell local jobs from the federation's.
_RUNNING = """
    SELECT resource, hour, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
    FROM running_hourly
    WHERE day >= $first AND day < $until AND level = 'batch' AND resource IN (SELECT resource FROM wanted)
    GROUP BY resource, hour
"""


@dataclass(frozen=True)
class PoolHour:
    """What one probe saw of one pool in one hour: means over the moments at which it looked.

    resource: as the probe names it; None where it names none.
    moments:  how often it looked.
    """

    probe: str
    resource: str | None
    hour: datetime
    moments: int
    running_cores: float
    running_jobs: float
    pending_cores: float
    pending_jobs: float


@dataclass(frozen=True)
class Pool:
    """A pool over a period: as its probe saw it, and as its records say, in the same hours.

    resource: by the name that the registry gives it.
    hours:    hours that are closed and in which the probe looked; all means are over these.
    derived:  running cores made of batch records of all grids; None where no batch record of the resource is known.
    """

    probe: str
    resource: str | None
    hours: int
    running_cores: float
    derived: float | None
    running_jobs: float
    pending_cores: float
    pending_jobs: float

    @property
    def difference(self) -> float | None:
        """Cores by the records, less cores that the probe saw."""
        return None if self.derived is None else self.derived - self.running_cores

    @property
    def ratio(self) -> float | None:
        """Cores by the records ÷ cores that the probe saw; None where that were none."""
        return self.derived / self.running_cores if self.derived is not None and self.running_cores else None


def read_pool_hours(engine: sa.Engine, period: Period, probe: str | None = None) -> tuple[PoolHour, ...]:
    """Read what probes saw in their pools, hour by hour.

    probe:   only of this one; None: of all.
    Reads:   `pool_samples` of the period, accounts and VOs added up; `pool_hours`, where they are rolled up.
    Returns: one PoolHour per probe, resource and hour with samples, in order.
    Raises:  DatabaseUnavailable (retryable).
    """
    sample = POOL_SAMPLES.c
    first, until = (datetime.combine(day, time(), UTC) for day in (period.first, period.until))
    hour = sa.type_coerce(sample.at, sa.BigInteger) // _HOUR_US
    kinds = {
        f"{state}_{what}": sa.cast(
            sa.func.sum(sa.case((sample.state == state, sample[what]), else_=0)), sa.BigInteger
        ).label(f"{state}_{what}")
        for state in ("running", "pending")
        for what in ("cores", "jobs")
    }
    statement = (
        sa.select(
            sample.probe, sample.resource, hour.label("hour"), sa.func.count(sa.distinct(sample.at)).label("moments"), *kinds.values()
        )
        .where(sample.at >= first, sample.at < until, sa.true() if probe is None else sample.probe == probe)
        .group_by(sample.probe, sample.resource, hour)
    )  # fmt: skip
    rolled = sa.select(POOL_HOURS).where(
        POOL_HOURS.c.hour >= first, POOL_HOURS.c.hour < until,
        sa.true() if probe is None else POOL_HOURS.c.probe == probe,
    )  # fmt: skip
    sums: defaultdict[tuple[str, str, datetime], Counter[str]] = defaultdict(Counter)
    with reading(engine) as connection:  # one transaction sees each sample in one of the two
        for row in connection.execute(statement).mappings():
            at = _EPOCH + row["hour"] * _HOUR
            sums[row["probe"], row["resource"], at].update({name: row[name] for name in _SUMS})
        for row in connection.execute(rolled).mappings():
            sums[row["probe"], row["resource"], row["hour"]].update({name: row[name] for name in _SUMS})
    return tuple(
        PoolHour(
            probe, resource or None, at, found["moments"],
            *(found[name] / found["moments"] for name in _SUMS[1:]),
        )
        for (probe, resource, at), found in sorted(sums.items())
    )  # fmt: skip


def pools(
    books: Books, samples: Sequence[PoolHour], period: Period, closed_until: datetime
) -> tuple[Pool, ...]:
    """Put what probes saw in their pools beside what the records say.

    closed_until: hours that end later are open (see queries.running) and left out.
    Reads:   `running_hourly`, batch, all grids, of the resources with samples.
    Returns: one Pool per probe and resource with samples in closed hours of the period, most cores first.
    Units:   cores: core seconds in an hour ÷ 3600.
    Raises:  LakeUnavailable (retryable).
    """
    mapper = Mapper(books.registry)
    first, until = (datetime.combine(day, time(), UTC) for day in (period.first, period.until))
    groups: defaultdict[tuple[str, str | None], list[PoolHour]] = defaultdict(list)
    for one in samples:
        if first <= one.hour < until and one.hour + _HOUR <= closed_until:
            meant = mapper.meaning({"resource": one.resource, "probe": one.probe}).resource
            groups[one.probe, meant].append(one)
    derived = _derived(books, {resource for _, resource in groups if resource}, period)
    found = [
        _pool(probe, resource, hours, derived.get(resource)) for (probe, resource), hours in groups.items()
    ]
    return tuple(sorted(found, key=lambda pool: (-pool.running_cores, pool.resource or "", pool.probe)))


def _derived(books: Books, resources: Iterable[str], period: Period) -> dict[str | None, dict[datetime, int]]:
    wanted = sorted(resources)
    if not wanted:
        return {}
    rows: list[dict[str, Any]] = books.select(
        _RUNNING, days=(period.first, period.until), tables={"wanted": pa.table({"resource": wanted})},
        first=period.first, until=period.until,
    ).to_pylist()  # fmt: skip
    found: dict[str | None, dict[datetime, int]] = {}
    for row in rows:
        found.setdefault(row["resource"], {})[row["hour"].replace(tzinfo=UTC)] = row["core_seconds"]
    return found


def _pool(
    probe: str, resource: str | None, hours: Sequence[PoolHour], derived: dict[datetime, int] | None
) -> Pool:
    def mean(amounts: Iterable[float]) -> float:
        return sum(amounts) / len(hours)

    return Pool(
        probe, resource, len(hours),
        mean(one.running_cores for one in hours),
        None if derived is None else mean(derived.get(one.hour, 0) / SECONDS_PER_HOUR for one in hours),
        mean(one.running_jobs for one in hours),
        mean(one.pending_cores for one in hours),
        mean(one.pending_jobs for one in hours),
    )  # fmt: skip
