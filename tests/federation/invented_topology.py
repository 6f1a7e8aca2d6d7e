"""An invented registry in the layout of the OSG topology: two facilities, a VO, a project, and downtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GROUP = """\
Production: true
SupportCenter: Springfield Help
GroupID: 7
GroupDescription: Springfield's cluster
Resources:
  Springfield-CE:
    Active: true
    ID: 11
    Description: The gateway
    FQDN: ce.springfield.example.org
    FQDNAliases:
      - gate.springfield.example.org
    ContactLists:
      Security Contact:
        Primary: {Name: Alice, ID: a11ce}
    Services:
      CE:
        Description: Compute Element
        Details: {hidden: false}
    VOOwnership: {Physics: 60, Biology: 20}
    WLCGInformation:
      AccountingName: EX-Springfield
      APELNormalFactor: 11.5
      InteropAccounting: true
    Tags: [CC*]
  Springfield-SE:
    Active: false
    FQDN: se.springfield.example.org
    ContactLists: {}
    Services:
      WebDAV: {Description: Files}
"""
DOWNTIMES = """\
- Class: SCHEDULED
  ID: 501
  Description: new cooling
  Severity: Outage
  StartTime: Feb 20, 2017 08:00 -0500
  EndTime: Feb 22, 2017 08:00 -0500
  CreatedTime: Feb 10, 2017 08:00 -0500
  ResourceName: Springfield-CE
  Services:
    - CE
"""
FILES = {
    "topology/services.yaml": "CE: 1\nWebDAV: 143\n",
    "topology/support-centers.yaml": "Springfield Help: {ID: 3, Community: Springfield}\n",
    "topology/Springfield University/FACILITY.yaml": "ID: 100\nInstitutionID: https://example.org/iid/1\n",
    "topology/Springfield University/Springfield/SITE.yaml": "ID: 200\nLatitude: 40.0\nLongitude: -89.5\nCity: Springfield\n",
    "topology/Springfield University/Springfield/SPR.yaml": GROUP,
    "topology/Springfield University/Springfield/SPR_downtime.yaml": DOWNTIMES,
    "virtual-organizations/Physics.yaml": "ID: 1\nLongName: Physicists\nReportingGroups: [physics]\n"
    "Contacts:\n  VO Manager:\n    - {Name: Bob, ID: b0b}\nFieldsOfScience:\n  PrimaryFields: [High Energy Physics]\n",
    "virtual-organizations/Biology.yaml": "ID: 2\nLongName: Biologists\n",
    "virtual-organizations/REPORTING_GROUPS.yaml": "physics:\n  Contacts: null\n  FQANs:\n    - {GroupName: /physics, Role: pilot}\n",
    "projects/Folding.yaml": "ID: '9'\nPIName: Carol\nOrganization: Springfield University\nFieldOfScience: Biophysics\n"
    "Sponsor: {VirtualOrganization: {Name: Biology}}\n",
    "projects/_CAMPUS_GRIDS.yaml": "Springfield Grid: 4\n",
    "mappings/nsfscience.yaml": "Biophysics: Biological Sciences\n",
}
SITE = "topology/Springfield University/Springfield"


def write(folder: Path, **changes: str) -> Path:
    """Write the registry into a folder. changes: by the stem of a file's name (`SPR`, `SPR_downtime`), its other text."""
    stems = {name.rpartition("/")[2].removesuffix(".yaml"): name for name in FILES}
    put(folder, FILES | {stems[stem]: text for stem, text in changes.items()})
    return folder


def put(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
