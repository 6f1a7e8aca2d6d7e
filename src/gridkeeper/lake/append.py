"""Appends records exactly once: what is known is a duplicate, what says something else is a revision.

One handle is opened, its position read, the rows compared with its files, and the commit made upon that same
handle with the shared position `appends` moved by one. Whoever comes second gets a conflict and does it all
again. The position is the rows' `load_seq`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.engines.contract import Question, Source
from gridkeeper.lake.files import all_or_none, discard, write_file
from gridkeeper.lake.seen import begin_differently
from gridkeeper.lake.tables import APPENDS, Conflict, Handle, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from deltalake.transaction import AddAction

    from gridkeeper.lake.engines.contract import Engine
    from gridkeeper.lake.files import DataFile
    from gridkeeper.lake.seen import Seen
    from gridkeeper.records.columns import Table

MOST_TRIES = 50


@dataclass(frozen=True)
class Appended:
    """What became of appended rows: new records, exact repetitions, and other contents of known records."""

    loaded: int = 0
    duplicates: int = 0
    revised: int = 0

    @property
    def rows(self) -> int:
        """How many rows there were in all."""
        return self.loaded + self.duplicates + self.revised

    def __add__(self, other: Appended) -> Appended:
        return Appended(
            self.loaded + other.loaded, self.duplicates + other.duplicates, self.revised + other.revised
        )


DUPLICATE, LOADED, REVISED = 0, 1, 2


def counted(fates: np.ndarray) -> Appended:
    """Count what became of rows."""
    return counted_each(fates, np.zeros(len(fates), np.int64), 1)[0]


def counted_each(fates: np.ndarray, places: np.ndarray, count: int) -> list[Appended]:
    """Count what became of rows for each of `count` places; `places` says which each row belongs to."""
    found = np.bincount(places * 3 + fates, minlength=count * 3).reshape(count, 3)
    return [Appended(loaded, duplicates, revised) for duplicates, loaded, revised in found.tolist()]


def layout_of(table: Table) -> Layout:
    """How a table of records lies in the lake: revisions in partitions of their own, then by month."""
    schema = table.schema.append(pa.field("revised", pa.int32()))
    return Layout(table.name, schema, ("revised", "month"), table.pruned)


def append(
    root: Path,
    engine: Engine,
    table: Table,
    rows: pa.Table,
    seen: Seen | None = None,
    awaited: Callable[[], object] | None = None,
) -> np.ndarray:
    """Append rows of `table`; when this returns, they are on disk and count once.

    seen:    what this process remembers of the table's identities.
    awaited: called before the rows count; returns when that on which they depend is on disk.
    Returns: what became of each row: DUPLICATE, LOADED or REVISED.
    Raises:  LakeUnavailable (retryable) when the lake cannot be written or is too busy; what `awaited` raises.
    """
    if not len(rows):
        return np.zeros(0, dtype=np.int8)
    for _ in range(MOST_TRIES):
        handle = Handle(root, layout_of(table))
        judged, fates = _judge(engine, table, rows, handle, seen)
        if not len(judged):
            handle.make_durable()  # who wrote them first may have died before that was on disk
            return fates
        number = (handle.position(APPENDS) or 0) + 1
        actions = all_or_none(handle.folder, _write(handle, table, judged, number))
        if awaited is not None:
            try:
                awaited()
            except BaseException:
                discard(handle.folder, actions)
                raise
        try:
            handle.commit(actions, {APPENDS: number}, {"gridkeeper": "append"})
        except Conflict:
            continue
        if seen is not None:
            seen.learn(actions, judged["identity"])
        return fates
    raise LakeUnavailable(
        f"{table.name} was too busy: {MOST_TRIES} tries to commit met another writer each time; try again"
    )


def _write(handle: Handle, table: Table, rows: pa.Table, number: int) -> Iterable[AddAction]:
    rows = rows.set_column(
        rows.schema.get_field_index("load_seq"),
        "load_seq",
        pa.repeat(pa.scalar(number, pa.int64()), len(rows)),
    )
    revised = pc.greater(rows["revision"], 0)
    for flag in (0, 1):
        part = (
            rows if flag == 0 and not pc.any(revised).as_py() else rows.filter(pc.equal(revised, bool(flag)))
        )
        if not len(part):
            continue
        months = part["month"].unique().to_pylist()
        for month in sorted(months):
            chosen = part if len(months) == 1 else part.filter(pc.equal(part["month"], month))
            yield write_file(handle.folder, chosen, {"revised": str(flag), "month": month}, table.pruned)
        if flag == 0 and part is rows:
            return


def _judge(
    engine: Engine, table: Table, rows: pa.Table, handle: Handle, seen: Seen | None
) -> tuple[pa.Table, np.ndarray]:
    """Compare rows with the lake and with one another; return those to write, their revisions set, and all fates."""
    stored = known(engine, table, rows, handle, seen=seen)
    if not len(stored) and begin_differently(rows["identity"]):
        return _first_contents(rows), np.full(len(rows), LOADED, dtype=np.int8)
    verdicts = engine.answer(
        Question(
            _verdict_sql(table),
            {"incoming": Source(rows=_numbered(table, rows)), "known": Source(rows=stored)},
        )
    )
    verdicts = verdicts.sort_by("row")
    written = rows.take(verdicts["row"])
    for name in ("revision", "supersedes", "previous_start_day", "previous_end_day"):
        index = written.schema.get_field_index(name)
        written = written.set_column(
            index, written.schema.field(index), pc.cast(verdicts[name], written.schema.field(index).type)
        )
    fates = np.full(len(rows), DUPLICATE, dtype=np.int8)
    places, revisions = verdicts["row"].to_numpy(), verdicts["revision"].to_numpy()
    fates[places] = np.where(revisions > 0, REVISED, LOADED)
    if (revisions > 0).any():
        _first_come_loaded(written["identity"], places, revisions, fates)
    return written, fates


def _first_come_loaded(
    identities: pa.ChunkedArray, places: np.ndarray, revisions: np.ndarray, fates: np.ndarray
) -> None:
    """Of several new contents of one new record, the first that came was loaded; the others revised it."""
    names = identities.to_pylist()
    is_new = {name for name, revision in zip(names, revisions.tolist(), strict=True) if revision == 0}
    several = {names[index] for index in np.flatnonzero(revisions > 0).tolist()} & is_new
    found: dict[bytes, list[int]] = {name: [] for name in several}
    for name, place in zip(names, places.tolist(), strict=True):
        if name in several:
            found[name].append(place)
    for rows in found.values():
        fates[rows] = REVISED
        fates[min(rows)] = LOADED


def _first_contents(rows: pa.Table) -> pa.Table:
    for name, value in (("revision", pa.scalar(0, pa.int32())), ("supersedes", pa.scalar(True))):
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.repeat(value, len(rows)))
    return rows


def _numbered(table: Table, rows: pa.Table) -> pa.Table:
    columns = ["identity", "content_hash", "received_at", "start_day", "end_day", *table.precedence]
    return rows.select(list(dict.fromkeys(columns))).append_column(
        "row", pa.array(np.arange(len(rows), dtype=np.int64))
    )


def known(
    engine: Engine,
    table: Table,
    rows: pa.Table,
    handle: Handle,
    more: Sequence[str] = (),
    seen: Seen | None = None,
) -> pa.Table:
    """What the lake holds under the identities of `rows`, read only from files whose identity days overlap.

    more: columns to give beside those that decide what counts.
    seen: what this process remembers of the table's identities, which spares it most of the reading.
    """
    bounds = pc.min_max(rows["identity_day"]).as_py()
    listed = handle.files()
    files = [file for file in listed if file.may_hold("identity_day", bounds["min"], bounds["max"])]
    shared = ("identity", "content_hash", "revision", "supersedes", "received_at", "start_day", "end_day")
    columns = dict.fromkeys([*shared, *table.precedence, *more])
    nothing = pa.schema([handle.layout.schema.field(name) for name in columns]).empty_table()
    if not files:
        return nothing

    def stored(chosen: Sequence[DataFile]) -> Source:
        return Source(handle.layout.file_schema, [handle.folder / file.path for file in chosen])

    def of_stored(asked: str, incoming: pa.Table, chosen: Sequence[DataFile]) -> pa.Table:
        where = (
            "identity_day >= $first AND identity_day <= $last AND identity IN (SELECT identity FROM incoming)"
        )
        sources = {"stored": stored(chosen), "incoming": Source(rows=incoming)}
        days = {"first": bounds["min"], "last": bounds["max"]}
        return engine.answer(Question(f"SELECT {asked} FROM stored WHERE {where}", sources, days))

    def identities(chosen: Sequence[DataFile]) -> pa.ChunkedArray:
        return engine.answer(Question("SELECT identity FROM stored", {"stored": stored(chosen)}))["identity"]

    # Most of what comes is new, and identities are a third of what would be read: all else is read of known ones only.
    incoming, unread = rows.select(["identity"]), files
    there = incoming.slice(0, 0)
    if seen is not None:
        perhaps, unread = seen.perhaps(incoming["identity"], files, listed, identities)
        there = incoming.filter(pa.array(perhaps))
    if unread:
        asked = of_stored("DISTINCT identity", incoming, unread)
        there = pa.concat_tables([there, asked.cast(there.schema)])
    return of_stored(", ".join(columns), there, files) if len(there) else nothing


def _verdict_sql(table: Table) -> str:
    """Which incoming rows to write, and as what.

    A row whose content is known (in the lake or earlier in the batch) is a duplicate. Of the others, each
    identity's greatest by (received_at, precedence) stands first; it supersedes what counts now if it is
    greater than that. The rest are kept as revisions that never counted.
    """
    order = ", ".join(f"{column} DESC NULLS LAST" for column in ("received_at", *table.precedence))
    shared = ", ".join(
        dict.fromkeys(["identity", "content_hash", "received_at", "start_day", "end_day", *table.precedence])
    )
    return f"""
        WITH news AS (
            SELECT {shared}, row
            FROM incoming ANTI JOIN known USING (identity, content_hash)
            QUALIFY ROW_NUMBER() OVER (PARTITION BY identity, content_hash ORDER BY row) = 1
        ), counting AS (
            SELECT {shared}, revision FROM known WHERE supersedes
            QUALIFY ROW_NUMBER() OVER (PARTITION BY identity ORDER BY revision DESC) = 1
        ), last_revision AS (
            SELECT identity, MAX(revision) AS revision FROM known GROUP BY identity
        ), ranked AS (
            SELECT identity, content_hash, row, ROW_NUMBER() OVER (PARTITION BY identity ORDER BY {order}) AS place
            FROM (
                SELECT {shared}, row FROM news
                UNION ALL SELECT {shared}, CAST(-1 AS BIGINT) AS row FROM counting
            )
        ), placed AS (
            SELECT identity, row, place,
                   ROW_NUMBER() OVER (PARTITION BY identity ORDER BY place) AS place_among_news
            FROM ranked WHERE row >= 0
        )
        SELECT placed.row,
               CAST(CASE WHEN last_revision.revision IS NULL THEN placed.place_among_news - 1
                         ELSE last_revision.revision + placed.place_among_news END AS INTEGER) AS revision,
               placed.place = 1 AS supersedes,
               CASE WHEN placed.place = 1 THEN counting.start_day END AS previous_start_day,
               CASE WHEN placed.place = 1 THEN counting.end_day END AS previous_end_day
        FROM placed
        LEFT JOIN last_revision ON last_revision.identity = placed.identity
        LEFT JOIN counting ON counting.identity = placed.identity
    """
