"""The Site-VO matrix: core hours of each site by VO in a period, beside the period before."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.usage import Scope, conditions_of, payload_only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books

UNMAPPED = "(unmapped)"
NO_SITE = "(no site)"
# (site, VO) → whole core seconds.
Cells = dict[tuple[str, str], int]
# Who is opportunistic where the registry has no list of that name.
DEFAULT_OPPORTUNISTIC = ("glow", "gluex", "hcc", "osg", "sbgrid")


def change(old: int | None, new: int | None) -> float | None:
    """(new - old) ÷ old; None where nothing was before, or one of them is not known."""
    return (new - old) / old if old and new is not None else None


def summary_of(source: UsageSource) -> str:
    """The summary that answers for records of jobs, or for sums that others reported."""
    return "usage_reported_monthly" if source == "reported" else "usage_daily_end"


@dataclass(frozen=True)
class Row:
    """One site, or all sites together.

    now, before: VO → core seconds; a VO without records is not there.
    Other sums:  whole core seconds of the period and of the one before.
    """

    name: str
    now: Mapping[str, int]
    before: Mapping[str, int]
    total: int
    opportunistic: int
    before_total: int
    before_opportunistic: int

    @property
    def opportunistic_ratio(self) -> float | None:
        """Opportunistic ÷ total; None where the total is 0."""
        return self.opportunistic / self.total if self.total else None

    @property
    def before_opportunistic_ratio(self) -> float | None:
        """Opportunistic ÷ total of the period before; None where that total is 0."""
        return self.before_opportunistic / self.before_total if self.before_total else None

    @property
    def change_ratio(self) -> float | None:
        """Change of the opportunistic sum against the period before; None where that was 0."""
        return change(self.before_opportunistic, self.opportunistic)


@dataclass(frozen=True)
class Matrix:
    """Who ran how much where.

    before:                the period before.
    scope:                 what was counted.
    rows:                  sites with usage in one of the two periods, by name.
    all:                   all of them together; its sums are those of the columns and of the rows.
    opportunistic, others: VOs with usage in one of the two periods, by name; `others` ends with UNMAPPED if there is any.
    named_opportunistic:   the VOs that count as opportunistic, used or not.
    payload_core_seconds:  of payloads where payloads count and batch jobs do not; they are in no cell.
    """

    period: Period
    before: Period
    scope: Scope
    table: str
    rows: tuple[Row, ...]
    all: Row
    opportunistic: tuple[str, ...]
    others: tuple[str, ...]
    named_opportunistic: tuple[str, ...]
    payload_core_seconds: int


def matrix(books: Books, period: Period, source: UsageSource = "jobs") -> Matrix:
    """Say how many core seconds each site gave to each VO in `period` and in the one before, at the batch level.

    Reads:   `usage_daily_end`, or `usage_reported_monthly` for source `reported`; the federation's grid.
    Returns: a Matrix; sites and VOs that are only in one of the two periods are in it, too.
    Units:   whole core seconds = wall seconds x processors, by the day a job ended.
    Raises:  UserMistake (permanent) when reported sums are asked for parts of months; LakeUnavailable (retryable).
    """
    scope = Scope(period, "batch", source=source)
    now = core_seconds(books, scope)
    before = core_seconds(books, replace(scope, period=period.before()))
    return laid_out(period, scope, now, before, opportunistic_vos(books.registry), _payloads(books, scope))


def laid_out(
    period: Period, scope: Scope, now: Cells, before: Cells, named: tuple[str, ...], payloads: int = 0
) -> Matrix:
    """Make the matrix of the cells (site, VO) → core seconds of the period and of the one before.

    named: the opportunistic VOs in lower case.
    """
    both = {*now, *before}
    vos = sorted({vo for _, vo in both}, key=lambda vo: (vo == UNMAPPED, vo.lower(), vo))
    opportunistic = tuple(vo for vo in vos if vo.lower() in named)
    sites = sorted({site for site, _ in both}, key=lambda site: (site == NO_SITE, site.lower(), site))
    now_by_site, before_by_site = _by_site(now), _by_site(before)
    return Matrix(
        period=period,
        before=period.before(),
        scope=scope,
        table=summary_of(scope.source),
        rows=tuple(_row(site, now_by_site[site], before_by_site[site], opportunistic) for site in sites),
        all=_row("Total", _by_vo(now), _by_vo(before), opportunistic),
        opportunistic=opportunistic,
        others=tuple(vo for vo in vos if vo not in opportunistic),
        named_opportunistic=named,
        payload_core_seconds=payloads,
    )


def _by_site(cells: Cells) -> defaultdict[str, dict[str, int]]:
    sites: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (site, vo), seconds in cells.items():
        sites[site][vo] = seconds
    return sites


def _row(name: str, now: Mapping[str, int], before: Mapping[str, int], opportunistic: tuple[str, ...]) -> Row:
    def part(cells: Mapping[str, int]) -> int:
        return sum(cells.get(vo, 0) for vo in opportunistic)

    return Row(name, now, before, sum(now.values()), part(now), sum(before.values()), part(before))


def _by_vo(cells: Cells) -> dict[str, int]:
    sums: defaultdict[str, int] = defaultdict(int)
    for (_, vo), seconds in cells.items():
        sums[vo] += seconds
    return dict(sums)


def core_seconds(books: Books, scope: Scope) -> Cells:
    """Add up the core seconds of each site and VO in `scope`.

    Reads:   `usage_daily_end`, or `usage_reported_monthly`.
    Returns: (site, VO) → whole core seconds; NO_SITE and UNMAPPED stand for what nothing says.
    Raises:  LakeUnavailable (retryable).
    """
    table = summary_of(scope.source)
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, scope, table, parameters))
    sql = f"""
        SELECT site, vo, CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM {table} WHERE {conditions}
        GROUP BY site, vo ORDER BY site NULLS LAST, vo NULLS LAST
    """
    days = (scope.period.first, scope.period.until) if scope.period else None
    found = books.select(sql, days=days, **parameters)
    cells: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in found.to_pylist():
        cells[row["site"] or NO_SITE, row["vo"] or UNMAPPED] += row["core_seconds"] or 0
    return dict(cells)


def _payloads(books: Books, scope: Scope) -> int:
    """Core seconds of payloads at the resources where payloads are what counts."""
    table = summary_of(scope.source)
    parameters: dict[str, Any] = {}
    conditions = [
        *conditions_of(books, replace(scope, count_level=None), table, parameters),
        "level = 'payload'",
    ]
    sql = f"SELECT CAST(SUM(core_seconds) AS BIGINT) AS core_seconds FROM {table} WHERE {' AND '.join(conditions)}"
    days = (scope.period.first, scope.period.until) if scope.period else None
    found = books.select(sql, days=days, tables={"payload_only": payload_only(books, table)}, **parameters)
    return found["core_seconds"][0].as_py() or 0


def opportunistic_vos(registry: Registry) -> tuple[str, ...]:
    """The VOs of the list `opportunistic` by their names (not aliases) in lower case, else the default ones."""
    names = {name.lower(): vo.name.lower() for vo in registry.vos for name in (*vo.aliases, vo.name)}
    listed = registry.opportunistic or DEFAULT_OPPORTUNISTIC
    return tuple(sorted({names.get(name, name) for name in listed}))
