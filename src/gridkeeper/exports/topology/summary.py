"""The resource summary (`/rgsummary/xml`): resource groups with their places, resources, services, owners and contacts."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

from gridkeeper.exports.topology.documents import Tree, percent
from gridkeeper.exports.topology.filters import Filters, Ids, group_is_wanted
from gridkeeper.federation.topology.models import shown_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.topology.models import Contact, Resource, ResourceGroup, Service, Topology

PRODUCTION, TEST_BED = "OSG Production Resource", "OSG Integration Test Bed Resource"
UNKNOWN = "(Information not available)"
CAMPUS = "CC*"  # the tag of what a campus cyberinfrastructure award pays for
_WLCG = (
    "InteropBDII", "LDAPURL", "InteropMonitoring", "InteropAccounting", "AccountingName", "KSI2KMin", "KSI2KMax", "StorageCapacityMin",
    "StorageCapacityMax", "HEPSPEC", "APELNormalFactor", "HEPScore23Percentage", "TapeCapacity",
)  # fmt: skip
_WLCG_IF_SAID = frozenset({"APELNormalFactor", "HEPScore23Percentage"})
_SITE = (
    "AddressLine1", "AddressLine2", "City", "Country", "Description", "Latitude", "LongName", "Longitude", "State", "Zipcode",
)  # fmt: skip


def resource_summary(topology: Topology, filters: Filters) -> Tree:
    """The tree of the element ResourceSummary: what is asked for, groups by name. A group of which nothing is left is left out."""
    ids = Ids(topology)
    campus = _Campus(topology.resources)
    places = {(one.facility, one.name): one for one in topology.sites}
    facilities = {one.name: one for one in topology.facilities}
    found = []
    for group in sorted(topology.groups, key=lambda one: one.name.lower()):
        if not group_is_wanted(group, ids, filters):
            continue
        resources = [
            tree
            for one in sorted(group.resources, key=lambda one: one.name)
            if (tree := _resource(one, ids, filters)) is not None
        ]
        if not resources:
            continue
        site, facility = places.get((group.facility, group.site)), facilities.get(group.facility)
        found.append(
            {
                "GridType": PRODUCTION if group.production else TEST_BED,
                "GroupID": shown_id(group.id, group.name),
                "GroupName": group.name,
                "Disable": group.disabled,
                "Facility": {
                    "ID": ids.facilities.get(group.facility, shown_id(None, group.facility)),
                    "InstitutionID": facility.institution_id if facility else None,
                    "Name": group.facility,
                    "IsCCStar": group.facility in campus.facilities,
                },
                "Site": {
                    "ID": ids.sites.get((group.facility, group.site), shown_id(None, group.site)),
                    "Name": group.site,
                    "IsCCStar": (group.facility, group.site) in campus.sites,
                    **{key: site.data[key] for key in _SITE if site and key in site.data},
                },
                "SupportCenter": _center(group, ids),
                "GroupDescription": group.description,
                "IsCCStar": any(CAMPUS in one.tags for one in group.resources),
                "Production": group.production,
                "Resources": {"Resource": resources},
            }
        )
    return {"ResourceGroup": found}


class _Campus:
    """Places with a resource of the tag CC*."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        tagged = [one for one in resources if CAMPUS in one.tags]
        self.facilities = {one.facility for one in tagged}
        self.sites = {(one.facility, one.site) for one in tagged}


def _center(group: ResourceGroup, ids: Ids) -> Tree:
    name = group.support_center or ""
    return {"ID": ids.centers.get(name, shown_id(None, name)), "Name": name}


def _resource(one: Resource, ids: Ids, filters: Filters) -> Tree | None:
    if filters.active not in (None, one.active is not False) or filters.disabled not in (None, one.disabled):
        return None
    if filters.wlcg_only and one.wlcg is None:
        return None
    wanted = filters.ids.get("voown")
    if wanted and not wanted & {ids.vos.get(vo, -1) for vo in one.owners}:
        return None
    services = [_service(each, ids) for each in one.services if _service_is_wanted(each, ids, filters)]
    if not services:
        return None
    return {
        "ID": shown_id(one.id, one.name),
        "Name": one.name,
        "Active": one.active is not False,
        "Disable": one.disabled,
        "Services": {"Service": services},
        "Tags": {"Tag": list(one.tags)} if one.tags else None,
        "Description": one.description or "(No resource description)",
        "FQDN": one.fqdn,
        "FQDNAliases": {"FQDNAlias": list(one.aliases)} if one.aliases else None,
        "VOOwnership": _ownership(one.owners) if one.owners else UNKNOWN,
        "WLCGInformation": UNKNOWN if one.wlcg is None else _wlcg(one.wlcg),
        "ContactLists": _contacts(one.contacts),
        "IsCCStar": CAMPUS in one.tags,
    }


def _service_is_wanted(service: Service, ids: Ids, filters: Filters) -> bool:
    hidden = service.details.get("hidden")
    return filters.wants("service", ids.service(service.name)) and (
        filters.hidden is None or hidden is filters.hidden
    )


def _service(service: Service, ids: Ids) -> Tree:
    return {
        "ID": ids.service(service.name),
        "Name": service.name,
        "Description": service.description,
        "Details": service.details or None,
    }


def _ownership(owners: dict[str, float]) -> Tree:
    shares = {vo: percent(share) for vo, share in owners.items()}
    rest = 100 - sum(shares.values())
    told = {**shares, **({"(Other)": rest} if rest > 0 else {})}
    chart = {
        "chco": "00cc00",
        "cht": "p3",
        "chd": "t:" + ",".join(str(share) for share in shares.values()),
        "chs": "280x65",
        "chl": "|".join(f"{share}({vo}%)" for vo, share in shares.items()),
    }
    return {
        "Ownership": [{"Percent": share, "VO": vo} for vo, share in told.items()],
        "ChartURL": "http://chart.apis.google.com/chart?" + urllib.parse.urlencode(chart),
    }


def _wlcg(said: dict[str, Any]) -> Tree:
    known = {"InteropBDII": False, "TapeCapacity": 0} | said
    return {key: known.get(key) for key in _WLCG if key in known or key not in _WLCG_IF_SAID}


def _contacts(contacts: tuple[Contact, ...]) -> Tree | None:
    """Names and ranks, as published lists have them; no ids, no addresses."""
    by_kind: dict[str, list[Tree]] = {}
    for contact in contacts:
        by_kind.setdefault(contact.kind, []).append({"Name": contact.name, "ContactRank": contact.rank})
    lists = [{"ContactType": kind, "Contacts": {"Contact": people}} for kind, people in by_kind.items()]
    return {"ContactList": lists} if lists else None
