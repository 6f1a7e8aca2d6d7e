"""The lake's upkeep: what lies in it, joining small files, removing old ones, and checking that all is whole."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
import zstandard
from sqlglot import exp

from gridkeeper.errors import LakeUnavailable, UserMistake
from gridkeeper.lake.archive import LAYOUTS, unpacked
from gridkeeper.lake.files import force
from gridkeeper.lake.lake import RECORDS_POSITION
from gridkeeper.lake.tables import APPENDS
from gridkeeper.lake.wholeness import damaged_entry, why_not_whole
from gridkeeper.records.identity import content_hashes
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container

    from gridkeeper.lake.files import DataFile
    from gridkeeper.lake.lake import Lake
    from gridkeeper.lake.tables import Handle

LEAST_KEEP_DAYS = 7
ARCHIVES = frozenset(layout.name for layout in LAYOUTS)
TARGET_FILE_BYTES = 256 * 1024 * 1024
SUMMED_TABLES = (
    "usage_daily_end",
    "usage_monthly_end",
    "usage_daily_brief",
    "usage_daily_overlap",
    "usage_daily_users",
    "running_hourly",
)
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


def summed(rows: list[dict[str, Any]]) -> dict[str, int]:
    """What compact did, over all tables: files before and after, and those removed."""
    return {name: sum(row[name] for row in rows) for name in ("files_before", "files_after", "removed")}


def _force_joined(handle: Handle, known: Container[str], version: int) -> None:
    """Force the joined files and the commit that names them onto the disk, which Delta's own code leaves to chance."""
    for file in handle.files():
        if file.path not in known:
            path = handle.folder / file.path
            force(path)
            force(path.parent)
    handle.make_durable(version)


def verify(
    lake: Lake, books: Selects, told: Callable[[int, int], None] = lambda _done, _of: None
) -> list[dict[str, Any]]:
    """Check the lake to the last byte; each finding says what was checked, whether it holds, and what was found.

    told:    told how many bytes of how many are read.
    Returns: findings; `ok` is None for what cannot be checked because a table that it needs is damaged.
    """
    findings, broken = _files(lake, told)
    for name in RECORD_TABLES:
        findings.append(_checked(f"identities of {name}", {name} & broken, partial(_identities, lake, name)))
    for name in SUMMED_TABLES:
        needed = {name, "usage_records"} & broken
        findings.append(_checked(f"{name} equals its records", needed, partial(_summary, books, name)))
    return findings


def _checked(check: str, broken: Collection[str], how: Callable[[], tuple[bool, str]]) -> dict[str, Any]:
    if broken:
        return {
            "check": check,
            "ok": None,
            "found": f"not checked, since {' and '.join(sorted(broken))} must be mended first",
        }
    try:
        ok, found = how()
    except LakeUnavailable as error:  # damage elsewhere, in what the answer needs as well
        ok, found = False, str(error)
    return {"check": check, "ok": ok, "found": found}


def _files(lake: Lake, told: Callable[[int, int], None]) -> tuple[list[dict[str, Any]], set[str]]:
    """Findings on logs and files, and the tables that are damaged."""
    findings: list[dict[str, Any]] = []
    files: dict[str, list[DataFile]] = {}
    snapshot = lake.snapshot()
    for name in lake.layouts:
        check = f"log of {name}"
        damaged = damaged_entry(lake.root / name)
        if damaged is not None:
            path, why = damaged
            findings.append({"check": check, "ok": False, "found": f"{path} {why}; {_remedy(lake, name)}"})
            continue
        try:
            files[name] = snapshot.handle(name).files()
        except LakeUnavailable as error:
            findings.append({"check": check, "ok": False, "found": f"{error}; {_remedy(lake, name)}"})
    broken = set(lake.layouts) - set(files)
    done, whole = 0, sum(file.size for listed in files.values() for file in listed)
    for name, listed in files.items():
        bad = 0
        for file in listed:
            path = lake.root / name / file.path
            why_not = why_not_whole(path, file, _LOOKS.get(name))
            done += file.size
            told(done, whole)
            if why_not is not None:
                bad += 1
                found = f"{path} {why_not}; {_remedy(lake, name)}"
                findings.append({"check": f"file of {name}", "ok": False, "found": found})
        if bad:
            broken.add(name)
        else:
            found = f"{len(listed)} files are there and whole"
            findings.append({"check": f"files of {name}", "ok": True, "found": found})
    return findings, broken


def _remedy(lake: Lake, name: str) -> str:
    """How a damaged table is mended."""
    folder = lake.root / name
    if name in ARCHIVES:
        return "restore it from a backup; the records themselves do not need it"
    if name in RECORD_TABLES:
        return (
            f"restore it from a backup, or move {folder} away and make its records anew from the archive: "
            "gridkeeper replay --from DAY --to DAY, over all days on which text was received"
        )
    return f"move {folder} away; the next question makes it anew from the records"


def _wrong_records(name: str, batch: pa.RecordBatch) -> str | None:
    """Compare records with the hash of their content, which was made before they were written."""
    table = RECORD_TABLES[name]
    columns = {
        column: pc.cast(batch.column(column), table.schema.field(column).type)
        for column in table.content
        if column in batch.schema.names
    }
    same = pc.equal(content_hashes(columns, table.content), batch.column("content_hash"))
    return None if pc.all(same).as_py() is not False else "holds records that are not what was written"


def _wrong_texts(batch: pa.RecordBatch) -> str | None:
    try:
        for payload, size in zip(batch.column("payload"), batch.column("bytes"), strict=True):
            if len(unpacked(payload.as_py())) != size.as_py():
                return "holds text that is not as long as it was"
    except zstandard.ZstdError as error:
        return f"holds text that cannot be unpacked ({error})"
    return None


_LOOKS: dict[str, Callable[[pa.RecordBatch], str | None]] = {
    "archive": _wrong_texts,
    **{name: partial(_wrong_records, name) for name in RECORD_TABLES},
}


def _identities(lake: Lake, name: str) -> tuple[bool, str]:
    found = (
        lake.snapshot()
        .select(f"SELECT COUNT(*) AS records, COUNT(DISTINCT identity) AS identities FROM {name}")
        .to_pylist()[0]
    )
    told = f"{found['records']:,} counting records of {found['identities']:,} identities"
    return found["records"] == found["identities"], told


def _summary(books: Selects, name: str) -> tuple[bool, str]:
    jobs = "LOWER(resource_type) NOT IN ('storage', 'transfer')"
    made_of = books.select(
        f"SELECT SUM(wall_duration_s) AS wall_seconds, SUM(wall_duration_s * processors) AS core_seconds FROM usage_records WHERE {jobs}"
    ).to_pylist()[0]
    found = books.select(
        f"SELECT SUM(wall_seconds) AS wall_seconds, SUM(core_seconds) AS core_seconds FROM {name}"
    ).to_pylist()[0]
    same = all((found[column] or 0) == (made_of[column] or 0) for column in _SUMMED)
    return same, ", ".join(f"{column} {int(found[column] or 0):,}" for column in _SUMMED)


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
