"""Turns planned cells into single jobs: lengths, times, CPU, users, and how each ended."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo.days import LONGEST_WALL_S, UNTIL_S, moments
from gridkeeper.demo.people import draw_users
from gridkeeper.demo.places import GRATIA, SACCT
from gridkeeper.demo.splits import bounded_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.demo.places import Place
    from gridkeeper.demo.plan import Cell
    from gridkeeper.demo.splits import Whole

SUCCESS, FAILED, CANCELLED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, PREEMPTED, REQUEUED = range(8)
_CHANCES = np.array([0.912, 0.042, 0.020, 0.014, 0.005, 0.004, 0.003, 0.0])
_GOLDEN = 0.6180339887498949
_SPREAD = 0.75
_MEAN_WAIT_S = 2400
_REQUEUED_ONE_IN = 250
_SUSPENDED_SHARE = 0.003
_ZERO_PROCESSORS_MOST = 4
FIRST_NUMBER = 100_000
CPU_GIVEN_FROM_S = 3600


@dataclass
class Jobs:
    """Jobs as columns of one length, by end time. Times are seconds since 1970 (UTC), durations whole seconds.

    cell:   place of the job's cell in the list the jobs were made from.
    wall:   allocated time; without suspension where the batch system leaves it out (Slurm), with it elsewhere.
    end:    for a job still running when the period ends: when it will have ended.
    number: the batch system's number for the job; both runs of a requeued job have the same one.
    reported_cores: what its record says; 0 for a few whose true count is 1.
    """

    cell: Whole
    submit: Whole
    start: Whole
    end: Whole
    wall: Whole
    suspended: Whole
    cores: Whole
    reported_cores: Whole
    cpu_user: Whole
    cpu_system: Whole
    user: Whole
    outcome: Whole
    number: Whole
    gpus: Whole

    def __len__(self) -> int:
        return len(self.cell)

    def take(self, rows: Whole) -> Jobs:
        """The jobs of these rows, in that order."""
        return Jobs(*(getattr(self, field.name)[rows] for field in fields(self)))


def jobs_of(place: Place, cells: Sequence[Cell], rng: np.random.Generator, gpu_vo: str | None = None) -> Jobs:
    """Make the jobs that one probe watches.

    Sums of wall and CPU seconds over the jobs of a cell are exactly the cell's, but for cells of the bucket
    `open`: of those only the jobs that began before the period's end are kept.
    """
    made = _lengths_and_times(cells, rng)
    cell, wall, cpu, end = made
    count = len(cell)
    cores = np.array([one.cores for one in cells], dtype=np.int64)[cell]
    suspended = np.where(
        (rng.random(count) < _SUSPENDED_SHARE) & (wall > 1800), rng.integers(60, 1200, count), 0
    ).astype(np.int64)
    start = end - wall - (suspended if place.format == SACCT else 0)
    system = np.floor(cpu * rng.uniform(0.01, 0.06, count)).astype(np.int64)
    outcome = np.searchsorted(np.cumsum(_CHANCES / _CHANCES.sum()), rng.random(count), side="right").astype(
        np.int64
    )
    has_gpu = np.array([one.vo == gpu_vo and one.cores == 1 for one in cells])[cell] & (
        rng.random(count) < 0.2
    )
    user = draw_users(count, rng)
    submit = start - np.floor(rng.exponential(_MEAN_WAIT_S, count)).astype(np.int64) - 2
    jobs = Jobs(
        cell, submit, start, end, wall, suspended, cores, cores.copy(), cpu - system, system, user, outcome, np.zeros(count, np.int64),
        has_gpu.astype(np.int64),
    )  # fmt: skip
    jobs.number[np.argsort(submit, kind="stable")] = FIRST_NUMBER + 3 * np.arange(count)
    if place.format == SACCT:
        _requeue(jobs, len(cells))
    if place.format == GRATIA:
        ones = np.flatnonzero((cores == 1) & (end < UNTIL_S))
        jobs.reported_cores[rng.permutation(ones)[:_ZERO_PROCESSORS_MOST]] = 0
    if not place.cpu_given:
        unseen = wall * cores >= CPU_GIVEN_FROM_S
        jobs.cpu_user[unseen] = jobs.cpu_system[unseen] = 0
    return jobs.take(np.argsort(jobs.end, kind="stable"))


def _lengths_and_times(cells: Sequence[Cell], rng: np.random.Generator) -> tuple[Whole, Whole, Whole, Whole]:
    """Draw wall, CPU and end of all jobs. Returns: cell, wall, CPU (over all cores), end."""
    parts: list[tuple[Whole, Whole, Whole, Whole]] = []
    for place, cell in enumerate(cells):
        count = cell.jobs
        ones = np.ones(count, dtype=np.int64)
        lengths = np.sort(rng.lognormal(0.0, _SPREAD, count))
        wall = np.sort(bounded_shares(cell.wall_s, lengths, ones, ones * LONGEST_WALL_S))
        mean = cell.cpu_s / max(cell.core_s, 1)
        core_s = wall * cell.cores
        efficiency = np.clip(rng.normal(mean, 0.08, count), 0.05, 0.98)
        cpu = bounded_shares(cell.cpu_s, core_s * efficiency, 0 * ones, core_s)
        # Steps of the golden ratio spread every length evenly over the interval, so that no day starves.
        fractions = (np.arange(count) * _GOLDEN + rng.random()) % 1.0
        end = moments(fractions, cell.first, cell.until)
        kept = np.flatnonzero(end - wall < UNTIL_S) if cell.first >= UNTIL_S else slice(None)
        parts.append((np.full(count, place)[kept], wall[kept], cpu[kept], end[kept]))
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none, none
    cell_of, wall, cpu, end = (np.concatenate(column) for column in zip(*parts, strict=True))
    return cell_of, wall, cpu, end


def _requeue(jobs: Jobs, cells: int) -> None:
    """Make some jobs the second run of an earlier one of the same cell: same number, submitted when that ended."""
    order = np.lexsort((jobs.start, jobs.cell))
    bounds = np.searchsorted(jobs.cell[order], np.arange(cells + 1))
    for first, until in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        rows = order[first:until]
        taken: set[int] = set()
        for earlier in rows[5::_REQUEUED_ONE_IN].tolist():
            place = int(np.searchsorted(jobs.start[rows], jobs.end[earlier] + 30))
            later = int(rows[place]) if place < len(rows) else earlier
            if later == earlier or later in taken or earlier in taken:
                continue
            taken |= {earlier, later}
            jobs.outcome[earlier] = (REQUEUED, PREEMPTED, NODE_FAIL)[earlier % 3]
            jobs.number[later], jobs.user[later] = jobs.number[earlier], jobs.user[earlier]
            jobs.submit[later] = jobs.end[earlier]
