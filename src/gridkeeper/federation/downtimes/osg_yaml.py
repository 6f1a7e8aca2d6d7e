"""Reads `*_downtime.yaml` of OSG's topology as rows: times, classes and severities that are none refuse their item alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Affected, Place, Reading, Refusal, Row, UnreadableDowntimes
from gridkeeper.federation.downtimes.times import Window, worded
from gridkeeper.federation.downtimes.words import classification, severity
from gridkeeper.federation.topology.announced import read_downtimes
from gridkeeper.federation.topology.documents import Block, Items, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.downtimes.model import Classification, Severity
    from gridkeeper.federation.downtimes.times import Stamp
    from gridkeeper.federation.topology.models import DowntimeEntry, Topology

MOST_BYTES = 16 * 1024 * 1024
ENDING = "_downtime.yaml"


def read(data: bytes, file: str) -> Reading:
    """Read one file. Raises: UnreadableDowntimes (permanent) where it is no list in YAML; a bad item alone is refused.

    What is noticed and loses nothing (a key that stands twice, an item inside another) is among the refused, as not lost.
    """
    if len(data) > MOST_BYTES:
        raise UnreadableDowntimes(
            f"{file} has more than {MOST_BYTES:,} bytes; look whether it is the right file"
        )
    document, faults = read_document(data, file)
    if document is None and faults:
        raise UnreadableDowntimes(f"{file}: {faults[0].message}; {faults[0].fix}")
    if document is not None and not isinstance(document, Items | Block):
        raise UnreadableDowntimes(f"{file} is no list of downtimes; each begins with `- Class:`")
    if isinstance(document, Block) and "StartTime" not in document:
        raise UnreadableDowntimes(f"{file} is no list of downtimes; each begins with `- Class:`")
    found = read_downtimes(document, file, ("", "", file.rpartition("/")[2].removesuffix(ENDING)), faults)
    noticed = [Refusal(Place(fault.file, fault.line), fault.message, lost=False) for fault in faults]
    reading = rows_of(found.entries, found.swallowed)
    return Reading(reading.rows, (*reading.refused, *noticed))


def of_topology(topology: Topology) -> Reading:
    """The downtimes of a registry that was read already."""
    return rows_of(topology.downtimes, topology.swallowed)


def rows_of(entries: Iterable[DowntimeEntry], swallowed: Iterable[DowntimeEntry]) -> Reading:
    """Entries as rows, in the order of files and lines. swallowed: those that stand inside another one's item."""
    rows: list[Row] = []
    refused: list[Refusal] = []
    for entry, hidden in (*((each, False) for each in entries), *((each, True) for each in swallowed)):
        place = Place(entry.file, entry.line)
        try:
            rows.append(_row(entry, hidden=hidden))
        except UserMistake as error:
            refused.append(Refusal(place, str(error)))
    return Reading(tuple(sorted(rows, key=lambda row: (row.place.file, row.place.line))), tuple(refused))


def _row(entry: DowntimeEntry, *, hidden: bool) -> Row:
    needed = {
        "Class": entry.class_, "Severity": entry.severity, "StartTime": entry.start, "EndTime": entry.end,
        "ResourceName": entry.resource,
    }  # fmt: skip
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise UserMistake(f"the downtime has no {' and no '.join(missing)}")
    window = Window(worded(entry.start), worded(entry.end))
    declared, grave = classification(entry.class_), severity(entry.severity)
    created = worded(entry.created) if entry.created else None
    return row_of(entry, window, declared, grave, created, site=entry.group or None, hidden=hidden)


def row_of(
    entry: DowntimeEntry, window: Window, declared: Classification, grave: Severity, created: Stamp | None, *,
    site: str | None, hidden: bool,
) -> Row:  # fmt: skip
    """The row of an entry whose times and words were read. site: what to put it together by; hidden: see Row."""
    return Row(
        id=None if entry.id is None else str(entry.id),
        resource=entry.resource,
        services=tuple(map(Affected, entry.services)),
        window=window,
        declared_class=declared,
        severity=grave,
        description=entry.description or "",
        created=created,
        source="osg-yaml",
        place=Place(entry.file, entry.line),
        site=site,
        hidden=hidden,
    )
