"""Finds what the files of a registry say wrongly of one another: names that mean two things, and names that mean nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes.directory import of_topology
from gridkeeper.federation.downtimes.lints import Lint, lint
from gridkeeper.federation.topology.faults import Fault
from gridkeeper.federation.topology.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gridkeeper.federation.topology.faults import Severity
    from gridkeeper.federation.topology.loading import Loaded
    from gridkeeper.federation.topology.models import Contact, Reporter, Topology

RANKS = ("Primary", "Secondary", "Tertiary")
_TOLD_BY_LOADING = frozenset({Lint.HIDDEN, Lint.NO_ID})
_KEY = {Lint.EMPTY: "EndTime", Lint.FAR_END: "EndTime", Lint.ZONE_SIGN: "StartTime", Lint.UNKNOWN_RESOURCE: "ResourceName",
        Lint.NO_SERVICE_LEFT: "Services", Lint.SERVICE_GONE: "Services", Lint.SHORT_NOTICE: "CreatedTime", Lint.BACKDATED: "CreatedTime"}  # fmt: skip
Named = tuple[str, str, int]  # a name, and where it stands: file and line


def findings(loaded: Loaded) -> list[Fault]:
    """All that is wrong with a registry, in the order of files and lines."""
    topology = loaded.topology
    found = [
        *loaded.faults,
        *_hosts(topology),
        *_resources(topology),
        *_places(topology),
        *_ids(topology),
        *_organizations(topology),
        *_contacts(topology),
        *_downtimes(topology),
    ]
    return sorted(found, key=lambda fault: (fault.file, fault.line, fault.code))


def counts(topology: Topology) -> dict[str, int]:
    """How much a registry holds. downtimes: members of the files' lists, those that lost their dash not among them."""
    return {
        "facilities": len(topology.facilities),
        "sites": len(topology.sites),
        "resource_groups": len(topology.groups),
        "resources": len(topology.resources),
        "active_resources": len(topology.active_resources),
        "virtual_organizations": len(topology.vos),
        "projects": len(topology.projects),
        "downtimes": len(topology.downtimes),
    }


def shared_hosts(topology: Topology) -> dict[str, tuple[Reporter, ...]]:
    """Hosts in lower case that several resources, or sites that report as one, name as theirs: records from there match none of them."""
    found: dict[str, dict[str, Reporter]] = defaultdict(dict)
    for reporter in topology.reporters:
        for host in reporter.hosts:
            found[host][reporter.name] = reporter
    return {host: tuple(those.values()) for host, those in found.items() if len(those) > 1}


def shared_names(topology: Topology) -> dict[str, tuple[str, ...]]:
    """Names and hosts in lower case that several resources have, with those resources' names."""
    found = {host: tuple(one.name for one in those) for host, those in shared_hosts(topology).items()}
    spelled: dict[str, list[str]] = defaultdict(list)
    for group in topology.groups:
        for resource in () if group.reports_as_one else group.resources:
            spelled[resource.name.lower()].append(f"{resource.name} ({resource.group})")
    return found | {name: tuple(those) for name, those in spelled.items() if len(those) > 1}


def _hosts(topology: Topology) -> Iterator[Fault]:
    for host, those in shared_hosts(topology).items():
        by_fqdn = [one for one in those if any(each.fqdn.lower() == host for each in one.members)]
        first, *others = by_fqdn if len(by_fqdn) > 1 else those
        names = ", ".join(one.name for one in those)
        whole, are_sites = len(by_fqdn) > 1, all(one.is_site for one in those)
        start, last = first.member_at(host), others[-1].member_at(host)
        yield Fault(
            "shared-fqdn" if whole else "shared-alias", "error" if whole and not are_sites else "warning", last.file,
            last.lines.get("FQDN" if whole else "FQDNAliases", last.line),
            f"{host} is {'the FQDN' if whole else 'a host'} of {len(those)} {'sites' if are_sites else 'resources'}, {names} "
            f"(first in {start.file}, line {start.line}); what is reported from there matches none of them",
            "list it at one site alone" if are_sites else "give each resource a host of its own, or make one resource of them",
        )  # fmt: skip


def _resources(topology: Topology) -> Iterator[Fault]:
    yield from _twice(
        "duplicate-name", "resource", "error", ((one.name, one.file, one.line) for one in topology.reporters)
    )
    vos = {vo.name.lower(): vo.name for vo in topology.vos}
    for one in topology.resources:
        for service in one.services:
            if service.name not in topology.service_types:
                message = f"resource {one.name} has the service {service.name}, which topology/services.yaml does not list"
                fix = "mend its name, or list it there with an id"
                yield Fault("unknown-service", "error", one.file, service.line, message, fix)
        line = one.lines.get("VOOwnership", one.line)
        total = sum(one.owners.values())
        if total > 100:
            said = ", ".join(f"{vo} {percent:g}" for vo, percent in one.owners.items())
            message = f"{total:g} % of resource {one.name} is owned ({said})"
            yield Fault(
                "ownership-over-100", "error", one.file, line, message, "let the shares add up to 100 at most"
            )
        for vo, percent in one.owners.items():
            if percent <= 0:
                message = f"{vo} owns {percent:g} % of resource {one.name}"
                yield Fault(
                    "ownership-not-positive",
                    "warning",
                    one.file,
                    line,
                    message,
                    "write a share, or take the VO out",
                )
            yield from _vo(vo, vos, f"resource {one.name} is owned by", one.file, line)
        for vo in one.allowed_vos:
            if vo not in ("ANY", "ANY_PUBLIC"):
                yield from _vo(
                    vo, vos, f"resource {one.name} allows", one.file, one.lines.get("AllowedVOs", one.line)
                )


def _vo(name: str, known: dict[str, str], what: str, file: str, line: int) -> Iterator[Fault]:
    """Whether a VO that something names is there, and is written as it calls itself."""
    written = known.get(name.lower())
    if written is None:
        message = f"{what} {name}, and there is no such VO in virtual-organizations/"
        yield Fault("unknown-vo", "error", file, line, message, "mend the name, or add the VO")
    elif written != name:
        message = f"{what} {name}, which is written {written} in virtual-organizations/"
        yield Fault("vo-written-otherwise", "note", file, line, message, f"write {written}")


def _places(topology: Topology) -> Iterator[Fault]:
    sites = {(site.facility, site.name) for site in topology.sites}
    facilities = {one.name for one in topology.facilities}
    for site in topology.sites:
        if site.facility not in facilities:
            message = f"the facility {site.facility} of site {site.name} has no file FACILITY.yaml"
            yield Fault(
                "unknown-facility", "error", site.file, 0, message, "add the file to the facility's folder"
            )
        for value, most, key in ((site.latitude, 90, "Latitude"), (site.longitude, 180, "Longitude")):
            if value is not None and abs(value) > most:
                message = f"site {site.name}: {key} {value:g} is no place on Earth"
                yield Fault(
                    "bad-coordinates",
                    "error",
                    site.file,
                    site.line,
                    message,
                    f"write degrees from -{most} to {most}",
                )
    for group in topology.groups:
        if (group.facility, group.site) not in sites:
            message = f"the site {group.site} of resource group {group.name} has no file SITE.yaml"
            yield Fault("unknown-site", "error", group.file, 0, message, "add the file to the site's folder")
        if group.support_center and group.support_center not in topology.support_centers:
            message = f"resource group {group.name} names the support center {group.support_center}, which topology/support-centers.yaml does not list"
            line = group.lines.get("SupportCenter", group.line)
            yield Fault(
                "unknown-support-center",
                "error",
                group.file,
                line,
                message,
                "mend its name, or list it there",
            )
    yield from _twice(
        "duplicate-name", "site", "warning", ((one.name, one.file, 0) for one in topology.sites)
    )
    yield from _twice(
        "duplicate-name", "resource group", "warning", ((one.name, one.file, 0) for one in topology.groups)
    )


def _ids(topology: Topology) -> Iterator[Fault]:
    kinds: tuple[tuple[str, Severity, Iterable[tuple[str, str | int | None, str, int]]], ...] = (
        ("facility", "warning", ((one.name, one.id, one.file, one.line) for one in topology.facilities)),
        ("site", "warning", ((one.name, one.id, one.file, one.line) for one in topology.sites)),
        ("resource group", "error", ((one.name, one.id, one.file, one.lines.get("GroupID", one.line)) for one in topology.groups)),
        ("resource", "error", ((one.name, one.id, one.file, one.lines.get("ID", one.line)) for one in topology.resources)),
        ("VO", "warning", ((one.name, one.id, one.file, one.lines.get("ID", one.line)) for one in topology.vos)),
        ("project", "warning", ((one.name, one.id, one.file, one.lines.get("ID", one.line)) for one in topology.projects)),
        ("downtime", "error", ((one.resource, one.id, one.file, one.lines.get("ID", one.line)) for one in (*topology.downtimes, *topology.swallowed))),
    )  # fmt: skip
    for kind, severity, entries in kinds:
        seen: dict[str, tuple[str, str, int]] = {}
        for name, number, file, line in entries:
            if number is None:
                continue
            whose, where, at = seen.setdefault(str(number), (name, file, line))
            if (where, at) != (file, line):
                message = f"the {kind} {name} has the id {number}, and so has {whose} ({where}, line {at})"
                yield Fault("duplicate-id", severity, file, line, message, "give it an id of its own")


def _twice(code: str, kind: str, severity: Severity, named: Iterable[Named]) -> Iterator[Fault]:
    seen: dict[str, tuple[str, int]] = {}
    for name, file, line in named:
        where, at = seen.setdefault(name.lower(), (file, line))
        if (where, at) != (file, line):
            told = f"{where}, line {at}" if at else where
            message = f"the {kind} {name} is there already, in {told}"
            yield Fault(code, severity, file, line, message, "rename one of them")


def _organizations(topology: Topology) -> Iterator[Fault]:
    vos = {vo.name.lower(): vo.name for vo in topology.vos}
    groups = {name.lower() for name in topology.reporting_groups}
    for vo in topology.vos:
        if vo.parent:
            yield from _vo(
                vo.parent, vos, f"VO {vo.name} is part of", vo.file, vo.lines.get("ParentVO", vo.line)
            )
        for name in vo.reporting_groups:
            if name.lower() not in groups:
                message = f"VO {vo.name} reports as {name}, which REPORTING_GROUPS.yaml does not list"
                line = vo.lines.get("ReportingGroups", vo.line)
                yield Fault(
                    "unknown-reporting-group",
                    "warning",
                    vo.file,
                    line,
                    message,
                    "mend the name, or list it there",
                )
    for project in topology.projects:
        if project.sponsor is None:
            continue
        kind, name = project.sponsor
        line = project.lines.get("Sponsor", project.line)
        if kind == "VirtualOrganization":
            yield from _vo(name, vos, f"project {project.name} is sponsored by", project.file, line)
        elif name not in topology.campus_grids:
            message = f"project {project.name} is sponsored by the campus grid {name}, which _CAMPUS_GRIDS.yaml does not list"
            yield Fault(
                "unknown-campus-grid", "error", project.file, line, message, "mend the name, or list it there"
            )


def _contacts(topology: Topology) -> Iterator[Fault]:
    names: dict[str, str] = {}
    for what, file, contacts in _people(topology):
        for contact in contacts:
            if not contact.id:
                message = f"{what}, {contact.kind}: {contact.name or 'a contact'} has no ID, so nobody can find an address for it"
                yield Fault(
                    "contact-without-id", "warning", file, contact.line, message, "add the ID of the contact"
                )
            elif names.setdefault(contact.id, contact.name) != contact.name:
                message = f"{what}, {contact.kind}: the ID {contact.id} is {names[contact.id]} elsewhere, and {contact.name} here"
                yield Fault(
                    "contact-two-names", "warning", file, contact.line, message, "mend the name or the ID"
                )
            if contact.rank is not None and contact.rank.split(" ")[0] not in RANKS:
                message = f"{what}, {contact.kind}: {contact.rank} is no rank of a contact"
                yield Fault(
                    "unknown-contact-rank",
                    "warning",
                    file,
                    contact.line,
                    message,
                    f"write {', '.join(RANKS)}",
                )


def _people(topology: Topology) -> Iterator[tuple[str, str, tuple[Contact, ...]]]:
    for one in topology.resources:
        yield f"resource {one.name}", one.file, one.contacts
    for vo in topology.vos:
        yield f"VO {vo.name}", vo.file, vo.contacts


def _downtimes(topology: Topology) -> Iterator[Fault]:
    rows = Rows(topology)
    yield from rows.faults
    for finding in lint(rows.rows, of_topology(topology)):
        if finding.lint in _TOLD_BY_LOADING:
            continue
        entry = rows.entry(finding.row)
        severity: Severity = "error" if finding.severity == "error" else "warning"
        other = f"; the other is in {finding.other.place}" if finding.other is not None else ""
        line = entry.lines.get(_KEY.get(finding.lint, ""), entry.line)
        yield Fault(finding.lint.value, severity, entry.file, line, finding.message + other, finding.fix)
    groups = {one.name: one.group for one in topology.resources}
    files = {(group.facility, group.site, group.name) for group in topology.groups}
    for entry in (*topology.downtimes, *topology.swallowed):
        if (entry.facility, entry.site, entry.group) not in files:
            message = (
                f"downtime {entry.id} stands in the file of {entry.group}, a resource group that has no file"
            )
            yield Fault(
                "downtime-without-group",
                "error",
                entry.file,
                entry.line,
                message,
                "move it to its resource's group",
            )
        elif groups.get(entry.resource, entry.group) != entry.group:
            message = f"downtime {entry.id} of {entry.resource} stands in the file of {entry.group}; the resource is in {groups[entry.resource]}"
            yield Fault(
                "downtime-wrong-group",
                "error",
                entry.file,
                entry.line,
                message,
                "move it to that group's file",
            )
