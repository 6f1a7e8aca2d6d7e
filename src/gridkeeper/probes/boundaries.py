"""Where records end in a text, by manner; and when the newest of them ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gridkeeper.probes import clock
from gridkeeper.probes.contract import BANNERS, BLANK_LINES, LINES, WHOLE

if TYPE_CHECKING:
    from datetime import datetime

# How the records of each format end in a file; of any other format a file is taken as a whole.
MANNER_OF_FORMAT = {
    "sacct": LINES,
    "swf": LINES,
    "pbs": LINES,
    "condor-history": BANNERS,
    "condor-epoch": BANNERS,
}
_BANNER = b"*** "
_ENDS = {
    "condor-history": re.compile(
        rb"^(?:CompletionDate|EnteredCurrentStatus)\s*=\s*(\d{1,11})\s*$", re.MULTILINE | re.IGNORECASE
    ),
    "condor-epoch": re.compile(rb"^EpochWriteDate\s*=\s*(\d{1,11})\s*$", re.MULTILINE | re.IGNORECASE),
    "pbs": re.compile(rb"\bend=(\d{1,11})\b"),
}


def last_end(text: bytes, manner: str) -> int:
    """Say where the last complete record of `text` ends; 0 when none does. `WHOLE` ends nowhere."""
    if manner == LINES:
        return text.rfind(b"\n") + 1
    if manner == BLANK_LINES:
        found = text.rfind(b"\n\n")
        return found + 2 if found >= 0 else 0
    if manner == BANNERS:
        return _last_banner_end(text)
    return 0


def _last_banner_end(text: bytes) -> int:
    at = len(text)
    while at >= 0:
        begin = text.rfind(b"\n" + _BANNER, 0, at)
        if begin < 0:
            break
        end = text.find(b"\n", begin + 1)
        if end >= 0:
            return end + 1
        at = begin + 1
    return text.find(b"\n") + 1 if text.startswith(_BANNER) else 0


def halves(text: bytes, manner: str, preamble_bytes: int) -> tuple[bytes, bytes] | None:
    """Cut a text in two at the end of a record near its middle, each half with the preamble.

    Returns: None when there is no such place.
    """
    preamble, records = text[:preamble_bytes], text[preamble_bytes:]
    if manner == WHOLE:
        return None
    cut = last_end(records[: len(records) // 2], manner)
    if cut == 0:
        cut = _first_end(records, manner)
    if not 0 < cut < len(records):
        return None
    return preamble + records[:cut], preamble + records[cut:]


def _first_end(text: bytes, manner: str) -> int:
    if manner == BANNERS:
        begin = -1 if text.startswith(_BANNER) else text.find(b"\n" + _BANNER)
        return text.find(b"\n", begin + 1) + 1 if begin >= 0 or text.startswith(_BANNER) else 0
    mark = b"\n" if manner == LINES else b"\n\n"
    found = text.find(mark)
    return found + len(mark) if found >= 0 else 0


def preamble_length(head: bytes, format_name: str) -> int:
    """Say how many bytes at the start of a file every later piece of it needs: a header line, comment lines."""
    if format_name == "sacct":
        first = head.split(b"\n", 1)[0]
        names = first.rstrip(b"\r").split(b"|")
        return len(first) + 1 if b"JobID" in names and b"\n" in head else 0
    if format_name == "swf":
        length = 0
        while head.startswith(b";", length) and b"\n" in head[length:]:
            length = head.index(b"\n", length) + 1
        return length
    return 0


def newest_end(text: bytes, format_name: str, until: datetime) -> datetime | None:
    """Say when the newest record of a text ended, as far as its words tell; what lies after `until` is no end."""
    pattern = _ENDS.get(format_name)
    latest = int(until.timestamp())
    ends = [int(found) for found in pattern.findall(text)] if pattern else []
    newest = max((end for end in ends if 0 < end <= latest), default=0)
    return clock.from_epoch(newest) if newest else None
