"""What is where, as far as downtimes need it: resources with their hosts, services, groups, sites and longitudes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.forms import ENDING
from gridkeeper.federation.downtimes.model import UnreadableDowntimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gridkeeper.federation.model import Registry

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Machine:
    """A resource. services: name → endpoint where the registry says one; None: the registry says nothing of its services."""

    name: str
    services: Mapping[str, str | None] | None
    hosts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    group: str | None = None
    site: str | None = None
    facility: str | None = None
    longitude: float | None = None


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
            raise UserMistake(f"the registry has no resource {name!r}{near(name, self._names.values())}")
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
            hint = _hint(difflib.get_close_matches(name, sorted(known), cutoff=0.5))
            raise UserMistake(f"the registry has no site {name!r}{hint}")
        return found


def near(name: str, machines: Iterable[Machine]) -> str:
    """`; do you mean A or B?`, for a name that is not there."""
    by_lower = {machine.name.lower(): machine.name for machine in machines}
    return _hint([by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, cutoff=0.5)])


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


def of_folder(folder: Path) -> Directory:
    """The resources of a folder in the layout of OSG's topology. Raises: UnreadableDowntimes (permanent)."""
    machines: list[Machine] = []
    longitudes: dict[Path, float | None] = {}
    for path in sorted(folder.glob("**/*.yaml")):
        if (
            path.name in ("SITE.yaml", "FACILITY.yaml")
            or path.name.endswith(ENDING)
            or path.parent.parent == folder.parent
        ):
            continue
        if path.parent not in longitudes:
            place = _loaded(path.parent / "SITE.yaml") if (path.parent / "SITE.yaml").exists() else {}
            said = place.get("Longitude")
            longitudes[path.parent] = float(said) if isinstance(said, int | float) else None
        machines += _machines(path, longitudes[path.parent])
    return Directory(machines)


def of_group_file(path: Path) -> Directory:
    """The resources of one resource group's file. Raises: UnreadableDowntimes (permanent)."""
    return Directory(_machines(path, None))


def _machines(path: Path, longitude: float | None) -> list[Machine]:
    resources = _loaded(path).get("Resources")
    if not isinstance(resources, dict):
        return []
    return [
        Machine(
            str(name),
            {str(each): _endpoint(said) for each, said in _mapping(value.get("Services")).items()},
            tuple(str(host) for host in (value.get("FQDN"), *(value.get("FQDNAliases") or ())) if host),
            (),
            path.stem,
            path.parent.name,
            path.parent.parent.name,
            longitude,
        )
        for name, value in resources.items()
        if isinstance(value, dict)
    ]


def _loaded(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)  # a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableDowntimes(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return _mapping(found)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _endpoint(service: object) -> str | None:
    details = _mapping(_mapping(service).get("Details"))
    said = details.get("uri_override") or details.get("endpoint")
    return str(said) if said else None
