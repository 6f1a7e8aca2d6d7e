"""Reads and writes the XML of GOCDB's `get_downtime`: one entry for each service at a host, tied together by their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from gridkeeper.federation.downtimes.model import Affected, Row
from gridkeeper.federation.downtimes.times import OPEN_END, Window, epoch
from gridkeeper.federation.downtimes.words import Consumer, classification, osg_service, severity, theirs
from gridkeeper.federation.downtimes.xml_entries import entries, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gridkeeper.federation.downtimes.model import Place, Reading


def read(data: bytes, file: str) -> Reading:
    """Read one document. Raises: UnreadableDowntimes (permanent) where it is no XML; a bad entry alone is refused."""
    return read_parsed(parsed(data, file), file)


def read_parsed(root: etree._Element, file: str) -> Reading:
    """Read one that was parsed already; a bad entry alone is refused."""
    return entries(root, "DOWNTIME", file, _row)


def _row(entry: etree._Element, place: Place) -> Row:
    kind = (entry.findtext("SERVICE_TYPE") or "").strip()
    host = (entry.findtext("HOSTNAME") or "").strip() or None
    made = (entry.findtext("INSERT_DATE") or "").strip()
    service = Affected(
        osg_service(kind) or kind, said=kind, host=host, endpoint=entry.findtext("ENDPOINT") or None
    )
    return Row(
        id=entry.get("PRIMARY_KEY") or entry.findtext("PRIMARY_KEY") or None,
        resource=None,
        services=(service,) if kind else (),
        window=Window(epoch(entry.findtext("START_DATE") or ""), epoch(entry.findtext("END_DATE") or "")),
        declared_class=classification(entry.get("CLASSIFICATION") or ""),
        severity=severity(entry.findtext("SEVERITY") or ""),
        description=entry.findtext("DESCRIPTION") or "",
        created=epoch(made) if made else None,
        source="gocdb",
        place=place,
        site=entry.findtext("HOSTED_BY") or entry.findtext("SITENAME") or None,
        host=host,
        provider="GOCDB",
        url=entry.findtext("GOCDB_PORTAL_URL") or None,
    )


def write(rows: Iterable[Row], consumer: Consumer = Consumer.ATLAS) -> bytes:
    """Write rows, an entry for each service; a row without services has one with an empty type. An open end is OPEN_END."""
    root = etree.Element("results")
    for row in rows:
        for service in row.services or (None,):
            _entry(root, row, service, consumer)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _entry(root: etree._Element, row: Row, service: Affected | None, consumer: Consumer) -> None:
    key, start = row.id or "", row.window.start.at
    end = row.window.end.at if row.window.end else OPEN_END
    entry = etree.SubElement(
        root, "DOWNTIME", ID=key, PRIMARY_KEY=key, CLASSIFICATION=row.declared_class.value
    )
    said = "" if service is None else service.said or service.name
    host = (service.host if service else None) or row.host or ""
    for name, value in (
        ("PRIMARY_KEY", key),
        ("HOSTNAME", host),
        ("SERVICE_TYPE", said),
        ("ENDPOINT", (service.endpoint if service else None) or f"{host}{said}"),
        ("HOSTED_BY", row.site or ""),
        ("GOCDB_PORTAL_URL", row.url or ""),
        ("AFFECTED_ENDPOINTS", ""),
        ("SEVERITY", theirs(row.severity, consumer)),
        ("DESCRIPTION", _sayable(row.description)),
        ("INSERT_DATE", str(int(row.created.at.timestamp())) if row.created else ""),
        ("START_DATE", str(int(start.timestamp()))),
        ("END_DATE", str(int(end.timestamp()))),
        ("FORMATED_START_DATE", _minutes(start)),
        ("FORMATED_END_DATE", _minutes(end)),
    ):
        etree.SubElement(entry, name).text = value


def _minutes(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _sayable(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(letter if letter >= " " or letter in "\t\n" else " " for letter in text)
