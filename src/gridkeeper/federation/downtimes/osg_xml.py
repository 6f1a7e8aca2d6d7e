"""Reads `rgdowntime.xml`, the rendering of OSG's topology: times of 24 hours with AM or PM, in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes.model import Affected, Row
from gridkeeper.federation.downtimes.times import Window, worded
from gridkeeper.federation.downtimes.words import classification, severity
from gridkeeper.federation.downtimes.xml_entries import entries, parsed

if TYPE_CHECKING:
    from lxml import etree

    from gridkeeper.federation.downtimes.model import Place, Reading

NOT_SAID = frozenset({"", "Not Available"})


def read(data: bytes, file: str) -> Reading:
    """Read one rendering. Raises: UnreadableDowntimes (permanent) where it is no XML; a bad entry alone is refused."""
    return read_parsed(parsed(data, file), file)


def read_parsed(root: etree._Element, file: str) -> Reading:
    """Read one that was parsed already; a bad entry alone is refused."""
    return entries(root, "Downtime", file, _row)


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
