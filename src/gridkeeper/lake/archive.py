"""`archive`: every block of text as it was received, compressed, each content once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.engines.contract import Question, Source
from gridkeeper.lake.files import all_or_none, removal, write_file
from gridkeeper.lake.tables import APPENDS, Conflict, Handle, Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime
    from pathlib import Path

    from deltalake.transaction import AddAction

    from gridkeeper.lake.engines.contract import Engine

COMPRESSION_LEVEL = 1
MOST_TRIES = 50

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


@dataclass(frozen=True)
class Received:
    """One block of text as it came, compressed, with what was declared of it."""

    sha256: str
    received_at: datetime
    source: str
    sender: str | None
    format: str
    probe: str | None
    resource: str | None
    vo: str | None
    first_line: int
    context: bytes
    payload: bytes
    bytes: int


def digest(data: bytes, context: bytes) -> str:
    """The name of a block: SHA-256 over its context and its data."""
    return hashlib.sha256(context + b"\0" + data).hexdigest()


def packed(data: bytes) -> bytes:
    """Compress a block for the archive (zstd)."""
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(data)


def unpacked(payload: bytes) -> bytes:
    """Give back a block as it was received."""
    return zstandard.ZstdDecompressor().decompress(payload)


def keep(root: Path, engine: Engine, blocks: Sequence[Received]) -> int:
    """Add the blocks that the archive does not have yet; say how many were new.

    Raises: LakeUnavailable (retryable).
    """
    for _ in range(MOST_TRIES):
        handle = Handle(root, ARCHIVE)
        stored = Source(ARCHIVE.file_schema, [handle.folder / file.path for file in handle.files()])
        names = pa.table({"sha256": [block.sha256 for block in blocks]})
        known = engine.answer(
            Question(
                "SELECT DISTINCT sha256 FROM stored WHERE sha256 IN (SELECT sha256 FROM names)",
                {"stored": stored, "names": Source(rows=names)},
            )
        )
        have = set(known["sha256"].to_pylist())
        fresh = list({block.sha256: block for block in blocks if block.sha256 not in have}.values())
        if not fresh:
            handle.make_durable()  # who wrote them first may have died before that was on disk
            return 0
        number = (handle.position(APPENDS) or 0) + 1
        rows = [vars(block) | {"load_seq": number, "month": f"{block.received_at:%Y-%m}"} for block in fresh]
        table = pa.Table.from_pylist(rows, ARCHIVE.schema)
        actions = all_or_none(handle.folder, _files(handle, table))
        try:
            handle.commit(actions, {APPENDS: number}, {"gridkeeper": "archive"})
        except Conflict:
            continue
        return len(fresh)
    raise LakeUnavailable(
        f"the archive was too busy: {MOST_TRIES} tries to commit met another writer each time; try again"
    )


def forget(root: Path, before: date) -> int:
    """Let go of the months of the archive that ended before a day; say how many files. Their records stay.

    Raises: LakeUnavailable (retryable).
    """
    for _ in range(MOST_TRIES):
        handle = Handle(root, ARCHIVE)
        old = [file for file in handle.files() if file.partition["month"] < f"{before:%Y-%m}"]
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
    raise LakeUnavailable("the archive was too busy to let go of old months; try again")


def _files(handle: Handle, table: pa.Table) -> Iterator[AddAction]:
    for month in table["month"].unique().to_pylist():
        chosen = table.filter(pc.equal(table["month"], month))
        yield write_file(handle.folder, chosen, {"month": month}, ARCHIVE.pruned)
