"""Says whether what lies on disk is what was written: every byte of data files, every entry of a table's log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from gridkeeper.lake.files import DataFile

ROWS_AT_ONCE = 65_536
_ENTRY_DIGITS = 20
_UNREADABLE = (OSError, ValueError, pa.ArrowException)


def why_not_whole(
    path: Path, logged: DataFile | None = None, wrong: Callable[[pa.RecordBatch], str | None] | None = None
) -> str | None:
    """Read a data file to its last byte; say what is wrong with it, None where nothing is.

    logged: what the table's log says of it: its bytes and rows are compared.
    wrong:  looks at rows and says what is wrong with them.
    Memory: one row group, or less.
    """
    rows = 0
    try:
        size = path.stat().st_size
        if logged is not None and size != logged.size:
            return f"has {size:,} bytes where the log says {logged.size:,}"
        with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
            for batch in parquet.iter_batches(ROWS_AT_ONCE):
                rows += len(batch)
                if wrong is not None and (why := wrong(batch)) is not None:
                    return why
    except FileNotFoundError:
        return "is not there"
    except _UNREADABLE as error:
        return f"cannot be read to its end ({_first_line(error)})"
    if logged is not None and rows != logged.rows:
        return f"has {rows:,} rows where the log says {logged.rows:,}"
    return None


def first_damaged(paths: Iterable[Path], *, thoroughly: bool) -> tuple[Path, str] | None:
    """The first of some data files that is missing or damaged, and how; only their footers are read unless `thoroughly`."""
    for path in paths:
        try:
            why = why_not_whole(path) if thoroughly else _why_no_footer(path)
        except MemoryError:  # a damaged length, which nothing that was written would ask for
            why = "cannot be read to its end"
        if why is not None:
            return path, why
    return None


def _why_no_footer(path: Path) -> str | None:
    try:
        pq.read_metadata(path)
    except FileNotFoundError:
        return "is not there"
    except _UNREADABLE as error:
        return f"is no whole Parquet file ({_first_line(error)})"
    return None


def damaged_entry(folder: Path) -> tuple[Path, str] | None:
    """The first entry of a table's log that is missing or damaged among those that its newest version needs, and how."""
    log = folder / "_delta_log"
    entries = {int(path.stem): path for path in log.glob("*.json") if path.stem.isdecimal()}
    checkpoints = {int(path.name[:_ENTRY_DIGITS]): path for path in log.glob("*.checkpoint.parquet")}
    first = max(checkpoints, default=-1)
    if checkpoints and (why := why_not_whole(checkpoints[first])) is not None:
        return checkpoints[first], why
    hinted = _hinted(log)
    if hinted is not None and hinted > first:
        return log / f"{hinted:0{_ENTRY_DIGITS}}.checkpoint.parquet", "is not there"
    for version in range(first + 1, max(entries, default=first) + 1):
        path = entries.get(version, log / f"{version:0{_ENTRY_DIGITS}}.json")
        if (why := _why_no_entry(path)) is not None:
            return path, why
    return None


def _hinted(log: Path) -> int | None:
    """The checkpoint that the log's own hint names."""
    try:
        return int(json.loads((log / "_last_checkpoint").read_bytes())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _why_no_entry(path: Path) -> str | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        if not any(line.strip() for line in lines):
            return "is empty"
        read: Callable[[str], object] = json.loads
        if not all(isinstance(read(line), dict) for line in lines if line.strip()):
            return "holds something else than objects"
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError) as error:
        return f"cannot be read ({_first_line(error)})"
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
