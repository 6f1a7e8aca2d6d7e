"""What the books know of those who measure storage or send monthly sums: their days, months and deliveries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.mapping import Mapper
from gridkeeper.monitoring.history import REMEMBERED_DAYS, Delivered, Source, Track
from gridkeeper.monitoring.months import months_later

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.summaries.books import Books

STORAGE, REPORTED = "storage", "reported"
# Months are few: they are learnt from for so long, and a sender without any in the last of them is forgotten.
LEARNT_MONTHS, REMEMBERED_MONTHS = 24, 13
_ONE_DAY = timedelta(days=1)
_NEWEST_SPACE = "SELECT MAX(end_day) AS day FROM storage_space WHERE end_day < $until"
# A measurement names no storage element, only its own ID; what is described under the same ID does.
_SPACE = """
    WITH described AS (
        SELECT probe, unique_id, MAX(storage_element) AS storage_element, MAX(site_reported) AS site_reported
        FROM storage_space
        WHERE end_day >= $first AND end_day < $until AND record_type = 'StorageElement'
        GROUP BY probe, unique_id
    ),
    measured AS (
        SELECT probe, unique_id, end_day AS day, CAST(received_at AS DATE) AS received_day,
               MAX(storage_element) AS storage_element, MAX(site_reported) AS site_reported, MAX(measured_at) AS newest
        FROM storage_space
        WHERE end_day >= $first AND end_day < $until AND record_type = 'StorageElementRecord'
        GROUP BY probe, unique_id, end_day, CAST(received_at AS DATE)
    )
    SELECT measured.probe, measured.day, measured.received_day,
           COALESCE(measured.storage_element, described.storage_element) AS element,
           CASE WHEN COALESCE(measured.storage_element, described.storage_element) IS NULL THEN measured.unique_id END AS unnamed,
           COALESCE(measured.site_reported, described.site_reported) AS site, MAX(measured.newest) AS newest
    FROM measured LEFT JOIN described
        ON COALESCE(measured.probe, '') = COALESCE(described.probe, '') AND measured.unique_id = described.unique_id
    GROUP BY ALL
"""
_NEWEST_MONTH = "SELECT MAX(start_day) AS day FROM usage_reported WHERE start_day < $until"
_SUMS = """
    SELECT probe, resource, site_reported, start_day, CAST(SUM(wall_duration_s * processors) AS BIGINT) AS core_seconds
    FROM usage_reported
    WHERE start_day >= $first AND start_day < $until
    GROUP BY ALL
"""
# All that ever came of a month, also what a later sending replaced: a sum that is renewed every day says that its sender lives.
_CAME = """
    WITH came AS (
        SELECT probe, resource, site_reported, start_day, received_at FROM usage_reported__first
        UNION ALL SELECT probe, resource, site_reported, start_day, received_at FROM usage_reported__revised
    )
    SELECT probe, resource, site_reported, start_day, CAST(received_at AS DATE) AS received_day
    FROM came
    WHERE start_day >= $first AND start_day < $until
    GROUP BY ALL
"""


@dataclass(frozen=True)
class Measured:
    """What storage probes did.

    tracks:    the days on which each probe measured each storage element; they hold no core seconds.
    delivered: by probe, in order: the days on which measurements came.
    ended:     when the newest measurement of a source was made.
    """

    tracks: Mapping[Source, Track]
    delivered: Mapping[str | None, tuple[Delivered, ...]]
    ended: Mapping[Source, datetime]


@dataclass(frozen=True)
class Sums:
    """The monthly sums that one probe sent of one resource. Months are told by their first day.

    core_seconds: month → core seconds, in order; wall time times processors, in all grids.
    came:         month → the days on which any of its sums came, in order; only as far as was asked for.
    """

    source: Source
    site: str | None
    core_seconds: Mapping[date, int]
    came: Mapping[date, tuple[date, ...]]

    @property
    def last_month(self) -> date:
        """The newest month of which it sent sums."""
        return max(self.core_seconds)

    @property
    def days(self) -> list[date]:
        """The days on which any sums came, in order."""
        return sorted({day for days in self.came.values() for day in days})

    @property
    def first_came(self) -> dict[date, date | None]:
        """Each month, and the first day on which any of its sums came; None where that is not known."""
        return {month: min(self.came.get(month, ()), default=None) for month in self.core_seconds}


def read_measured(books: Books, moment: datetime, asked: datetime) -> Measured:
    """Read on which days each probe measured the space of each storage element.

    asked: deliveries of later days are left out.
    Reads:   `storage_space`, of the REMEMBERED_DAYS before its newest day that is before `moment`.
    Raises:  LakeUnavailable (retryable).
    """
    until = (moment - timedelta(microseconds=1)).date() + _ONE_DAY
    newest = _newest(books, "storage_space", _NEWEST_SPACE, until)
    if newest is None:
        return Measured({}, {}, {})
    first = newest - timedelta(days=REMEMBERED_DAYS)
    rows = books.select(_SPACE, days=(first, until), first=first, until=until).to_pylist()
    named = _Named(books, rows)
    days: defaultdict[Source, set[date]] = defaultdict(set)
    sites: dict[Source, str | None] = {}
    ended: dict[Source, datetime] = {}
    came: defaultdict[str | None, dict[date, date]] = defaultdict(dict)
    for row in rows:
        source, site = named.source(row)
        days[source].add(row["day"])
        sites[source] = site or sites.get(source)
        end = row["newest"].astimezone(UTC)
        ended[source] = max(end, ended.get(source, end))
        if row["received_day"] <= asked.date():
            of_probe = came[row["probe"]]
            of_probe[row["received_day"]] = max(row["day"], of_probe.get(row["received_day"], date.min))
    tracks = {
        source: Track(source, sites[source], min(some), dict.fromkeys(sorted(some), 0))
        for source, some in sorted(days.items(), key=lambda item: tuple(word or "" for word in item[0]))
    }
    delivered = {
        probe: tuple(Delivered(day, newest_day) for day, newest_day in sorted(by_day.items()))
        for probe, by_day in came.items()
    }
    return Measured(tracks, delivered, ended)


class _Named:
    """Which source a measurement is one of.

    A storage element that the registry knows by no name is a resource's whose probe measures it, but only where
    that probe measures no other: else one of two that stops would hide behind the other.
    """

    def __init__(self, books: Books, rows: list[dict[str, Any]]) -> None:
        self._mapper = Mapper(books.registry)
        self._names = {name.lower() for resource in books.registry.resources for name in resource.names}
        elements: defaultdict[str | None, set[str | None]] = defaultdict(set)
        for row in rows:
            elements[row["probe"]].add(_element(row))
        self._only = {probe for probe, some in elements.items() if len(some) == 1}
        self._known: dict[tuple[str | None, ...], tuple[Source, str | None]] = {}

    def source(self, row: Mapping[str, Any]) -> tuple[Source, str | None]:
        """The source, and its site."""
        probe, element, site = row["probe"], _element(row), row["site"]
        words = probe, element, site
        if words not in self._known:
            meant = self._mapper.meaning({"resource": element, "site_reported": site, "probe": probe})
            by_name = (element or "").lower() in self._names or probe in self._only
            resource = meant.resource if by_name or element is None else element
            self._known[words] = Source(probe, resource, STORAGE), meant.site
        return self._known[words]


def _element(row: Mapping[str, Any]) -> str | None:
    """The storage element; where nothing describes what was measured, Gratia's IDs begin with it (`UMN-SE:Pool:17`)."""
    return row["element"] or (row["unnamed"] or "").split(":", 1)[0] or None


def read_sums(books: Books, moment: datetime, asked: datetime) -> dict[Source, Sums]:
    """Read which months each sender reported of each resource, and when they came.

    asked: what came on later days is left out of the days on which it came; the sums are those known today.
    Reads:   `usage_reported`, of the LEARNT_MONTHS up to its newest month that began before `moment`.
    Raises:  LakeUnavailable (retryable).
    """
    until = (moment - timedelta(microseconds=1)).date() + _ONE_DAY
    newest = _newest(books, "usage_reported", _NEWEST_MONTH, until)
    if newest is None:
        return {}
    first = months_later(newest, 1 - LEARNT_MONTHS)
    mapper = Mapper(books.registry)
    known: dict[tuple[str | None, ...], tuple[Source, str | None]] = {}

    def source_of(row: Mapping[str, Any]) -> tuple[Source, str | None]:
        words = row["probe"], row["resource"], row["site_reported"]
        if words not in known:
            names = ("probe", "resource", "site_reported")
            meant = mapper.meaning(dict(zip(names, words, strict=True)))
            known[words] = Source(row["probe"], meant.resource, REPORTED), meant.site
        return known[words]

    sums: defaultdict[Source, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
    sites: dict[Source, str | None] = {}
    for row in books.select(_SUMS, days=(first, until), first=first, until=until).to_pylist():
        source, sites[source] = source_of(row)
        sums[source][row["start_day"].replace(day=1)] += row["core_seconds"] or 0
    came: defaultdict[Source, defaultdict[date, set[date]]] = defaultdict(lambda: defaultdict(set))
    for row in books.select(_CAME, days=(first, until), first=first, until=until).to_pylist():
        if row["received_day"] <= asked.date():
            came[source_of(row)[0]][row["start_day"].replace(day=1)].add(row["received_day"])
    oldest = months_later(newest, 1 - REMEMBERED_MONTHS)
    return {
        source: Sums(
            source, sites[source], dict(sorted(months.items())),
            {month: tuple(sorted(days)) for month, days in sorted(came[source].items())},
        )
        for source, months in sorted(sums.items(), key=lambda item: tuple(word or "" for word in item[0]))
        if max(months) >= oldest
    }  # fmt: skip


def _newest(books: Books, table: str, sql: str, until: date) -> date | None:
    if not books.holds(table):
        return None
    found: date | None = books.select(sql, days=(None, until), until=until).to_pylist()[0]["day"]
    return found.replace(day=1) if found is not None and table == "usage_reported" else found
