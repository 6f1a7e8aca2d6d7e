"""What the OSG topology layout holds, entry by entry, with the file and line of each. Times are text, as written.

`file` is relative to the registry's folder, `line` counts from 1 on; `lines` says on which line each key of an entry stands.
An id that the files do not give is None here; `shown_id` is the one that published lists give it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Data = dict[str, Any]  # plain values as written: text, numbers, booleans, None, lists and mappings of them


def shown_id(number: int | None, name: str) -> int:
    """The id of an entry in published lists: its own, else one made of its name, the same everywhere and always."""
    if number is not None:
        return number
    digest = hashlib.md5(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    return 1 + int(digest, 16) % (2**31 - 1)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or mailbox that may be asked: kind (`Security Contact`), rank (`Primary`; None in lists of VOs), name, id."""

    kind: str
    rank: str | None
    name: str
    id: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Facility:
    """An institution."""

    name: str
    id: int | None
    institution_id: str | None
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Site:
    """A place within a facility. data: what else its file says (address, LongName, Latitude ...)."""

    name: str
    facility: str
    id: int | None
    latitude: float | None
    longitude: float | None
    data: Data
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a resource, by the name of its type."""

    name: str
    description: str | None
    details: Data
    line: int


@dataclass(frozen=True, slots=True)
class Resource:
    """A machine or gateway that offers services.

    owners: VO → percent. wlcg: the block WLCGInformation as written; None where there is none.
    active: None where the file does not say.
    """

    name: str
    id: int | None
    fqdn: str
    aliases: tuple[str, ...]
    active: bool | None
    disabled: bool
    description: str | None
    dn: str | None
    services: tuple[Service, ...]
    tags: tuple[str, ...]
    allowed_vos: tuple[str, ...]
    owners: dict[str, float]
    wlcg: Data | None
    contacts: tuple[Contact, ...]
    group: str
    site: str
    facility: str
    file: str
    line: int
    lines: dict[str, int]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its FQDN and the other names of that host."""
        return (self.fqdn, *self.aliases) if self.fqdn else self.aliases

    @property
    def accounting_name(self) -> str | None:
        """The name under which WLCG accounts for it."""
        name = (self.wlcg or {}).get("AccountingName")
        return name if isinstance(name, str) and name else None

    @property
    def apel_normal_factor(self) -> float | None:
        """HS06 per core as the registry says; None where it says nothing or nothing above zero."""
        return _above_zero((self.wlcg or {}).get("APELNormalFactor"))

    @property
    def hepscore_share(self) -> float | None:
        """The share of HEPScore23 in its benchmark, in percent; None where the registry says nothing."""
        return _number((self.wlcg or {}).get("HEPScore23Percentage"))


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """Resources of a site that belong together. reports_as_one: usage is reported of the site, not of its resources one by one."""

    name: str
    id: int | None
    production: bool
    disabled: bool
    support_center: str | None
    description: str | None
    resources: tuple[Resource, ...]
    site: str
    facility: str
    file: str
    line: int
    lines: dict[str, int]
    reports_as_one: bool = False


@dataclass(frozen=True, slots=True)
class Reporter:
    """What usage is booked on: a resource, or a site whose hosts report as one.

    members:  the resource, or the resources at the site's hosts; none where nothing says which hosts it has.
    disabled: why nothing is reported of it; "" where it is in use.
    """

    name: str
    site: str
    facility: str
    members: tuple[Resource, ...]
    accounting_name: str | None
    disabled: str
    is_site: bool
    file: str
    line: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of all members, in small letters, each once."""
        return tuple(dict.fromkeys(host.lower() for one in self.members for host in one.hosts))

    def member_at(self, host: str) -> Resource:
        """The member that answers at one of these hosts."""
        return next(one for one in self.members if host.lower() in {each.lower() for each in one.hosts})


@dataclass(frozen=True, slots=True)
class DowntimeEntry:
    """One announced downtime of one resource, as its file says it: class, severity and times unjudged, as text."""

    id: int | None
    class_: str
    severity: str
    description: str | None
    start: str
    end: str
    created: str | None
    resource: str
    services: tuple[str, ...]
    group: str
    site: str
    facility: str
    file: str
    line: int
    lines: dict[str, int]


@dataclass(frozen=True, slots=True)
class SupportCenter:
    """Who helps the users of a resource group."""

    name: str
    id: int | None
    data: Data
    line: int


@dataclass(frozen=True, slots=True)
class VirtualOrganization:
    """A VO. data: all that its file says; reporting_groups: names under which its usage is reported."""

    name: str
    id: int | None
    long_name: str | None
    active: bool | None
    disabled: bool
    parent: str | None
    reporting_groups: tuple[str, ...]
    fields_of_science: tuple[str, ...]
    contacts: tuple[Contact, ...]
    data: Data
    file: str
    line: int
    lines: dict[str, int]


@dataclass(frozen=True, slots=True)
class ReportingGroup:
    """Members of a VO who report together. fqans: (group name, role)."""

    name: str
    fqans: tuple[tuple[str, str], ...]
    contacts: tuple[Contact, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Project:
    """A project. sponsor: (`VirtualOrganization` or `CampusGrid`, its name); data: all that its file says."""

    name: str
    id: str | None
    pi: str | None
    organization: str | None
    department: str | None
    field_of_science: str | None
    sponsor: tuple[str, str] | None
    data: Data
    file: str
    line: int
    lines: dict[str, int]


@dataclass(frozen=True)
class Topology:
    """A whole registry, each list in the order of its files' names.

    downtimes:     one for each member of the files' lists, as other tools count them.
    swallowed:     downtimes that lost their dash and are part of another one in the file; other tools do not see them.
    service_types: service → id.
    mappings:      file → what it says.
    folders:       which of the folders that are read are there.
    """

    facilities: tuple[Facility, ...] = ()
    sites: tuple[Site, ...] = ()
    groups: tuple[ResourceGroup, ...] = ()
    downtimes: tuple[DowntimeEntry, ...] = ()
    swallowed: tuple[DowntimeEntry, ...] = ()
    service_types: dict[str, int | None] = field(default_factory=dict)
    support_centers: dict[str, SupportCenter] = field(default_factory=dict)
    vos: tuple[VirtualOrganization, ...] = ()
    reporting_groups: dict[str, ReportingGroup] = field(default_factory=dict)
    projects: tuple[Project, ...] = ()
    campus_grids: dict[str, int | None] = field(default_factory=dict)
    mappings: dict[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The resources of all groups."""
        return tuple(resource for group in self.groups for resource in group.resources)

    @property
    def reporters(self) -> tuple[Reporter, ...]:
        """What usage is booked on: of a group that reports as one its site, else each resource."""
        return tuple(one for group in self.groups for one in _reporters(group))

    @property
    def active_resources(self) -> tuple[Resource, ...]:
        """Those in use: not disabled, and active unless the file says that they are not."""
        return tuple(one for one in self.resources if one.active is not False and not one.disabled)


def _reporters(group: ResourceGroup) -> Iterator[Reporter]:
    if group.reports_as_one:
        members = group.resources
        idle = bool(members) and all(one.active is False for one in members)
        why = "disabled" if group.disabled else "not active" if idle else ""
        yield Reporter(
            group.site, group.site, group.facility, members, group.site, why, True, group.file, group.line
        )
        return
    for one in group.resources:
        why = "disabled" if one.disabled else "not active" if one.active is False else ""
        yield Reporter(
            one.name, one.site, one.facility, (one,), one.accounting_name, why, False, one.file, one.line
        )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _above_zero(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None
