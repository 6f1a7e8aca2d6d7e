"""Which table answers a question of `gridkeeper usage`, and which questions none can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.queries.measures import BRIEF, MEASURES, OF_TRANSFERS, SUMS
from gridkeeper.records.columns import DAY, FLAG, TEXT
from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.tables import MONTHLY, SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    import pyarrow as pa

    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import Scope

DIMENSIONS = (
    "day", "week", "month", "resource", "site", "facility", "vo", "experiment", "project", "user", "probe", "resource_type", "queue",
    "processors", "gpu_model", "grid", "outcome", "level", "transfer_protocol", "transfer_is_write",
    "estimated",
)  # fmt: skip
REPORTED = "usage_reported_monthly"
_OF_PEOPLE = ("user", "project")
_OF_TRANSFERS = ("transfer_protocol", "transfer_is_write")
_WITH_TRANSFERS = (*OF_TRANSFERS, "records")
_NOT_IN_BRIEF = {"started_jobs", "active_jobs"}
_PARTS_OF_MONTHS = ("day", "week")
_NOT_IN_EVERY_SUMMARY = ("started_jobs", "active_jobs", "processors", "node_seconds", "energy_j")
_TYPES = {"week": DAY, "month": TEXT, ESTIMATED: FLAG} | {
    name: kind for summary in SUMMARIES.values() for name, kind in summary.keys.items()
}


def type_of(dimension: str) -> pa.DataType:
    """The type of a dimension's values, whatever they are."""
    return _TYPES[dimension]


def known_by_month(period: Period | None) -> None:
    """Refuse parts of months of reported sums. Raises: UserMistake (permanent) that names the months to ask for."""
    if period is None or period.is_whole_months:
        return
    month = f"{period.first:%Y-%m}"
    raise UserMistake(
        f"reported sums are known by whole months only, not for {period.name}; ask for a month, as --month {month} "
        "of a report, or with --first and --until from the first of one month to the first of another"
    )


def table_of(by: Sequence[str], measures: Sequence[str], scope: Scope) -> str:
    """The one table that can answer. Raises: UserMistake (permanent) naming what does not go together."""
    where = [name for name, _ in scope.where]
    _must_be_known("--by", "dimension", by, DIMENSIONS)
    _must_be_known("--measure", "measure", measures, tuple(MEASURES))
    _must_be_known("--where", "dimension", where, DIMENSIONS)
    if not measures:
        raise UserMistake(f"--measure names no measure; there are: {', '.join(MEASURES)}")
    for kind, names in (("dimension", by), ("measure", measures)):
        if twice := [name for name in names if list(names).count(name) > 1]:
            raise UserMistake(f"the {kind} {twice[0]} is named twice")
    named = {*by, *where}
    if set(measures) & set(OF_TRANSFERS):
        return _of_transfers(named, measures, scope)
    if odd := [name for name in _OF_TRANSFERS if name in named]:
        raise UserMistake(f"{odd[0]} is said of transfers only; ask for --measure {','.join(OF_TRANSFERS)}")
    if scope.source == "reported":
        return _of_reported(named, scope)
    if named & set(_OF_PEOPLE):
        if scope.attribution == "overlap":
            raise UserMistake(
                "users and projects are added up by end day only; leave out --attribution overlap"
            )
        table = "usage_daily_users"
    elif scope.attribution == "overlap":
        table = "usage_daily_overlap"
    else:
        table = BRIEF if named <= _columns(BRIEF) and not set(measures) & _NOT_IN_BRIEF else "usage_daily_end"
    _must_have(table, named, measures)
    if "active_jobs" in measures and "day" not in by:
        raise UserMistake("active_jobs are counted day by day; add `day` to --by")
    return table


def rows_of(table: str, by: Iterable[str], scope: Scope, said: str) -> tuple[str, dict[str, date]]:
    """What a question of `table` by these dimensions reads: whole months from the monthly summary, other days as they are.

    said:    what else the statement says, which names the columns that it needs.
    Returns: what stands behind FROM, and its parameters beside $first and $until, which are those of the scope's period.
    """
    named = {*by, *(name for name, _ in scope.where)}
    if table not in MONTHLY or named & set(_PARTS_OF_MONTHS):
        return table, {}
    months = scope.period.whole_months if scope.period else None
    if scope.period is None or months == scope.period:
        return in_months(table), {}
    if months is None:
        return table, {}
    summary = SUMMARIES[table]
    names = [name for name in (*summary.keys, *summary.measures) if name in said]
    names += (
        [ESTIMATED] if f'"{ESTIMATED}"' in said else []
    )  # a column of theirs only while an estimate is in force
    columns = ", ".join(names)
    rows = f"""(
        SELECT {columns} FROM {in_months(table)} WHERE day >= $months_first AND day < $months_until
        UNION ALL
        SELECT {columns} FROM {table} WHERE (day >= $first AND day < $months_first) OR (day >= $months_until AND day < $until)
    ) AS usage_by_months"""
    return rows, {"months_first": months.first, "months_until": months.until}


def in_months(table: str) -> str:
    """The table that says the same to questions that neither days nor parts of months matter to."""
    return MONTHLY[table].name if table in MONTHLY else table


def _must_be_known(option: str, kind: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UserMistake(f"{option} knows no {kind} {name!r}; there are: {', '.join(known)}")


def _columns(table: str) -> set[str]:
    return {*SUMMARIES[table].keys, *SUMMARIES[table].measures, "week", "month", ESTIMATED}


def _must_have(table: str, named: set[str], measures: Sequence[str]) -> None:
    columns = _columns(table)
    if missing := sorted(named - columns):
        people = ", ".join(sorted(named & set(_OF_PEOPLE)))
        raise UserMistake(f"{people} cannot be combined with {', '.join(missing)}")
    for measure in measures if table != BRIEF else ():
        for part in (MEASURES[measure].above, MEASURES[measure].below):
            needed = [column for column in _NOT_IN_EVERY_SUMMARY if part and column in SUMS[part]]
            if any(column not in columns for column in needed):
                reason = (
                    "needs --attribution overlap"
                    if needed[0] in ("started_jobs", "active_jobs")
                    else "is not known by user or project"
                )
                raise UserMistake(f"the measure {measure} {reason}")


def _of_reported(named: set[str], scope: Scope) -> str:
    """Sums of whole months can be divided neither by day nor by when jobs ran."""
    if parts := [name for name in _PARTS_OF_MONTHS if name in named]:
        raise UserMistake(
            f"reported sums are known by whole months only, not by {parts[0]}; ask by month, as --by month"
        )
    if ESTIMATED in named:
        raise UserMistake(
            "sums that others reported are not corrected, and none of them is estimated; leave out estimated"
        )
    if scope.attribution == "overlap":
        raise UserMistake(
            "reported sums do not say when their jobs ran, only in which month they ended; leave out --attribution overlap"
        )
    if scope.count_level == "payload":
        raise UserMistake(
            "reported sums do not tell payloads from what batch systems ran; leave out --count-level"
        )
    known_by_month(scope.period)
    return REPORTED


def _of_transfers(named: set[str], measures: Sequence[str], scope: Scope) -> str:
    if others := [measure for measure in measures if measure not in _WITH_TRANSFERS]:
        raise UserMistake(
            f"transfers are no jobs: {', '.join(name for name in measures if name in OF_TRANSFERS)} cannot stand beside "
            f"{', '.join(others)}; ask twice"
        )
    if scope.source == "reported":
        raise UserMistake("sums that others reported know of no transfers; ask with --source jobs")
    if scope.attribution == "overlap":
        raise UserMistake("transfers count on the day they began; leave out --attribution overlap")
    if scope.count_level in ("batch", "payload"):
        raise UserMistake("transfers are neither batch jobs nor payloads; leave out --count-level")
    columns = _columns("transfers_daily")
    if missing := sorted(named - columns):
        known = ", ".join(name for name in DIMENSIONS if name in columns)
        raise UserMistake(f"transfers are not known by {', '.join(missing)}; their dimensions are: {known}")
    return "transfers_daily"
