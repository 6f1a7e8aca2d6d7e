"""Reads who uses it all: virtual organisations, their reporting groups, projects, and the mappings beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.federation.topology.documents import Block, Items
from gridkeeper.federation.topology.fields import Fields, plain
from gridkeeper.federation.topology.models import Contact, Project, ReportingGroup, VirtualOrganization
from gridkeeper.federation.topology.places import listed_contacts

if TYPE_CHECKING:
    from gridkeeper.federation.topology.faults import Fault


def read_vo(document: Any, file: str, name: str, faults: list[Fault]) -> VirtualOrganization:
    """One file of `virtual-organizations/`. Its name is the file's."""
    fields = Fields(document, f"VO {name}", file, faults)
    science = Fields(fields.inner("FieldsOfScience"), f"VO {name}, FieldsOfScience", file, faults)
    parent = Fields(fields.inner("ParentVO"), f"VO {name}, ParentVO", file, faults).text("Name")
    groups = fields.block.get("ReportingGroups")
    return VirtualOrganization(
        name=name,
        id=fields.integer("ID"),
        long_name=fields.text("LongName"),
        active=fields.boolean("Active"),
        disabled=fields.boolean("Disable") is True,
        parent=parent,
        reporting_groups=tuple(groups) if isinstance(groups, Block) else fields.texts("ReportingGroups"),
        fields_of_science=(*science.texts("PrimaryFields"), *science.texts("SecondaryFields")),
        contacts=listed_contacts(fields),
        data=plain(fields.block),
        file=file,
        line=fields.line,
        lines=fields.lines,
    )


def read_reporting_groups(document: Any, file: str, faults: list[Fault]) -> dict[str, ReportingGroup]:
    """`REPORTING_GROUPS.yaml`."""
    fields = Fields(document, "the list of reporting groups", file, faults)
    found = {}
    for name, value in fields.block.items():
        line = fields.lines[name]
        inner = Fields(value, f"reporting group {name}", file, faults, line)
        people = inner.block.get("Contacts")
        contacts = [
            Contact("Contact", None, of.text("Name") or "", of.text("ID"), of.line)
            for of in _each(people, inner, "a contact")
        ]
        fqans = [
            (of.text("GroupName") or "", of.text("Role") or "")
            for of in _each(inner.block.get("FQANs"), inner, "an FQAN")
        ]
        found[name] = ReportingGroup(name, tuple(fqans), tuple(contacts), file, line)
    return found


def _each(value: Any, fields: Fields, what: str) -> list[Fields]:
    if not isinstance(value, Items):
        return []
    return [
        Fields(member, f"{fields.what}, {what}", fields.file, fields.faults, line)
        for line, member in zip(value.lines, value, strict=True)
    ]


def read_project(document: Any, file: str, name: str, faults: list[Fault]) -> Project:
    """One file of `projects/`. Its name is the file's."""
    fields = Fields(document, f"project {name}", file, faults)
    sponsor = None
    block = fields.inner("Sponsor")
    for kind in ("CampusGrid", "VirtualOrganization"):
        if sponsor is None and block is not None and kind in block:
            inner = Fields(block[kind], f"project {name}, Sponsor", file, faults, block.lines[kind])
            named = inner.text("Name", needed=True)
            sponsor = (kind, named) if named else None
    return Project(
        name=name,
        id=fields.text("ID"),
        pi=fields.text("PIName"),
        organization=fields.text("Organization"),
        department=fields.text("Department"),
        field_of_science=fields.text("FieldOfScience"),
        sponsor=sponsor,
        data=plain(fields.block),
        file=file,
        line=fields.line,
        lines=fields.lines,
    )


def read_campus_grids(document: Any, file: str, faults: list[Fault]) -> dict[str, int | None]:
    """`_CAMPUS_GRIDS.yaml`: campus grid → id."""
    fields = Fields(document, "the list of campus grids", file, faults)
    return {name: fields.integer(name) for name in fields.block}
