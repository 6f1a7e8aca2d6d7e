"""Months side by side: each VO's core hours month by month, and the sites that gave most of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.periods import Period, month_of
from gridkeeper.queries.site_vo import NO_SITE, UNMAPPED, change, opportunistic_vos, summary_of
from gridkeeper.queries.usage import Scope, conditions_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books

FEWEST_MONTHS = 3
MOST_MONTHS = 6
TOP_SITES = 3


@dataclass(frozen=True)
class Share:
    """What one site gave: its name, and whole core seconds."""

    site: str
    core_seconds: int


@dataclass(frozen=True)
class Trend:
    """One VO, or several together, over the months.

    core_seconds: whole core seconds, one for each month; None for a month of which there are no records at all.
    top:          the TOP_SITES sites of the newest month, most first.
    top_before:   those of the month before it.
    """

    name: str
    core_seconds: tuple[int | None, ...]
    top: tuple[Share, ...]
    top_before: tuple[Share, ...]

    @property
    def newest(self) -> int | None:
        """Core seconds of the newest month."""
        return self.core_seconds[-1]

    @property
    def change(self) -> int | None:
        """Core seconds more (or fewer) than in the month before; None where one of them is not known."""
        return self.change_at(len(self.core_seconds) - 1)

    @property
    def change_ratio(self) -> float | None:
        """The change ÷ the month before; None where that is 0 or not known."""
        return change(self.core_seconds[-2], self.core_seconds[-1])

    def change_at(self, place: int) -> int | None:
        """Core seconds more (or fewer) in the month at `place` than in the one before it; None where not known."""
        new = self.core_seconds[place]
        old = self.core_seconds[place - 1] if place else None
        return None if new is None or old is None else new - old


@dataclass(frozen=True)
class Trends:
    """All VOs over the months.

    months:              three to six calendar months, oldest first; the first of more than three has records.
    vos:                 most used in the newest month first.
    opportunistic:       the opportunistic VOs together.
    named_opportunistic: which VOs those are, used or not.
    """

    months: tuple[Period, ...]
    scope: Scope
    table: str
    vos: tuple[Trend, ...]
    total: Trend
    opportunistic: Trend
    named_opportunistic: tuple[str, ...]

    @property
    def month(self) -> Period:
        """The newest month."""
        return self.months[-1]


def newest_month(period: Period) -> Period:
    """The last calendar month that is over when `period` is: January for the week to 6 February."""
    month = month_of(period.last)
    return month if month.until <= period.until else month.before()


def trends(books: Books, period: Period, source: UsageSource = "jobs") -> Trends:
    """Say how each VO's usage went over the months up to `newest_month(period)`, at the batch level.

    Reads:   `usage_daily_end`, or `usage_reported_monthly` for source `reported`; the federation's grid.
    Returns: Trends of the last six months, without the oldest ones that have no records, but of three at least.
    Units:   whole core seconds = wall seconds x processors, by the day a job ended.
    Raises:  LakeUnavailable (retryable).
    """
    months = [newest_month(period)]
    while len(months) < MOST_MONTHS:
        months.insert(0, months[0].before())
    scope = Scope(Period(months[0].first, months[-1].until), "batch", source=source)
    cells = _cells(books, scope)
    seen = {month for month, _, _ in cells}
    while len(months) > FEWEST_MONTHS and _key(months[0]) not in seen:
        del months[0]
    named = opportunistic_vos(books.registry)
    names = sorted({vo for _, vo, _ in cells})
    vos = [trend for name in names if any((trend := _trend(name, [name], months, cells, seen)).core_seconds)]
    vos.sort(key=lambda trend: (-(trend.newest or 0), trend.name == UNMAPPED, trend.name.lower()))
    opportunistic = [name for name in names if name.lower() in named]
    return Trends(
        tuple(months), scope, summary_of(source), tuple(vos),
        _trend("Total", names, months, cells, seen),
        _trend("Opportunistic VOs", opportunistic, months, cells, seen), named,
    )  # fmt: skip


def _key(month: Period) -> str:
    return f"{month.first:%Y-%m}"


def _cells(books: Books, scope: Scope) -> dict[tuple[str, str, str], int]:
    """(month, VO, site) → whole core seconds."""
    table = summary_of(scope.source)
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, scope, table, parameters))
    sql = f"""
        SELECT STRFTIME(day, '%Y-%m') AS month, vo, site, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM {table} WHERE {conditions}
        GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST
    """
    days = (scope.period.first, scope.period.until) if scope.period else None
    cells: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for row in books.select(sql, days=days, **parameters).to_pylist():
        cells[row["month"], row["vo"] or UNMAPPED, row["site"] or NO_SITE] += row["core_seconds"] or 0
    return dict(cells)


def _trend(
    name: str,
    vos: Iterable[str],
    months: list[Period],
    cells: dict[tuple[str, str, str], int],
    seen: set[str],
) -> Trend:
    """Add up some VOs month by month."""
    chosen = set(vos)
    sums: defaultdict[str, int] = defaultdict(int)
    sites: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (month, vo, site), seconds in cells.items():
        if vo in chosen:
            sums[month] += seconds
            sites[month][site] += seconds
    keys = [_key(month) for month in months]
    return Trend(
        name,
        tuple(sums[key] if key in seen else None for key in keys),
        _top(sites[keys[-1]]),
        _top(sites[keys[-2]]),
    )


def _top(sites: dict[str, int]) -> tuple[Share, ...]:
    shares = [Share(site, seconds) for site, seconds in sites.items() if seconds]
    return tuple(sorted(shares, key=lambda share: (-share.core_seconds, share.site.lower()))[:TOP_SITES])
