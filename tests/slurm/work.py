"""The jobs that a real Slurm is given: plain ones, and each thing that can befall a job."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.slurm.configuration import CORES

if TYPE_CHECKING:
    from tests.slurm.cluster import Cluster

# People whom every Debian knows, so that none need be made; who may use which account.
USERS = {"games": ("cms", "atlas"), "news": ("atlas",)}
ODD_NAME = "pipe|in a ümlaut"
STEP_S = 2.0
ENDED_WITHIN_S = 120.0
SECOND_IS_OVER_S = 1.1


class Submitted(NamedTuple):
    """Ids of jobs that something is still to befall."""

    array: str
    requeued: str
    cancelled: str
    suspended: str
    too_wide: str


def admit(cluster: Cluster) -> None:
    """Make the accounts and let the users in."""
    cluster.sacctmgr("add", "account", *sorted({name for names in USERS.values() for name in names}))
    for user, accounts in USERS.items():
        cluster.sacctmgr("add", "user", user, f"account={','.join(accounts)}")


def submit(cluster: Cluster) -> Submitted:
    """Submit all jobs. The array runs two at a time; one job is held and cancelled; the last one finds no room."""

    def job(user: str, account: str, script: str, *more: str) -> str:
        words = (
            "sbatch",
            "--parsable",
            f"--uid={user}",
            f"--account={account}",
            "--chdir=/tmp",
            "--output=/dev/null",
        )
        return cluster.command(*words, *more, f"--wrap={script}").stdout.strip()

    endless = job("news", "atlas", "sleep 300", "--ntasks=2")
    job("games", "cms", "timeout 2 sh -c 'while :; do :; done'; true")
    job("games", "atlas", "sleep 2")
    job("news", "atlas", "sleep 3", "--ntasks=2")
    job("news", "atlas", "srun --exact --ntasks=1 sleep 1; sleep 1", "--ntasks=2", "--job-name=steps")
    job("games", "cms", "sleep 1", f"--job-name={ODD_NAME}")
    job("news", "atlas", "sleep 1; exit 3")
    held = job("games", "cms", "sleep 1", "--hold")
    cluster.command("scancel", held)
    return Submitted(
        array=job("news", "atlas", "sleep 3", "--array=0-5%2"),
        requeued=job("games", "cms", "sleep 6", "--requeue"),
        cancelled=endless,
        suspended=job("games", "cms", "sleep 6"),
        too_wide=job("games", "cms", "sleep 1", f"--ntasks={CORES}"),
    )


def wait_for_room_to_run_out(cluster: Cluster, jobs: Submitted) -> None:
    """Wait until one of the wide jobs runs and the other waits, with the rest of the array."""
    cluster.wait("work", lambda: _states(cluster, jobs.cancelled) == {"RUNNING"})


def befall(cluster: Cluster, jobs: Submitted) -> None:
    """Let happen what happens to jobs while they run: requeued, suspended, cancelled."""
    cluster.wait(
        "that they run",
        lambda: _states(cluster, jobs.requeued, jobs.suspended, jobs.cancelled) == {"RUNNING"},
    )
    time.sleep(STEP_S)
    cluster.command("scontrol", "requeue", jobs.requeued)
    cluster.command("scontrol", "suspend", jobs.suspended)
    cluster.command("scancel", jobs.cancelled, jobs.too_wide)
    cluster.command("scancel", f"{jobs.array}_[4-5]")
    time.sleep(STEP_S)
    cluster.command("scontrol", "resume", jobs.suspended)
    # Slurm lets a requeued job wait for two minutes; that is longer than this test has to be.
    cluster.wait("the second run", lambda: _states(cluster, jobs.requeued) == {"PENDING"})
    cluster.command("scontrol", "update", f"jobid={jobs.requeued}", "starttime=now")


def wait_until_ended(cluster: Cluster) -> None:
    """Wait until nothing runs or waits, and until Slurm's database knows it, too."""
    known = (
        "sacct",
        "--allusers",
        "--noheader",
        "--parsable2",
        "--format=State",
        "--state=RUNNING,PENDING,SUSPENDED",
    )
    for words in (("squeue", "--noheader"), known):
        cluster.wait("the end of all jobs", lambda: not cluster.command(*words).stdout, ENDED_WITHIN_S)  # noqa: B023
    # What the controller has not told its database yet, sacct does not know at all, neither running nor ended.
    told = re.compile(r"DBD Agent queue size:\s*0\b")
    cluster.wait(
        "the database to be told",
        lambda: told.search(cluster.command("sdiag").stdout) is not None,
        ENDED_WITHIN_S,
    )
    cluster.wait("the end of all jobs", lambda: not cluster.command(*known).stdout, ENDED_WITHIN_S)
    time.sleep(
        SECOND_IS_OVER_S
    )  # a run that ended within the second that is not over yet is left for the next round


def _states(cluster: Cluster, *jobs: str) -> set[str]:
    return set(
        cluster.command("squeue", "--noheader", "--format=%T", f"--jobs={','.join(jobs)}").stdout.split()
    )
