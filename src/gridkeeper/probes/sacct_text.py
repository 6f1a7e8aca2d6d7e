"""As much of sacct's text as the probe must know: where a record ends, and when its run ended."""

from __future__ import annotations

import calendar
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from gridkeeper.probes.contract import RECORD_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOMENT = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)")
_NOT_ENDED = (b"Unknown", b"None", b"")
# The stamp of a line whose end cannot be read: it is remembered as shipped for as long as there is room.
NO_END = 1 << 40


def records(lines: Iterator[bytes], fields: int) -> Iterator[bytes]:
    """Yield records, each with its line end; a line with too few pipes belongs to the name before it."""
    held = b""
    for line in lines:
        begins = line.count(b"|") >= fields - 1 or len(held) + len(line) > RECORD_LIMIT_BYTES
        if begins and held:
            yield held
            held = b""
        held += line
    if held:
        yield held if held.endswith(b"\n") else held + b"\n"


class Lines:
    """Knows by a header where in a line the few fields stand that the probe looks at. Times are UTC."""

    def __init__(self, header: bytes) -> None:
        self.header = header if header.endswith(b"\n") else header + b"\n"
        self.names = header.decode("utf-8", "replace").strip().lower().split("|")
        self.count = len(self.names)
        self._places = {name: place for place, name in enumerate(self.names)}

    def _fields(self, record: bytes, *names: str) -> list[bytes]:
        """Some fields of a record; `?` for each where the record has too few."""
        fields = record.split(b"|", self.count - 1)
        if len(fields) < self.count:
            return [b"?" for _ in names]
        return [fields[self._places[name]].strip() if name in self._places else b"" for name in names]

    def user(self, record: bytes) -> bytes:
        """Whose run it was."""
        return self._fields(record, "user")[0]

    def stamp(self, record: bytes) -> int:
        """When the run ended, in seconds since 1970; NO_END where the field cannot be read."""
        end = _seconds(self._fields(record, "end")[0])
        return NO_END if end is None else end

    def end_of(self, record: bytes, first: int, until: int, steps: bool) -> int | None:
        """Say when a run ended if that is to be shipped from the window [first, until); None if not.

        What cannot be read is shipped, as if it had ended at the beginning: the collector says what is wrong.
        """
        job, text = self._fields(record, "jobid", "end")
        if text in _NOT_ENDED or (not steps and b"." in job):
            return None
        end = _seconds(text)
        if end is None:
            return first
        return end if first <= end < until else None


@lru_cache(maxsize=65_536)
def _seconds(text: bytes) -> int | None:
    found = _MOMENT.fullmatch(text)
    try:
        return calendar.timegm(tuple(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None  # a thirteenth month
