"""The registry: how long a check of one as large as the OSG's takes, read anew and with its cache."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from benchmarks.measuring import GRIDKEEPER, Row, seconds
from gridkeeper.config import Home
from gridkeeper.federation.reading import read_home
from gridkeeper.federation.topology.findings import findings
from gridkeeper.federation.topology.loading import read_topology

if TYPE_CHECKING:
    from pathlib import Path

AIM_S = 2.0
SITES, GROUPS_A_SITE, RESOURCES_A_GROUP, DOWNTIMES_A_GROUP, PROJECTS, VOS = 220, 2, 3, 9, 1_560, 120
_CONTACTS = "".join(
    f"      {kind}:\n        Primary: {{Name: Operations, ID: a{kind[0]}}}\n        Secondary: {{Name: Help desk, ID: b{kind[0]}}}\n"
    for kind in ("Administrative Contact", "Security Contact")
)


def registry(folder: Path, quick: bool) -> list[Row]:
    home = Home(folder / "home")
    home.create()
    sites = SITES // 10 if quick else SITES
    write(home.path, sites)
    anew = seconds(lambda: findings(read_topology(home.path)))
    read_topology(home.path, home.cache)
    cached = seconds(lambda: findings(read_topology(home.path, home.cache)), 3)
    opened = seconds(lambda: read_home(home), 3)
    whole = seconds(lambda: subprocess.run([str(GRIDKEEPER), "--home", str(home.path), "federation", "check"], check=False, capture_output=True), 2)  # fmt: skip
    topology = read_topology(home.path, home.cache).topology
    size = f"{len(topology.resources):,} resources, {len(topology.downtimes):,} downtimes, {len(topology.projects):,} projects"
    return [
        Row(
            f"(k) check of a registry of {size}",
            f"{cached:.2f} s with its cache, {anew:.2f} s without",
            f"{whole:.2f} s the whole command; {opened:.2f} s to open the home",
            cached / AIM_S, f"≤ {AIM_S:.0f} s", max(cached, anew) <= AIM_S,
        )
    ]  # fmt: skip


def write(folder: Path, sites: int) -> None:
    """Write an invented registry in the layout of the OSG topology."""
    put(folder, "topology/services.yaml", "CE: 1\nSquid: 138\nWebDAV: 143\n")
    put(folder, "topology/support-centers.yaml", "Help: {ID: 1}\n")
    for number in range(sites):
        facility = f"topology/University {number}"
        site = f"{facility}/Site {number}"
        put(folder, f"{facility}/FACILITY.yaml", f"ID: {number + 1}\n")
        put(
            folder,
            f"{site}/SITE.yaml",
            f"ID: {number + 1}\nLatitude: 40.5\nLongitude: -90.25\nCity: Springfield\nCountry: Nowhere\n",
        )
        for group in range(GROUPS_A_SITE):
            _group(folder, site, number * GROUPS_A_SITE + group)
    for number in range(VOS):
        put(
            folder,
            f"virtual-organizations/VO{number}.yaml",
            f"ID: {number}\nLongName: Invented {number}\nCommunity: nobody\nDisable: false\n",
        )
    put(folder, "virtual-organizations/REPORTING_GROUPS.yaml", "{}\n")
    for number in range(PROJECTS * sites // SITES):
        text = f"ID: '{number}'\nPIName: Somebody\nOrganization: University {number}\nDepartment: Physics\nDescription: work\nFieldOfScience: Physics\n"
        put(folder, f"projects/Project{number}.yaml", text + "Sponsor: {VirtualOrganization: {Name: VO1}}\n")
    put(folder, "projects/_CAMPUS_GRIDS.yaml", "Springfield: 1\n")


def _group(folder: Path, site: str, number: int) -> None:
    lines = [
        f"Production: true\nSupportCenter: Help\nGroupID: {number + 1}\nGroupDescription: invented\nResources:\n"
    ]
    downtimes = []
    for one in range(RESOURCES_A_GROUP):
        name = f"Springfield-{number}-{one}"
        lines.append(
            f"  {name}:\n    Active: true\n    ID: {number * RESOURCES_A_GROUP + one + 1}\n    FQDN: ce{one}.s{number}.example.org\n    ContactLists:\n"
            f"{_CONTACTS}    Services:\n      CE:\n        Description: Compute Element\n        Details: {{hidden: false}}\n    VOOwnership: {{VO{number % VOS}: 80}}\n"
            "    WLCGInformation: {APELNormalFactor: 11.5, InteropAccounting: true, HEPSPEC: 400, KSI2KMax: 100, KSI2KMin: 0}\n"
        )  # fmt: skip
    for one in range(DOWNTIMES_A_GROUP):
        times = [f"{key}: {month} {day:02}, {2010 + one} 08:00 -0600" for key, month, day in (("StartTime", "Feb", 1), ("EndTime", "Feb", 3), ("CreatedTime", "Jan", 20))]  # fmt: skip
        downtimes.append(
            f"- Class: SCHEDULED\n  ID: {number * DOWNTIMES_A_GROUP + one}\n  Description: work on the cooling\n  Severity: Outage\n  "
            + "\n  ".join(times) + f"\n  ResourceName: Springfield-{number}-{one % RESOURCES_A_GROUP}\n  Services:\n    - CE\n"
        )  # fmt: skip
    put(folder, f"{site}/Group{number}.yaml", "".join(lines))
    put(folder, f"{site}/Group{number}_downtime.yaml", "".join(downtimes))


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
