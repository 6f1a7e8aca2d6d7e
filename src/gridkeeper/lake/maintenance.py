"""The lake's upkeep: what lies in it, joining small files, removing old ones, and checking that all is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp

from gridkeeper.errors import UserMistake
from gridkeeper.lake.archive import LAYOUTS
from gridkeeper.lake.files import force
from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import APPENDS
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Container

    import pyarrow as pa

    from gridkeeper.lake.lake import Lake
    from gridkeeper.lake.tables import Handle

LEAST_KEEP_DAYS = 7
ARCHIVES = frozenset(layout.name for layout in LAYOUTS)
TARGET_FILE_BYTES = 256 * 1024 * 1024
_SUMMED = ("wall_seconds", "core_seconds")


class Selects(Protocol):
    """Whatever answers statements over records and summaries."""

    def select(self, sql: str) -> pa.Table:
        """Answer one statement."""


def status(lake: Lake) -> list[dict[str, Any]]:
    """For each table: version, rows, files, bytes on disk, bytes per row, and the last append it knows of."""
    snapshot = lake.snapshot()
    rows = []
    for name in lake.layouts:
        handle = snapshot.handle(name)
        files = handle.files()
        count, size = sum(file.rows for file in files), sum(file.size for file in files)
        position = (
            handle.position(APPENDS)
            if name in RECORD_TABLES or name in ARCHIVES
            else handle.position(RECORDS_POSITION)
        )
        rows.append(
            {
                "table": name, "version": handle.version, "rows": count, "files": len(files), "bytes": size,
                "bytes_per_row": round(size / count, 1) if count else None, "load_seq": position,
            }
        )  # fmt: skip
    return rows


def compact(lake: Lake, keep_days: int = LEAST_KEEP_DAYS) -> list[dict[str, Any]]:
    """Join small files of every table and remove files that no version of the last `keep_days` days needs.

    Raises: UserMistake (permanent) below LEAST_KEEP_DAYS, which protects readers and writers at work.
    """
    if keep_days < LEAST_KEEP_DAYS:
        raise UserMistake(f"files are kept at least {LEAST_KEEP_DAYS} days, for readers and writers at work")
    done = []
    for name in lake.layouts:
        handle = lake.snapshot().handle(name)
        before, version, table = {file.path for file in handle.files()}, handle.version, handle.table()
        table.optimize.compact(target_size=TARGET_FILE_BYTES)
        after = lake.snapshot().handle(name)
        _force_joined(after, before, version)
        removed = table.vacuum(retention_hours=keep_days * 24, dry_run=False)
        table.create_checkpoint()
        after.make_durable(version)
        done.append(
            {
                "table": name,
                "files_before": len(before),
                "files_after": len(after.files()),
                "removed": len(removed),
            }
        )
    return done


def _force_joined(handle: Handle, known: Container[str], version: int) -> None:
    """Force the joined files and the commit that names them onto the disk, which Delta's own code leaves to chance."""
    for file in handle.files():
        if file.path not in known:
            path = handle.folder / file.path
            force(path)
            force(path.parent)
    handle.make_durable(version)


def verify(lake: Lake, books: Selects) -> list[dict[str, Any]]:
    """Check the lake; each finding says what was checked, whether it holds, and what was found."""
    return [*_files(lake), *_identities(lake), *_summaries(books)]


def _files(lake: Lake) -> list[dict[str, Any]]:
    findings = []
    snapshot = lake.snapshot()
    for name in lake.layouts:
        handle = snapshot.handle(name)
        bad = []
        files = handle.files()
        for file in files:
            path = handle.folder / file.path
            try:
                rows = pq.read_metadata(path).num_rows
            except (OSError, ValueError) as error:
                bad.append(f"{path}: {error}")
            else:
                if rows != file.rows:
                    bad.append(f"{path}: {rows} rows where the log says {file.rows}")
        findings.append(
            {
                "check": f"files of {name}",
                "ok": not bad,
                "found": "; ".join(bad) or f"{len(files)} files are there and whole",
            }
        )
    return findings


def _identities(lake: Lake) -> list[dict[str, Any]]:
    findings = []
    for name in RECORD_TABLES:
        found = (
            lake.snapshot()
            .select(f"SELECT COUNT(*) AS records, COUNT(DISTINCT identity) AS identities FROM {name}")
            .to_pylist()[0]
        )
        findings.append(
            {
                "check": f"identities of {name}",
                "ok": found["records"] == found["identities"],
                "found": f"{found['records']:,} counting records of {found['identities']:,} identities",
            }
        )
    return findings


def _summaries(books: Selects) -> list[dict[str, Any]]:
    jobs = "LOWER(resource_type) NOT IN ('storage', 'transfer')"
    made_of = books.select(
        f"SELECT SUM(wall_duration_s) AS wall_seconds, SUM(wall_duration_s * processors) AS core_seconds FROM usage_records WHERE {jobs}"
    ).to_pylist()[0]
    findings = []
    for name in ("usage_daily_end", "usage_daily_overlap", "usage_daily_users", "running_hourly"):
        found = books.select(
            f"SELECT SUM(wall_seconds) AS wall_seconds, SUM(core_seconds) AS core_seconds FROM {name}"
        ).to_pylist()[0]
        same = all((found[column] or 0) == (made_of[column] or 0) for column in _SUMMED)
        text = ", ".join(f"{column} {int(found[column] or 0):,}" for column in _SUMMED)
        findings.append({"check": f"{name} equals its records", "ok": same, "found": text})
    return findings


def only_select(books: Selects, statement: str) -> pa.Table:
    """Answer one SELECT. Raises: UserMistake (permanent) for anything else, and for reading files or settings."""
    try:
        parsed = sqlglot.parse(statement, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise UserMistake(f"the statement cannot be read: {str(error).splitlines()[0]}") from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        raise UserMistake("one SELECT is answered, nothing else")
    if any(not isinstance(table.this, exp.Identifier) for table in parsed[0].find_all(exp.Table)):
        raise UserMistake(
            "a SELECT reads the lake's tables only, no files and no other functions that give tables"
        )
    return books.select(statement)
