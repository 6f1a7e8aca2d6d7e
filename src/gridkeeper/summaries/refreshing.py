"""Keeps the summaries up to the records: finds the days that later records touched, and brings those up to date.

A summary's commit carries the number of the last append it was made from (its watermark), so that a crash
between append and summary mends itself, the registry's revision, so that another registry makes anew the days on which
records mean something else by it, and the revision of the set of corrections, so that another set makes anew the days on which
the corrections that changed fit records. Rows of a summary add up, so what later records bring is put beside what is there; only
where a record was revised, the touched days are made anew from all their records. Several rows of one key
are joined when a month has too many files.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow as pa

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import Conflict
from gridkeeper.summaries import months, registries
from gridkeeper.summaries.corrections.applying import fits, of_records
from gridkeeper.summaries.corrections.in_force import CORRECTIONS_POSITION, NO_CORRECTIONS
from gridkeeper.summaries.making import Maker, Stage
from gridkeeper.summaries.months import REGISTRY_POSITION
from gridkeeper.summaries.tables import MONTHLY, SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake, Snapshot
    from gridkeeper.lake.tables import Handle
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.corrections.rules import Rule

Progress: TypeAlias = "Callable[[int, int], None]"
MOST_TRIES = 20
MOST_FILES_OF_A_MONTH = 12
SUMMARIES_AT_ONCE = 2
RECORDS_OF_A_PORTION = 500_000


@dataclass(frozen=True)
class Change:
    """What a summary must do to be up to the records.

    add:     put what the records after the watermark bring beside what is there; `days` are those they ended on.
    renew:   make `days` anew from all their records (none, where another registry or other corrections change no record).
    rebuild: make everything anew: the records are others than it was made of, or by which registry or with which
             corrections it was made is not known any more.
    records: how many records end on each day.
    """

    kind: Literal["none", "add", "renew", "rebuild"]
    days: frozenset[date]
    watermark: int
    records: Mapping[date, int] = field(default_factory=dict)

    @property
    def after(self) -> int | None:
        """The append whose later records matter; None where all do."""
        return self.watermark if self.kind == "add" else None

    def portions(self) -> Iterator[list[date]]:
        """The days in portions of about RECORDS_OF_A_PORTION records, so that memory stays bounded."""
        portion: list[date] = []
        records = 0
        for day in sorted(self.days):
            if portion and records + self.records.get(day, 0) > RECORDS_OF_A_PORTION:
                yield portion
                portion, records = [], 0
            portion.append(day)
            records += self.records.get(day, 0)
        if portion:
            yield portion


def change_of(
    snapshot: Snapshot, handle: Handle, registry: Registry, corrections: Corrections = NO_CORRECTIONS
) -> Change:
    """Find what records after a summary's watermark, another registry, or other corrections ask of it."""
    watermark = handle.position(RECORDS_POSITION) or 0
    newest = snapshot.load_seq()
    # Records that were made anew from the archive count their appends anew, too.
    same_registry = not is_by_another(handle, registry)
    changed = corrections.changed_since(handle.position(CORRECTIONS_POSITION) or 0)
    rebuild = watermark > newest or changed is None
    if not rebuild and same_registry and watermark == newest and not changed:
        return Change("none", frozenset(), watermark)
    anew = set() if rebuild or not changed else days_of(snapshot, changed)
    if not rebuild and not same_registry:
        meant_otherwise = _meant_otherwise(
            snapshot, handle.position(REGISTRY_POSITION) or 0, registry, corrections
        )
        rebuild = meant_otherwise is None
        anew |= meant_otherwise or set()
    touched = snapshot.touched_days(0 if rebuild else watermark)
    if not rebuild and not anew and all(records.previous_end is None for records in touched):
        added = Counter[date]()
        for records in touched:
            added[records.end] += records.records
        return Change("add", frozenset(added), watermark, added)
    days: set[date] = set(anew)
    for records in touched:
        days.update(_between(records.start, records.end))
        if records.previous_start is not None and records.previous_end is not None:
            days.update(_between(records.previous_start, records.previous_end))
    return Change("rebuild" if rebuild else "renew", frozenset(days), watermark, records_of(snapshot, days))


def is_by_another(handle: Handle, registry: Registry) -> bool:
    """Whether a summary was made by another registry; what was never made was made by none."""
    return handle.position(REGISTRY_POSITION) not in (None, registry.revision)


def _meant_otherwise(
    snapshot: Snapshot, revision: int, registry: Registry, corrections: Corrections
) -> set[date] | None:
    """The days on which records mean something else than by the registry of `revision`; None where that is not known any more."""
    before = registries.kept(snapshot.lake.root, revision)
    if before is None:
        return None
    return _days_in(registries.spans_otherwise(snapshot, Maker(before), Maker(registry), corrections))


def days_of(snapshot: Snapshot, rules: Iterable[Rule]) -> set[date]:
    """The days on which records run or end that some corrections fit."""
    days: set[date] = set()
    for rule in of_records(rules):
        found = snapshot.select(
            f"SELECT DISTINCT start_day, end_day FROM usage_records WHERE {fits(rule)}",
            days=(rule.period.first, rule.period.until),
        )
        days |= _days_in(found)
    return days


def _days_in(spans: pa.Table) -> set[date]:
    """All days from each `start_day` to its `end_day`."""
    return {day for row in spans.to_pylist() for day in _between(row["start_day"], row["end_day"])}


def records_of(snapshot: Snapshot, days: Collection[date]) -> dict[date, int]:
    """How many records ended on each of some days."""
    if not days:
        return {}
    found = snapshot.select(
        "SELECT end_day, COUNT(*) AS records FROM usage_records WHERE end_day IN (SELECT day FROM dirty) GROUP BY end_day",
        days=(min(days), date.fromordinal(max(days).toordinal() + 1)),
        tables={"dirty": pa.table({"day": pa.array(sorted(days), pa.date32())})},
    )
    return {row["end_day"]: row["records"] for row in found.to_pylist()}


def _between(first: date, last: date) -> Iterable[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


def refresh(
    lake: Lake,
    registry: Registry,
    progress: Progress | None = None,
    *,
    corrections: Corrections = NO_CORRECTIONS,
) -> dict[str, int]:
    """Bring every summary up to the records, each in one commit.

    progress:    told how many portions are done and how many there are.
    corrections: those in force.
    Returns:     how many days of each summary were touched.
    Raises:      LakeUnavailable (retryable).
    """
    maker = Maker(registry, corrections)
    touched = dict.fromkeys(SUMMARIES, 0)
    for _ in range(MOST_TRIES):
        # The summaries' handles first: what is appended from here on is left for the next refresh.
        snapshot = lake.snapshot()
        handles = {name: snapshot.handle(name) for name in SUMMARIES}
        positions = {
            RECORDS_POSITION: snapshot.load_seq(),
            REGISTRY_POSITION: registry.revision,
            CORRECTIONS_POSITION: corrections.revision,
        }
        behind = [
            name
            for name, handle in handles.items()
            if any(_position(handle, of) != number for of, number in positions.items())
        ]
        if not behind:
            return touched
        registries.keep(lake.root, registry)
        brought: set[str] = set()
        for names in _alike(handles, [name for name in behind if name not in months.DAILY]):
            change = change_of(snapshot, handles[names[0]], registry, corrections)
            summaries = [SUMMARIES[name] for name in names]
            for name in _brought(snapshot, maker, summaries, change, positions, progress):
                touched[name] = len(change.days)
                brought.add(name)
        for name in behind:
            if name in months.DAILY and months.DAILY[name].name not in behind:
                says = {"gridkeeper": "summary: rebuild"}
                if months.make_anew(snapshot, SUMMARIES[name], positions, says):
                    brought.add(name)
        if brought >= set(behind):
            return touched
    raise LakeUnavailable(
        f"the summaries were too busy: {MOST_TRIES} tries to commit met another writer each time; try again"
    )


def _brought(
    snapshot: Snapshot,
    maker: Maker,
    summaries: Sequence[Summary],
    change: Change,
    positions: Mapping[str, int],
    progress: Progress | None,
) -> list[str]:
    """Bring a change to summaries, two at once, and to the monthly ones of them; the names of those that were committed."""
    made: dict[str, list[pa.Table]] = {summary.name: [] for summary in summaries}
    portions = list(change.portions())
    written: list[list[str]] = []
    with ThreadPoolExecutor(SUMMARIES_AT_ONCE, thread_name_prefix="adding-up") as pool:
        for number, portion in enumerate(portions):
            if progress:
                progress(number, len(portions))
            stage = maker.stage(snapshot, portion, change.after)
            last = number == len(portions) - 1

            def add_up(summary: Summary, stage: Stage = stage, last: bool = last) -> list[str]:
                made[summary.name].append(maker.rows(snapshot, summary, stage))
                return _write(snapshot, summary, change, made.pop(summary.name), positions) if last else []

            written = list(pool.map(add_up, summaries))
        if not portions:
            written = [_write(snapshot, summary, change, [], positions) for summary in summaries]
    return [name for done in written for name in done]


def _alike(handles: Mapping[str, Handle], behind: Sequence[str]) -> Iterable[list[str]]:
    """Summaries that are equally far, together; after a crash between their commits they are not."""
    groups: defaultdict[tuple[int | None, ...], list[str]] = defaultdict(list)
    for name in behind:
        places = (RECORDS_POSITION, REGISTRY_POSITION, CORRECTIONS_POSITION)
        groups[tuple(_position(handles[name], of) for of in places)].append(name)
    return groups.values()


def _position(handle: Handle, of: str) -> int | None:
    """How far a summary is; what was made before there were corrections was made with none of them."""
    found = handle.position(of)
    return 0 if found is None and of == CORRECTIONS_POSITION else found


def _write(
    snapshot: Snapshot,
    summary: Summary,
    change: Change,
    made: Sequence[pa.Table],
    positions: Mapping[str, int],
) -> list[str]:
    """Commit what a change brings to one summary and its monthly one.

    Returns: the names of those that were committed; where somebody else committed first, they are not.
    """
    handle = snapshot.handle(summary.name)
    by_month_too = summary.name in MONTHLY and months.are_equally_far(snapshot, summary)
    held = Counter(file.partition["month"] for file in handle.files())
    rows = _with_month(pa.concat_tables(made) if made else summary.layout.file_schema.empty_table())
    if change.kind == "add":
        touched = set(rows["month"].unique().to_pylist())
        replaced = [month for month in touched if held[month] >= MOST_FILES_OF_A_MONTH]
        kept = [_kept(snapshot, summary, month) for month in replaced]
    elif change.kind == "renew":
        days = by_month(change.days)
        replaced = list(days)
        kept = [_kept(snapshot, summary, month, days[month]) for month in replaced]
    else:
        replaced, kept = list(held), []
    says = {
        "gridkeeper": f"summary: {change.kind}",
        "records_version": str(snapshot.handle(RECORDS_POSITION).version),
    }
    try:
        if kept:
            rows = pa.concat_tables([rows.cast(summary.layout.schema), *kept])
        snapshot.lake.replace_months(handle, replaced, rows, positions, says)
    except Conflict:
        return []
    if by_month_too and months.bring_along(snapshot, summary, replaced, rows, positions, says):
        return [summary.name, MONTHLY[summary.name].name]
    return [summary.name]


def by_month(days: Collection[date]) -> dict[str, set[date]]:
    """Sort days by their month, as 2017-01."""
    found: defaultdict[str, set[date]] = defaultdict(set)
    for day in days:
        found[f"{day:%Y-%m}"].add(day)
    return dict(found)


def _with_month(rows: pa.Table) -> pa.Table:
    encoded = pa.chunked_array(rows["day"].chunks, pa.date32()).combine_chunks().dictionary_encode()
    names = pa.array([f"{day:%Y-%m}" for day in encoded.dictionary.to_pylist()], pa.string())
    return rows.append_column("month", names.take(encoded.indices))


def _kept(snapshot: Snapshot, summary: Summary, month: str, but: Collection[date] = ()) -> pa.Table:
    """What the summary holds of a month (less some days), one row a key."""
    first, until = months.first_and_next(month)
    keys = ", ".join(summary.keys)
    sums = ", ".join(f"CAST(SUM({measure}) AS BIGINT) AS {measure}" for measure in summary.measures)
    kept = snapshot.select(
        f"SELECT {keys}, {sums} FROM {summary.name} WHERE day >= $first AND day < $until AND day NOT IN (SELECT day FROM dirty) GROUP BY ALL ORDER BY resource",
        days=(first, date.fromordinal(until.toordinal() - 1)),
        tables={"dirty": pa.table({"day": pa.array(sorted(but), pa.date32())})},
        first=first,
        until=until,
    )
    return _with_month(kept.cast(summary.layout.file_schema))
