"""An invented site with its downtimes, as a topology has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SITE = """\
LongName: Example University
Latitude: 40.0
Longitude: -100.0
"""
GROUP = """\
Production: true
SupportCenter: Example
GroupID: 1
Resources:
  EXAMPLE_CE1:
    Active: true
    FQDN: ce1.example.org
    ID: 1
    Services:
      CE:
        Description: a gateway
        Details:
          uri_override: ce1.example.org:9619
  EXAMPLE_CE2:
    Active: true
    FQDN: ce2.example.org
    ID: 2
    Services:
      CE:
        Description: a gateway
  EXAMPLE_SE:
    Active: true
    FQDN: se.example.org
    FQDNAliases: [dcache.example.org]
    ID: 3
    Services:
      SRMv2:
        Description: storage
      GridFtp:
        Description: storage
  EXAMPLE_PS:
    Active: true
    FQDN: ps.example.org
    ID: 4
    Services:
      net.perfSONAR.Bandwidth:
        Description: measures
"""
DOWNTIMES = """\
# The downtimes of Example.
- Class: SCHEDULED
  ID: 101
  Description: new cooling, as announced by alice
  Severity: Outage
  StartTime: Feb 20, 2017 08:00 -0600
  EndTime: Feb 22, 2017 08:00 -0600
  CreatedTime: Feb 10, 2017 12:00 -0600
  ResourceName: EXAMPLE_CE1
  Services:
  - CE
# ---------------------------------------------------------
- Class: SCHEDULED
  ID: 102
  Description: new cooling, as announced by alice
  Severity: Outage
  StartTime: Feb 20, 2017 08:00 -0600
  EndTime: Feb 22, 2017 08:00 -0600
  CreatedTime: Feb 10, 2017 12:01 -0600
  ResourceName: EXAMPLE_SE
  Services:
  - SRMv2
  - GridFtp
# ---------------------------------------------------------
- Class: UNSCHEDULED
  ID: 103
  Description: a disk   # of bob's
  Severity: Intermittent Outage
  StartTime: Mar 01, 2017 09:00 +0000
  EndTime: Jan 18, 2038 21:14 -0600
  ResourceName: EXAMPLE_CE2
  Services:
  - CE
# ---------------------------------------------------------
"""


def topology(folder: Path, downtimes: str = DOWNTIMES, group: str = GROUP) -> Path:
    """Write the site into a folder. Returns: the folder `topology` in it."""
    site = folder / "topology" / "Example University" / "Example"
    site.mkdir(parents=True)
    (site.parent / "FACILITY.yaml").write_text("ID: 1\n", encoding="utf-8")
    (site / "SITE.yaml").write_text(SITE, encoding="utf-8")
    (site / "EXAMPLE.yaml").write_text(group, encoding="utf-8")
    (site / "EXAMPLE_downtime.yaml").write_text(downtimes, encoding="utf-8")
    return folder / "topology"
