"""Reads and writes the JSON of AGIS and CRIC: entries by site, or one dictionary by id; times in UTC that no mark says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.model import Affected, Place, Reading, Refusal, Row, UnreadableDowntimes
from gridkeeper.federation.downtimes.times import OPEN_END, Stamp, Window, as_iso, iso
from gridkeeper.federation.downtimes.words import Consumer, classification, osg_service, severity, theirs
from gridkeeper.federation.topology.listed import authority

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def read(data: bytes, file: str) -> Reading:
    """Read one document. Raises: UnreadableDowntimes (permanent) where it is no such JSON; a bad entry alone is refused."""
    try:
        document = orjson.loads(data)
    except ValueError as error:
        raise UnreadableDowntimes(f"{file} is no JSON: {error}") from error
    rows: list[Row] = []
    refused: list[Refusal] = []
    for where, entry in _entries(document, file):
        place = Place(f"{file} › {where}")
        if not isinstance(entry, dict):
            refused.append(Refusal(place, "an entry is no object with keys"))
            continue
        try:
            rows.append(_row(entry, place))
        except UserMistake as error:
            refused.append(Refusal(place, str(error)))
    return Reading(tuple(rows), tuple(refused))


def _entries(document: Any, file: str) -> Iterator[tuple[str, Any]]:
    if isinstance(document, list):
        yield from ((str(number), entry) for number, entry in enumerate(document))
    elif isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, list):
                yield from ((f"{key} › {number}", entry) for number, entry in enumerate(value))
            else:
                yield key, value
    else:
        raise UnreadableDowntimes(f"{file} holds no list of downtimes, nor a dictionary of them")


def _row(entry: dict[str, Any], place: Place) -> Row:
    made, end = _said(entry, "create_time"), _said(entry, "end_time")
    key = _said(entry, "pid") or _said(entry, "id")
    services = entry.get("services") or []
    if not isinstance(services, list):
        raise UserMistake("`services` is no list")
    return Row(
        id=key or None,
        resource=None,
        services=tuple(_service(each) for each in services if isinstance(each, dict)),
        window=Window(iso(_said(entry, "start_time")), iso(end) if end else None),
        declared_class=classification(_said(entry, "classification")),
        severity=severity(_said(entry, "severity")),
        description=_said(entry, "description"),
        created=iso(made) if made else None,
        source="cric",
        place=place,
        site=_said(entry, "rc_site") or _said(entry, "site") or None,
        named=tuple(name.strip() for name in _said(entry, "affected_services").split(",") if name.strip()),
        provider=_said(entry, "provider") or None,
        url=_said(entry, "info_url") or None,
    )


def _service(entry: dict[str, Any]) -> Affected:
    kind, flavour, endpoint = (_said(entry, name) for name in ("type", "flavour", "endpoint"))
    return Affected(
        osg_service(kind, flavour) or kind,
        said=kind,
        flavour=flavour or None,
        host=host_of(endpoint),
        endpoint=endpoint,
    )


def host_of(endpoint: str) -> str | None:
    """The host of an endpoint: `srm://host:8443/path`, `host:2811` or `host`."""
    return authority(endpoint).partition(":")[0].lower() or None


def _said(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return "" if value is None else str(value)


def write(rows: Iterable[Row], consumer: Consumer = Consumer.ATLAS) -> bytes:
    """Write rows as a dictionary by site, as AGIS gives it. An open end is OPEN_END; a service that nothing says has no endpoint."""
    sites: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        sites.setdefault(row.site or "", []).append(_entry(row, consumer))
    return orjson.dumps(sites, option=orjson.OPT_INDENT_2)


def _entry(row: Row, consumer: Consumer) -> dict[str, Any]:
    names = dict.fromkeys((*row.named, *(service.name for service in row.services)))
    return {
        "pid": row.id,
        "provider": row.provider or "OIM",
        "site": row.site,
        "rc_site": row.site,
        "affected_services": ", ".join(names),
        "services": [
            {
                "type": service.said or service.name,
                "flavour": service.flavour or "",
                "endpoint": service.endpoint or service.host or "",
                "name": f"{row.site}-{service.said or service.name}-{service.host}",
                "site": row.site,
                "state": "ACTIVE",
                "status": "production",
            }
            for service in row.services
        ],
        "classification": row.declared_class.value,
        "severity": theirs(row.severity, consumer),
        "start_time": as_iso(row.window.start),
        "end_time": as_iso(row.window.end or Stamp(OPEN_END, "")),
        "create_time": as_iso(row.created) if row.created else None,
        "info_url": row.url or "",
        "description": row.description,
        "state": "ACTIVE",
    }
