"""Files of the lake: written as Parquet, forced onto the disk, described for the table's log."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from gridkeeper.clock import now
from gridkeeper.errors import LakeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

ROW_GROUP_ROWS = 131_072
COMPRESSION_LEVEL = 1
# Hashes, and what is compressed already.
INCOMPRESSIBLE = ("identity", "content_hash", "payload")
# What is different in every row gains nothing from a dictionary and costs time to try.
WITHOUT_DICTIONARY = (
    "identity",
    "content_hash",
    "payload",
    "sha256",
    "local_job_id",
    "global_job_id",
    "submit_time",
    "start_time",
    "end_time",
)


@dataclass(frozen=True, slots=True)  # thousands of them are kept
class DataFile:
    """One Parquet file of a table's snapshot.

    path:       relative to the table's folder.
    partition:  partition column → text.
    least, greatest: bounds of the pruned columns; a column that is missing there has no known bound.
    """

    path: str
    size: int
    rows: int
    partition: Mapping[str, str]
    least: Mapping[str, Any]
    greatest: Mapping[str, Any]

    def may_hold(self, column: str, low: Any, high: Any) -> bool:
        """Say whether a row with low <= column <= high may be in the file."""
        least, greatest = self.least.get(column), self.greatest.get(column)
        return (least is None or high is None or least <= high) and (
            greatest is None or low is None or greatest >= low
        )


def write_file(
    folder: Path,
    rows: pa.Table,
    partition: Mapping[str, str],
    pruned: Sequence[str],
    plain: Sequence[str] = WITHOUT_DICTIONARY,
) -> AddAction:
    """Write rows as one new Parquet file under its partition's folder, force it onto the disk, describe it.

    plain: columns to write without a dictionary.

    Raises: LakeUnavailable (retryable): a full disk, no permission; nothing of the file is left then.
    """
    name = "/".join([*(f"{key}={value}" for key, value in partition.items()), f"{uuid.uuid4().hex}.parquet"])
    path = folder / name
    body = rows.drop_columns([column for column in partition if column in rows.column_names])
    try:
        _make_folder(folder, path.parent)
        _write(path, body, plain)
        force(path)
        force(
            path.parent
        )  # before the commit, so that no commit ever names a file that a power cut takes away
        size = path.stat().st_size
    except OSError as error:
        path.unlink(missing_ok=True)
        raise LakeUnavailable(f"{path} cannot be written: {error.strerror or error}") from error
    return AddAction(
        path=name,
        size=size,
        partition_values=dict(partition),
        modification_time=int(now().timestamp() * 1000),
        data_change=True,
        stats=json.dumps(_bounds(body, pruned)),
    )


def _write(path: Path, body: pa.Table, plain: Sequence[str]) -> None:
    # The sums of summaries are read over and over: lz4 takes twice the room of zstd and half the time.
    often_read = () if plain is WITHOUT_DICTIONARY else plain
    packing = {
        column: "none" if column in INCOMPRESSIBLE else "lz4" if column in often_read else "zstd"
        for column in body.column_names
    }
    pq.write_table(
        body,
        path,
        compression=packing,
        compression_level={
            column: COMPRESSION_LEVEL for column, method in packing.items() if method == "zstd"
        },
        use_dictionary=[column for column in body.column_names if column not in plain],
        # Bounds of hashes and packed text keep nobody from reading a file, and repeat whole values outside of the checksums.
        write_statistics=[column for column in body.column_names if column not in INCOMPRESSIBLE],
        row_group_size=ROW_GROUP_ROWS,
        store_schema=False,
        write_page_checksum=True,  # `lake verify` must notice a byte that changed on disk
    )


def all_or_none(folder: Path, files: Iterable[AddAction]) -> list[AddAction]:
    """Write all files of a commit; where one cannot be written, remove those before it: a full disk must not fill more.

    Raises: LakeUnavailable (retryable).
    """
    written: list[AddAction] = []
    try:
        for file in files:
            written.append(file)  # noqa: PERF402 (what was written until one failed must be known)
    except LakeUnavailable:
        discard(folder, written)
        raise
    return written


def discard(folder: Path, actions: Iterable[AddAction | RemoveAction]) -> None:
    """Remove the files that a commit would have added, since it was not made."""
    for action in actions:
        if isinstance(action, AddAction):
            (folder / action.path).unlink(missing_ok=True)


def _bounds(rows: pa.Table, pruned: Sequence[str]) -> dict[str, Any]:
    least, greatest = {}, {}
    for column in pruned:
        if column not in rows.column_names:
            continue
        bounds = pc.min_max(rows[column]).as_py()
        if bounds["min"] is not None:
            least[column], greatest[column] = _plain(bounds["min"]), _plain(bounds["max"])
    return {"numRecords": len(rows), "minValues": least, "maxValues": greatest, "nullCount": {}}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def rows_of(action: AddAction) -> int:
    """How many rows a file has that `write_file` wrote."""
    return int(json.loads(action.stats)["numRecords"])


def removal(file: DataFile) -> RemoveAction:
    """Describe, for a commit, that a file belongs to the table no more."""
    return RemoveAction(
        path=file.path,
        data_change=True,
        deletion_timestamp=int(now().timestamp() * 1000),
        size=file.size,
        partition_values=dict(file.partition),
    )


def described(actions: pa.Table, known: Mapping[str, DataFile]) -> dict[str, DataFile]:
    """Read what a table's log says of its files (the flat form of `get_add_actions`), by their paths.

    known: files that were read before; a file of this path never becomes another one, so they are not read again.
    """
    paths = actions["path"].to_pylist()
    fresh = [index for index, path in enumerate(paths) if path not in known]
    read = {file.path: file for file in _read(actions.take(fresh))} if fresh else {}
    return {path: known.get(path) or read[path] for path in paths}


def _read(actions: pa.Table) -> list[DataFile]:
    columns = actions.column_names

    def named(row: dict[str, Any], prefix: str) -> dict[str, Any]:
        return {
            column.removeprefix(prefix): row[column]
            for column in columns
            if column.startswith(prefix) and row[column] is not None
        }

    return [
        DataFile(
            row["path"],
            row["size_bytes"],
            row["num_records"] or 0,
            {column: str(value) for column, value in named(row, "partition.").items()},
            named(row, "min."),
            named(row, "max."),
        )
        for row in actions.to_pylist()
    ]


def force(path: Path) -> None:
    """Force a file or a folder onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def force_commits(folder: Path, first: int) -> None:
    """Force a table's commits from `first` on onto the disk: entries and checkpoints of the log, and its folder."""
    log = folder / "_delta_log"
    for entry in log.iterdir():
        version = entry.name.partition(".")[0]
        if (version.isdecimal() and int(version) >= first) or entry.name == "_last_checkpoint":
            force(entry)
    force(log)


_named: set[Path] = set()  # folders that this process forced the names of


def _make_folder(root: Path, folder: Path) -> None:
    """Make a folder of a table, and force its name: also where it is there, as who made it may have died before that."""
    if folder in _named and folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for parent in (folder, *folder.parents):
        force(parent)
        if parent == root.parent:
            break
    _named.add(folder)
