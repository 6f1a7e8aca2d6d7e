"""Reads and writes iCalendar (RFC 5545): one event for each row, with what the form has no word for in X- properties."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Affected, Place, Reading, Refusal, Row, UnreadableDowntimes
from gridkeeper.federation.downtimes.times import Stamp, Window, ical
from gridkeeper.federation.downtimes.words import classification, severity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MOST_OCTETS = 75
_ESCAPED = {"n": "\n", "N": "\n"}
DOMAIN = "@downtimes.gridkeeper"


def write(rows: Iterable[Row], now: datetime) -> bytes:
    """Write rows as events. now: the stamp of events of which nothing says when they were announced. An open end is left out."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Gridkeeper//downtimes//EN"]
    for row in rows:
        lines += _event(row, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines).encode()


def _event(row: Row, now: datetime) -> list[str]:
    created = row.created.at if row.created else None
    services = [service.name for service in row.services]
    who = row.resource or row.host or row.site or ""
    lines = [
        "BEGIN:VEVENT",
        f"UID:{_escape(f'{row.id or row.place}.{who}')}{DOMAIN}",
        f"DTSTAMP:{created or now:%Y%m%dT%H%M%SZ}",
        f"DTSTART:{row.window.start.at:%Y%m%dT%H%M%SZ}",
    ]
    if row.window.until is not None:
        lines.append(f"DTEND:{row.window.until:%Y%m%dT%H%M%SZ}")
    lines += [
        f"SUMMARY:{_escape(f'{who}: {row.severity.value}')}",
        f"DESCRIPTION:{_escape(row.description)}",
        f"CATEGORIES:{','.join(map(_escape, services))}",
        f"X-DOWNTIME-ID:{_escape(row.id or '')}",
        f"X-DOWNTIME-RESOURCE:{_escape(row.resource or '')}",
        f"X-DOWNTIME-SITE:{_escape(row.site or '')}",
        f"X-DOWNTIME-CLASS:{row.declared_class.value}",
        f"X-DOWNTIME-SEVERITY:{_escape(row.severity.value)}",
    ]
    if row.window.end is not None:
        lines.append(f"X-DOWNTIME-DECLARED-END:{row.window.end.at:%Y%m%dT%H%M%SZ}")
    if created is not None:
        lines.append(f"CREATED:{created:%Y%m%dT%H%M%SZ}")
    return [*lines, "END:VEVENT"]


def read(data: bytes, file: str) -> Reading:
    """Read events. Raises: UnreadableDowntimes (permanent) where it is no calendar; an event that is none of a downtime is refused."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableDowntimes(f"{file} is no text in UTF-8: {error}") from error
    if not text.startswith("BEGIN:VCALENDAR"):
        raise UnreadableDowntimes(f"{file} is no calendar: it does not begin with BEGIN:VCALENDAR")
    rows: list[Row] = []
    refused: list[Refusal] = []
    event: dict[str, str] | None = None
    for line in re.sub(r"\r?\n[ \t]", "", text).splitlines():
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            event = {}
        elif line == "END:VEVENT" and event is not None:
            place = Place(f"{file} › {event.get('UID', 'an event without UID')}")
            try:
                rows.append(_row(event, place))
            except UserMistake as error:
                refused.append(Refusal(place, str(error)))
            event = None
        elif event is not None:
            event[name.partition(";")[0].upper()] = value
    return Reading(tuple(rows), tuple(refused))


def _row(event: dict[str, str], place: Place) -> Row:
    if "X-DOWNTIME-CLASS" not in event:
        raise UserMistake("the event says no class (X-DOWNTIME-CLASS), so it is no downtime that can be read")
    end = event.get("X-DOWNTIME-DECLARED-END") or event.get("DTEND")
    return Row(
        id=_plain(event.get("X-DOWNTIME-ID", "")) or None,
        resource=_plain(event.get("X-DOWNTIME-RESOURCE", "")) or None,
        services=tuple(Affected(_plain(each)) for each in _split(event.get("CATEGORIES", ""))),
        window=Window(ical(event.get("DTSTART", "")), ical(end) if end else None),
        declared_class=classification(event["X-DOWNTIME-CLASS"]),
        severity=severity(_plain(event.get("X-DOWNTIME-SEVERITY", ""))),
        description=_plain(event.get("DESCRIPTION", "")),
        created=_created(event),
        source="ical",
        place=place,
        site=_plain(event.get("X-DOWNTIME-SITE", "")) or None,
    )


def _created(event: dict[str, str]) -> Stamp | None:
    return ical(event["CREATED"]) if "CREATED" in event else None


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"(?<!\\),", text) if part]


def _escape(text: str) -> str:
    kept = "".join(
        letter if letter >= " " or letter in "\n\t" else " " for letter in text.replace("\r\n", "\n")
    )
    return kept.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), text)


def _folded(line: str) -> str:
    """The line in pieces of at most 75 octets, none of which cuts a letter."""
    pieces, octets = [""], 0
    for letter in line:
        size = len(letter.encode())
        if octets + size > MOST_OCTETS:
            pieces.append(" ")
            octets = 1
        pieces[-1] += letter
        octets += size
    return "\r\n".join(pieces)
