"""Keeps the summaries up to the records: finds the days that later records touched, and makes those anew.

A summary's commit carries the number of the last append it was made from (its watermark), so that a crash
between append and summary mends itself, and the registry's revision, so that a changed `federation.yaml`
makes it all anew.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import Conflict
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.tables import SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake, Snapshot
    from gridkeeper.lake.tables import Handle

REGISTRY_POSITION = "registry"
MOST_TRIES = 20


@dataclass(frozen=True)
class Dirty:
    """The days that a summary must make anew, and whether that is because the registry changed."""

    days: frozenset[date]
    everything: bool


def dirty_days(snapshot: Snapshot, summary: Summary, handle: Handle, registry: Registry) -> Dirty:
    """Find the days that records after the summary's watermark touched (all days, after a change of the registry)."""
    watermark = handle.position(RECORDS_POSITION) or 0
    everything = handle.position(REGISTRY_POSITION) not in (None, registry.revision)
    if not everything and watermark >= snapshot.load_seq():
        return Dirty(frozenset(), everything=False)
    touched = snapshot.touched_days(0 if everything else watermark)
    days: set[date] = set()
    for start, end, previous_start, previous_end in touched:
        for first, last in ((start, end), (previous_start, previous_end)):
            if first is not None and last is not None:
                days.update(_between(first, last) if summary.span else (last,))
    return Dirty(frozenset(days), everything)


def _between(first: date, last: date) -> Iterable[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def refresh(
    lake: Lake, registry: Registry, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, int]:
    """Bring every summary up to the records, each in one commit.

    progress: told the summary's name, how many months are made and how many there are to make.
    Returns:  how many days each summary made anew.
    Raises:   LakeUnavailable (retryable).
    """
    maker = Maker(registry)
    return {
        summary.name: _refresh_one(lake, summary, registry, maker, progress) for summary in SUMMARIES.values()
    }


def _refresh_one(
    lake: Lake,
    summary: Summary,
    registry: Registry,
    maker: Maker,
    progress: Callable[[str, int, int], None] | None,
) -> int:
    for _ in range(MOST_TRIES):
        # The summary's handle first: what is appended from here on is dirty for the next refresh.
        snapshot = lake.snapshot()
        handle = snapshot.handle(summary.name)
        position = snapshot.load_seq()
        dirty = dirty_days(snapshot, summary, handle, registry)
        if (
            handle.position(RECORDS_POSITION) == position
            and handle.position(REGISTRY_POSITION) == registry.revision
        ):
            return 0
        months = by_month(dirty.days)
        if dirty.everything:
            months |= {
                file.partition["month"]: months.get(file.partition["month"], set()) for file in handle.files()
            }
        pieces = []
        for number, (month, days) in enumerate(sorted(months.items())):
            if progress:
                progress(summary.name, number, len(months))
            made = maker.rows(snapshot, summary, days)
            kept = (
                made.schema.empty_table() if dirty.everything else _other_days(snapshot, summary, month, days)
            )
            rows = pa.concat_tables([kept, made])
            pieces.append(rows.append_column("month", pa.repeat(pa.scalar(month), len(rows))))
        table = pa.concat_tables(pieces) if pieces else summary.layout.schema.empty_table()
        says = {"gridkeeper": "summary", "records_version": str(snapshot.handle(RECORDS_POSITION).version)}
        try:
            lake.replace_months(
                handle,
                list(months),
                table,
                {RECORDS_POSITION: position, REGISTRY_POSITION: registry.revision},
                says,
            )
        except Conflict:
            continue
        return len(dirty.days)
    return 0


def by_month(days: Collection[date]) -> dict[str, set[date]]:
    """Sort days by their month, as 2017-01."""
    months: defaultdict[str, set[date]] = defaultdict(set)
    for day in days:
        months[f"{day:%Y-%m}"].add(day)
    return dict(months)


def _other_days(snapshot: Snapshot, summary: Summary, month: str, days: Collection[date]) -> pa.Table:
    """What the summary holds of a month beside the days that are made anew."""
    columns = ", ".join(summary.layout.file_schema.names)
    first = date.fromisoformat(f"{month}-01")
    until = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    kept = snapshot.select(
        f"SELECT {columns} FROM {summary.name} WHERE day >= $first AND day < $until AND day NOT IN (SELECT day FROM dirty)",
        days=(first, date.fromordinal(until.toordinal() - 1)),
        tables={"dirty": pa.table({"day": pa.array(sorted(days), pa.date32())})},
        first=first,
        until=until,
    )
    return kept.cast(summary.layout.file_schema)
