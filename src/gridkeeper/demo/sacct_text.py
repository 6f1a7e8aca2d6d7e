"""Writes jobs as `TZ=UTC sacct -P -D -X` would, with a header and the job name last."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo import jobs as outcomes
from gridkeeper.demo.clock_text import clock_texts, time_texts
from gridkeeper.demo.people import group_of, user_names
from gridkeeper.demo.places import GPU_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.places import Place
    from gridkeeper.demo.plan import Cell

HEADER = (
    "JobID|JobIDRaw|Cluster|Partition|Account|Group|User|Submit|Eligible|Start|End|Elapsed|ElapsedRaw|Suspended|TotalCPU|SystemCPU|"
    "UserCPU|ExitCode|State|NNodes|NCPUS|AllocTRES|Timelimit|NodeList|JobName\n"
)  # fmt: skip
_START_FIELD, _USER_FIELD = 9, 6
# Numbers of rows that are no finished jobs lie beyond those of all jobs.
_BEYOND = 50_000_000
_FIRST_UID = 1001
_NODES = 400
_FAILURES = ("1:0", "2:0", "127:0", "0:11", "134:0")
_ENDS = {
    outcomes.SUCCESS: ("COMPLETED", "0:0"),
    outcomes.TIMEOUT: ("TIMEOUT", "0:15"),
    outcomes.OUT_OF_MEMORY: ("OUT_OF_MEMORY", "0:125"),
    outcomes.NODE_FAIL: ("NODE_FAIL", "1:0"),
    outcomes.PREEMPTED: ("PREEMPTED", "0:15"),
    outcomes.REQUEUED: ("REQUEUED", "0:15"),
}
_LOCAL_NAMES = ("relax", "sweep|T=0.5", "Größe-µ", "train", "a | b | c")


def lines(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write finished jobs, one line each."""
    times = [time_texts(column) for column in (jobs.submit, jobs.start, jobs.end)]
    states = [
        _state(code, user, number)
        for code, user, number in zip(
            jobs.outcome.tolist(), jobs.user.tolist(), jobs.number.tolist(), strict=True
        )
    ]
    return _lines(place, cells, jobs, times, states)


def running_lines(place: Place, cells: Sequence[Cell], jobs: Jobs, now: int) -> list[str]:
    """Write jobs that run at `now` (seconds since 1970): no end, no exit code."""
    so_far = jobs.take(np.arange(len(jobs)))
    so_far.wall = now - jobs.start
    so_far.suspended = so_far.cpu_user = so_far.cpu_system = np.zeros_like(jobs.wall)
    times = [time_texts(jobs.submit), time_texts(jobs.start), ["Unknown"] * len(jobs)]
    return _lines(place, cells, so_far, times, [("RUNNING", "0:0")] * len(jobs))


def never_ran_lines(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write likenesses of jobs that were cancelled while they waited."""
    likenesses = jobs.take(np.arange(len(jobs)))
    likenesses.number = jobs.number + _BEYOND
    likenesses.wall = likenesses.suspended = likenesses.cpu_user = likenesses.cpu_system = np.zeros_like(
        jobs.wall
    )
    times = [time_texts(jobs.submit), ["None"] * len(jobs), time_texts(jobs.start)]
    states = [(f"CANCELLED by {_FIRST_UID + user}", "0:0") for user in jobs.user.tolist()]
    return _lines(place, cells, likenesses, times, states, nodes=["None assigned"] * len(jobs))


def broken_lines(place: Place, cells: Sequence[Cell], jobs: Jobs) -> list[str]:
    """Write likenesses of jobs that cannot be read: cut off, with an impossible time, with bytes that are no UTF-8."""
    likenesses = jobs.take(np.arange(len(jobs)))
    likenesses.number = jobs.number + 2 * _BEYOND
    found = []
    for line, kind in zip(lines(place, cells, likenesses), (jobs.number // 3 % 3).tolist(), strict=True):
        parts = line.split("|")
        if kind == 0:
            parts = line[: len(line) // 2].split("|")[:-1]
        elif kind == 1:
            parts[_START_FIELD] = "2016-13-45T99:00:00"
        else:
            parts[_USER_FIELD] = "\udcff\udcfe"
        found.append("|".join(parts).rstrip("\n") + "\n")
    return found


def _state(code: int, user: int, number: int) -> tuple[str, str]:
    if code == outcomes.FAILED:
        return "FAILED", _FAILURES[number % len(_FAILURES)]
    if code == outcomes.CANCELLED:
        return f"CANCELLED by {_FIRST_UID + user}", "0:15"
    return _ENDS[code]


def _lines(
    place: Place, cells: Sequence[Cell], jobs: Jobs, times: list[list[str]], states: list[tuple[str, str]], nodes: list[str] | None = None,
) -> list[str]:  # fmt: skip
    who = [_who(cell.account, cell.vo, cell.cores, cell.grid) for cell in cells]
    cluster = place.machine
    nodes = nodes or [
        f"{cluster.split('.', 1)[0].lower()}-n{number % _NODES:03d}" for number in jobs.number.tolist()
    ]
    cpu = [_cpu_texts(column) for column in (jobs.cpu_user + jobs.cpu_system, jobs.cpu_system, jobs.cpu_user)]
    limits = np.where(jobs.outcome == outcomes.TIMEOUT, jobs.wall - jobs.wall % 60, 3 * 86_400)
    columns = zip(
        jobs.cell.tolist(), jobs.number.tolist(), jobs.user.tolist(), *times, clock_texts(jobs.wall), jobs.wall.tolist(),
        clock_texts(jobs.suspended), *cpu, states, jobs.cores.tolist(), jobs.gpus.tolist(), clock_texts(limits), nodes, strict=True,
    )  # fmt: skip
    found = []
    for (
        cell, number, user, submit, start, end, elapsed, wall, suspended, total, system, own, (state, code), cores, gpus, limit, node,
    ) in columns:  # fmt: skip
        account, group, users, partition, names, is_array = who[cell]
        job = f"{number - number % 30}_{number % 30}" if is_array and number % 7 == 0 else number
        gpu = f"gres/gpu:{GPU_MODEL}={gpus},gres/gpu={gpus}," if gpus else ""
        found.append(
            f"{job}|{number}|{cluster}|{'gpu' if gpus else partition}|{account}|{group}|{users[user]}|{submit}|{submit}|{start}|{end}|"
            f"{elapsed}|{wall}|{suspended}|{total}|{system}|{own}|{code}|{state}|1|{cores}|"
            f"billing={cores},cpu={cores},{gpu}mem={2 * cores}G,node=1|{limit}|{node}|{names[number % len(names)]}\n"
        )
    return found


@cache
def _who(account: str, vo: str | None, cores: int, grid: str | None) -> tuple[str, str, list[str], str, tuple[str, ...], bool]:  # fmt: skip
    """A cell's account, group, users, partition and job names, and whether it runs job arrays."""
    group = group_of(vo)
    if group.role:
        return (
            account,
            group.name,
            user_names(group),
            "grid" if cores == 1 else f"grid{cores}",
            ("pilot",),
            False,
        )
    return account, account, user_names(group), "normal", _LOCAL_NAMES, grid is not None


def _cpu_texts(seconds: np.ndarray) -> list[str]:
    """CPU times as Slurm writes them: with a fraction below an hour."""
    return [
        f"{value // 60:02d}:{value % 60:02d}.000" if value < 3600 else text
        for value, text in zip(seconds.tolist(), clock_texts(seconds), strict=True)
    ]
