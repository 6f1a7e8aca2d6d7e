"""Monthly summaries: the rows of a daily one added up by month, and kept up to it.

What a change brings to the daily summary, it brings to the monthly one, added up: rows beside what is there, or whole months
in the place of what was there. That holds where both were equally far before; a monthly summary that is not (a crash between
the two commits, a home of a version that had none) is made anew of all that the daily one holds.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import Conflict
from gridkeeper.summaries.corrections.in_force import CORRECTIONS_POSITION
from gridkeeper.summaries.tables import MONTHLY, SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.summaries.tables import Summary

REGISTRY_POSITION = "registry"
DAILY = {monthly.name: SUMMARIES[daily] for daily, monthly in MONTHLY.items()}


def are_equally_far(snapshot: Snapshot, daily: Summary) -> bool:
    """Whether a daily summary and its monthly one were made of the same records by the same registry and corrections."""
    handles = [snapshot.handle(name) for name in (daily.name, MONTHLY[daily.name].name)]
    return all(
        (handles[0].position(of) or 0) == (handles[1].position(of) or 0)
        for of in (RECORDS_POSITION, REGISTRY_POSITION, CORRECTIONS_POSITION)
    )


def bring_along(
    snapshot: Snapshot,
    daily: Summary,
    replaced: Sequence[str],
    rows: pa.Table,
    positions: Mapping[str, int],
    says: Mapping[str, str],
) -> bool:
    """Commit to the monthly summary what was committed to the daily one, where both were equally far before.

    Returns: False where somebody else committed first.
    Raises:  LakeUnavailable (retryable).
    """
    months = sorted(set(rows["month"].unique().to_pylist()))
    added = [
        _added_up(snapshot, daily, "made", {"made": rows.filter(pc.equal(rows["month"], month))}, month)
        for month in months
    ]
    return _committed(snapshot, MONTHLY[daily.name], replaced, added, positions, says)


def make_anew(
    snapshot: Snapshot, monthly: Summary, positions: Mapping[str, int], says: Mapping[str, str]
) -> bool:
    """Make a monthly summary of all that the daily one holds, which is up to `positions`; False where somebody committed first.

    Raises: LakeUnavailable (retryable).
    """
    daily = DAILY[monthly.name]
    held = sorted({file.partition["month"] for file in snapshot.handle(daily.name).files()})
    replaced = {file.partition["month"] for file in snapshot.handle(monthly.name).files()}
    added = [_added_up(snapshot, daily, daily.name, {}, month) for month in held]
    return _committed(snapshot, monthly, sorted(replaced), added, positions, says)


def first_and_next(month: str) -> tuple[date, date]:
    """The first days of a month, written as 2017-01, and of the one after it."""
    first = date.fromisoformat(f"{month}-01")
    return first, date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _added_up(
    snapshot: Snapshot, daily: Summary, source: str, tables: Mapping[str, pa.Table], month: str
) -> pa.Table:
    first, until = first_and_next(month)
    keys = ", ".join(key for key in daily.keys if key != "day")
    found = snapshot.select(
        f"SELECT $first AS day, {keys}, {daily.sums} FROM {source} WHERE day >= $first AND day < $until GROUP BY ALL",
        days=(first, date.fromordinal(until.toordinal() - 1)),
        tables=tables,
        first=first,
        until=until,
    )
    rows = found.cast(daily.layout.file_schema)
    return rows.append_column("month", pa.repeat(month, len(rows)))


def _committed(
    snapshot: Snapshot,
    monthly: Summary,
    replaced: Sequence[str],
    added: Sequence[pa.Table],
    positions: Mapping[str, int],
    says: Mapping[str, str],
) -> bool:
    rows = pa.concat_tables([monthly.layout.schema.empty_table(), *added])
    try:
        snapshot.lake.replace_months(snapshot.handle(monthly.name), replaced, rows, positions, says)
    except Conflict:
        return False
    return True
