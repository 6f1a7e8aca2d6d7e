"""Reads files that grow, by offset: through rotation, renaming and restoring, from where it stopped.

A file is known by its inode and by hashes of what was read of it; its name only says where to look for it. What is not
yet a whole record waits for the rest of it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gridkeeper.probes import boundaries
from gridkeeper.probes.contract import RECORD_LIMIT_BYTES, WHOLE, Notes, Reading
from gridkeeper.probes.errors import SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import datetime

    from gridkeeper.probes.cursor import Cursor
    from gridkeeper.probes.redaction import Redactor

# By so many bytes at its beginning, and before the place where the reading stopped, a file is recognised.
HEAD_BYTES, TAIL_BYTES = 1024, 256
PREAMBLE_LIMIT_BYTES = 64 * 1024
# Files that went away are remembered, in case they come back (a file system not mounted), up to so many.
MOST_FILES_REMEMBERED = 4096
MOST_FILES = 10_000
# The unfinished last record of a file that did not change for so long, while newer files exist, will stay so.
GIVEN_UP_AFTER = timedelta(hours=24)
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")


@dataclass
class Known:
    """What is remembered of a file: who it is, and how far it was read. `size`: when it was last looked at."""

    path: str
    inode: int
    offset: int = 0
    size: int = 0
    mtime_ns: int = 0
    head_sha256: str = ""
    tail_sha256: str = ""

    def is_read_from(self, stream: IO[bytes], size: int) -> bool:
        """Say whether this is the file that was read up to `offset`: the same beginning, the same end of that."""
        return self.offset <= size and self._sums(stream) == (self.head_sha256, self.tail_sha256)

    def after(self, stream: IO[bytes], path: Path, status: os.stat_result) -> Known:
        """What is to be remembered once the file was read up to `offset`."""
        head, tail = self._sums(stream)
        size = max(status.st_size, self.offset)
        return Known(str(path), status.st_ino, self.offset, size, status.st_mtime_ns, head, tail)

    def _sums(self, stream: IO[bytes]) -> tuple[str, str]:
        if self.offset == 0:
            return "", ""
        stream.seek(0)
        head = stream.read(min(HEAD_BYTES, self.offset))
        begin = max(0, self.offset - TAIL_BYTES)
        stream.seek(begin)
        return _sha256(head), _sha256(stream.read(self.offset - begin))


class Tails:
    """Reads all files that a function lists.

    list_files: the files as they are now. manner: how records end. batch_bytes: text of one batch, about.
    settle_s:   for whole files: how long one must be unchanged before it is taken.
    """

    def __init__(
        self,
        list_files: Callable[[], Iterable[Path]],
        format_name: str,
        manner: str,
        batch_bytes: int,
        redactor: Redactor,
        notes: Notes,
        settle_s: int = 0,
    ) -> None:
        self._list_files = list_files
        self._format = format_name
        self._manner = manner
        self._batch_bytes = batch_bytes
        self._redactor = redactor
        self._notes = notes
        self._settle = timedelta(seconds=settle_s)

    def readings(self, cursor: Cursor, now: datetime) -> Generator[Reading, None, None]:
        """Yield what is new, the file that changed longest ago first."""
        found = self._found(cursor)
        if len(found) > MOST_FILES:
            raise SourceUnreadable(
                f"{len(found)} files are more than the {MOST_FILES} that a probe follows; narrow the patterns, set "
                "`since`, or move old files away"
            )
        _forget_some(cursor, {status.st_ino for _, status in found})
        if self._manner != WHOLE:
            yield from self._looked(cursor, found)
        done = {(said["inode"], said["offset"], said["mtime_ns"]) for said in _files(cursor)}
        for index, (path, status) in enumerate(found):
            if (status.st_ino, status.st_size, status.st_mtime_ns) in done:
                continue
            try:
                with path.open("rb") as stream:
                    yield from self._file(cursor, path, stream, now, last=index == len(found) - 1)
            except FileNotFoundError:
                continue  # renamed since it was listed; the next round finds it under its new name
            except OSError as error:
                self._notes.say(f"{path} cannot be read: {error.strerror}; let the probe's account read it")

    def adopt(self, cursor: Cursor, move: dict[str, Any]) -> None:
        """Move the cursor to behind what a reading held, or to what a look at the files found."""
        moved = move.get("looked", [move])
        inodes = {said["inode"] for said in moved}
        kept = [said for said in _files(cursor) if said["inode"] not in inodes]
        cursor.source["files"] = [*kept, *moved]

    def read_again(self, cursor: Cursor, since: datetime) -> None:
        """Begin again all files that changed since then. What is in them from before is shipped again, too."""
        earliest = since.timestamp() * 1e9
        cursor.source["files"] = [said for said in _files(cursor) if said["mtime_ns"] < earliest]

    def _found(self, cursor: Cursor) -> list[tuple[Path, os.stat_result]]:
        found = [(path, status) for path in self._list_files() if (status := _status(path))]
        if self._manner != WHOLE:
            present = {status.st_ino for _, status in found}
            missing = [Known(**said) for said in _files(cursor) if said["inode"] not in present]
            found += _renamed([known for known in missing if known.offset])
        return sorted(found, key=lambda entry: (entry[1].st_mtime_ns, entry[0].name))

    def _looked(self, cursor: Cursor, found: list[tuple[Path, os.stat_result]]) -> Iterator[Reading]:
        """Write down how long the files are, and say once which went away before they were read to their end."""
        sizes = {status.st_ino: status.st_size for _, status in found}
        looked = []
        for said in _files(cursor):
            size = sizes.get(said["inode"])
            if size is not None and size > said["size"]:
                looked.append({**said, "size": size})
            elif size is None and said["size"] > said["offset"]:
                self._notes.lose(
                    f"{said['path']} is gone with {said['size'] - said['offset']} bytes unread; put it back, or "
                    "load it at the collector"
                )
                looked.append({**said, "size": said["offset"]})
        if looked:
            yield Reading(b"", {"looked": looked}, self._manner)

    def _file(
        self, cursor: Cursor, path: Path, stream: IO[bytes], now: datetime, last: bool
    ) -> Iterator[Reading]:
        status = os.fstat(stream.fileno())
        known = self._recognise(cursor, path, stream, status)
        stream.seek(0)
        head = stream.read(PREAMBLE_LIMIT_BYTES)
        if head.startswith(_COMPRESSED):
            self._notes.say(f"{path} is compressed and was left out; name only plain files")
            return
        age = abs(now.timestamp() - status.st_mtime)
        if self._manner == WHOLE:
            yield from self._whole(path, stream, known, status, age)
            return
        preamble = head[: boundaries.preamble_length(head, self._format)]
        known.offset = max(known.offset, len(preamble))
        given_up = not last and age > GIVEN_UP_AFTER.total_seconds()
        stream.seek(known.offset)
        while records := self._records(stream, given_up):
            known.offset += len(records)
            text = self._redactor.text(records, preamble)
            newest = boundaries.newest_end(records, self._format, now)
            move = vars(known.after(stream, path, status))
            yield Reading(preamble + text, move, self._manner, len(preamble), newest)
            stream.seek(known.offset)

    def _records(self, stream: IO[bytes], given_up: bool) -> bytes:
        """Read whole records from here on, about a batch of them; nothing when the next one is not finished."""
        data = stream.read(self._batch_bytes)
        while data:
            end = boundaries.last_end(data, self._manner)
            if end:
                return data[:end]
            more = stream.read(self._batch_bytes)
            if not more:
                return data if given_up else b""
            data += more
            if len(data) > RECORD_LIMIT_BYTES:
                return data
        return b""

    def _whole(
        self, path: Path, stream: IO[bytes], known: Known, status: os.stat_result, age: float
    ) -> Iterator[Reading]:
        if status.st_size == 0 or age < self._settle.total_seconds():
            return
        if status.st_size > RECORD_LIMIT_BYTES:
            self._notes.say(
                f"{path} has {status.st_size:,} bytes; of this format a file is sent as a whole, "
                f"up to {RECORD_LIMIT_BYTES:,}: split it, or load it at the collector"
            )
            return
        stream.seek(0)
        text = stream.read(RECORD_LIMIT_BYTES)
        known.offset = len(text)
        move = vars(known.after(stream, path, status))
        yield Reading(self._redactor.text(text, b""), move, WHOLE)

    def _recognise(self, cursor: Cursor, path: Path, stream: IO[bytes], status: os.stat_result) -> Known:
        """Find what is known of this file, under whatever name; a file not met before begins at 0."""
        files = _files(cursor)
        new = Known(str(path), status.st_ino)
        for known in (Known(**said) for said in files if said["inode"] == status.st_ino):
            if self._manner == WHOLE or known.is_read_from(stream, status.st_size):
                return known
            if known.size > known.offset:
                self._notes.lose(
                    f"{path} was emptied or replaced before its last {known.size - known.offset} bytes were read"
                )
            return new
        present = {other.st_ino for other in map(_status, self._list_files()) if other}
        for known in (Known(**said) for said in files if said["inode"] not in present):
            # The same content under another inode: restored from a backup, or moved to another file system.
            if known.offset >= HEAD_BYTES and known.is_read_from(stream, status.st_size):
                cursor.source["files"] = [said for said in files if said["inode"] != known.inode]
                return known
        return new


def _files(cursor: Cursor) -> list[dict[str, Any]]:
    """What the cursor remembers, as dictionaries of Known's fields."""
    return list(cursor.source.get("files", []))


def _forget_some(cursor: Cursor, present: set[int]) -> None:
    """Drop those absent for longest, beyond MOST_FILES_REMEMBERED; a file that is there is never forgotten."""
    files = _files(cursor)
    absent = [said["inode"] for said in files if said["inode"] not in present]
    dropped = set(absent[:-MOST_FILES_REMEMBERED])
    cursor.source["files"] = [said for said in files if said["inode"] not in dropped]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _renamed(missing: list[Known]) -> list[tuple[Path, os.stat_result]]:
    """Find files that were renamed within their folder, whatever their new names are."""
    found = []
    for folder in {Path(known.path).parent for known in missing}:
        inodes = {known.inode: known for known in missing if Path(known.path).parent == folder}
        try:
            entries = [(entry.inode(), Path(entry.path)) for entry in os.scandir(folder) if entry.is_file()]
        except OSError:
            continue
        for inode, path in entries:
            known = inodes.get(inode)
            if known and (status := _status(path)) and _is_same(known, path, status):
                found.append((path, status))
    return found


def _is_same(known: Known, path: Path, status: os.stat_result) -> bool:
    try:
        with path.open("rb") as stream:
            return known.is_read_from(stream, status.st_size)
    except OSError:
        return False


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
