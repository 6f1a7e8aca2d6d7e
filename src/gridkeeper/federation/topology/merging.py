"""Puts what GOCDB and CRIC list beside what the OSG layout holds: of a site that several know, one registry's entries count.

Usage is reported there of a site as a whole, so each site is a facility's site with one group that reports as one, and a
resource for each host.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.listed import CRIC, GOCDB, REGISTRIES, ListedSite
from gridkeeper.federation.topology.models import (
    Facility,
    Resource,
    ResourceGroup,
    Service,
    Site,
    SupportCenter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridkeeper.federation.topology.faults import Severity
    from gridkeeper.federation.topology.listed import ListedService, Listing
    from gridkeeper.federation.topology.models import Topology

OSG = "the OSG layout"
DOCUMENTS = {  # what to ask a registry for: its sites, its services
    GOCDB: ("get_site", "get_service_endpoint"),
    CRIC: ("api/core/rcsite/query/?json", "api/core/service/query/?json"),
}


def with_listings(topology: Topology, listings: Sequence[Listing], faults: list[Fault]) -> Topology:
    """A registry with the sites and services of other registries' documents, in the order of sites' names.

    What they say of one another is told: sites known elsewhere, sites listed twice, pages that are not there.
    """
    if not listings:
        return topology
    found = _Found(topology, faults)
    for registry in REGISTRIES:
        found.take_in(registry, [one for one in listings if one.registry == registry])
    found.tell_missing(listings)
    _tell_pages(listings, faults)
    groups = [_group(site, found.services_of(key)) for key, site in sorted(found.sites.items())]
    sites = [site for _, site in sorted(found.sites.items())]
    there = {one.name for one in topology.facilities}
    facilities = {
        one.facility: Facility(one.facility, None, None, one.file, one.line) for one in reversed(sites)
    }
    centers = {one.support_center: one.line for one in reversed(sites) if one.support_center}
    kinds = {service.name for group in groups for one in group.resources for service in one.services}
    return replace(
        topology,
        facilities=(*topology.facilities, *(one for name, one in sorted(facilities.items()) if name not in there)),
        sites=(
            *topology.sites,
            *(Site(one.name, one.facility, None, one.latitude, one.longitude, one.data, one.file, one.line) for one in sites),
        ),
        groups=(*topology.groups, *groups),
        service_types=topology.service_types | dict.fromkeys(sorted(kinds - topology.service_types.keys())),
        support_centers=topology.support_centers
        | {
            name: SupportCenter(name, None, {}, line)
            for name, line in sorted(centers.items())
            if name not in topology.support_centers
        },
    )  # fmt: skip


class _Found:
    """Sites by their names in small letters, and whose services count at each."""

    def __init__(self, topology: Topology, faults: list[Fault]) -> None:
        self.sites: dict[str, ListedSite] = {}
        self._faults = faults
        self._whose: dict[str, str] = {}
        self._services: dict[str, list[ListedService]] = {}
        # Of each site that no document lists, one service, by registry.
        self._bare: defaultdict[str, list[ListedService]] = defaultdict(list)
        self._told: set[tuple[str, str]] = set()
        self._of_osg = {one.name.lower() for one in topology.sites}
        self._of_osg |= {one.name.lower() for one in topology.groups}
        self._of_osg |= {one.name.lower() for one in topology.resources}

    def services_of(self, key: str) -> list[ListedService]:
        """The services that count at a site."""
        return self._services.get(key, [])

    def take_in(self, registry: str, listings: Sequence[Listing]) -> None:
        """Take the sites and services of one registry; what was taken of others before counts."""
        for listing in listings:
            for site in listing.sites:
                self._take_site(registry, site)
        services: defaultdict[str, list[ListedService]] = defaultdict(list)
        for listing in listings:
            for service in listing.services:
                services[service.site.lower()].append(service)
        for key, those in services.items():
            self._take_services(registry, key, those)

    def _tell(
        self, code: str, severity: Severity, one: ListedSite | ListedService, message: str, fix: str
    ) -> None:
        self._faults.append(Fault(code, severity, one.file, one.line, message, fix))

    def _is_known_elsewhere(self, registry: str, one: ListedSite | ListedService, name: str) -> bool:
        """Whether another registry counts for a site, which is told once."""
        key = name.lower()
        other = OSG if key in self._of_osg else self._whose.get(key, registry)
        if other == registry:
            return False
        if (registry, key) not in self._told:
            self._told.add((registry, key))
            rest = "" if other == OSG else f", but for services where {other} lists none"
            message = f"the site {name} is known from {other}, which counts; what {registry} says of it is not used{rest}"
            self._tell("known-elsewhere", "note", one, message, "leave it so, or take it out there")
        return True

    def _take_site(self, registry: str, site: ListedSite) -> None:
        if self._is_known_elsewhere(registry, site, site.name):
            return
        key = site.name.lower()
        first = self.sites.setdefault(key, site)
        self._whose[key] = registry
        if first.facts != site.facts and (registry, key) not in self._told:
            self._told.add((registry, key))
            where = f"{first.file}, line {first.line}" if first.line else first.file
            message = (
                f"the site {site.name} is there already, in {where}, and otherwise; what stands there counts"
            )
            fix = "fetch all pages anew, at one time, and remove older ones"
            self._tell("duplicate-name", "warning", site, message, fix)

    def _take_services(self, registry: str, key: str, services: list[ListedService]) -> None:
        first = min(services, key=lambda one: (one.site, one.file, one.line))
        is_known = self._is_known_elsewhere(registry, first, first.site)
        if key in self._of_osg or (is_known and key in self._services):
            return
        self._services[key] = services
        if key not in self.sites:
            name = first.site
            self.sites[key] = ListedSite(
                name, name, True, False, None, None, None, {}, first.file, first.line
            )
            self._whose[key] = registry
            self._bare[registry].append(first)

    def tell_missing(self, listings: Sequence[Listing]) -> None:
        """Tell which sites are known by name only, and which have no services; of a registry that lists none, once for all."""
        for registry in REGISTRIES:
            of_sites, of_services = DOCUMENTS[registry]
            bare = self._bare[registry]
            if bare and not any(one.sites for one in listings if one.registry == registry):
                message = f"no document lists the sites of {registry}: of {len(bare):,} nothing but their names is known"
                self._faults.append(
                    Fault("unknown-site", "note", bare[0].file, 0, message, f"fetch {of_sites}, too")
                )
                bare = []
            for one in bare:
                message = f"a service is at the site {one.site}, which no document of sites lists: nothing but its name is known"
                self._tell("unknown-site", "note", one, message, f"fetch {of_sites} anew")
            idle = [
                site
                for key, site in self.sites.items()
                if self._whose[key] == registry and key not in self._services and not site.disabled
            ]
            if idle and not any(one.services for one in listings if one.registry == registry):
                message = (
                    f"no document lists the services of {registry}: of {len(idle):,} sites no host is known"
                )
                self._faults.append(
                    Fault("no-services", "note", idle[0].file, 0, message, f"fetch {of_services}, too")
                )
                idle = []
            for site in idle:
                message = f"the site {site.name} has no services, so that no host of it is known"
                self._tell(
                    "no-services",
                    "note",
                    site,
                    message,
                    f"fetch {of_services} anew, or leave it so where it has none",
                )


def _tell_pages(listings: Sequence[Listing], faults: list[Fault]) -> None:
    there = {_asked(one.own) for one in listings if one.own}
    for one in listings:
        if one.following and _asked(one.following) not in there:
            message = f"this is one page of several, and the next one is not there: {one.following[:200]}"
            fix = "fetch the next page into another file of this folder"
            faults.append(Fault("missing-page", "note", one.file, 0, message, fix))


def _asked(address: str) -> tuple[tuple[str, str], ...]:
    """What an address asks for, in whatever order."""
    try:
        return tuple(sorted(parse_qsl(urlsplit(address).query, keep_blank_values=True)))
    except ValueError:
        return ((address, ""),)


def _group(site: ListedSite, services: list[ListedService]) -> ResourceGroup:
    at: defaultdict[str, list[ListedService]] = defaultdict(list)
    for service in services:
        at[service.host].append(service)
    return ResourceGroup(
        name=site.name,
        id=None,
        production=site.production,
        disabled=site.disabled,
        support_center=site.support_center,
        description=None,
        resources=tuple(_resource(site, host, those) for host, those in sorted(at.items())),
        site=site.name,
        facility=site.facility,
        file=site.file,
        line=site.line,
        lines={},
        reports_as_one=True,
    )


def _resource(site: ListedSite, host: str, services: list[ListedService]) -> Resource:
    """A host with all its services. It is active where one of them is; where none is, and of one nothing is said, nobody knows."""
    first = min(services, key=lambda one: (one.file, one.line))
    states = {one.active for one in services}
    return Resource(
        name=host,
        id=None,
        fqdn=host,
        aliases=(),
        active=True if True in states else None if None in states else False,
        disabled=site.disabled,
        description=None,
        dn=min((one.dn for one in services if one.dn), default=None),
        services=tuple(_services(services)),
        tags=tuple(sorted({scope for one in services for scope in one.scopes})),
        allowed_vos=(),
        owners={},
        wlcg=None,
        contacts=(),
        group=site.name,
        site=site.name,
        facility=site.facility,
        file=first.file,
        line=first.line,
        lines={"FQDN": first.line},
    )


def _services(services: list[ListedService]) -> Iterator[Service]:
    """Each type once, with the first of its endpoints in the order of letters."""
    by_kind: defaultdict[str, list[ListedService]] = defaultdict(list)
    for one in services:
        by_kind[one.kind].append(one)
    for kind, those in sorted(by_kind.items()):
        endpoint = min((one.endpoint for one in those if one.endpoint), default=None)
        line = min(one.line for one in those)
        yield Service(kind, None, {} if endpoint is None else {"endpoint": endpoint}, line)
