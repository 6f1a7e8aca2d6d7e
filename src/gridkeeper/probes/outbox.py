"""The outbox: a folder of batches that wait for the collector, each one file, named by its number and so by its age.

Where the collector is makes no difference to it. A file begins with one line of JSON about the batch; what
follows is the body exactly as it is sent, gzip, so that every resend has the same bytes and the same key.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gridkeeper.probes.durable import make_folder, sweep, sync_folder, write_durably
from gridkeeper.probes.errors import DiskRefused, StateDamaged
from gridkeeper.probes.settings import MEGABYTE

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.probes.settings import OutboxSettings

OUTBOX, DAMAGED = "outbox", "damaged"
_NAME = re.compile(r"(\d{12})((?:-[12])*)\.batch", re.ASCII)
_HEAD_LIMIT_BYTES = 8 * MEGABYTE
_COMPRESSION_LEVEL = 6


@dataclass(frozen=True)
class Batch:
    """What is known of a batch without its body.

    part:           "" or the path of halves, `-1-2`, by which a batch that was too large was split.
    manner:         how its records end: `lines`, `banners`, `blank lines` or `whole` (cannot be split).
    preamble_bytes: how many bytes at the text's start belong to every part of it (a header line).
    move:           how the cursor moves once the batch is safe.
    """

    number: int
    format: str
    manner: str
    created_at: str
    newest_record_at: str | None = None
    preamble_bytes: int = 0
    part: str = ""
    move: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    body_sha256: str = ""
    text_sha256: str = ""
    text_bytes: int = 0

    @property
    def name(self) -> str:
        """The batch's file name."""
        return f"{self.number:012d}{self.part}.batch"


def number_of(name: str) -> int:
    """Say the number of the batch with that file name."""
    return int(name[:12])


class Outbox:
    """The batches that wait. Only the run that holds the probe's lock may put and remove."""

    def __init__(self, state_dir: Path, probe: str, limits: OutboxSettings) -> None:
        self.folder = state_dir / OUTBOX
        self._damaged = state_dir / DAMAGED
        self._probe = probe
        self._limits = limits
        self._sizes: dict[str, int] = {}

    def open(self) -> None:
        """Make the folder if need be, clear what unfinished writes left, and take stock.

        Raises: DiskRefused (retryable).
        """
        make_folder(self.folder)
        sweep(self.folder)
        with suppress(OSError):
            sync_folder(self.folder.parent)
        self.take_stock()

    def take_stock(self) -> None:
        """Look at the folder anew."""
        try:
            entries = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
            self._sizes = {path.name: path.stat().st_size for path in entries}
        except FileNotFoundError:
            self._sizes = {}
        except OSError as error:
            raise DiskRefused(f"{self.folder} cannot be read: {error.strerror}") from error

    def names(self) -> list[str]:
        """The names of all batches, oldest first."""
        return sorted(self._sizes)

    @property
    def count(self) -> int:
        """How many batches wait."""
        return len(self._sizes)

    @property
    def size_bytes(self) -> int:
        """How many bytes they take on disk."""
        return sum(self._sizes.values())

    def damaged_count(self) -> int:
        """How many files were set aside because they are not what was written."""
        return len(list(self._damaged.iterdir())) if self._damaged.is_dir() else 0

    def full(self) -> str | None:
        """Say which limit is reached, None for none."""
        if self.count >= self._limits.limit_files:
            return f"the outbox holds {self.count} batches, its limit ([outbox] limit_files)"
        if self.size_bytes >= self._limits.limit_mb * MEGABYTE:
            return (
                f"the outbox holds {self.size_bytes / MEGABYTE:.0f} MB, its limit is "
                f"{self._limits.limit_mb} MB ([outbox] limit_mb)"
            )
        free = self.free_bytes()
        if free < self._limits.keep_free_mb * MEGABYTE:
            return (
                f"only {free / MEGABYTE:.0f} MB are free under {self.folder}; "
                f"{self._limits.keep_free_mb} MB are kept free ([outbox] keep_free_mb)"
            )
        return None

    def free_bytes(self) -> int:
        """How much room the file system has. Raises: DiskRefused (retryable)."""
        try:
            return shutil.disk_usage(self.folder).free
        except OSError as error:
            raise DiskRefused(f"{self.folder} cannot be looked at: {error.strerror}") from error

    def put(self, batch: Batch, text: bytes) -> Batch:
        """Make a batch safe on disk.

        Returns: the batch with its key and sums. Raises: DiskRefused (retryable); nothing half-written stays.
        """
        body = gzip.compress(text, _COMPRESSION_LEVEL, mtime=0)
        sum_of_body = _sha256(body)
        complete = replace(
            batch,
            # Of the bytes that are sent: another zlib packs the same text otherwise, and a key is for the same bytes only.
            key=f"{self._probe}.{batch.number}{batch.part}.{sum_of_body[:32]}",
            body_sha256=sum_of_body,
            text_sha256=_sha256(text),
            text_bytes=len(text),
        )
        head = json.dumps(asdict(complete), separators=(",", ":")).encode() + b"\n"
        write_durably(self.folder / batch.name, head + body)
        self._sizes[batch.name] = len(head) + len(body)
        return complete

    def head(self, name: str) -> Batch:
        """Read what a file says about its batch. Raises: StateDamaged (permanent), DiskRefused (retryable)."""
        return self._read(name, with_body=False)[0]

    def read(self, name: str) -> tuple[Batch, bytes]:
        """Read a batch and its body as it is sent.

        Raises: StateDamaged (permanent) when the file is not what was written; DiskRefused (retryable).
        """
        return self._read(name, with_body=True)

    def _read(self, name: str, with_body: bool) -> tuple[Batch, bytes]:
        path = self.folder / name
        try:
            with path.open("rb") as stream:
                head = stream.readline(_HEAD_LIMIT_BYTES)
                body = stream.read() if with_body else b""
        except OSError as error:
            raise DiskRefused(f"{path} cannot be read: {error.strerror}") from error
        try:
            batch = Batch(**json.loads(head))
        except (ValueError, TypeError) as error:
            raise StateDamaged(f"{path} does not begin as a batch does") from error
        if batch.name != name or (with_body and _sha256(body) != batch.body_sha256):
            raise StateDamaged(f"{path} is not what was written: its checksum differs")
        return batch, body

    def remove(self, name: str) -> None:
        """Let go of a delivered batch. Raises: DiskRefused (retryable); then it is sent again, with the same key."""
        try:
            (self.folder / name).unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DiskRefused(f"{self.folder / name} cannot be removed: {error.strerror}") from error
        self._sizes.pop(name, None)

    def set_aside(self, name: str) -> None:
        """Move a damaged file out of the way; it is kept for a human. Raises: DiskRefused (retryable)."""
        make_folder(self._damaged)
        try:
            (self.folder / name).replace(self._damaged / name)
        except OSError as error:
            raise DiskRefused(f"{self.folder / name} cannot be moved: {error.strerror}") from error
        self._sizes.pop(name, None)

    def oldest_at(self) -> str | None:
        """Say when the oldest batch was made, None when nothing waits."""
        for name in self.names():
            with suppress(StateDamaged, DiskRefused):
                return self.head(name).created_at
        return None


def text_of(body: bytes) -> bytes:
    """The plain text of a body. Raises: StateDamaged (permanent)."""
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise StateDamaged(f"a batch cannot be decompressed: {error}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
