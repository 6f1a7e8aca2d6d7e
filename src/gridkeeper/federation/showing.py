"""Says what a home knows of a name: a facility, site, resource group, resource, host, VO or project."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.topology.models import shown_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.federation import model
    from gridkeeper.federation.topology import models
    from gridkeeper.federation.topology.models import Topology

Facts = dict[str, str | list[str]]
MOST_DOWNTIMES = 10
# What other registries say of a site, and how it is called here.
_OF_OTHERS = {
    "national grid": "NGI", "federations": "Federations", "tier": "Tier", "infrastructure": "Infrastructure",
    "certification status": "CertificationStatus",
}  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """One thing of that name. facts: what is known, in words; file, line: where it is said ("" where federation.yaml says it)."""

    kind: str
    name: str
    facts: Facts
    file: str = ""
    line: int = 0

    def as_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        where = (
            {"file": self.file, "line": self.line} if self.file else {"file": "federation.yaml", "line": 0}
        )
        return {"kind": self.kind, "name": self.name, **where, "facts": self.facts}


def things(name: str, topology: Topology, registry: model.Registry) -> list[Thing]:
    """Everything that is called so, whatever its case; empty where nothing is."""
    wanted = name.lower()
    found = list(_places(wanted, topology))
    resources = {one.name.lower(): one for one in registry.resources}
    seen: set[str] = set()
    for one in topology.resources:
        if wanted == one.name.lower() or wanted in {host.lower() for host in one.hosts}:
            seen.add(one.name.lower())
            found.append(Thing("resource", one.name, _resource(one, topology, resources), one.file, one.line))
    places = {one.name.lower(): (one.file, one.line) for one in topology.reporters}
    found += [
        Thing("resource", each.name, _kept(_booked(each)), *places.get(each.name.lower(), ("", 0)))
        for each in registry.resources
        if wanted in {spelling.lower() for spelling in each.names} and each.name.lower() not in seen
    ]
    found += _organizations(wanted, topology, registry)
    return found


def names_like(name: str, topology: Topology, registry: model.Registry) -> list[str]:
    """Names that are nearly this one."""
    known = [one.name for one in topology.facilities] + [one.name for one in topology.sites]
    known += [one.name for one in topology.groups] + [one.name for one in topology.resources]
    known += [one.name for one in topology.vos] + [one.name for one in topology.projects]
    known += [one.name for one in registry.resources] + [one.name for one in registry.vos]
    by_lower = {one.lower(): one for one in known}
    return [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, cutoff=0.6)]


def _kept(facts: dict[str, Any]) -> Facts:
    """Facts that say something."""
    return {key: value for key, value in facts.items() if value not in (None, "", [])}


def _places(wanted: str, topology: Topology) -> Iterator[Thing]:
    for facility in topology.facilities:
        if facility.name.lower() == wanted:
            sites = [one.name for one in topology.sites if one.facility == facility.name]
            facts = {
                "id": str(shown_id(facility.id, facility.name)),
                "institution": facility.institution_id,
                "sites": sites,
            }
            yield Thing("facility", facility.name, _kept(facts), facility.file, facility.line)
    for site in topology.sites:
        if site.name.lower() == wanted:
            yield Thing("site", site.name, _site(site, topology), site.file, site.line)
    for group in topology.groups:
        if group.name.lower() == wanted:
            facts = {
                "id": str(shown_id(group.id, group.name)), "site": group.site, "facility": group.facility,
                "production": "yes" if group.production else "no", "support center": group.support_center,
                "resources": [one.name for one in group.resources],
            }  # fmt: skip
            yield Thing("resource group", group.name, _kept(facts), group.file, group.line)


def _site(site: models.Site, topology: Topology) -> Facts:
    groups = [one for one in topology.groups if (one.facility, one.site) == (site.facility, site.name)]
    place = None
    if site.latitude is not None and site.longitude is not None:
        place = f"{site.latitude:g}, {site.longitude:g}"
    words = [site.data.get(key) for key in ("City", "State", "Country")]
    return _kept(
        {
            "id": str(shown_id(site.id, site.name)),
            "long name": site.data.get("LongName"),
            "facility": site.facility,
            "place": ", ".join(str(word) for word in words if word),
            "latitude, longitude": place,
            **{word: site.data.get(key) for word, key in _OF_OTHERS.items()},
            "resource groups": [one.name for one in groups],
            "resources": [_line(one) for group in groups for one in group.resources],
        }
    )


def _line(one: models.Resource) -> str:
    state = "" if one.active is not False and not one.disabled else " (not in use)"
    return f"{one.name}{state}: {', '.join(service.name for service in one.services) or 'no service'}, {one.fqdn}"


def _resource(one: models.Resource, topology: Topology, known: dict[str, model.Resource]) -> Facts:
    downtimes = [each for each in topology.downtimes if each.resource == one.name]
    told = [
        f"{each.start} – {each.end}: {each.class_}, {each.severity}, {', '.join(each.services)}; {each.description or ''}"
        for each in reversed(downtimes)
    ]
    more = [f"... and {len(told) - MOST_DOWNTIMES} more"] if len(told) > MOST_DOWNTIMES else []
    facts: dict[str, Any] = {
        "id": str(shown_id(one.id, one.name)),
        "resource group": one.group,
        "site": one.site,
        "facility": one.facility,
        "in use": "no, disabled" if one.disabled else "no, not active" if one.active is False else "yes",
        "hosts": list(one.hosts),
        "services": [
            f"{each.name}: {each.description}" if each.description else each.name for each in one.services
        ],
        "owned by": [f"{vo} {percent:g} %" for vo, percent in one.owners.items()],
        "tags": ", ".join(one.tags),
        "WLCG accounting name": one.accounting_name,
        "APEL normal factor": None if one.apel_normal_factor is None else f"{one.apel_normal_factor:g}",
        "contacts": [f"{each.kind}, {each.rank}: {each.name}" for each in one.contacts],
        "downtimes": [*told[:MOST_DOWNTIMES], *more],
    }
    booked = known.get(one.name.lower())
    if booked is not None:
        facts |= {
            key: value for key, value in _booked(booked).items() if key not in facts or key == "owned by"
        }
    return _kept(facts)


def _booked(one: model.Resource) -> dict[str, Any]:
    """What usage of a resource is booked by."""
    return {
        "site": one.site,
        "facility": one.facility,
        "in use": "no" if one.disabled else "yes",
        "other names": list(one.aliases),
        "matches hosts": list(one.hosts),
        "probes": list(one.probes),
        "owned by": [f"{vo} {percent:g} %" for vo, percent in one.owners.items()],
        "count level": [f"{each.level} from {each.since}" for each in one.count_level],
    }


def _organizations(wanted: str, topology: Topology, registry: model.Registry) -> Iterator[Thing]:
    listed = {vo.name.lower(): vo for vo in registry.vos}
    told = set()
    for vo in topology.vos:
        if vo.name.lower() == wanted:
            told.add(wanted)
            owned = [one.name for one in topology.resources if vo.name in one.owners]
            facts = {
                "id": str(shown_id(vo.id, vo.name)), "long name": vo.long_name, "in use": "no" if vo.disabled or vo.active is False else "yes",
                "part of": vo.parent, "reports as": ", ".join(vo.reporting_groups), "fields of science": ", ".join(vo.fields_of_science),
                "owns of": owned, "contacts": [f"{each.kind}: {each.name}" for each in vo.contacts],
            }  # fmt: skip
            yield Thing("VO", vo.name, _kept(facts), vo.file, vo.line)
    own = listed.get(wanted)
    if own is not None and wanted not in told:
        parts = [part.name for part in own.experiments]
        booked = {"other names": list(own.aliases), "home sites": list(own.home_sites), "experiments": parts}
        yield Thing("VO", own.name, _kept(booked))
    for project in topology.projects:
        if project.name.lower() == wanted:
            sponsor = None if project.sponsor is None else f"{project.sponsor[1]} ({project.sponsor[0]})"
            facts = {
                "id": project.id, "principal investigator": project.pi, "organization": project.organization,
                "department": project.department, "field of science": project.field_of_science, "sponsor": sponsor,
            }  # fmt: skip
            yield Thing("project", project.name, _kept(facts), project.file, project.line)
