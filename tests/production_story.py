"""The week of the story: three sites, two VOs and an experiment, a probe that fell silent, records that came late."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from gridkeeper.queries.periods import Period
from tests.homes import InventedHome, Job, at, every_day

if TYPE_CHECKING:
    from pathlib import Path

FEDERATION = """
federation: {name: Sample of three sites, grid: OSG, week_start: tuesday}
vos:
  - {name: cms}
  - {name: osg}
  - name: fermilab
    home_sites: [FNAL]
    experiments: [{name: nova}, {name: des}]
vo_lists: {opportunistic: [osg]}
resources:
  - {name: Nebraska-Red, site: Nebraska, owners: {cms: 100}}
  - {name: Utah-Kingspeak, site: Utah, owners: {utah: 100}}
  - {name: FNAL-GPGrid, site: FNAL, owners: {fermilab: 100}}
mapping:
  - {when: {account: cms}, vo: cms}
  - {when: {account: osg}, vo: osg}
  - {when: {account: nova}, vo: nova}
  - {when: {account: des}, vo: des}
  - {when: {account: own}, grid: Local}
  - {when: {probe: "condor:*"}, grid: OSG}
"""
WEEK = Period(date(2017, 1, 31), date(2017, 2, 7))
MEETING = at("2017-02-07T16:00")
IN_TIME, LATER = at("2017-01-31T10:00"), at("2017-02-07T10:00")


def story(folder: Path, federation: str = FEDERATION) -> InventedHome:
    """Make the home of the story.

    Each day of the four weeks up to 6 February: CMS 10 hours on 8 cores at Nebraska (80 core hours), nova 2 wall hours at FNAL,
    and, at Nebraska, 4 core hours of the site's own people. In the week itself one job of 6 February was off-site.
    """
    home = InventedHome(folder, federation)
    before = every_day("2017-01-10", "2017-01-29", number=1, hours=10, cores=8)
    late = every_day("2017-01-29", "2017-01-31", number=30, hours=10, cores=8)
    week = every_day("2017-01-31", "2017-02-07", number=40, hours=10, cores=8)
    home.slurm("Nebraska-Red", before, IN_TIME)
    home.slurm(
        "Nebraska-Red",
        [*late, *week, *every_day("2017-01-10", "2017-02-07", number=500, hours=4, account="own")],
        LATER,
    )
    home.slurm(
        "FNAL-GPGrid", every_day("2017-01-10", "2017-01-31", number=1, hours=2, account="nova"), IN_TIME
    )
    home.slurm(
        "FNAL-GPGrid", every_day("2017-01-31", "2017-02-07", number=31, hours=2, account="nova"), LATER
    )
    off_site = [Job(900, at("2017-02-06T10:00"), 3, 1, "nova"), Job(901, at("2017-02-06T10:00"), 1, 1, "des")]
    nobodys = [Job(902, at("2017-02-01T10:00"), 5, 1, "strangers")]
    home.slurm("Nebraska-Red", [*off_site, *nobodys], LATER)
    home.slurm(
        "Utah-Kingspeak",
        every_day("2017-01-10", "2017-01-20", number=1, hours=20, account="osg", cores=30),
        IN_TIME,
    )
    home.payloads(
        "Utah-Kingspeak", every_day("2017-01-10", "2017-02-07", number=1, hours=6, account="osg"), LATER
    )
    return home
