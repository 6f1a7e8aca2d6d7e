"""What the books know of each source: its days, what ran beside it, its deliveries, and the machines behind it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from gridkeeper.federation.mapping import Mapper
from gridkeeper.monitoring.rhythm import HISTORY_DAYS, REGULAR_DAYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gridkeeper.monitoring.other_records import Sums
    from gridkeeper.summaries.books import Books

# A source that has been silent for longer is forgotten.
REMEMBERED_DAYS = 400
MACHINE_DAYS = 42
_ONE_DAY = timedelta(days=1)
_WORDS = ("probe", "resource", "site_reported", "resource_type", "host_description")
_NEWEST = """
    SELECT MAX(day) AS day FROM (
        SELECT MAX(day) AS day FROM usage_daily_end WHERE day < $until AND level IN ('batch', 'payload')
        UNION ALL
        SELECT MAX(day) AS day FROM transfers_daily WHERE day < $until AND level = 'transfer'
    ) AS newest
"""
# Each source's days: of HISTORY_DAYS before the last day at its resource, and its latest days with records.
_DAYS = """
    WITH days AS (
        SELECT probe, resource, level, day, MAX(site) AS site, CAST(SUM(records) AS BIGINT) AS records,
               CAST(SUM(CASE WHEN in_grid THEN core_seconds ELSE 0 END) AS BIGINT) AS core_seconds
        FROM usage_daily_end
        WHERE day >= $first AND day < $until AND level IN ('batch', 'payload')
        GROUP BY probe, resource, level, day
        UNION ALL
        SELECT probe, resource, level, day, MAX(site) AS site, CAST(SUM(records) AS BIGINT) AS records, 0 AS core_seconds
        FROM transfers_daily
        WHERE day >= $first AND day < $until AND level = 'transfer'
        GROUP BY probe, resource, level, day
    ),
    placed AS (
        SELECT *, MIN(day) OVER (PARTITION BY probe, resource, level) AS first_day,
               MAX(day) OVER (PARTITION BY probe, resource, level) AS last_day,
               ROW_NUMBER() OVER (PARTITION BY probe, resource, level ORDER BY day DESC) AS place
        FROM days WHERE records > 0
    ),
    beside AS (SELECT *, MIN(last_day) OVER (PARTITION BY resource) AS earliest_last_day FROM placed)
    SELECT probe, resource, level, site, day, records, core_seconds, first_day
    FROM beside
    WHERE DATE_DIFF('day', day, earliest_last_day) <= $history_days OR place <= $regular_days
    ORDER BY probe NULLS FIRST, resource NULLS FIRST, level, day
"""
_BY_VO = """
    SELECT resource, vo, level, day, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
    FROM usage_daily_end
    WHERE day >= $first AND day < $until AND in_grid AND level IN ('batch', 'payload')
          AND resource IN (SELECT resource FROM wanted)
    GROUP BY resource, vo, level, day
"""
_DELIVERED = f"""
    SELECT {", ".join(_WORDS)}, CAST(received_at AS DATE) AS received_day, MAX(end_day) AS newest_day, MAX(end_time) AS newest_end
    FROM usage_records
    WHERE end_day >= $first AND end_day < $until AND COALESCE(probe, '') IN (SELECT probe FROM wanted)
    GROUP BY ALL
"""
_MACHINES = f"""
    SELECT {", ".join(_WORDS)}, machine, end_day AS day, COUNT(*) AS records, CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_seconds
    FROM usage_records
    WHERE end_day >= $first AND end_day < $until AND machine IS NOT NULL AND COALESCE(probe, '') IN (SELECT probe FROM wanted)
    GROUP BY ALL
"""


class Source(NamedTuple):
    """Who reports what of where. level: batch, payload, transfer, storage or reported."""

    probe: str | None
    resource: str | None
    level: str


@dataclass(frozen=True)
class Track:
    """The days of one source.

    core_seconds: day with records → core seconds in the federation's grid (0 of transfers and of measured space).
    first_day:    its first day within REMEMBERED_DAYS.
    """

    source: Source
    site: str | None
    first_day: date
    core_seconds: dict[date, int]

    @property
    def days(self) -> list[date]:
        """Its days with records, in order."""
        return list(self.core_seconds)

    @property
    def last_day(self) -> date:
        """The last of them."""
        return next(reversed(self.core_seconds))


@dataclass(frozen=True)
class Beside:
    """Batch and payload core seconds by day at one resource, of the VOs that have both."""

    batch: Mapping[date, int]
    payloads: Mapping[date, int]


@dataclass(frozen=True)
class Delivered:
    """One day on which a probe's records came, and the newest day that they ended on."""

    day: date
    newest_day: date


@dataclass(frozen=True)
class History:
    """All that the books know for telling who is silent.

    until:     days before it are over; on others, more may come.
    beside:    by resource.
    delivered: by probe, in order; only of probes that are looked at closely.
    ended:     when the newest record of a source ended; likewise.
    machines:  machine → its days, of sources with several; likewise.
    measured:  as `delivered`, of probes that measure storage; of all of them.
    sums:      who sent monthly sums, and of which months.
    sums_day:  days before it are over where it is asked whether sums that are due are here; None: `until`.
    """

    until: date
    tracks: Mapping[Source, Track]
    beside: Mapping[str, Beside] = field(default_factory=dict)
    delivered: Mapping[str | None, tuple[Delivered, ...]] = field(default_factory=dict)
    ended: Mapping[Source, datetime] = field(default_factory=dict)
    machines: Mapping[Source, Mapping[str, Track]] = field(default_factory=dict)
    measured: Mapping[str | None, tuple[Delivered, ...]] = field(default_factory=dict)
    sums: Mapping[Source, Sums] = field(default_factory=dict)
    sums_day: date | None = None


def read_tracks(books: Books, moment: datetime, history_days: int = HISTORY_DAYS) -> dict[Source, Track]:
    """Read the days of every source that had records in the last REMEMBERED_DAYS before `moment` that the books know of.

    Reads:   `usage_daily_end` and `transfers_daily`, each level for itself; the hours in the federation's grid.
    Raises:  LakeUnavailable (retryable).
    """
    until = (moment - timedelta(microseconds=1)).date() + _ONE_DAY
    newest = books.select(_NEWEST, days=(None, until), until=until).to_pylist()[0]["day"]
    if newest is None:
        return {}
    first = newest - timedelta(days=REMEMBERED_DAYS)
    rows = books.select(
        _DAYS, days=(first, until), first=first, until=until, history_days=history_days, regular_days=REGULAR_DAYS + 1
    )  # fmt: skip
    names = ("probe", "resource", "level", "site", "day", "core_seconds", "first_day")
    tracks: dict[Source, Track] = {}
    for probe, resource, level, site, day, seconds, begun in zip(
        *(rows[name].to_pylist() for name in names), strict=True
    ):
        source = Source(probe, resource, level)
        track = tracks.get(source)
        if track is None:
            track = tracks[source] = Track(source, site, begun, {})
        track.core_seconds[day] = seconds
    return tracks


def latest(tracks: Mapping[Source, Track], history_days: int = HISTORY_DAYS) -> dict[Source, Track]:
    """Of tracks that were read with more days, those days that `read_tracks` reads with so many. A pure function."""
    ends: dict[str | None, date] = {}
    for source, track in tracks.items():
        ends[source.resource] = min(track.last_day, ends.get(source.resource, track.last_day))
    return {
        source: replace(
            track, core_seconds=_latest(track, ends[source.resource] - timedelta(days=history_days))
        )
        for source, track in tracks.items()
    }


def _latest(track: Track, first: date) -> dict[date, int]:
    later = len(track.core_seconds) - (REGULAR_DAYS + 1)
    return {
        day: seconds
        for place, (day, seconds) in enumerate(track.core_seconds.items())
        if day >= first or place >= later
    }


def read_beside(books: Books, resources: Collection[str], first: date, until: date) -> dict[str, Beside]:
    """Read what ran on these resources at both levels, of the VOs that have both there.

    Where batch records name no VO at all, all of them are compared with all payloads.
    Reads:   `usage_daily_end`, batch and payload, each for itself, in the federation's grid.
    Raises:  LakeUnavailable (retryable).
    """
    if not resources:
        return {}
    wanted = pa.table({"resource": pa.array(sorted(resources), pa.string())})
    rows = books.select(
        _BY_VO, days=(first, until), tables={"wanted": wanted}, first=first, until=until
    ).to_pylist()
    vos: defaultdict[tuple[str, str], set[str | None]] = defaultdict(set)
    for row in rows:
        vos[row["resource"], row["level"]].add(row["vo"])
    sums: defaultdict[tuple[str, str], defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        batch, payload = vos[row["resource"], "batch"], vos[row["resource"], "payload"]
        if batch == {None} or (row["vo"] is not None and row["vo"] in batch & payload):
            sums[row["resource"], row["level"]][row["day"]] += row["core_seconds"]
    return {
        resource: Beside(dict(sums[resource, "batch"]), dict(sums[resource, "payload"]))
        for resource in resources
        if (resource, "batch") in sums and (resource, "payload") in sums
    }


def read_deliveries(
    books: Books, probes: Collection[str | None], first: date, until: date, asked: datetime
) -> tuple[dict[str | None, tuple[Delivered, ...]], dict[Source, datetime]]:
    """Read on which days the records of some probes came, and when the newest record of each of their sources ended.

    asked: deliveries of later days are left out; the books themselves are read as they are known today.
    Reads:   `usage_records` of these probes only.
    Raises:  LakeUnavailable (retryable).
    """
    if not probes:
        return {}, {}
    newest: defaultdict[str | None, dict[date, date]] = defaultdict(dict)
    ended: dict[Source, datetime] = {}
    meaning = _Meaning(books)
    for row in _of_probes(books, _DELIVERED, probes, first, until):
        days = newest[row["probe"]]
        came = row["received_day"]
        if came <= asked.date():
            days[came] = max(row["newest_day"], days.get(came, date.min))
        source = meaning.source(row)
        if row["newest_end"] is not None:
            end = row["newest_end"].astimezone(UTC)
            ended[source] = max(end, ended.get(source, end))
    delivered = {
        probe: tuple(Delivered(day, days[day]) for day in sorted(days)) for probe, days in newest.items()
    }
    return delivered, ended


def read_machines(
    books: Books, probes: Collection[str | None], until: date
) -> dict[Source, dict[str, Track]]:
    """Read the days of each machine behind sources of some probes, where there are several.

    Reads:   `usage_records` of these probes only, of MACHINE_DAYS.
    Raises:  LakeUnavailable (retryable).
    """
    if not probes:
        return {}
    meaning = _Meaning(books)
    days: defaultdict[Source, defaultdict[str, dict[date, int]]] = defaultdict(lambda: defaultdict(dict))
    rows = _of_probes(books, _MACHINES, probes, until - timedelta(days=MACHINE_DAYS), until)
    for row in sorted(rows, key=lambda row: row["day"]):
        of_machine = days[meaning.source(row)][row["machine"]]
        of_machine[row["day"]] = of_machine.get(row["day"], 0) + row["core_seconds"]
    return {
        source: {
            name: Track(source, None, min(by_day), by_day) for name, by_day in machines.items()
        }
        for source, machines in days.items()
        if source.level == "batch" and len(machines) > 1
    }  # fmt: skip


class _Meaning:
    """Which source a record's words make it one of; asked once for each combination."""

    def __init__(self, books: Books) -> None:
        self._mapper = Mapper(books.registry)
        self._known: dict[tuple[str | None, ...], Source] = {}

    def source(self, row: Mapping[str, Any]) -> Source:
        words = tuple(row[name] for name in _WORDS)
        found = self._known.get(words)
        if found is None:
            meant = self._mapper.meaning(dict(zip(_WORDS, words, strict=True)))
            found = self._known[words] = Source(row["probe"], meant.resource, meant.level)
        return found


def _of_probes(
    books: Books, sql: str, probes: Iterable[str | None], first: date, until: date
) -> list[dict[str, Any]]:
    wanted = pa.table({"probe": pa.array(sorted({probe or "" for probe in probes}), pa.string())})
    found: list[dict[str, Any]] = books.select(
        sql, days=(first, until), tables={"wanted": wanted}, first=first, until=until
    ).to_pylist()
    return found
