"""Keeps the summaries up to the records: does what later records, another registry or other corrections ask of them (changes.py).

A summary's commit carries the number of the last append it was made from (its watermark), so that a crash
between append and summary mends itself, the registry's revision, so that another registry makes anew the days on which
records mean something else by it, and the revision of the set of corrections, so that another set makes anew the days on which
the corrections that changed fit records. Rows of a summary add up, so what later records bring is put beside what is there; only
where a record was revised, the touched days are made anew from all their records. Several rows of one key
are joined when a month has too many files.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import Conflict
from gridkeeper.summaries import months, registries
from gridkeeper.summaries.changes import by_month, change_of
from gridkeeper.summaries.corrections.in_force import CORRECTIONS_POSITION, NO_CORRECTIONS
from gridkeeper.summaries.making import Maker, Stage
from gridkeeper.summaries.months import REGISTRY_POSITION
from gridkeeper.summaries.tables import MONTHLY, SUMMARIES, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake, Snapshot
    from gridkeeper.lake.tables import Handle
    from gridkeeper.summaries.changes import Change, Portion
    from gridkeeper.summaries.corrections.in_force import Corrections

Progress: TypeAlias = "Callable[[int, int], None]"
MOST_TRIES = 20
MOST_FILES_OF_A_MONTH = 12
SUMMARIES_AT_ONCE = 2
PORTIONS_TOGETHER = 8
# Of all summaries together. With 0.06 of them, joining what portions of files bring was less work; where each had about one, days were.
ROWS_OF_A_RECORD = 0.5


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
    portions = deque(change.portions())
    joins = len(portions) > 1 and portions[0].is_whole
    done = 0

    def add_up(summary: Summary, stage: Stage) -> None:
        rows = made[summary.name]
        rows.append(maker.rows(snapshot, summary, stage))
        if joins and len(rows) == PORTIONS_TOGETHER:
            rows[:] = [_joined(snapshot, summary, rows)]

    def write(summary: Summary) -> list[str]:
        rows = made.pop(summary.name)
        if joins and len(rows) > 1:
            rows = [_joined(snapshot, summary, rows)]
        return _write(snapshot, summary, change, rows, positions)

    with ThreadPoolExecutor(SUMMARIES_AT_ONCE, thread_name_prefix="adding-up") as pool:
        while portions:
            if progress:
                progress(done, done + len(portions))
            portion = portions.popleft()
            stage = maker.stage(snapshot, portion.days, change.after, files=portion.files)
            list(pool.map(add_up, summaries, repeat(stage)))
            done += 1
            if done == 1 and joins and _hardly_add_up(made, stage):
                joins = False  # to join so many rows takes longer than to read all files for each portion
                portions = _by_days(change, portions)
        return [name for names in pool.map(write, summaries) for name in names]


def _by_days(change: Change, portions: Iterable[Portion]) -> deque[Portion]:
    """The same records, but what would go by files goes by days."""
    whole = [path for portion in portions if portion.is_whole for path in portion.files or ()]
    others = (portion for portion in portions if not portion.is_whole)
    return deque([*(change.by_days(whole) if whole else ()), *others])


def _hardly_add_up(made: Mapping[str, Sequence[pa.Table]], stage: Stage) -> bool:
    """Whether the records of a stage made so many rows that more of the same will hardly make fewer."""
    return (
        sum(len(rows) for tables in made.values() for rows in tables) > len(stage.records) * ROWS_OF_A_RECORD
    )


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


def _with_month(rows: pa.Table) -> pa.Table:
    encoded = pa.chunked_array(rows["day"].chunks, pa.date32()).combine_chunks().dictionary_encode()
    names = pa.array([f"{day:%Y-%m}" for day in encoded.dictionary.to_pylist()], pa.string())
    return rows.append_column("month", names.take(encoded.indices))


def _kept(snapshot: Snapshot, summary: Summary, month: str, but: Collection[date] = ()) -> pa.Table:
    """What the summary holds of a month (less some days), one row a key."""
    first, until = months.first_and_next(month)
    chosen = f"SELECT * FROM {summary.name} WHERE day >= $first AND day < $until AND day NOT IN (SELECT day FROM dirty)"
    dirty = pa.table({"day": pa.array(sorted(but), pa.date32())})
    days = (first, date.fromordinal(until.toordinal() - 1))
    return _with_month(
        _one_a_key(snapshot, summary, chosen, {"dirty": dirty}, days=days, first=first, until=until)
    )


def _joined(snapshot: Snapshot, summary: Summary, made: Sequence[pa.Table]) -> pa.Table:
    """What several portions brought, one row a key."""
    together = pa.concat_tables(rows.cast(summary.layout.file_schema) for rows in made)
    return _one_a_key(snapshot, summary, "SELECT * FROM made", {"made": together})


def _one_a_key(
    snapshot: Snapshot, summary: Summary, chosen: str, tables: Mapping[str, pa.Table], **asked: Any
) -> pa.Table:
    """Rows of a summary that a statement chooses, those of one key added up."""
    keys = ", ".join(summary.keys)
    statement = f"SELECT {keys}, {summary.sums} FROM ({chosen}) AS chosen GROUP BY ALL ORDER BY resource"
    return snapshot.select(statement, tables=tables, **asked).cast(summary.layout.file_schema)
