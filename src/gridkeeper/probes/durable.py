"""Writes files so that a crash at any moment leaves either the old file or the whole new one."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from gridkeeper.probes.errors import DiskRefused

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY = ".tmp-"
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file: write beside it, force it to disk, rename it, force the folder to disk.

    Raises: DiskRefused (retryable); then no half-written file is left. After a failure of the last step the new
    file may be there, whole, but not yet safe from a power cut.
    """
    temporary = path.with_name(TEMPORARY + path.name)
    try:
        _write_and_sync(temporary, content)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise DiskRefused(f"{path} could not be written: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Force a folder's entries (made, renamed, removed) to disk. Raises: OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what writes that never finished have left. Only the run that holds the lock may do so."""
    for path in folder.glob(TEMPORARY + "*"):
        with suppress(OSError):
            path.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may read, if there is none. Raises: DiskRefused (retryable)."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise DiskRefused(
            f"the folder {folder} could not be made: {error.strerror}; make it and give it to the probe's account"
        ) from error


def _write_and_sync(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
