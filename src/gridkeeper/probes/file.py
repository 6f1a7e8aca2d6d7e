"""`file`: any text in a format that the collector reads, from files named by patterns."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridkeeper.probes import boundaries
from gridkeeper.probes.contract import CRITICAL, PASSED, WARNING, WHOLE, Finding, Notes
from gridkeeper.probes.tails import Tails

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from gridkeeper.probes.contract import Reading
    from gridkeeper.probes.cursor import Cursor
    from gridkeeper.probes.queues import Sample
    from gridkeeper.probes.redaction import Redactor
    from gridkeeper.probes.settings import FileSettings


class Files:
    """Reads the files that match some patterns."""

    def __init__(self, settings: FileSettings, batch_bytes: int, redactor: Redactor) -> None:
        self.notes = Notes()
        self.format = settings.format
        self._patterns = settings.paths
        manner = settings.records
        if manner == "auto":
            manner = boundaries.MANNER_OF_FORMAT.get(settings.format, WHOLE)
        self._tails = Tails(
            self._list, settings.format, manner, batch_bytes, redactor, self.notes, settings.settle_s
        )

    def readings(self, cursor: Cursor, now: datetime) -> Generator[Reading, None, None]:
        """Yield new whole records of all files, the file that changed longest ago first."""
        return self._tails.readings(cursor, now)

    def adopt(self, cursor: Cursor, move: dict[str, Any], text: bytes) -> None:
        """Move behind what was shipped."""
        self._tails.adopt(cursor, move)

    def read_again(self, cursor: Cursor, since: datetime) -> None:
        """Begin again the files that changed since then."""
        self._tails.read_again(cursor, since)

    def samples(self) -> list[Sample]:
        """None: files do not tell what runs."""
        return []

    def check(self, now: datetime) -> list[Finding]:
        """Say how many files there are, and which cannot be read."""
        return check_files(self._list(), " ".join(self._patterns))

    def _list(self) -> list[Path]:
        return sorted({path for pattern in self._patterns for path in _matching(pattern)})


def _matching(pattern: str) -> Iterator[Path]:
    path = Path(pattern)
    for found in Path(path.anchor).glob(str(path.relative_to(path.anchor))):
        with suppress(OSError):
            if found.is_file():
                yield found


def check_files(paths: list[Path], place: str) -> list[Finding]:
    """Say whether files can be read."""
    unreadable = [str(path) for path in paths if not os.access(path, os.R_OK)]
    if unreadable:
        remedy = "let the probe's account read them (group, or: setfacl -m u:ACCOUNT:r FILE)"
        return [
            Finding(CRITICAL, "files", f"{len(unreadable)} files cannot be read: {unreadable[0]} ...", remedy)
        ]
    if not paths:
        return [Finding(WARNING, "files", f"no file matches {place}", "look at the path for a slip")]
    return [Finding(PASSED, "files", f"{len(paths)} files match {place} and can be read")]
