"""Writes jobs as HTCondor's history files hold them: ads, each ended by a banner."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo import jobs as outcomes
from gridkeeper.demo.people import PROJECTS, distinguished_name, fqan_of, group_of, user_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.places import Place
    from gridkeeper.demo.plan import Cell

_BEYOND = 50_000_000
_NODES = 600
_REMOVED, _COMPLETED = 3, 4
_BY_REMOVAL = (outcomes.CANCELLED, outcomes.TIMEOUT)
_BY_SIGNAL = (outcomes.OUT_OF_MEMORY, outcomes.NODE_FAIL, outcomes.PREEMPTED)


def ads(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write ended jobs, one ad each without its banner; removed ones have CompletionDate 0."""
    who = [_who(place, cell) for cell in cells]
    columns = zip(
        jobs.cell.tolist(), jobs.number.tolist(), jobs.user.tolist(), jobs.submit.tolist(), jobs.start.tolist(), jobs.end.tolist(),
        jobs.wall.tolist(), jobs.suspended.tolist(), jobs.cpu_user.tolist(), jobs.cpu_system.tolist(), jobs.cores.tolist(),
        jobs.outcome.tolist(), strict=True,
    )  # fmt: skip
    found = []
    for cell, number, user, submit, start, end, wall, suspended, own, system, cores, outcome in columns:
        owners, domain, group, proxies, pilot = who[cell]
        owner = owners[user]
        removed = outcome in _BY_REMOVAL
        found.append(
            f'MyType = "Job"\nClusterId = {number}\nProcId = 0\nGlobalJobId = "{place.machine}#{number}.0#{submit}"\n'
            f'QDate = {submit}\nJobUniverse = 5\nOwner = "{owner}"\nUser = "{owner}@{domain}"\n'
            f'AcctGroup = "{group}"\nAcctGroupUser = "{owner}"\nAccountingGroup = "{group}.{owner}"\n{proxies[user]}'
            f'Cmd = "/home/{owner}/run.sh"\nIwd = "/home/{owner}"\nJobPrio = 0\nRequestCpus = {cores}\nCpusProvisioned = {cores}\n'
            f"RequestMemory = {2000 * cores}\nMemoryUsage = {900 * cores + number % 700}\nRequestDisk = 1000000\nNumJobStarts = 1\n"
            f"NumRestarts = 0\nJobStartDate = {start}\nJobCurrentStartDate = {start}\nEnteredCurrentStatus = {end}\n"
            f"JobStatus = {_REMOVED if removed else _COMPLETED}\nCompletionDate = {0 if removed else end}\n"
            f"RemoteWallClockTime = {wall}.000000\nCommittedTime = {0 if removed else wall}\nCumulativeSuspensionTime = {suspended}\n"
            f"TotalSuspensions = {1 if suspended else 0}\nRemoteUserCpu = {own}.000000\nRemoteSysCpu = {system}.000000\n"
            f'{_exit(outcome)}LastRemoteHost = "slot1_{1 + number % 8}@{pilot}wn{number % _NODES:03d}.example.edu"\n'
        )
    return found


def never_ran_ads(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write likenesses of jobs that were removed while they waited."""
    likenesses = jobs.take(np.arange(len(jobs)))
    likenesses.number = jobs.number + _BEYOND
    likenesses.wall = likenesses.suspended = likenesses.cpu_user = likenesses.cpu_system = np.zeros_like(
        jobs.wall
    )
    likenesses.outcome = np.full(len(jobs), outcomes.CANCELLED)
    gone = re.compile(r"^(?:JobStartDate|JobCurrentStartDate|LastRemoteHost) = .*\n", re.MULTILINE)
    return [
        gone.sub("", ad).replace("NumJobStarts = 1", "NumJobStarts = 0")
        for ad in ads(place, cells, likenesses)
    ]


def broken_ads(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write likenesses of jobs that cannot be right: a string without end, a negative time, an end before the start."""
    likenesses = jobs.take(np.arange(len(jobs)))
    likenesses.number = jobs.number + 2 * _BEYOND
    found = []
    for ad, kind, start in zip(
        ads(place, cells, likenesses), (jobs.number // 3 % 3).tolist(), jobs.start.tolist(), strict=True
    ):
        if kind == 0:
            found.append(re.sub(r'(GlobalJobId = "[^"]*)"', r"\1", ad))
        elif kind == 1:
            found.append(ad.replace("RemoteWallClockTime = ", "RemoteWallClockTime = -1"))
        else:
            found.append(re.sub(r"CompletionDate = \d+", f"CompletionDate = {start - 7200}", ad))
    return found


def with_banners(texts: Sequence[str]) -> list[str]:
    """End each ad with the banner that tells where it begins."""
    found, offset = [], 0
    for ad in texts:
        number, owner, completed = (_field(ad, name) for name in ("ClusterId", "Owner", "CompletionDate"))
        banner = f"*** Offset = {offset} ClusterId = {number} ProcId = 0 Owner = {owner} CompletionDate = {completed}\n"
        found.append(ad + banner)
        offset += len(ad) + len(banner)
    return found


def _field(ad: str, name: str) -> str:
    begin = ad.index(f"\n{name} = ") + len(name) + 4
    return ad[begin : ad.index("\n", begin)]


def _exit(outcome: int) -> str:
    if outcome in _BY_SIGNAL:
        return "ExitBySignal = true\nExitSignal = 9\nExitStatus = 0\n"
    code = 1 if outcome == outcomes.FAILED else 0
    return f"ExitBySignal = false\nExitCode = {code}\nExitStatus = {code}\n"


def _who(place: Place, cell: Cell) -> tuple[list[str], str, str, list[str], str]:
    """A cell's owners, their domain, accounting group, lines that say more of each owner, and the pilot's prefix."""
    owners = user_names(group_of(cell.vo))
    vo = cell.vo or ""
    if cell.level == "payload":
        more = [
            f'ProjectName = "{PROJECTS[number % len(PROJECTS)]}"\nMATCH_EXP_JOBGLIDEIN_ResourceName = "{cell.resource}"\n'
            f'MATCH_EXP_JOBGLIDEIN_Site = "{cell.resource}"\n'
            for number in range(len(owners))
        ]
        return owners, place.host, "group_opportunistic", more, "glidein_7@"
    group = f"group_{cell.experiment or vo}"
    if not place.x509:
        return owners, place.host, group, [""] * len(owners), ""
    more = [
        f'x509userproxysubject = "{distinguished_name(owner)}"\nx509UserProxyVOName = "{vo}"\n'
        f'x509UserProxyFirstFQAN = "{fqan_of(vo, cell.experiment)}"\n'
        for owner in owners
    ]
    return owners, place.host, group, more, ""
