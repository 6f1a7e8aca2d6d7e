"""What is where, as far as downtimes need it: resources with their hosts, services, groups, sites and longitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.forms import ENDING
from gridkeeper.federation.near_names import nearest
from gridkeeper.federation.topology.documents import read_document
from gridkeeper.federation.topology.listed import listed_by
from gridkeeper.federation.topology.loading import FOLDERS, has_topology, read_topology
from gridkeeper.federation.topology.places import read_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gridkeeper.federation.model import Registry
    from gridkeeper.federation.topology.models import Resource, Topology


MOST_HINTS = 3


@dataclass(frozen=True, slots=True)
class Machine:
    """A resource.

    services:  name → endpoint where the registry says one; None: the registry says nothing of its services.
    listed_by: GOCDB or CRIC, whose words the names of its services are; "" for OSG's.
    """

    name: str
    services: Mapping[str, str | None] | None
    hosts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    group: str | None = None
    site: str | None = None
    facility: str | None = None
    longitude: float | None = None
    listed_by: str = ""


class Directory:
    """Answers which resource is meant. A host that several resources share is all of them."""

    def __init__(self, machines: Iterable[Machine]) -> None:
        self.machines = tuple(machines)
        self._names: dict[str, Machine] = {}
        self._hosts: dict[str, list[Machine]] = {}
        self._places: dict[str, list[Machine]] = {}
        for machine in self.machines:
            for name in (machine.name, *machine.aliases):
                self._names.setdefault(name.lower(), machine)
            for host in machine.hosts:
                self._hosts.setdefault(host.lower(), []).append(machine)
            for place in {(machine.group or "").lower(), (machine.site or "").lower()} - {""}:
                self._places.setdefault(place, []).append(machine)

    def named(self, name: str | None) -> Machine | None:
        """The resource of this name, or other name; None where there is none."""
        return self._names.get((name or "").lower())

    def at_host(self, host: str | None) -> tuple[Machine, ...]:
        """The resources that answer at a host."""
        return tuple(self._hosts.get((host or "").lower(), ()))

    def at(self, place: str | None) -> tuple[Machine, ...]:
        """The resources of a site or resource group."""
        return tuple(self._places.get((place or "").lower(), ()))

    def must_have(self, name: str, services: Iterable[str]) -> Machine:
        """The resource that a person names. Raises: UserMistake (permanent) with near names, where it or a service is not there."""
        machine = self.named(name)
        if machine is None:
            raise UserMistake(
                f"the registry has no resource {name!r}{_hint(nearest(name, (each.name for each in self.machines), MOST_HINTS))}"
            )
        for service in services:
            if machine.services is None:
                raise UserMistake(
                    f"the registry does not say which services {machine.name} has; name none, and it is down as a whole"
                )
            if service not in machine.services:
                known = ", ".join(machine.services) or "none"
                raise UserMistake(f"{machine.name} has no service {service!r}; it has {known}")
        return machine

    def must_have_site(self, name: str) -> tuple[Machine, ...]:
        """The resources of a site or group that a person names. Raises: UserMistake (permanent) with near names."""
        found = self.at(name)
        if not found:
            known = {place for machine in self.machines for place in (machine.site, machine.group) if place}
            hint = _hint(nearest(name, known, MOST_HINTS))
            raise UserMistake(f"the registry has no site {name!r}{hint}")
        return found


def _hint(names: list[str]) -> str:
    return f"; do you mean {' or '.join(names)}?" if names else ""


def of_registry(registry: Registry) -> Directory:
    """The resources of a registry, whose services nothing says."""
    return Directory(
        Machine(resource.name, None, (), resource.aliases, None, resource.site, resource.facility)
        for resource in registry.resources
    )


def both(first: Directory, second: Directory) -> Directory:
    """Two directories as one; a resource of both is what the first says."""
    known = {machine.name.lower() for machine in first.machines}
    return Directory((*first.machines, *(each for each in second.machines if each.name.lower() not in known)))


def of_topology(topology: Topology) -> Directory:
    """The resources of a registry in OSG's layout, and of GOCDB's and CRIC's documents."""
    longitudes = {(site.facility, site.name): site.longitude for site in topology.sites}
    return Directory(
        _machine(resource, longitudes.get((resource.facility, resource.site)))
        for resource in topology.resources
    )


def of_path(path: Path) -> Directory | None:
    """The resources that belong to downtimes in a file or folder; None where none lie beside them.

    A folder of OSG's layout, or the one that holds it; of a file `X_downtime.yaml` the resource group `X.yaml` beside it.
    """
    if path.is_dir():
        for folder in (path, path.parent):
            if has_topology(folder) and (folder == path or path.name == FOLDERS[0]):
                return of_topology(read_topology(folder).topology)
        return None
    group = path.with_name(path.name.removesuffix(ENDING) + ".yaml")
    if not path.name.endswith(ENDING) or not group.is_file():
        return None
    document, faults = read_document(group.read_bytes(), group.name)
    found = read_group(document, group.name, ("", "", group.stem), list(faults))
    return Directory(_machine(resource, None) for resource in (found.resources if found else ()))


def _machine(resource: Resource, longitude: float | None) -> Machine:
    return Machine(
        name=resource.name,
        services={service.name: _endpoint(service.details) for service in resource.services},
        hosts=resource.hosts,
        group=resource.group,
        site=resource.site or None,
        facility=resource.facility or None,
        longitude=longitude,
        listed_by=listed_by(resource.file),
    )


def _endpoint(details: Mapping[str, object]) -> str | None:
    said = details.get("uri_override") or details.get("endpoint")
    return said if isinstance(said, str) else None
