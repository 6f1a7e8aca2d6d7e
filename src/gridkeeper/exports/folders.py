"""Puts messages into folders: as files to look at, or as a directory queue, from which an SSM sends them.

A directory queue of the simple kind holds each message in a file of 14 hexadecimal digits (8 of the second, 5 of the
microsecond, 1 of the writer), in a folder of 8 (the second, rounded down to a minute). A file that is being written ends
in `.tmp`, one that somebody reads has a second name that ends in `.lck`; neither is an element.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.errors import GridkeeperError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from gridkeeper.exports.apel import Message

QUEUE_GRANULARITY_S = 60
_WRITER = 0x6
_NUMBER = re.compile(r"-\d{4}\.apel$")


class NotDelivered(GridkeeperError):
    """Messages could not be put where they go. Retryable; the same again does no harm."""

    permanent = False


def put_files(folder: Path, messages: Sequence[Message]) -> None:
    """Write messages as files; those of the same month and dialect that an earlier time wrote and this one does not are removed.

    Raises: NotDelivered (retryable) that names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for message in messages:
            unfinished = folder / f"{message.name}.unfinished"
            _write(unfinished, message.text)
            unfinished.replace(folder / message.name)
        _force(folder)
        names = {message.name for message in messages}
        series = {_NUMBER.sub("", name) for name in names}
        for path in folder.glob("apel-*.apel"):
            if path.name not in names and _NUMBER.sub("", path.name) in series:
                path.unlink()
    except OSError as error:
        raise NotDelivered(f"{folder} cannot be written: {error.strerror}") from error


def put_in_queue(queue: Path, messages: Sequence[Message], now: datetime) -> None:
    """Add messages to a directory queue, in order.

    Raises: NotDelivered (retryable) that names the queue; what was added before stays in it.
    """
    try:
        for message in messages:
            now = _added(queue, message.text, now) + timedelta(microseconds=1)
    except OSError as error:
        raise NotDelivered(f"the queue {queue} cannot be written: {error.strerror}") from error


def _added(queue: Path, text: bytes, moment: datetime) -> datetime:
    """Add one element under the first free name from a moment on; returns the moment that it is named by."""
    while True:
        second = int(moment.timestamp())
        folder = queue / f"{second - second % QUEUE_GRANULARITY_S:08x}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{second:08x}{moment.microsecond:05x}{_WRITER:x}"
        unfinished = path.with_name(f"{path.name}.tmp")
        try:
            # A reader may remove the folder while it is empty; then it is made once more.
            _write(unfinished, text)
            os.link(unfinished, path)
        except FileNotFoundError:
            continue
        except FileExistsError:
            moment += timedelta(microseconds=1)
            continue
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()
        _force(folder)
        _force(queue)
        return moment


def _write(path: Path, text: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _force(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
