"""Reads what is where: facilities, sites, resource groups with their resources and services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.federation.topology.documents import Block, Items
from gridkeeper.federation.topology.fields import Fields, plain
from gridkeeper.federation.topology.models import (
    Contact,
    Facility,
    Resource,
    ResourceGroup,
    Service,
    Site,
    SupportCenter,
)

if TYPE_CHECKING:
    from gridkeeper.federation.topology.faults import Fault

_SITE_KEYS_APART = ("ID",)


def read_facility(document: Any, file: str, name: str, faults: list[Fault]) -> Facility:
    """`FACILITY.yaml`; what it does not say stays unknown."""
    fields = Fields(document, f"facility {name}", file, faults)
    return Facility(name, fields.integer("ID"), fields.text("InstitutionID"), file, fields.line)


def read_site(document: Any, file: str, facility: str, name: str, faults: list[Fault]) -> Site:
    """`SITE.yaml`."""
    fields = Fields(document, f"site {name}", file, faults)
    data = {key: plain(value) for key, value in fields.block.items() if key not in _SITE_KEYS_APART}
    return Site(
        name, facility, fields.integer("ID"), fields.number("Latitude"), fields.number("Longitude"), data, file, fields.line,
    )  # fmt: skip


def read_group(
    document: Any, file: str, place: tuple[str, str, str], faults: list[Fault]
) -> ResourceGroup | None:
    """A resource group and its resources. place: its facility, site and own name. None where the file says nothing."""
    facility, site, name = place
    fields = Fields(document, f"resource group {name}", file, faults)
    if document is None:
        fields.fault(
            "missing-key", 0, f"the resource group {name} is an empty file", "fill or remove it", "error"
        )
        return None
    resources = [
        _resource(key, line, place, Fields(value, f"resource {key}", file, faults, line))
        for key, value, line in _entries(fields, "Resources")
    ]
    if not resources and isinstance(document, Block):
        fields.fault(
            "no-resources",
            fields.where("Resources"),
            f"the resource group {name} has no resources",
            "add one or remove the file",
        )
    return ResourceGroup(
        name=name,
        id=fields.integer("GroupID"),
        production=fields.boolean("Production") is True,
        disabled=fields.boolean("Disable") is True,
        support_center=fields.text("SupportCenter", needed=True),
        description=fields.text("GroupDescription"),
        resources=tuple(resources),
        site=site,
        facility=facility,
        file=file,
        line=fields.line,
        lines=fields.lines,
    )


def _entries(fields: Fields, key: str) -> list[tuple[str, Any, int]]:
    block = fields.inner(key)
    return [] if block is None else [(name, value, block.lines[name]) for name, value in block.items()]


def _resource(name: str, line: int, place: tuple[str, str, str], fields: Fields) -> Resource:
    facility, site, group = place
    wlcg = fields.inner("WLCGInformation")
    return Resource(
        name=name,
        id=fields.integer("ID"),
        fqdn=fields.text("FQDN", needed=True) or "",
        aliases=fields.texts("FQDNAliases"),
        active=fields.boolean("Active"),
        disabled=fields.boolean("Disable") is True,
        description=fields.text("Description"),
        dn=fields.text("DN"),
        services=_services(fields),
        tags=fields.texts("Tags"),
        allowed_vos=fields.texts("AllowedVOs"),
        owners=_owners(fields),
        wlcg=None if wlcg is None else plain(wlcg),
        contacts=_contacts(fields),
        group=group,
        site=site,
        facility=facility,
        file=fields.file,
        line=line,
        lines=fields.lines,
    )


def _services(fields: Fields) -> tuple[Service, ...]:
    found = []
    for name, value, line in _entries(fields, "Services"):
        inner = Fields(value, f"{fields.what}, service {name}", fields.file, fields.faults, line)
        details = inner.block.get("Details")
        if details is not None and not isinstance(details, Block):
            inner.fault(
                "wrong-kind",
                inner.where("Details"),
                f"{inner.what}: Details is {details!r}",
                "write keys with values, or take it out",
            )
            details = None
        found.append(
            Service(name, inner.text("Description"), {} if details is None else plain(details), line)
        )
    if not found:
        fields.fault(
            "no-services", fields.where("Services"), f"{fields.what} has no services", "add one", "warning"
        )
    return tuple(found)


def _owners(fields: Fields) -> dict[str, float]:
    owners: dict[str, float] = {}
    block = fields.inner("VOOwnership")
    if block is None:
        return owners
    inner = Fields(block, f"{fields.what}, VOOwnership", fields.file, fields.faults)
    for vo in block:
        percent = inner.number(vo)
        if percent is not None:
            owners[vo] = percent
    return owners


def _contacts(fields: Fields) -> tuple[Contact, ...]:
    found = []
    for kind, ranks, line in _entries(fields, "ContactLists"):
        inner = Fields(ranks, f"{fields.what}, {kind}", fields.file, fields.faults, line)
        for rank, person in inner.block.items():
            of = Fields(person, f"{inner.what}, {rank}", fields.file, fields.faults, inner.block.lines[rank])
            found.append(Contact(kind, rank, of.text("Name") or "", of.text("ID"), of.line))
    return tuple(found)


def listed_contacts(fields: Fields, key: str = "Contacts") -> tuple[Contact, ...]:
    """Contacts as VOs and support centers list them: kind → list of people; no ranks."""
    found = []
    for kind, people, line in _entries(fields, key):
        for at, person in zip(people.lines, people, strict=True) if isinstance(people, Items) else ():
            of = Fields(person, f"{fields.what}, {kind}", fields.file, fields.faults, at)
            found.append(Contact(kind, None, of.text("Name") or "", of.text("ID"), at or line))
    return tuple(found)


def read_service_types(document: Any, file: str, faults: list[Fault]) -> dict[str, int | None]:
    """`services.yaml`: service → id."""
    fields = Fields(document, "the list of services", file, faults)
    return {name: fields.integer(name) for name in fields.block}


def read_support_centers(document: Any, file: str, faults: list[Fault]) -> dict[str, SupportCenter]:
    """`support-centers.yaml`."""
    fields = Fields(document, "the list of support centers", file, faults)
    found = {}
    for name, value in fields.block.items():
        inner = Fields(value, f"support center {name}", file, faults, fields.lines[name])
        found[name] = SupportCenter(name, inner.integer("ID"), plain(inner.block), fields.lines[name])
    return found
