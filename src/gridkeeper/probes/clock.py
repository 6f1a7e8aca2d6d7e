"""The probe's only sources of time, in one object that a test can replace; and times as text."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone

# Written so, because `datetime.UTC` is younger than Python 3.9.
UTC = timezone(timedelta(0), "UTC")
_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(?:Z|[+-]00:?00)?", re.ASCII
)


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Say the present moment in UTC. It may be wrong, and may step either way."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Say the seconds since some moment in the past; never steps."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))


def as_text(moment: datetime) -> str:
    """Write a moment as `2026-11-23T12:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    """Read `2026-11-23`, `2026-11-23T12:00:00` or either with Z, as UTC. Raises: ValueError."""
    found = _TEXT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a moment such as 2026-11-23 or 2026-11-23T12:00:00Z")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    microsecond = int((found.group(7) or "")[:6].ljust(6, "0"))
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)


def from_epoch(seconds: float) -> datetime:
    """Read seconds since 1970. Raises: ValueError for what no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} is not a moment") from error
