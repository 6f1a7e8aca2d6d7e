"""What Slurm itself says was used: sacct's lines added up, and sreport's own sums."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.slurm.cluster import Cluster

SACCT = ("sacct", "--allusers", "--duplicates", "--parsable2", "--noheader", "--starttime=now-1days")


class Used(NamedTuple):
    """Runs that ran, and what they used. core_s: by user and account."""

    runs: int
    wall_s: int
    core_s: Counter[tuple[str, str]]
    states: Counter[str]


def by_sacct(cluster: Cluster) -> Used:
    """Add up the lines of every run that had a node: elapsed time x cores."""
    words = (*SACCT, "--allocations", "--format=User,Account,ElapsedRaw,NCPUS,State,NodeList")
    lines = [line.split("|") for line in cluster.command(*words).stdout.splitlines()]
    ran = [line for line in lines if line[5] != "None assigned"]
    core_s: Counter[tuple[str, str]] = Counter()
    for user, account, elapsed, cores, _, _ in ran:
        core_s[user, account] += int(elapsed) * int(cores)
    states = Counter(line[4].split(" ")[0] for line in lines)
    return Used(len(ran), sum(int(line[2]) for line in ran), core_s, states)


def cpu_s(cluster: Cluster) -> float:
    """CPU time of all runs, as their own lines say it; sacct knows it only where it is asked for steps, too.

    Not TotalCPU: it is rounded anew, and so up to a millisecond more than user and system time.
    """
    lines = cluster.command(*SACCT, "--format=JobID,UserCPU,SystemCPU").stdout.splitlines()
    return sum(
        _seconds(text) for line in lines if "." not in line.split("|")[0] for text in line.split("|")[1:]
    )


def by_sreport(cluster: Cluster, since: datetime) -> Counter[tuple[str, str]]:
    """Core seconds by user and account in the whole hours from `since` to the one that is not over yet.

    sreport tells only of hours that slurmdbd has added up, which it does when they are over; `sacctmgr roll` makes
    it do so now. With no job running that is what it will say then, too.
    """
    begin = since.replace(minute=0, second=0, microsecond=0)
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hours = [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in (begin, end)]
    cluster.wait(
        "the roll-up", lambda: cluster.command("sacctmgr", "-i", "roll", *hours, check=False).returncode == 0
    )
    words = ("sreport", "--parsable2", "--noheader", "-t", "seconds", "cluster", "AccountUtilizationByUser")
    told = cluster.command(*words, f"start={hours[0]}", f"end={hours[1]}", "format=Login,Account,Used").stdout
    lines = [line.split("|") for line in told.splitlines()]
    return Counter({(user, account): int(used) for user, account, used in lines if user})


def _seconds(text: str) -> float:
    """`1-02:03:04`, `02:03:04` or `03:04.567`."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return int(days or 0) * 86_400 + seconds
