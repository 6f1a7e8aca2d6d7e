"""Downtimes (`/rgdowntime/xml`, `/rgdowntime/json`, `/rgdowntime/ical`): past, current and future ones, with nothing left out.

Other renderings of this layout leave out a downtime whose services left the resource, and services that did, without a word.
Here they are told, each with the reason, in the description of the service and in the JSON form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gridkeeper.exports.topology.filters import Filters, Ids, group_is_wanted
from gridkeeper.federation.topology.models import shown_id
from gridkeeper.federation.topology.rows import Rows

if TYPE_CHECKING:
    from gridkeeper.exports.topology.documents import Tree
    from gridkeeper.federation.downtimes.model import Row
    from gridkeeper.federation.topology.models import DowntimeEntry, Resource, ResourceGroup, Topology

NOT_SAID = "Not Available"
NOT_ITS = "(not a service of this resource today)"
NO_SERVICE = "(the downtime names no service)"
LEFT = "no service that it names is one of the resource today"
SOME_LEFT = "some services that it names are none of the resource today"
HIDDEN = "its entry has no dash of its own and is part of another one's"


@dataclass(frozen=True)
class Shown:
    """A downtime as it is listed. when: Past, Current or Future. extra: why other renderings tell less of it; None: they do not."""

    row: Row
    entry: DowntimeEntry
    resource: Resource
    group: ResourceGroup
    when: str
    extra: str | None


def shown(topology: Topology, filters: Filters, moment: datetime) -> list[Shown]:
    """The downtimes that are asked for, as of a moment. One of a resource that is not there cannot be listed: `check` tells it."""
    ids = Ids(topology)
    groups = {(one.facility, one.site, one.name): one for one in topology.groups}
    resources = {one.name: one for one in topology.resources}
    rows = Rows(topology)
    found = []
    for row in rows.rows:
        entry = rows.entry(row)
        group = groups.get((entry.facility, entry.site, entry.group))
        resource = resources.get(entry.resource)
        if group is None or resource is None or not group_is_wanted(group, ids, filters):
            continue
        wanted = filters.ids.get("service")
        if wanted and not wanted & {ids.service(name) for name in entry.services}:
            continue
        when = _when(row, moment)
        if when == "Past" and not _is_recent(row, filters, moment):
            continue
        found.append(Shown(row, entry, resource, group, when, _extra(row, entry, resource)))
    return found


def _when(row: Row, moment: datetime) -> str:
    end = row.window.end
    if end is not None and end.at < moment:
        return "Past"
    return "Future" if row.window.start.at > moment else "Current"


def _is_recent(row: Row, filters: Filters, moment: datetime) -> bool:
    end = row.window.end
    return filters.past_days is None or end is None or moment - end.at <= timedelta(days=filters.past_days)


def _extra(row: Row, entry: DowntimeEntry, resource: Resource) -> str | None:
    if row.hidden:
        return HIDDEN
    has = {service.name for service in resource.services}
    gone = [name for name in entry.services if name not in has]
    if len(gone) == len(entry.services):
        return LEFT
    return SOME_LEFT if gone else None


def as_tree(found: list[Shown], topology: Topology, filters: Filters) -> Tree:
    """The tree of the element Downtimes."""
    ids = Ids(topology)
    return {
        f"{when}Downtimes": {"Downtime": [_downtime(one, ids, filters) for one in found if one.when == when]}
        for when in ("Past", "Current", "Future")
    }


def _downtime(one: Shown, ids: Ids, filters: Filters) -> Tree:
    row, entry = one.row, one.entry
    end = row.window.end
    return {
        "ID": shown_id(entry.id, f"{entry.file}:{entry.line}"),
        "ResourceID": shown_id(one.resource.id, one.resource.name),
        "ResourceGroup": {"GroupName": one.group.name, "GroupID": shown_id(one.group.id, one.group.name)},
        "ResourceName": one.resource.name,
        "ResourceFQDN": one.resource.fqdn,
        "StartTime": _written(row.window.start.at),
        "EndTime": _written(end.at) if end else NOT_SAID,
        "Class": row.declared_class.value,
        "Severity": row.severity.value,
        "CreatedTime": _written(row.created.at) if row.created else NOT_SAID,
        "UpdateTime": NOT_SAID,
        "Services": {"Service": _services(one, ids, filters)},
        "Description": entry.description,
    }


def _services(one: Shown, ids: Ids, filters: Filters) -> list[Tree]:
    described = {service.name: service.description for service in one.resource.services}
    told = [
        {"ID": ids.service(name), "Name": name, "Description": described.get(name, NOT_ITS)}
        for name in dict.fromkeys(one.entry.services)
        if filters.wants("service", ids.service(name))
    ]
    return told or [{"ID": 0, "Name": "", "Description": NO_SERVICE}]


def _written(moment: datetime) -> str:
    """`Aug 18, 2026 22:00 PM UTC`: the hour is of 24, with AM or PM behind it, as readers of this form expect it."""
    return (
        f"{moment.astimezone(UTC):%b %d, %Y %H:%M} {'AM' if moment.astimezone(UTC).hour < 12 else 'PM'} UTC"
    )


def as_list(found: list[Shown]) -> list[Tree]:
    """For JSON: every downtime with UTC times, the text of its times, its place in the registry, and why it is an extra."""
    return [
        {
            "id": one.entry.id,
            "resource": one.resource.name,
            "fqdn": one.resource.fqdn,
            "resource_group": one.group.name,
            "site": one.group.site,
            "facility": one.group.facility,
            "services": list(one.entry.services),
            "class": one.row.declared_class.value,
            "severity": one.row.severity.value,
            "start": one.row.window.start.at.isoformat(),
            "end": one.row.window.end.at.isoformat() if one.row.window.end else None,
            "created": one.row.created.at.isoformat() if one.row.created else None,
            "said": {"start": one.entry.start, "end": one.entry.end, "created": one.entry.created},
            "description": one.entry.description,
            "when": one.when.lower(),
            "file": one.entry.file,
            "line": one.entry.line,
            "extra": one.extra,
        }
        for one in found
    ]
