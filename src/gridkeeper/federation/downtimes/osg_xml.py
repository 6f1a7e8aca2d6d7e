"""Reads `rgdowntime.xml`, the rendering of OSG's topology: times of 24 hours with AM or PM, in UTC."""

from __future__ import annotations

from lxml import etree

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Affected, Place, Reading, Refusal, Row, UnreadableDowntimes
from gridkeeper.federation.downtimes.times import Window, worded
from gridkeeper.federation.downtimes.words import classification, severity

NOT_SAID = frozenset({"", "Not Available"})


def parsed(data: bytes, file: str) -> etree._Element:
    """Parse XML with nothing fetched and no entity followed. Raises: UnreadableDowntimes (permanent)."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableDowntimes(f"{file} is no XML: {error}") from error


def place_of(entry: etree._Element, file: str) -> Place:
    """Where an element stands."""
    line: object = entry.sourceline
    return Place(file, line if isinstance(line, int) else 0)


def read(data: bytes, file: str) -> Reading:
    """Read one rendering. Raises: UnreadableDowntimes (permanent) where it is none; a bad entry alone is refused."""
    rows: list[Row] = []
    refused: list[Refusal] = []
    for entry in parsed(data, file).iter("Downtime"):
        place = place_of(entry, file)
        try:
            rows.append(_row(entry, place))
        except UserMistake as error:
            refused.append(Refusal(place, str(error)))
    return Reading(tuple(rows), tuple(refused))


def _row(entry: etree._Element, place: Place) -> Row:
    created = (entry.findtext("CreatedTime") or "").strip()
    services = tuple(
        Affected(name)
        for each in entry.iterfind("Services/Service")
        if (name := (each.findtext("Name") or "").strip())
    )
    return Row(
        id=entry.findtext("ID") or None,
        resource=entry.findtext("ResourceName") or None,
        services=services,
        window=Window(worded(entry.findtext("StartTime") or ""), worded(entry.findtext("EndTime") or "")),
        declared_class=classification(entry.findtext("Class") or ""),
        severity=severity(entry.findtext("Severity") or ""),
        description=entry.findtext("Description") or "",
        created=None if created in NOT_SAID else worded(created),
        source="osg-xml",
        place=place,
        site=entry.findtext("ResourceGroup/GroupName") or None,
        host=entry.findtext("ResourceFQDN") or None,
    )
