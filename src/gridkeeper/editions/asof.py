"""Reads records as they were known after an append, and what became of them since: by their `load_seq`, never by the age of files.

A record's first content carries the number of its append; each content that took its place carries its own. What counted after
append n is the newest content with `load_seq <= n` that superseded, else the first content with `load_seq <= n`.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.records.columns import FLAG, TEXT
from gridkeeper.summaries.changes import Change
from gridkeeper.summaries.sql import THOSE_THAT_END
from gridkeeper.summaries.tables import USAGE_DAILY_END

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.making import Maker

_NEWEST = "QUALIFY ROW_NUMBER() OVER (PARTITION BY identity ORDER BY revision DESC) = 1"
_REVISED_SINCE = "SELECT identity FROM usage_records__revised WHERE supersedes AND load_seq > {n}"
_REVISED_THEN = "SELECT identity FROM usage_records__revised WHERE supersedes AND load_seq <= {n}"
_OF_PERIOD = "end_day IN (SELECT day FROM dirty)"

# What counted after append n.
AS_OF = f"""
    SELECT * FROM (
        SELECT * FROM usage_records__first WHERE load_seq <= {{n}} AND identity NOT IN ({_REVISED_THEN})
        UNION ALL BY NAME
        SELECT * FROM (SELECT * FROM usage_records__revised WHERE supersedes AND load_seq <= {{n}} {_NEWEST}) AS newest
    ) AS counted WHERE {_OF_PERIOD}
"""
# Of records revised since append n: what counted before any of these revisions. Of a record that came later, too, its first content.
BEFORE_REVISIONS = f"""
    SELECT * FROM (
        SELECT * FROM usage_records__first
        WHERE identity IN ({_REVISED_SINCE}) AND identity NOT IN ({_REVISED_THEN})
        UNION ALL BY NAME
        SELECT * FROM (
            SELECT * FROM usage_records__revised WHERE supersedes AND load_seq <= {{n}} AND identity IN ({_REVISED_SINCE}) {_NEWEST}
        ) AS newest
    ) AS counted WHERE {_OF_PERIOD}
"""
# Of the same records: what counts now.
AFTER_REVISIONS = f"""
    SELECT * FROM (
        SELECT * FROM usage_records__revised WHERE supersedes AND identity IN ({_REVISED_SINCE}) {_NEWEST}
    ) AS counted WHERE {_OF_PERIOD}
"""


def rows_as_of(snapshot: Snapshot, maker: Maker, period: Period, load_seq: int) -> pa.Table:
    """Rows of `usage_daily_end` made of the records as they were known after an append; without what corrections add."""
    return rows_of_source(snapshot, maker, period.dates(), AS_OF.format(n=load_seq))


def late_rows(snapshot: Snapshot, maker: Maker, period: Period, load_seq: int) -> tuple[pa.Table, int]:
    """Rows of the first contents of records that came after an append, and how many records these are."""
    counts = _counted(snapshot, THOSE_THAT_END, period.dates(), load_seq)
    stages = (
        maker.stage(snapshot, portion.days, load_seq)
        for portion in Change("add", frozenset(counts), load_seq, counts).portions()
    )
    made = [maker.rows(snapshot, USAGE_DAILY_END, stage) for stage in stages]
    return _together(made), sum(counts.values())


def revised_rows(
    snapshot: Snapshot, maker: Maker, period: Period, load_seq: int
) -> tuple[pa.Table, pa.Table, int]:
    """Rows of records that were revised after an append, before and after; and how many records of the period these are."""
    any_at_all = snapshot.select(
        f"SELECT COUNT(*) AS records FROM ({_REVISED_SINCE.format(n=load_seq)}) AS revised"
    )
    nothing = USAGE_DAILY_END.layout.file_schema.empty_table()
    if not any_at_all["records"][0].as_py():
        return nothing, nothing, 0
    days = period.dates()
    before, after = (source.format(n=load_seq) for source in (BEFORE_REVISIONS, AFTER_REVISIONS))
    both = snapshot.select(
        f"SELECT COUNT(DISTINCT identity) AS records FROM (SELECT identity FROM ({before}) AS b UNION ALL SELECT identity FROM ({after}) AS a) AS both_sides",
        days=(period.first, period.until), tables={"dirty": _days(days)},
    )  # fmt: skip
    return (
        rows_of_source(snapshot, maker, days, before), rows_of_source(snapshot, maker, days, after), both["records"][0].as_py()
    )  # fmt: skip


def rows_of_source(snapshot: Snapshot, maker: Maker, days: Iterable[date], source: str) -> pa.Table:
    """Rows of `usage_daily_end` of the records that a statement chooses of some days (the table `dirty`)."""
    counts = _counted(snapshot, source, list(days))
    portions = Change("renew", frozenset(counts), 0, counts).portions()
    return _together(
        [
            maker.rows(snapshot, USAGE_DAILY_END, maker.stage(snapshot, portion.days, source=source))
            for portion in portions
        ]
    )


def levels_since(snapshot: Snapshot, maker: Maker, load_seq: int) -> pa.Table:
    """Which levels records that came after an append tell of resources that the registry does not know; as rows.levels_of."""
    words = sorted(maker.deciding)
    said = ", ".join((*words, "end_day") if maker.is_dated else words)
    revised = f"SELECT {said} FROM usage_records__revised WHERE supersedes AND load_seq > {load_seq}"
    found: set[tuple[str, bool]] = set()
    for source, after in (("usage_records", load_seq), (f"({revised}) AS revised", None)):
        for row in snapshot.select(f"SELECT DISTINCT {said} FROM {source}", after=after).to_pylist():
            day = row.pop("end_day", date.min)
            meaning = maker.known_meaning(row, day)
            if meaning.resource is not None and not meaning.registered and meaning.level != "transfer":
                found.add((meaning.resource, meaning.level == "batch"))
    return pa.Table.from_pylist(
        [{"resource": resource, "is_batch": is_batch} for resource, is_batch in sorted(found)],
        pa.schema([("resource", TEXT), ("is_batch", FLAG)]),
    )


def _counted(snapshot: Snapshot, source: str, days: list[date], after: int | None = None) -> dict[date, int]:
    """How many records a statement chooses of each day; days of none are left out."""
    found = snapshot.select(
        f"SELECT end_day, COUNT(*) AS records FROM ({source}) AS chosen GROUP BY end_day",
        days=(min(days), date_after(max(days))), after=after, tables={"dirty": _days(days)},
    )  # fmt: skip
    return {row["end_day"]: row["records"] for row in found.to_pylist()}


def date_after(day: date) -> date:
    """The next day."""
    return day.fromordinal(day.toordinal() + 1)


def _days(days: Iterable[date]) -> pa.Table:
    return pa.table({"day": pa.array(sorted(days), pa.date32())})


def _together(tables: list[pa.Table]) -> pa.Table:
    schema = USAGE_DAILY_END.layout.file_schema
    return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)])
