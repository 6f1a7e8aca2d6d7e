"""A folder in the layout of the OSG topology is read whole: what it says, where it says it, and what its files lack."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.topology.cache import FILE
from gridkeeper.federation.topology.loading import Loaded, has_topology, read_topology, stamp
from gridkeeper.federation.topology.models import shown_id
from tests.federation import invented_topology as invented

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_is_where_the_files_say(tmp_path: Path) -> None:
    loaded = read_topology(invented.write(tmp_path))
    found = loaded.topology
    assert loaded.faults == ()
    assert [one.name for one in found.facilities] == ["Springfield University"]
    (site,) = found.sites
    assert (site.name, site.facility, site.id, site.longitude, site.data["City"]) == ("Springfield", "Springfield University", 200, -89.5, "Springfield")  # fmt: skip
    (group,) = found.groups
    assert (group.name, group.id, group.production, group.support_center) == (
        "SPR",
        7,
        True,
        "Springfield Help",
    )
    gateway, store = group.resources
    assert gateway.hosts == ("ce.springfield.example.org", "gate.springfield.example.org")
    assert (gateway.owners, gateway.accounting_name, gateway.apel_normal_factor) == (
        {"Physics": 60.0, "Biology": 20.0}, "EX-Springfield", 11.5,
    )  # fmt: skip
    assert gateway.contacts[0].kind == "Security Contact"
    assert (store.active, store.id, store.wlcg, store.apel_normal_factor) == (False, None, None, None)
    assert found.active_resources == (gateway,)
    (downtime,) = found.downtimes
    assert (downtime.id, downtime.class_, downtime.start, downtime.services) == (501, "SCHEDULED", "Feb 20, 2017 08:00 -0500", ("CE",))  # fmt: skip
    assert {one.name: one.reporting_groups for one in found.vos} == {"Biology": (), "Physics": ("physics",)}
    assert found.reporting_groups["physics"].fqans == (("/physics", "pilot"),)
    assert found.projects[0].sponsor == ("VirtualOrganization", "Biology")
    assert found.campus_grids == {"Springfield Grid": 4}
    assert found.mappings == {"nsfscience": {"Biophysics": "Biological Sciences"}}
    assert found.service_types == {"CE": 1, "WebDAV": 143}
    assert found.support_centers["Springfield Help"].id == 3


def test_every_entry_says_its_file_and_line(tmp_path: Path) -> None:
    found = read_topology(invented.write(tmp_path)).topology
    gateway, store = found.resources
    assert (gateway.file, gateway.line) == (f"{invented.SITE}/SPR.yaml", 6)
    assert gateway.lines["FQDN"] == 10
    assert gateway.services[0].line == 17
    assert store.line == 26
    assert (found.downtimes[0].line, found.downtimes[0].lines["EndTime"]) == (1, 6)


def test_a_folder_without_the_layout_is_an_empty_registry(tmp_path: Path) -> None:
    assert not has_topology(tmp_path)
    loaded = read_topology(tmp_path)
    assert (loaded.topology.resources, loaded.topology.downtimes, loaded.faults) == ((), (), ())


def test_a_downtime_that_lost_its_dash_is_not_lost(tmp_path: Path) -> None:
    second = (
        invented.DOWNTIMES.replace("501", "502")
        .replace("20,", "25,")
        .replace("22,", "27,")
        .replace("SCHEDULED", "UNSCHEDULED")
    )
    text = invented.DOWNTIMES.replace("    - CE", "  - CE") + "  " + second.replace("    - CE", "  - CE")
    loaded = read_topology(invented.write(tmp_path, SPR_downtime=text))
    (counted,), (lost,) = loaded.topology.downtimes, loaded.topology.swallowed
    assert (counted.id, counted.class_, counted.start, counted.services) == (502, "UNSCHEDULED", "Feb 25, 2017 08:00 -0500", ("CE",))  # fmt: skip
    assert (lost.id, lost.class_, lost.start, lost.services) == (501, "SCHEDULED", "Feb 20, 2017 08:00 -0500", ("CE",))  # fmt: skip
    assert (lost.line, counted.line) == (1, 11)
    assert [(fault.code, fault.line) for fault in loaded.faults] == [("downtime-hidden", 11)]


def test_a_downtime_keeps_its_own_id_where_a_second_one_strayed_in(tmp_path: Path) -> None:
    loaded = read_topology(invented.write(tmp_path, SPR_downtime=invented.DOWNTIMES + "  ID: 777\n"))
    assert [one.id for one in loaded.topology.downtimes] == [501]
    (fault,) = loaded.faults
    assert (fault.code, fault.line) == ("duplicate-key", 11)
    assert "777, which may be another downtime's" in fault.message


@pytest.mark.parametrize(
    ("changes", "code", "file", "line"),
    [
        ({"SPR": "Production: [\n"}, "not-yaml", f"{invented.SITE}/SPR.yaml", 2),
        ({"SPR": ""}, "missing-key", f"{invented.SITE}/SPR.yaml", 0),
        ({"SPR": "SupportCenter: x\nResources: {}\n"}, "no-resources", f"{invented.SITE}/SPR.yaml", 2),
        ({"SPR": invented.GROUP.replace("    FQDN: se.springfield.example.org\n", "")}, "missing-key", f"{invented.SITE}/SPR.yaml", 27),
        ({"SPR": invented.GROUP.replace("Active: false", "Active: maybe")}, "wrong-kind", f"{invented.SITE}/SPR.yaml", 27),
        ({"SPR": invented.GROUP.replace("Physics: 60", "Physics: most")}, "wrong-kind", f"{invented.SITE}/SPR.yaml", 20),
        ({"SPR": invented.GROUP.replace("{Description: Files}", "nothing")}, "wrong-kind", f"{invented.SITE}/SPR.yaml", 31),
        ({"SITE": "Longitude: west\n"}, "wrong-kind", f"{invented.SITE}/SITE.yaml", 1),
        ({"SPR_downtime": invented.DOWNTIMES.replace("  EndTime: Feb 22, 2017 08:00 -0500\n", "")}, "missing-key", f"{invented.SITE}/SPR_downtime.yaml", 1),
        ({"SPR_downtime": "- just text\n"}, "wrong-kind", f"{invented.SITE}/SPR_downtime.yaml", 1),
        ({"Folding": "Sponsor: {CampusGrid: {}}\n"}, "missing-key", "projects/Folding.yaml", 1),
    ],
)  # fmt: skip
def test_what_a_file_lacks_is_told_and_the_rest_is_read(
    tmp_path: Path, changes: dict[str, str], code: str, file: str, line: int
) -> None:
    loaded = read_topology(invented.write(tmp_path, **changes))
    assert (code, file, line) in [(fault.code, fault.file, fault.line) for fault in loaded.faults]
    assert all(fault.fix and fault.message for fault in loaded.faults)
    assert len(loaded.topology.vos) == 2


def test_files_that_nobody_reads_are_told(tmp_path: Path) -> None:
    invented.write(tmp_path)
    invented.put(
        tmp_path,
        {
            "topology/Springfield University/extra.yaml": "a: 1\n",
            "projects/Old.yml": "ID: 1\n",
            "projects/README.md": "x",
        },
    )
    assert [(fault.code, fault.file) for fault in read_topology(tmp_path).faults] == [
        ("unread-file", "topology/Springfield University/extra.yaml"),
        ("unread-file", "projects/Old.yml"),
    ]


def test_an_id_that_is_not_given_is_made_of_the_name() -> None:
    assert shown_id(12, "x") == 12
    assert shown_id(None, "AEI-Hypatia") == 1346561053  # as the published lists have it


def read_twice(folder: Path, cache: Path) -> tuple[Loaded, Loaded]:
    return read_topology(folder, cache), read_topology(folder, cache)


def test_what_the_cache_keeps_is_what_the_files_say(tmp_path: Path) -> None:
    invented.write(tmp_path, SPR_downtime=invented.DOWNTIMES + "  ID: 777\n")
    fresh = read_topology(tmp_path)
    assert read_twice(tmp_path, tmp_path / "cache") == (fresh, fresh)
    assert (tmp_path / "cache" / FILE).exists()


def test_a_changed_file_is_read_anew_even_with_its_old_time_and_size(tmp_path: Path) -> None:
    invented.write(tmp_path)
    read_topology(tmp_path, tmp_path / "cache")
    path = tmp_path / invented.SITE / "SPR.yaml"
    before = path.stat()
    path.write_text(invented.GROUP.replace("Physics: 60", "Physics: 50"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_topology(tmp_path, tmp_path / "cache").topology.resources[0].owners["Physics"] == 50.0


@pytest.mark.parametrize("damage", ["cut", "flipped", "other version", "empty", "folder"])
def test_a_damaged_cache_is_ignored_and_made_anew(tmp_path: Path, damage: str) -> None:
    invented.write(tmp_path)
    cache = tmp_path / "cache"
    fresh = read_topology(tmp_path, cache)
    path = cache / FILE
    data = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "cut": data[:-10], "flipped": data[:-200] + bytes([data[-200] ^ 1]) + data[-199:],
                "other version": b"gridkeeper topology 0.0.0 1 x y\n" + data.partition(b"\n")[2], "empty": b"",
            }[damage]
        )  # fmt: skip
    assert read_topology(tmp_path, cache) == fresh
    assert damage == "folder" or path.read_bytes() == data


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    invented.write(tmp_path)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(read_topology(tmp_path, tmp_path / "cache").topology.resources) == 2


def test_the_stamp_changes_with_every_change(tmp_path: Path) -> None:
    invented.write(tmp_path)
    stamps = {stamp(tmp_path)}
    assert stamp(tmp_path) in stamps
    path = tmp_path / "projects" / "Folding.yaml"
    path.write_text("ID: '10'\n", encoding="utf-8")
    stamps.add(stamp(tmp_path))
    path.unlink()
    stamps.add(stamp(tmp_path))
    assert len(stamps) == 3


def test_many_readers_at_once_leave_a_whole_cache(tmp_path: Path) -> None:
    invented.write(tmp_path)
    cache = tmp_path / "cache"
    fresh = read_topology(tmp_path)
    command = [
        sys.executable, "-c",
        "import sys; from pathlib import Path; from gridkeeper.federation.topology.loading import read_topology\n"
        "from gridkeeper.federation.topology.cache import read_cache, write_cache\n"
        "folder, cache = Path(sys.argv[1]), Path(sys.argv[2]); read_topology(folder, cache)\n"
        "for _ in range(50): write_cache(cache, read_cache(cache)); assert read_cache(cache)",
        str(tmp_path), str(cache),
    ]  # fmt: skip
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert read_topology(tmp_path, cache) == fresh
    assert [path.name for path in cache.iterdir()] == [FILE]
