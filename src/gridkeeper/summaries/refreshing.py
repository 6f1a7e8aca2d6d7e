"""Keeps the summaries up to the records: finds the days that later records touched, and brings those up to date.

A summary's commit carries the number of the last append it was made from (its watermark), so that a crash
between append and summary mends itself, and the registry's revision, so that a changed `federation.yaml`
makes it all anew. Rows of a summary add up, so what later records bring is put beside what is there; only
where a record was revised, the touched days are made anew from all their records. Several rows of one key
are joined when a month has too many files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import Conflict
from gridkeeper.summaries.making import Maker
from gridkeeper.summaries.tables import SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake, Snapshot
    from gridkeeper.lake.tables import Handle

    Progress = Callable[[str, int, int], None]

REGISTRY_POSITION = "registry"
MOST_TRIES = 20
MOST_FILES_OF_A_MONTH = 12
SUMMARIES_AT_ONCE = 2
RECORDS_OF_A_PORTION = 1_500_000


@dataclass(frozen=True)
class Change:
    """What a summary must do to be up to the records.

    add:     put what the records after the watermark bring on `days` beside what is there.
    renew:   make `days` anew from all their records.
    rebuild: make everything anew: the registry changed.
    records: how many of the later records end on each day.
    """

    kind: Literal["none", "add", "renew", "rebuild"]
    days: frozenset[date]
    watermark: int
    records: Mapping[date, int] = field(default_factory=dict)

    def portions(self, days: Collection[date] | None = None) -> Iterator[list[date]]:
        """The days in portions of one month each and about RECORDS_OF_A_PORTION records, so that memory stays bounded."""
        portion: list[date] = []
        records = 0
        for day in sorted(self.days if days is None else days):
            if portion and (records >= RECORDS_OF_A_PORTION or day.month != portion[-1].month):
                yield portion
                portion, records = [], 0
            portion.append(day)
            records += self.records.get(day, 0)
        if portion:
            yield portion


def change_of(snapshot: Snapshot, summary: Summary, handle: Handle, registry: Registry) -> Change:
    """Find what records after the summary's watermark, or another registry, ask of it."""
    watermark = handle.position(RECORDS_POSITION) or 0
    rebuild = handle.position(REGISTRY_POSITION) not in (None, registry.revision)
    if not rebuild and watermark >= snapshot.load_seq():
        return Change("none", frozenset(), watermark)
    days: set[date] = set()
    records: Counter[date] = Counter()
    revised = False
    for touched in snapshot.touched_days(0 if rebuild else watermark):
        revised = revised or touched.previous_end is not None
        records[touched.end] += touched.records
        for first, last in ((touched.start, touched.end), (touched.previous_start, touched.previous_end)):
            if first is not None and last is not None:
                days.update(_between(first, last) if summary.span else (last,))
    return Change(
        "rebuild" if rebuild else "renew" if revised else "add", frozenset(days), watermark, records
    )


def _between(first: date, last: date) -> Iterable[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def refresh(lake: Lake, registry: Registry, progress: Progress | None = None) -> dict[str, int]:
    """Bring every summary up to the records, each in one commit.

    progress: told the summary's name, how many portions are done and how many there are.
    Returns:  how many days of each summary were touched.
    Raises:   LakeUnavailable (retryable).
    """
    maker = Maker(registry)
    with ThreadPoolExecutor(SUMMARIES_AT_ONCE, thread_name_prefix="adding-up") as pool:
        futures = {
            name: pool.submit(_refresh_one, lake, summary, registry, maker, progress)
            for name, summary in SUMMARIES.items()
        }
        return {name: future.result() for name, future in futures.items()}


def _refresh_one(
    lake: Lake, summary: Summary, registry: Registry, maker: Maker, progress: Progress | None
) -> int:
    for _ in range(MOST_TRIES):
        # The summary's handle first: what is appended from here on is left for the next refresh.
        snapshot = lake.snapshot()
        handle = snapshot.handle(summary.name)
        positions = {RECORDS_POSITION: snapshot.load_seq(), REGISTRY_POSITION: registry.revision}
        change = change_of(snapshot, summary, handle, registry)
        if all(handle.position(name) == number for name, number in positions.items()):
            return 0
        says = {
            "gridkeeper": f"summary: {change.kind}",
            "records_version": str(snapshot.handle(RECORDS_POSITION).version),
        }
        try:
            months, rows = _made(snapshot, summary, handle, change, maker, progress)
            lake.replace_months(handle, months, rows, positions, says)
        except Conflict:
            continue
        return len(change.days)
    raise LakeUnavailable(
        f"{summary.name} was too busy: {MOST_TRIES} tries to commit met another writer each time; try again"
    )


def _made(
    snapshot: Snapshot,
    summary: Summary,
    handle: Handle,
    change: Change,
    maker: Maker,
    progress: Progress | None,
) -> tuple[list[str], pa.Table]:
    """The months to replace, and the rows to write (those of months not replaced stand beside what is there)."""
    if change.kind == "add":
        portions = list(change.portions())
        made = [summary.layout.file_schema.empty_table()]
        for number, portion in enumerate(portions):
            if progress:
                progress(summary.name, number, len(portions))
            made.append(maker.rows(snapshot, summary, portion, after=change.watermark))
        rows = _with_month(pa.concat_tables(made))
        crowded = [
            month
            for month, files in Counter(file.partition["month"] for file in handle.files()).items()
            if files >= MOST_FILES_OF_A_MONTH
        ]
        touched = set(rows["month"].unique().to_pylist())
        joined = [month for month in crowded if month in touched]
        return joined, pa.concat_tables([rows, *(_joined(snapshot, summary, month) for month in joined)])
    months: dict[str, set[date]] = by_month(change.days)
    if change.kind == "rebuild":
        months |= {
            file.partition["month"]: months.get(file.partition["month"], set()) for file in handle.files()
        }
    pieces = [summary.layout.schema.empty_table()]
    for number, (month, days) in enumerate(sorted(months.items())):
        if progress:
            progress(summary.name, number, len(months))
        pieces += [_with_month(maker.rows(snapshot, summary, portion)) for portion in change.portions(days)]
        if change.kind == "renew":
            pieces.append(_joined(snapshot, summary, month, days))
    return list(months), pa.concat_tables(pieces)


def by_month(days: Collection[date]) -> dict[str, set[date]]:
    """Sort days by their month, as 2017-01."""
    months: defaultdict[str, set[date]] = defaultdict(set)
    for day in days:
        months[f"{day:%Y-%m}"].add(day)
    return dict(months)


def _with_month(rows: pa.Table) -> pa.Table:
    encoded = pa.chunked_array(rows["day"].chunks, pa.date32()).combine_chunks().dictionary_encode()
    months = pa.array([f"{day:%Y-%m}" for day in encoded.dictionary.to_pylist()], pa.string())
    return rows.append_column("month", months.take(encoded.indices))


def _joined(snapshot: Snapshot, summary: Summary, month: str, but: Collection[date] = ()) -> pa.Table:
    """What the summary holds of a month (less some days), one row a key."""
    first = date.fromisoformat(f"{month}-01")
    until = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    keys = ", ".join(summary.keys)
    sums = ", ".join(f"CAST(SUM({measure}) AS BIGINT) AS {measure}" for measure in summary.measures)
    kept = snapshot.select(
        f"SELECT {keys}, {sums} FROM {summary.name} WHERE day >= $first AND day < $until AND day NOT IN (SELECT day FROM dirty) GROUP BY ALL",
        days=(first, date.fromordinal(until.toordinal() - 1)),
        tables={"dirty": pa.table({"day": pa.array(sorted(but), pa.date32())})},
        first=first,
        until=until,
    )
    return _with_month(kept.cast(summary.layout.file_schema))
