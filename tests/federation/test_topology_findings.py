"""Everything that the files of a registry say wrongly of one another is told at once, with file, line and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.topology.findings import counts, findings
from gridkeeper.federation.topology.loading import read_topology
from tests.federation import invented_topology as invented

if TYPE_CHECKING:
    from pathlib import Path

GROUP, DOWNTIMES, SITE = invented.GROUP, invented.DOWNTIMES, invented.SITE
SECOND = DOWNTIMES.replace("501", "502")


def found(folder: Path) -> list[tuple[str, str, str, int]]:
    return [(one.severity, one.code, one.file, one.line) for one in findings(read_topology(folder))]


def test_nothing_is_wrong_with_a_registry_in_order(tmp_path: Path) -> None:
    invented.write(tmp_path)
    assert found(tmp_path) == []
    assert counts(read_topology(tmp_path).topology) == {
        "facilities": 1, "sites": 1, "resource_groups": 1, "resources": 2, "active_resources": 1, "virtual_organizations": 2,
        "projects": 1, "downtimes": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "severity", "code", "file", "line"),
    [
        ({"SPR": GROUP.replace("FQDN: se.", "FQDN: ce.")}, "error", "shared-fqdn", "SPR", 28),
        ({"SPR": GROUP.replace("FQDN: se.", "FQDN: gate.")}, "warning", "shared-alias", "SPR", 26),
        ({"SPR": GROUP.replace("Springfield-SE", "springfield-CE")}, "error", "duplicate-name", "SPR", 26),
        ({"SPR": GROUP.replace("      WebDAV: ", "      WebDaff: ")}, "error", "unknown-service", "SPR", 31),
        ({"SPR": GROUP.replace("Physics: 60", "Physics: 81")}, "error", "ownership-over-100", "SPR", 20),
        ({"SPR": GROUP.replace("Biology: 20", "Biology: 0")}, "warning", "ownership-not-positive", "SPR", 20),
        ({"SPR": GROUP.replace("Biology: 20", "Biologie: 20")}, "error", "unknown-vo", "SPR", 20),
        ({"SPR": GROUP.replace("Biology: 20", "BIOLOGY: 20")}, "note", "vo-written-otherwise", "SPR", 20),
        ({"SPR": GROUP.replace("SupportCenter: Springfield", "SupportCenter: Shelbyville")}, "error", "unknown-support-center", "SPR", 2),
        ({"SPR": GROUP.replace(", ID: a11ce", "")}, "warning", "contact-without-id", "SPR", 15),
        ({"SPR": GROUP.replace("Primary:", "Primus:")}, "warning", "unknown-contact-rank", "SPR", 15),
        ({"SPR": GROUP.replace("ID: a11ce", "ID: b0b")}, "warning", "contact-two-names", "Physics", 6),
        ({"SITE": "ID: 200\nLatitude: 40\nLongitude: 270.5\n"}, "error", "bad-coordinates", "SITE", 1),
        ({"Physics": "ID: 2\n"}, "warning", "duplicate-id", "Physics", 1),
        ({"Physics": "ID: 1\nParentVO: {ID: 3, Name: Science}\n"}, "error", "unknown-vo", "Physics", 2),
        ({"Physics": "ID: 1\nReportingGroups: [physicists]\n"}, "warning", "unknown-reporting-group", "Physics", 2),
        ({"Folding": "ID: '9'\nSponsor: {VirtualOrganization: {Name: Chemistry}}\n"}, "error", "unknown-vo", "Folding", 2),
        ({"Folding": "ID: '9'\nSponsor: {CampusGrid: {Name: Nowhere}}\n"}, "error", "unknown-campus-grid", "Folding", 2),
        ({"SPR_downtime": DOWNTIMES.replace("Feb 20, 2017", "20 Feb 2017")}, "error", "unreadable-time", "SPR_downtime", 5),
        ({"SPR_downtime": DOWNTIMES.replace("SCHEDULED", "PLANNED")}, "error", "unknown-class", "SPR_downtime", 1),
        ({"SPR_downtime": DOWNTIMES.replace("Outage", "Bad")}, "error", "unknown-severity", "SPR_downtime", 4),
        ({"SPR_downtime": DOWNTIMES.replace("Springfield-CE", "Shelbyville-CE")}, "error", "downtime-unknown-resource", "SPR_downtime", 8),
        ({"SPR_downtime": DOWNTIMES.replace("- CE", "- WebDAV")}, "error", "downtime-no-service-left", "SPR_downtime", 9),
        ({"SPR_downtime": DOWNTIMES + "    - WebDAV\n"}, "warning", "downtime-service-gone", "SPR_downtime", 9),
        ({"SPR_downtime": DOWNTIMES.replace("-0500", "+0500")}, "error", "downtime-zone-sign", "SPR_downtime", 5),
        ({"SPR_downtime": DOWNTIMES.replace("Feb 22, 2017", "Feb 20, 2017")}, "error", "downtime-covers-no-time", "SPR_downtime", 6),
        ({"SPR_downtime": DOWNTIMES.replace("Feb 22, 2017", "Jan 01, 2100")}, "warning", "downtime-far-end", "SPR_downtime", 6),
        ({"SPR_downtime": DOWNTIMES.replace("Feb 10, 2017", "Feb 20, 2017")}, "warning", "downtime-short-notice", "SPR_downtime", 7),
        ({"SPR_downtime": DOWNTIMES + DOWNTIMES}, "error", "duplicate-id", "SPR_downtime", 12),
        ({"SPR_downtime": DOWNTIMES + SECOND}, "warning", "downtime-overlap", "SPR_downtime", 11),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_place(
    tmp_path: Path, changes: dict[str, str], severity: str, code: str, file: str, line: int
) -> None:
    folder = invented.write(tmp_path, **changes)
    assert (severity, code, file, line) in [
        (level, name, path.rpartition("/")[2].removesuffix(".yaml"), at)
        for level, name, path, at in found(folder)
    ]
    assert all(one.message and one.fix for one in findings(read_topology(folder)))


def test_places_without_their_files_are_told(tmp_path: Path) -> None:
    invented.write(tmp_path)
    (tmp_path / SITE / "SITE.yaml").unlink()
    (tmp_path / "topology/Springfield University/FACILITY.yaml").unlink()
    invented.put(tmp_path, {f"{SITE}/OLD_downtime.yaml": SECOND.replace("Feb", "May")})
    assert ("error", "unknown-site", f"{SITE}/SPR.yaml", 0) in found(tmp_path)
    assert ("error", "downtime-without-group", f"{SITE}/OLD_downtime.yaml", 1) in found(tmp_path)


def test_a_downtime_in_another_groups_file_is_told(tmp_path: Path) -> None:
    invented.write(tmp_path)
    other = GROUP.replace("Springfield-", "Shelbyville-").replace(
        "springfield.example", "shelbyville.example"
    )
    other = other.replace("GroupID: 7", "GroupID: 8").replace("ID: 11", "ID: 12")
    invented.put(
        tmp_path, {f"{SITE}/SHB.yaml": other, f"{SITE}/SHB_downtime.yaml": SECOND.replace("Feb", "May")}
    )
    assert [one for one in found(tmp_path) if one[0] == "error"] == [
        ("error", "downtime-wrong-group", f"{SITE}/SHB_downtime.yaml", 1)
    ]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    group = (
        GROUP.replace("Physics: 60", "Physics: 90")
        .replace("FQDN: se.", "FQDN: ce.")
        .replace("Biology: 20", "Alchemy: 20")
    )
    codes = {
        code for _, code, _, _ in found(invented.write(tmp_path, SPR=group, SPR_downtime=DOWNTIMES + SECOND))
    }
    assert {"ownership-over-100", "shared-fqdn", "unknown-vo", "downtime-overlap"} <= codes
