"""`archive`: every block of text as it was received, compressed; `receptions`: who sent it, from where and when, each time.

Within a month a content lies in the archive once, however often it came; each reception of it has a row of its own,
in the same month. So whole months can be let go of, and no reception is ever left without its text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import zstandard

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.engines.contract import Question, Source
from gridkeeper.lake.files import removal, write_file
from gridkeeper.lake.seen import IDENTITY_BYTES
from gridkeeper.lake.tables import APPENDS, Conflict, Handle, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from gridkeeper.lake.engines.contract import Engine
    from gridkeeper.lake.files import DataFile
    from gridkeeper.lake.seen import Seen

COMPRESSION_LEVEL = 1
MOST_TRIES = 50
DISCARDED_TEXT = "discarded"  # the format of what is kept though it was discarded unread; no replay reads it

ARCHIVE = Layout(
    "archive",
    pa.schema(
        [
            ("sha256", pa.string()),
            ("received_at", pa.timestamp("us", tz="UTC")),
            ("source", pa.string()),
            ("sender", pa.string()),
            ("format", pa.string()),
            ("probe", pa.string()),
            ("resource", pa.string()),
            ("vo", pa.string()),
            ("first_line", pa.int64()),
            ("context", pa.binary()),
            ("bytes", pa.int64()),
            ("payload", pa.binary()),
            ("load_seq", pa.int64()),
            ("month", pa.string()),
        ]
    ),
    ("month",),
    ("received_at", "load_seq"),
)
RECEPTIONS = Layout(
    "receptions",
    pa.schema(
        [
            ("sha256", pa.string()),
            ("received_at", pa.timestamp("us", tz="UTC")),
            ("source", pa.string()),
            ("sender", pa.string()),
            ("address", pa.string()),
            ("format", pa.string()),
            ("probe", pa.string()),
            ("said_by", pa.string()),
            ("resource", pa.string()),
            ("vo", pa.string()),
            ("binding", pa.string()),
            ("load_seq", pa.int64()),
            ("month", pa.string()),
        ]
    ),
    ("month",),
    ("received_at", "load_seq"),
)
LAYOUTS = (ARCHIVE, RECEPTIONS)


@dataclass(frozen=True)
class Received:
    """One block of text as it came, compressed, with what was declared of it, and by whom.

    source:  the batch or file that it is part of.
    sender:  who sent it, in words, and address: from where; None where it was loaded by hand.
    probe:   declared of every record; said_by: what the sender calls itself.
    binding: what the sender may send for (see quarantine.binding_text); None: anything.
    """

    sha256: str
    received_at: datetime
    source: str
    sender: str | None
    address: str | None
    format: str
    probe: str | None
    said_by: str | None
    resource: str | None
    vo: str | None
    binding: str | None
    first_line: int
    context: bytes
    payload: bytes
    bytes: int

    @property
    def month(self) -> str:
        """The month (UTC) in which it came, as 2017-01."""
        return f"{self.received_at:%Y-%m}"


def digest(data: bytes, context: bytes) -> str:
    """The name of a block: SHA-256 over its context and its data."""
    found = hashlib.sha256(context + b"\0")
    found.update(data)
    return found.hexdigest()


def packed(data: bytes) -> bytes:
    """Compress a block for the archive (zstd, with a checksum of its own, which joining files cannot lose)."""
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True).compress(data)


def unpacked(payload: bytes) -> bytes:
    """Give back a block as it was received."""
    return zstandard.ZstdDecompressor().decompress(payload)


def keep(root: Path, engine: Engine, blocks: Sequence[Received], seen: Mapping[str, Seen]) -> int:
    """Add the blocks that the archive does not have yet, and every reception of them; say how many blocks were new.

    The same reception kept again (after a crash) is known by its source, and changes nothing.

    seen:   what this process remembers of the names in each of the two tables.
    Raises: LakeUnavailable (retryable).
    """
    fresh = 0
    for month in sorted({block.month for block in blocks}):
        told = [vars(block) | {"month": month} for block in blocks if block.month == month]
        texts = [row | {"sender": _sender(row)} for row in told]
        # The text first: a reception is never without it.
        fresh += _add(root, engine, ARCHIVE, ("sha256",), month, texts, seen[ARCHIVE.name])
        _add(root, engine, RECEPTIONS, ("sha256", "source"), month, told, seen[RECEPTIONS.name])
    return fresh


def _sender(row: Mapping[str, object]) -> object:
    """Who sent it and from where, in one word for readers of the archive alone."""
    return row["sender"] if row["address"] is None else f"{row['sender']} at {row['address']}"


def _add(
    root: Path,
    engine: Engine,
    layout: Layout,
    key: tuple[str, ...],
    month: str,
    rows: Sequence[Mapping[str, object]],
    seen: Seen,
) -> int:
    """Add the rows of one month whose key, its name first, that month does not hold yet; say how many."""
    by_key = {tuple(row[name] for name in key): row for row in reversed(rows)}  # the first that came stays
    keys = pa.table({name: [row[name] for row in by_key.values()] for name in key})
    for _ in range(MOST_TRIES):
        handle = Handle(root, layout)
        have = _held(engine, handle, keys, month, seen)
        fresh = [row for name, row in by_key.items() if name not in have]
        if not fresh:
            handle.make_durable()  # who wrote them first may have died before that was on disk
            return 0
        number = (handle.position(APPENDS) or 0) + 1
        table = pa.Table.from_pylist([{**row, "load_seq": number} for row in fresh], layout.schema)
        action = write_file(handle.folder, table, {"month": month}, layout.pruned)
        try:
            handle.commit([action], {APPENDS: number}, {"gridkeeper": "archive"})
        except Conflict:
            continue
        seen.learn([action], _heads(table["sha256"]))
        return len(fresh)
    raise LakeUnavailable(
        f"{layout.name} was too busy: {MOST_TRIES} tries to commit met another writer each time; try again"
    )


def _held(engine: Engine, handle: Handle, keys: pa.Table, month: str, seen: Seen) -> set[tuple[object, ...]]:
    """Which of some keys a table holds in a month."""
    columns = ", ".join(keys.column_names)

    def asked(statement: str, files: Sequence[DataFile], **more: Source) -> pa.Table:
        stored = Source(handle.layout.file_schema, [handle.folder / file.path for file in files])
        return engine.answer(Question(statement, {"stored": stored, **more}))

    listed = handle.files()
    files = [file for file in listed if file.partition["month"] == month]
    perhaps, unread = seen.perhaps(
        _heads(keys["sha256"]),
        files,
        listed,
        lambda some: _heads(asked("SELECT sha256 FROM stored", some)["sha256"]),
    )
    have: set[tuple[object, ...]] = set()
    for some, of in ((keys, unread), (keys.filter(pa.array(perhaps)), files)):
        if len(some) and of:
            statement = f"SELECT DISTINCT {columns} FROM stored SEMI JOIN keys USING ({columns})"
            have |= {tuple(row.values()) for row in asked(statement, of, keys=Source(rows=some)).to_pylist()}
    return have


def _heads(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """The beginnings of names, as Seen knows identities."""
    found = [bytes.fromhex(name[: 2 * IDENTITY_BYTES]) for name in names.to_pylist()]
    return pa.chunked_array([pa.array(found, pa.binary(IDENTITY_BYTES))])


def forget(root: Path, before: date) -> int:
    """Let go of the months that ended before a day, texts and receptions; say how many files. Their records stay.

    Raises: LakeUnavailable (retryable).
    """
    # The texts first: one without its receptions would be read without what its senders may send for.
    return sum(_forget(root, layout, f"{before:%Y-%m}") for layout in LAYOUTS)


def _forget(root: Path, layout: Layout, month: str) -> int:
    for _ in range(MOST_TRIES):
        handle = Handle(root, layout)
        old = [file for file in handle.files() if file.partition["month"] < month]
        if not old:
            return 0
        try:
            number = (handle.position(APPENDS) or 0) + 1
            handle.commit(
                [removal(file) for file in old], {APPENDS: number}, {"gridkeeper": "archive: forget"}
            )
        except Conflict:
            continue
        return len(old)
    raise LakeUnavailable(f"{layout.name} was too busy to let go of old months; try again")
