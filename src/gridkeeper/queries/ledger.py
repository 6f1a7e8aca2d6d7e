"""The counted usage of a period and of the period before it, as sums that the sections of a report are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from gridkeeper.federation.model import LOCAL_GRID
from gridkeeper.federation.spells import owner_changes
from gridkeeper.queries.answering import known_by_month
from gridkeeper.queries.measures import MEASURES, SUMS
from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope, conditions_of, payload_only

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books


Key = TypeVar("Key", bound="Hashable")
Tables: TypeAlias = "Mapping[str, pa.Table]"


@dataclass(frozen=True)
class Sums:
    """Whole numbers, added up before anything is divided; by the names of measures.SUMS."""

    is_known: ClassVar[bool] = True

    records: int = 0
    jobs: int | None = 0
    wall_seconds: int = 0
    core_seconds: int = 0
    cpu_us: int = 0
    measured_core_seconds: int = 0
    cpu_1core_us: int = 0
    measured_1core_seconds: int = 0
    unmeasured_core_seconds: int = 0
    processors_filled: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*_both(_parts(self), _parts(other)))

    def value(self, measure: str) -> float | int | None:
        """The value of one of MEASURES; None where it is not defined."""
        return MEASURES[measure].value(vars(self))

    @property
    def wall_hours(self) -> float | None:
        """Wall hours; None where nothing is known."""
        return self.value("wall_hours") or 0.0 if self.is_known else None

    @property
    def core_hours(self) -> float | None:
        """Core hours; None where nothing is known."""
        return self.value("core_hours") or 0.0 if self.is_known else None

    @property
    def efficiency(self) -> float | None:
        """CPU hours ÷ core hours where CPU was measured."""
        return self.value("efficiency")

    @property
    def efficiency_1core(self) -> float | None:
        """The same over records with one processor: the minutes' CPU/walltime ratio for single-core jobs."""
        return self.value("efficiency_1core")

    @property
    def unmeasured_share(self) -> float | None:
        """Core hours without measured CPU ÷ core hours."""
        return self.value("unmeasured_share")


_parts: Callable[[Sums], tuple[int | None, ...]] = attrgetter(*(field.name for field in fields(Sums)))


def _both(mine: Iterable[int | None], theirs: Iterable[int | None]) -> list[int]:
    return [(one or 0) + (other or 0) for one, other in zip(mine, theirs, strict=True)]


class _NothingKnown(Sums):
    is_known = False


# Of a time of which there are no records: what was used then is unknown, not 0.
NOTHING_KNOWN: Sums = _NothingKnown(jobs=None)


@dataclass(frozen=True)
class Entry:
    """What one group used at one resource, at the level that counts there; None where nothing says.

    day: one of the days on which it did, all of them with the same owners; None: the owners are those of all days asked for.
    """

    vo: str | None
    experiment: str | None
    resource: str | None
    site: str | None
    level: str
    sums: Sums
    day: date | None = None


@dataclass(frozen=True)
class Ledger:
    """The books of a period and of the period before, and how many pilots and payloads there were.

    pilots, payloads: (VO) → jobs of `period`; None where the source does not tell levels apart.
    left_out:         what other grids (Local, most of all) used in `period`, by grid; it is in no sum of a VO. None:
                      usage of registered resources of which nothing says whose it is.
    table:            the summary that it was read from.
    """

    period: Period
    previous: Period
    now: tuple[Entry, ...]
    before: tuple[Entry, ...]
    pilots: dict[str | None, int] | None
    payloads: dict[str | None, int] | None
    left_out: dict[str | None, Sums]
    table: str
    scope: Scope

    @property
    def is_known(self) -> bool:
        """Whether there are records of the period: of what is counted, or of other grids that are left out."""
        others = any(grid is not None for grid in self.left_out)
        return bool(self.now or self.pilots or self.payloads or others)

    @property
    def vos(self) -> list[str]:
        """The VOs with usage in the period or the one before, most core hours first, then by name."""
        names = (
            {entry.vo for entry in (*self.now, *self.before)}
            | set(self.pilots or ())
            | set(self.payloads or ())
        )
        used = added(self.now, lambda entry: entry.vo)
        return sorted(
            (name for name in names if name), key=lambda name: (-used.get(name, Sums()).core_seconds, name)
        )


def added(entries: Iterable[Entry], by: Callable[[Entry], Key]) -> dict[Key, Sums]:
    """Add entries up by a key."""
    nothing = _parts(Sums())
    found: dict[Key, list[int]] = {}
    for entry in entries:
        key = by(entry)
        found[key] = _both(found.get(key, nothing), _parts(entry.sums))
    return {key: Sums(*parts) for key, parts in found.items()}


def total(entries: Iterable[Entry]) -> Sums:
    """Add all entries up."""
    return added(entries, lambda _: None).get(None, Sums())


def ledger(
    books: Books, period: Period, source: UsageSource = "jobs", tables: Tables | None = None
) -> Ledger:
    """Gather the usage of `period` and of the period before it.

    tables:  what `levels_of` gave, where several questions share it.
    Reads:   `usage_daily_end` (or `usage_reported_monthly`), one row per (day, resource, VO, level, ...).
    Returns: entries at each resource's own count level, in the federation's grid.
    Units:   seconds and microseconds, whole; a job counts on the day it ended.
    Raises:  UserMistake (permanent) when reported sums are asked for parts of months; LakeUnavailable (retryable).
    """
    table = "usage_daily_end" if source == "jobs" else "usage_reported_monthly"
    previous = period.before()
    tables = levels_of(books) if tables is None else tables
    if source == "reported":
        known_by_month(period)
    both = Period(previous.first, period.until)
    scope = Scope(both, source=source)
    turns = [both.first, *(day for day in owner_changes(books.registry) if both.first < day < both.until)]
    parameters: dict[str, Any] = {"turn": period.first}
    parameters |= {f"owners_{number}": day for number, day in enumerate(turns)}
    cases = " ".join(f"WHEN day >= $owners_{number} THEN {number}" for number in reversed(range(len(turns))))
    conditions = " AND ".join(conditions_of(books, scope, table, parameters))
    rows = books.select(
        f"""
        SELECT day >= $turn AS is_now, vo, experiment, resource, site, level, CASE {cases} END AS owning, {totals()}
        FROM {table}
        WHERE {conditions}
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST, 4 NULLS LAST, 5 NULLS LAST, 6, 7
        """,
        days=(both.first, both.until), tables=tables, **parameters,
    ).to_pylist()  # fmt: skip
    now, before = (
        tuple(_entry(row, turns) for row in rows if row["is_now"] is wanted) for wanted in (True, False)
    )
    told = source == "jobs"
    levels = _levels(books, period) if told else {}
    return Ledger(
        period, previous, now, before,
        levels.get("batch", {}) if told else None, levels.get("payload", {}) if told else None,
        _left_out(books, period, tables) if told else {}, table, Scope(period, source=source),
    )  # fmt: skip


def levels_of(books: Books) -> Tables:
    """The table that conditions on the count level need beside a summary; asked once for many questions."""
    return {"payload_only": payload_only(books)}


def totals() -> str:
    """The columns that make Sums, for a statement on a summary."""
    return ", ".join(f"CAST({SUMS[field.name]} AS BIGINT) AS {field.name}" for field in fields(Sums))


def _entry(row: dict[str, Any], turns: Sequence[date]) -> Entry:
    day = turns[row["owning"]]
    return Entry(row["vo"], row["experiment"], row["resource"], row["site"], row["level"], sums_of(row), day)


def sums_of(row: dict[str, Any]) -> Sums:
    """Take the sums out of an answer's row."""
    return Sums(**{field.name: row[field.name] or 0 for field in fields(Sums)})


def _levels(books: Books, period: Period) -> dict[str, dict[str | None, int]]:
    """Pilots (batch, not Local) and payloads by VO: two views of the same cores, each counted for itself."""
    rows = books.select(
        """
        SELECT level, vo, CAST(SUM(jobs) AS BIGINT) AS jobs
        FROM usage_daily_end
        WHERE day >= $first AND day < $until AND in_grid
              AND (level = 'payload' OR (level = 'batch' AND LOWER(COALESCE(grid, '')) <> $local))
        GROUP BY level, vo
        """,
        days=(period.first, period.until), first=period.first, until=period.until, local=LOCAL_GRID.lower(),
    ).to_pylist()  # fmt: skip
    found: dict[str, dict[str | None, int]] = {}
    for row in rows:
        found.setdefault(row["level"], {})[row["vo"]] = row["jobs"]
    return found


def _left_out(books: Books, period: Period, tables: Tables) -> dict[str | None, Sums]:
    """What the federation's grid leaves out, by the grid that it names, at each resource's own count level."""
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, Scope(period, grid="any"), "usage_daily_end", parameters))
    rows = books.select(
        f"SELECT grid, {totals()} FROM usage_daily_end WHERE {conditions} AND NOT in_grid GROUP BY grid ORDER BY grid NULLS LAST",
        days=(period.first, period.until), tables=tables, **parameters,
    ).to_pylist()  # fmt: skip
    return {row["grid"]: sums_of(row) for row in rows}
