"""Reads and writes the times of downtimes: UTC inside, with the text and the zone that were declared kept beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from gridkeeper.errors import UserMistake

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_WORDED = re.compile(
    r"([A-Za-z]{3})[a-z]* (\d{1,2}), (\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?(AM|PM))?(?: ?(UTC|GMT|Z|[+-]\d{4}))?"
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
_ICAL = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z")
MOST_OFFSET_MINUTES = 14 * 60
# Ends from this moment on mean "nobody knows when": the last second of a signed 32-bit clock, or a year made up like 2100.
OPEN_FROM = datetime(2038, 1, 1, tzinfo=UTC)
# What is written for an open end where a form must have one: the last whole minute that 32-bit readers can hold.
OPEN_END = datetime(2038, 1, 19, 3, 14, tzinfo=UTC)


class UnreadableTime(UserMistake):
    """A text is no time, or leaves open which; says what was expected. Permanent."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment in UTC and how it was declared. offset_minutes: of the declared zone; None where the form marks none."""

    at: datetime
    text: str
    offset_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """When: [start, end), in UTC. end: None where none was declared."""

    start: Stamp
    end: Stamp | None

    @property
    def is_open(self) -> bool:
        """Whether nobody knows the end: none is declared, or one that only stands for that (2038, 2100)."""
        return self.end is None or self.end.at >= OPEN_FROM

    @property
    def until(self) -> datetime | None:
        """The end; None while it is open."""
        return None if self.end is None or self.is_open else self.end.at

    @property
    def is_empty(self) -> bool:
        """Whether it covers no time at all."""
        return self.end is not None and self.end.at <= self.start.at

    def covers(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start.at <= moment and (self.end is None or moment < self.end.at)

    def overlaps(self, other: Window) -> bool:
        """Whether both share time; what covers no time shares none."""
        if self.is_empty or other.is_empty:
            return False
        before = other.end is None or self.start.at < other.end.at
        return before and (self.end is None or other.start.at < self.end.at)


def worded(text: str) -> Stamp:
    """Read `Jul 31, 2018 14:00 -0500` (OSG's files), and `Aug 18, 2026 22:00 PM UTC` (their rendering, 24 hours with AM or PM).

    Raises: UnreadableTime (permanent), also where no zone is named, or where AM or PM contradicts the hour.
    """
    found = _WORDED.fullmatch(" ".join(text.split()))
    month = _MONTH.get(found[1].lower()) if found else None
    if found is None or month is None:
        raise UnreadableTime(f"{text!r} is no time; write it as Jul 31, 2018 14:00 -0500")
    hour, half, zone = int(found[4]), found[7], found[8]
    if half is not None and (half == "PM") != (hour >= 12):
        raise UnreadableTime(f"{text!r} says {half} with the hour {hour}, of 24; write the hour from 0 to 23")
    if zone is None:
        raise UnreadableTime(f"{text!r} names no zone; write it with one, as Jul 31, 2018 14:00 -0500")
    minutes = 0
    if zone[0] in "+-":
        minutes = (int(zone[1:3]) * 60 + int(zone[3:])) * (-1 if zone[0] == "-" else 1)
        if abs(minutes) > MOST_OFFSET_MINUTES or int(zone[3:]) > 59:
            raise UnreadableTime(f"{text!r} is further from UTC than any place; write a zone as -0500")
    try:
        local = datetime(
            int(found[3]), month, int(found[2]), hour, int(found[5]), int(found[6] or 0), tzinfo=UTC
        )
        return Stamp(local - timedelta(minutes=minutes), text, minutes)
    except (ValueError, OverflowError) as error:
        raise UnreadableTime(f"{text!r} is no time: {error}") from error


def iso(text: str) -> Stamp:
    """Read `2018-07-11T13:00:00`, in UTC where no zone is marked (AGIS and CRIC mark none). Raises: UnreadableTime (permanent)."""
    if not _ISO.fullmatch(text.strip()):
        raise UnreadableTime(f"{text!r} is no time; write it as 2018-07-11T13:00")
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            return Stamp(found.replace(tzinfo=UTC), text)
        away = found.utcoffset() or timedelta()
        return Stamp(found.astimezone(UTC), text, int(away.total_seconds() // 60))
    except (ValueError, OverflowError) as error:
        raise UnreadableTime(f"{text!r} is no time: {error}") from error


def epoch(text: str) -> Stamp:
    """Read the whole seconds since 1970 that GOCDB gives. Raises: UnreadableTime (permanent)."""
    try:
        return Stamp(datetime.fromtimestamp(int(text), UTC), text, 0)
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableTime(f"{text!r} is no number of seconds since 1970") from error


def ical(text: str) -> Stamp:
    """Read `20180711T130000Z`; other zones than UTC are refused. Raises: UnreadableTime (permanent)."""
    found = _ICAL.fullmatch(text.strip())
    if found is None:
        raise UnreadableTime(f"{text!r} is no time in UTC; write it as 20180711T130000Z")
    try:
        return Stamp(datetime(*(int(part) for part in found.groups()), tzinfo=UTC), text, 0)  # type: ignore[misc, arg-type]  # six numbers
    except ValueError as error:
        raise UnreadableTime(f"{text!r} is no time: {error}") from error


def typed(text: str) -> Stamp:
    """Read what a person types: `2026-12-01T08:00`, with or without a zone (else UTC), or OSG's form. Raises: UnreadableTime (permanent)."""
    return worded(text) if text.strip()[:1].isalpha() else iso(text)


def as_worded(stamp: Stamp) -> str:
    """Write a time as OSG's files have it, in the zone it was declared in; its own text where that is of this form."""
    found = _WORDED.fullmatch(stamp.text)
    if found is not None and found[7] is None and (found[8] or "Z")[0] in "+-":
        return stamp.text
    zone = timezone(timedelta(minutes=stamp.offset_minutes or 0))
    local = stamp.at.astimezone(zone)
    return f"{MONTHS[local.month - 1]} {local:%d, %Y %H:%M %z}"


def as_iso(stamp: Stamp) -> str:
    """Write a time as AGIS and CRIC have it: UTC, unmarked."""
    return stamp.at.replace(tzinfo=None).isoformat()
