"""Maps OSG's downtimes to what AGIS and CRIC hold, and back; says of every part whether it arrives, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes.cric import host_of
from gridkeeper.federation.downtimes.model import Affected, Classification, Row
from gridkeeper.federation.downtimes.words import (
    CE_PORTS,
    CE_TYPES,
    SERVICES,
    Consumer,
    flavour_of,
    osg_service,
    our_name,
    theirs,
)
from gridkeeper.federation.topology.listed import GOCDB, authority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.downtimes.directory import Directory, Machine
    from gridkeeper.federation.downtimes.words import ServiceKind


class Reason(StrEnum):
    """Why a part does not reach the other side, or reaches it changed."""

    # Nothing arrives.
    HIDDEN = "hidden-in-another-item"
    UNKNOWN_RESOURCE = "unknown-resource"
    NO_SERVICES = "no-services"
    SERVICE_GONE = "service-not-at-resource"
    NO_COUNTERPART = "service-type-has-no-counterpart"
    NO_ENDPOINT = "no-endpoint"
    UNKNOWN_ENDPOINT = "unknown-endpoint"
    AMBIGUOUS = "ambiguous"
    OVER = "over-before"
    NEWER = "announced-later"
    LEFT_OUT = "class-left-out"
    OTHER_PROVIDER = "other-provider"
    UNEXPLAINED = "unexplained"
    # It arrives, and is not the same.
    FLAVOUR_UNKNOWN = "flavour-unknown"
    NAME_LOST = "no-resource-name"
    SEVERITY_COARSER = "severity-coarser"
    OPEN_END = "open-end"
    BACKDATED = "announced-after-start"
    CLASS_DIFFERS = "class-against-notice"
    EMPTY = "covers-no-time"
    CHANGED = "changed"


class Side(StrEnum):
    """Who gets it."""

    CRIC = "AGIS and CRIC"
    GOCDB = "GOCDB"


@dataclass(frozen=True, slots=True)
class Part:
    """One (resource, service) of a downtime. arrives: what the other side gets of it; None: nothing, for the reason."""

    resource: str | None
    service: str
    arrives: Affected | None
    reason: Reason | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Note:
    """What the other side does not get as it was meant."""

    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """One downtime on its way. sent: as the other side gets it; None where nothing of it arrives."""

    row: Row
    sent: Row | None
    parts: tuple[Part, ...]
    notes: tuple[Note, ...]


def catalogue(rows: Iterable[Row]) -> dict[str, tuple[Affected, ...]]:
    """The services that the other side knows, by host, as far as its downtimes or its list of services name them."""
    found: dict[str, dict[Affected, None]] = {}
    for row in rows:
        for service in row.services:
            if service.host:
                found.setdefault(service.host.lower(), {})[service] = None
    return {host: tuple(services) for host, services in found.items()}


def to_cric(
    row: Row, directory: Directory, consumer: Consumer = Consumer.ATLAS,
    known: dict[str, tuple[Affected, ...]] | None = None, side: Side = Side.CRIC,
) -> Mapped:  # fmt: skip
    """Map one of OSG's downtimes to AGIS and CRIC, or (side) to the words of GOCDB.

    known: the services that the other side has, by host; what is not among them does not arrive. None: nobody told.
    """
    machine = directory.named(row.resource)
    if machine is None:
        why = f"the registry has no resource {row.resource}, so nothing says its host"
        parts = tuple(Part(row.resource, name, None, Reason.UNKNOWN_RESOURCE, why) for name in _names(row))
    elif not row.services:
        why = "the downtime names no service, and the other side knows nothing else"
        parts = (Part(row.resource, "", None, Reason.NO_SERVICES, why),)
    else:
        parts = tuple(_part(machine, service, known, side) for service in row.services)
    arriving = tuple(part.arrives for part in parts if part.arrives is not None)
    sent = None
    if arriving:
        site = (machine.group or machine.site) if machine else None
        named = tuple(dict.fromkeys(_names(row)))
        sent = replace(row, resource=None, services=arriving, named=named, site=site, provider="OIM")
    return Mapped(row, sent, parts, tuple(_notes(row, consumer)))


def _names(row: Row) -> list[str]:
    return [service.name for service in row.services] or [""]


def _part(
    machine: Machine, affected: Affected, known: dict[str, tuple[Affected, ...]] | None, side: Side
) -> Part:
    name = affected.name
    ours = our_name(affected, machine.services or ())
    if machine.services is not None and ours is None:
        has = ", ".join(machine.services) or "none"
        return Part(
            machine.name,
            name,
            None,
            Reason.SERVICE_GONE,
            f"{machine.name} does not have {name}; it has {has}",
        )
    ours = ours or name
    in_osg, said = osg_service(ours) or name, (machine.services or {}).get(ours)
    kind = SERVICES.get(in_osg)
    flavour = flavour_of(ours) or (_flavour(said) if kind is None or kind.flavour is None else kind.flavour)
    is_its_own = side is Side.GOCDB and machine.listed_by == GOCDB
    told = ours if is_its_own else _type(kind, side, flavour)
    if told is None:
        why = f"{side} have no type for {name}" if side is Side.CRIC else f"{side} has no type for {name}"
        return Part(machine.name, name, None, Reason.NO_COUNTERPART, why)
    host = (host_of(said) if said else None) or (machine.hosts[0].lower() if machine.hosts else None)
    if host is None:
        why = f"nothing says at which host {machine.name} answers"
        return Part(machine.name, name, None, Reason.NO_ENDPOINT, why)
    if known is not None:
        hosts = {host, *(each.lower() for each in machine.hosts)}
        there = [each for one in sorted(hosts) for each in known.get(one, ()) if each.name in (name, in_osg)]
        if not there:
            what = kind.kind if kind else told
            why = f"the other side knows no {what} at {host}; register it there, or mend the FQDN"
            return Part(machine.name, name, None, Reason.UNKNOWN_ENDPOINT, why)
        return Part(machine.name, name, there[0], None, f"{name} at {there[0].host} arrives")
    service = Affected(name, said=told, flavour=flavour, host=host, endpoint=said or host)
    if flavour is None and not is_its_own:
        why = f"{name} does not say its flavour; {host} arrives without"
        return Part(machine.name, name, service, Reason.FLAVOUR_UNKNOWN, why)
    return Part(machine.name, name, service, None, f"{name} at {host} arrives")


def _type(kind: ServiceKind | None, side: Side, flavour: str | None) -> str | None:
    """The other side's type of a service; None where it has none."""
    if kind is None or side is Side.CRIC:
        return kind.kind if kind else None
    return kind.gocdb or (_ce_type(flavour) if kind.kind else None)


def _flavour(endpoint: str | None) -> str | None:
    """What a CE is, where its port says so."""
    port = authority(endpoint or "").rpartition(":")[2]
    return CE_PORTS.get(int(port)) if port.isascii() and port.isdigit() else None


def _ce_type(flavour: str | None) -> str:
    """GOCDB's type of a CE; `CE`, which it does not have, where nothing says the flavour."""
    return next((name for name, said in CE_TYPES.items() if said and said == flavour), "CE")


def _notes(row: Row, consumer: Consumer) -> Iterable[Note]:
    yield Note(
        Reason.NAME_LOST,
        f"the form has no name of a resource; {row.resource} is known there only by the hosts of its services",
    )
    yield from warnings(row)
    if theirs(row.severity, consumer) != row.severity.name:
        yield Note(
            Reason.SEVERITY_COARSER,
            f"{row.severity} is {theirs(row.severity, consumer)} there, as {consumer} acts on it",
        )


def warnings(row: Row) -> list[Note]:
    """What a downtime says that readers of any side take wrongly."""
    found = []
    window = row.window
    if window.is_open:
        told = f", written as {window.end.text}" if window.end else ""
        found.append(Note(
            Reason.OPEN_END, f"its end is open{told}: whoever acts on it acts for good; end it, or retire the resource"
        ))  # fmt: skip
    if window.is_empty:
        found.append(Note(Reason.EMPTY, "it covers no time, so nobody acts on it"))
    notice = row.notice
    if notice is not None and notice.total_seconds() < 0:
        days = -notice.total_seconds() / 86_400
        found.append(Note(Reason.BACKDATED, f"it was made {days:.1f} days after it had begun"))
    if row.derived_class not in (None, row.declared_class):
        rule = "24 hours or more" if row.derived_class is Classification.SCHEDULED else "less than 24 hours"
        found.append(Note(
            Reason.CLASS_DIFFERS, f"it is called {row.declared_class}, and its notice was {rule}: by the rule it is {row.derived_class}"
        ))  # fmt: skip
    return found


def to_osg(row: Row, directory: Directory) -> list[Mapped]:
    """Map a downtime of AGIS, CRIC or GOCDB to OSG's resources: one downtime for each resource that its services are at.

    Returns: the downtimes, and where of some parts no resource is found, one more that sends nothing and says why.
    """
    by_machine: dict[str, list[Affected]] = {}
    lost: list[Part] = []
    for service in row.services:
        found = [
            machine
            for machine in directory.at_host(service.host)
            if machine.services is None or our_name(service, machine.services) is not None
        ]
        if len(found) == 1:
            by_machine.setdefault(found[0].name, []).append(service)
            continue
        reason = Reason.AMBIGUOUS if found else Reason.UNKNOWN_ENDPOINT
        which = " and ".join(machine.name for machine in found)
        why = (
            f"{which} both answer as {service.name} at {service.host}"
            if found
            else f"the registry has no {service.name} at {service.host}"
        )
        lost.append(Part(None, service.name, None, reason, why))
    if not row.services:
        lost += [unlisted(row, name, directory) for name in row.named or ("",)]
    mapped = [
        Mapped(
            row,
            replace(row, resource=name, services=tuple(Affected(each.name) for each in services), host=None),
            tuple(
                Part(name, each.name, each, None, f"{each.name} at {each.host} is {name}")
                for each in services
            ),
            tuple(warnings(row)),
        )
        for name, services in by_machine.items()
    ]
    if lost:
        mapped.append(Mapped(row, None, tuple(lost), tuple(warnings(row))))
    return mapped


def placed(rows: Iterable[Row], directory: Directory) -> list[Row]:
    """Rows of AGIS, CRIC and GOCDB with the names of our resources, where a service's host is that of exactly one.

    A row whose services are at several is one for each, and one more for those that are at none of ours.
    """
    found: list[Row] = []
    for row in rows:
        if row.resource is not None or not row.services:
            found.append(row)
            continue
        mapped = to_osg(row, directory)
        theirs = {
            part.arrives: part.resource for each in mapped for part in each.parts if part.arrives is not None
        }
        for name in dict.fromkeys(theirs.get(service) for service in row.services):
            services = tuple(service for service in row.services if theirs.get(service) == name)
            found.append(replace(row, resource=name, services=services))
    return found


def unlisted(row: Row, name: str, directory: Directory) -> Part:
    """A service that the other side names without saying where: whom it could mean."""
    could = candidates(row.site, name, directory)
    told = f"; at {row.site} it could be {', '.join(could)}: none of them, or all" if could else ""
    why = f"it names {name or 'nothing'}, and lists no service with an endpoint, so that nobody acts on it{told}"
    return Part(None, name, None, Reason.NO_SERVICES, why)


def candidates(site: str | None, name: str, directory: Directory) -> list[str]:
    """The resources that a service's name at a site could mean."""
    of_one_group = len({machine.group for machine in directory.machines}) == 1
    where = directory.at(site) or (directory.machines if of_one_group and site else ())
    return [machine.name for machine in where if machine.services is not None and name in machine.services]
