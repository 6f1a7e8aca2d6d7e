"""`htcondor`: finished jobs from the per-job history folder or the history file; the queue from condor_q.

Files of the per-job folder are gathered into one batch, with a blank line between two ads, as `condor_history -l`
writes them: with nothing between them nobody could tell where one job ends.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from gridkeeper.probes import boundaries
from gridkeeper.probes.condor_queue import pool_samples, schedd_samples
from gridkeeper.probes.contract import (
    BANNERS,
    BLANK_LINES,
    CRITICAL,
    PASSED,
    RECORD_LIMIT_BYTES,
    WARNING,
    Finding,
    Notes,
    Reading,
)
from gridkeeper.probes.errors import ProbeError, SourceUnreadable
from gridkeeper.probes.file import check_files
from gridkeeper.probes.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime
    from pathlib import Path

    from gridkeeper.probes.cursor import Cursor
    from gridkeeper.probes.hashed_names import Names
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.redaction import Redactor
    from gridkeeper.probes.settings import HTCondorSettings

# So many names are held in memory at a time; the others come in the next round.
FILES_A_ROUND = 20_000
SEEN_LIMIT = 500_000
_ROTATED = re.compile(r"\.\d{8}T\d{6}", re.ASCII)


class FileId(NamedTuple):
    """What tells a file from a later one of the same name."""

    name: str
    inode: int
    mtime_ns: int
    size: int

    @property
    def text(self) -> bytes:
        """All of it, to be hashed."""
        return repr(tuple(self)).encode()

    @property
    def changed_s(self) -> int:
        """When it was changed, in whole seconds since 1970."""
        return self.mtime_ns // 1_000_000_000


class HTCondor:
    """Reads the history of one schedd."""

    format = "condor-history"

    def __init__(
        self, settings: HTCondorSettings, batch_bytes: int, redactor: Redactor, names: Names | None
    ) -> None:
        self.notes = Notes()
        self._settings = settings
        self._batch_bytes = batch_bytes
        self._redactor = redactor
        self._names = names
        self._tails = Tails(self._history_files, self.format, BANNERS, batch_bytes, redactor, self.notes)

    def readings(self, cursor: Cursor, now: datetime) -> Generator[Reading, None, None]:
        """Yield ads of finished jobs, oldest files first."""
        if self._settings.per_job_history_dir is None:
            return self._tails.readings(cursor, now)
        return self._per_job(cursor, self._settings.per_job_history_dir, now)

    def adopt(self, cursor: Cursor, move: dict[str, Any], text: bytes) -> None:
        """Move behind what was shipped; per-job files are deleted, moved or kept in mind, as the setting says."""
        if "files" not in move:
            self._tails.adopt(cursor, move)
            return
        folder = self._settings.per_job_history_dir
        for file in (FileId(*said) for said in move["files"]):
            if folder is None or not self._put_away(folder / file.name, file):
                cursor.seen.add(file.text, file.changed_s)

    def read_again(self, cursor: Cursor, since: datetime) -> None:
        """Begin again the history files that changed since then, or the per-job files that are still there."""
        self._tails.read_again(cursor, since)
        cursor.seen.forget_from(int(since.timestamp()))

    def _per_job(self, cursor: Cursor, folder: Path, now: datetime) -> Generator[Reading, None, None]:
        held: list[bytes] = []
        files: list[FileId] = []
        size = 0
        for file in self._new_files(cursor, folder):
            ad = self._read(folder / file.name, file)
            if ad is None:
                continue
            if held and size + len(ad) > self._batch_bytes:
                yield self._reading(held, files, now)
                held, files, size = [], [], 0
            held.append(ad)
            files.append(file)
            size += len(ad)
        if held:
            yield self._reading(held, files, now)

    def _reading(self, held: list[bytes], files: list[FileId], now: datetime) -> Reading:
        text = b"".join(held)
        newest = boundaries.newest_end(text, self.format, now)
        return Reading(text, {"files": [list(file) for file in files]}, BLANK_LINES, newest_at=newest)

    def _new_files(self, cursor: Cursor, folder: Path) -> list[FileId]:
        """The files not shipped yet, those that changed longest ago first, FILES_A_ROUND at most."""
        try:
            if len(cursor.seen):
                cursor.seen.keep_only(file.text for file in self._files(folder))
            if len(cursor.seen) >= SEEN_LIMIT:
                raise SourceUnreadable(
                    f"{folder} holds more than {SEEN_LIMIT} shipped files; set after_shipping = delete or move, "
                    "or clear it by hand"
                )
            new = (file for file in self._files(folder) if not cursor.seen.has(file.text, file.changed_s))
            return heapq.nsmallest(FILES_A_ROUND, new, key=lambda file: (file.mtime_ns, file.name))
        except OSError as error:
            raise SourceUnreadable(
                f"{folder} cannot be read: {error.strerror}; is it HTCondor's PER_JOB_HISTORY_DIR, and may the "
                "probe's account read it?"
            ) from error

    def _files(self, folder: Path) -> Iterator[FileId]:
        with os.scandir(folder) as entries:
            for entry in entries:
                wanted = any(
                    fnmatch.fnmatchcase(entry.name, pattern) for pattern in self._settings.file_names
                )
                if wanted and not entry.name.startswith(".") and entry.is_file():
                    found = _file_id(folder / entry.name)
                    if found:
                        yield found

    def _read(self, path: Path, file: FileId) -> bytes | None:
        if file.size == 0:
            self.notes.say(f"{path} is empty (was a disk full?); it is left where it is")
            return None
        if file.size > RECORD_LIMIT_BYTES:
            self.notes.say(f"{path} has {file.size:,} bytes, which no job's ad has; it is left where it is")
            return None
        try:
            ad = path.read_bytes()
        except FileNotFoundError:
            self.notes.say(f"{path} was taken by somebody else; only one program may empty the folder")
            return None
        except OSError as error:
            self.notes.say(f"{path} cannot be read: {error.strerror}; let the probe's account read it")
            return None
        return self._redactor.text(ad.strip(b"\r\n") + b"\n\n", b"")

    def _put_away(self, path: Path, file: FileId) -> bool:
        """Delete or move a shipped file if that is wanted; says False when it stays and must be kept in mind."""
        if self._settings.after_shipping == "keep":
            return False
        if _file_id(path) != file:
            return True  # gone already, or another job's by now
        try:
            if self._settings.move_to is not None:
                there = self._settings.move_to / path.name
                # An id may come again after the schedd's queue was begun anew; what was moved before stays.
                path.replace(there.with_name(f"{path.name}.{file.mtime_ns}") if there.exists() else there)
            else:
                path.unlink()
        except OSError as error:
            self.notes.say(
                f"{path} was shipped but could not be put away: {error.strerror}; let the probe's account write "
                "to the folder, or set after_shipping = keep"
            )
            return False
        return True

    def _history_files(self) -> list[Path]:
        live = self._settings.history_file
        if live is None:
            return []
        try:
            beside = [
                path
                for path in live.parent.iterdir()
                if path.name.startswith(live.name) and _ROTATED.fullmatch(path.name[len(live.name) :])
            ]
        except OSError as error:
            self.notes.say(f"{live.parent} cannot be read: {error.strerror}")
            return []
        return [*sorted(beside), live]

    def samples(self) -> list[Sample]:
        """Ask condor_q or condor_status. Raises: SourceUnreadable (permanent), SourceFailed (retryable)."""
        if self._settings.queue == "schedd":
            return schedd_samples(self._settings.condor_q, self._settings.timeout_s, self._names)
        if self._settings.queue == "pool":
            return pool_samples(self._settings.condor_status, self._settings.timeout_s)
        return []

    def check(self, now: datetime) -> list[Finding]:
        """Say whether the history can be read, put away where that is wanted, and the queue asked."""
        folder = self._settings.per_job_history_dir
        if folder is None:
            present = [path for path in self._history_files() if path.exists()]
            found = check_files(present, str(self._settings.history_file))
        else:
            found = [self._check_folder(folder)]
        if self._settings.queue != "none":
            try:
                jobs = sum(sample.jobs for sample in self.samples())
                found.append(Finding(PASSED, "queue", f"the queue tells of {jobs} jobs that run or wait"))
            except ProbeError as error:
                remedy = "without it, heartbeats lack what runs now; queue = none switches it off"
                found.append(Finding(WARNING, "queue", str(error), remedy))
        return found

    def _check_folder(self, folder: Path) -> Finding:
        if not os.access(folder, os.R_OK | os.X_OK):
            remedy = "condor_config_val PER_JOB_HISTORY_DIR says where it is; let the probe's account read it"
            return Finding(CRITICAL, "files", f"there is no folder {folder}, or it may not be read", remedy)
        needed = [folder] if self._settings.after_shipping != "keep" else []
        needed += [self._settings.move_to] if self._settings.move_to else []
        for place in needed:
            if not os.access(place, os.W_OK | os.X_OK):
                remedy = (
                    "let the probe's account write there (run it as condor), or set after_shipping = keep"
                )
                return Finding(
                    CRITICAL,
                    "files",
                    f"shipped files cannot be put away: no right to write to {place}",
                    remedy,
                )
        count = sum(1 for _ in folder.iterdir())
        return Finding(PASSED, "files", f"{folder} can be read and holds {count} files")


def _file_id(path: Path) -> FileId | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return FileId(path.name, status.st_ino, status.st_mtime_ns, status.st_size)
