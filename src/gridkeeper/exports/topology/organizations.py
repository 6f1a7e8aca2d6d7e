"""VOs and projects (`/vosummary/xml`, `/vosummary/json`, `/miscproject/xml`, `/miscproject/json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.exports.topology.filters import Filters, Ids
from gridkeeper.federation.topology.models import shown_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.exports.topology.documents import Tree
    from gridkeeper.federation.topology.models import Project, Topology, VirtualOrganization

_TEXTS = (
    "PrimaryURL", "MembershipServicesURL", "PurposeURL", "SupportURL", "AppDescription", "Community",
)  # fmt: skip


def vo_summary(topology: Topology, filters: Filters) -> list[Tree]:
    """The VOs that are asked for, by name, each as the tree of an element VO."""
    ids = Ids(topology)
    return [
        _vo(one, topology, ids)
        for one in sorted(topology.vos, key=lambda one: one.name.lower())
        if filters.active in (None, one.active is not False)
        and filters.disabled in (None, one.disabled)
        and filters.oasis in (None, _mapping(one.data.get("OASIS")).get("UseOASIS") is True)
        and filters.wants("vo", ids.vos[one.name])
    ]


def _vo(one: VirtualOrganization, topology: Topology, ids: Ids) -> Tree:
    data = one.data
    parent = _mapping(data.get("ParentVO"))
    science = _mapping(data.get("FieldsOfScience"))
    issuers = _listed(_mapping(data.get("Credentials")).get("TokenIssuers"))
    return {
        "ID": ids.vos[one.name],
        "Name": one.name,
        "LongName": one.long_name,
        "CertificateOnly": data.get("CertificateOnly") is True,
        **{key: data.get(key) for key in _TEXTS},
        "FieldsOfScience": {
            key: {"Field": _listed(science.get(key))} for key in ("PrimaryFields", "SecondaryFields") if science.get(key)
        } or None,
        "ParentVO": {"ID": parent.get("ID"), "Name": parent.get("Name")} if parent else None,
        "ReportingGroups": {"ReportingGroup": list(_reporting(one, topology))} if one.reporting_groups else None,
        "Active": one.active is not False,
        "Disable": one.disabled,
        "ContactTypes": _contacts(one),
        "OASIS": _oasis(_mapping(data.get("OASIS"))),
        **({"Credentials": {"TokenIssuers": {"TokenIssuer": [
            {key: _mapping(each).get(key) for key in ("URL", "DefaultUnixUser", "Description", "Subject")} for each in issuers
        ]}}} if issuers else {}),
    }  # fmt: skip


def _reporting(one: VirtualOrganization, topology: Topology) -> Iterator[Tree]:
    for name in dict.fromkeys(one.reporting_groups):
        group = topology.reporting_groups.get(name)
        if group is not None:
            fqans = [{"GroupName": path, "Role": role} for path, role in group.fqans]
            people = [{"Name": contact.name} for contact in group.contacts]
            yield {
                "Name": name,
                "FQANs": {"FQAN": fqans} if fqans else None,
                "Contacts": {"Contact": people} if people else None,
            }


def _contacts(one: VirtualOrganization) -> Tree | None:
    by_kind: dict[str, list[Tree]] = {}
    for contact in one.contacts:
        by_kind.setdefault(contact.kind, []).append({"Name": contact.name})
    kinds = [{"Type": kind, "Contacts": {"Contact": people}} for kind, people in by_kind.items()]
    return {"ContactType": kinds} if kinds else None


def _oasis(said: dict[str, Any]) -> Tree:
    managers = said.get("Managers")
    named = (
        [{"Name": name} | _mapping(each) for name, each in managers.items()]
        if isinstance(managers, dict)
        else [_mapping(each) for each in _listed(managers)]
    )
    people = [
        {"Name": each.get("Name"), "DNs": {"DN": _listed(each["DNs"])} if each.get("DNs") else None}
        for each in named
    ]
    urls = _listed(said.get("OASISRepoURLs"))
    return {
        "UseOASIS": said.get("UseOASIS") is True,
        "Managers": {"Manager": people} if people else None,
        "OASISRepoURLs": {"URL": urls} if urls else None,
    }


def projects(topology: Topology) -> list[Tree]:
    """All projects, each as the tree of an element Project."""
    ids = Ids(topology)
    return [_project(one, ids) for one in topology.projects]


def _project(one: Project, ids: Ids) -> Tree:
    return {
        "ID": one.id,
        "Name": one.name,
        "Description": one.data.get("Description"),
        "PIName": one.pi,
        "Organization": one.organization,
        "Department": one.department,
        "FieldOfScience": one.field_of_science,
        "Sponsor": _sponsor(one, ids),
        "ResourceAllocations": _allocations(one),
        "InstitutionID": one.data.get("InstitutionID"),
        "FieldOfScienceID": one.data.get("FieldOfScienceID"),
    }


def _sponsor(one: Project, ids: Ids) -> Tree | None:
    if one.sponsor is None:
        return None
    kind, name = one.sponsor
    known = ids.vos if kind == "VirtualOrganization" else ids.campus_grids
    return {kind: {"ID": known.get(name, shown_id(None, name)), "Name": name}}


def _allocations(one: Project) -> Tree | None:
    found = [
        {
            "Type": said.get("Type"),
            "SubmitResources": {"SubmitResource": _listed(said.get("SubmitResources"))},
            "ExecuteResourceGroups": {
                "ExecuteResourceGroup": [
                    {key: _mapping(each).get(key) for key in ("GroupName", "LocalAllocationID")}
                    for each in _listed(said.get("ExecuteResourceGroups"))
                ]
            },
        }
        for said in (_mapping(each) for each in _listed(one.data.get("ResourceAllocations")))
    ]
    return {"ResourceAllocation": found} if found else None


def by_name(trees: list[Tree], *, keep_name: bool) -> Tree:
    """For JSON: name → what is known."""
    return {
        tree["Name"]: {key: value for key, value in tree.items() if keep_name or key != "Name"}
        for tree in trees
    }


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
