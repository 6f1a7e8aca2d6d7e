"""Plans how many jobs of which kind run where and when, so that every target is met exactly.

A plan is a list of cells: jobs of one VO, size, resource and interval, with their number and their summed wall
and CPU seconds. Amounts are split downwards (period, bucket, VO, size, resource) in whole seconds, so that the
cells add up to exactly what was split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo.days import BUCKETS, LONGEST_WALL_S, UTAH_SILENT_S, by_bucket, days_of
from gridkeeper.demo.people import (
    EXPERIMENTS,
    OFFSITE_SHARE,
    PAYLOAD_EFFICIENCY,
    PAYLOAD_MEAN_HOURS,
    PAYLOAD_SHARE,
    account_of,
    group_of,
)
from gridkeeper.demo.places import (
    ACCESS_POINTS,
    BY_NAME,
    FERMILAB,
    LOCAL,
    OFFSITE,
    UNMAPPED,
    UTAH,
    weights_of,
)
from gridkeeper.demo.splits import shares
from gridkeeper.demo.targets import AT_RESOURCE, OFFSITE_WEEK_HOURS, OTHER, core_seconds, whole_seconds
from gridkeeper.demo.two_sizes import TWO_SIZES, sized_amounts

if TYPE_CHECKING:
    from gridkeeper.demo.two_sizes import Size

GRID, LOCAL_GRID = "OSG", "Local"
_HOUR = 3600


@dataclass(frozen=True)
class Cell:
    """Jobs of one kind at one resource that end within [first, until).

    source:   the resource or access point whose probe reports them; resource: where they are booked.
    bucket:   of days; in `open` lie the jobs that are still running when the period ends.
    reported: whether the records ever arrive.
    wall_s, cpu_s: sums over the jobs, in seconds; core seconds are wall_s x cores.
    """

    source: str
    resource: str
    vo: str | None
    experiment: str | None
    level: str
    grid: str | None
    account: str
    bucket: str
    first: int
    until: int
    cores: int
    jobs: int
    wall_s: int
    cpu_s: int
    reported: bool = True

    @property
    def core_s(self) -> int:
        """Core seconds of all its jobs."""
        return self.wall_s * self.cores


@dataclass(frozen=True)
class _Line:
    """An amount of core seconds of one VO in one bucket, to be split over sizes and resources."""

    vo: str | None
    bucket: str
    core_s: int
    weights: dict[str, float]
    experiment: str | None = None
    account: str = ""
    grid: str | None = GRID
    sizes: tuple[Size, ...] = ()
    one_core: bool = False
    everywhere: bool = False
    reported: bool = True
    interval: tuple[int, int] = field(default=(0, 0))


def cells(scale: float) -> list[Cell]:
    """Plan everything that runs in the sample federation at a scale."""
    lines = [*_grid_lines(scale), *_fermilab_lines(scale), *_utah_lines(scale), *_local_lines(scale)]
    batch = [cell for line in lines for cell in _cells_of(line)]
    return batch + _payloads(batch)


def _grid_lines(scale: float) -> list[_Line]:
    """The lines of all VOs but Fermilab, less what has a target of its own at one resource."""
    lines = []
    wanted = core_seconds(scale)
    other = wanted.pop("other")
    wanted.pop("fermilab")
    parts = {period: shares(amount, np.array(list(OTHER.values()))) for period, amount in other.items()}
    wanted |= {
        vo: {period: int(part[place]) for period, part in parts.items()} for place, vo in enumerate(OTHER)
    }
    for vo, periods in wanted.items():
        amounts = by_bucket(periods)
        if vo in TWO_SIZES:
            for bucket, sizes in sized_amounts(vo, periods, scale).items():
                lines.append(_Line(vo, bucket, amounts[bucket], weights_of(vo), sizes=sizes))
            continue
        for (owner, resource), (full, _) in AT_RESOURCE.items():
            if owner == vo:
                pinned = by_bucket({period: whole_seconds(hours, scale) for period, hours in full.items()})
                amounts = {bucket: amounts[bucket] - pinned[bucket] for bucket in amounts}
                if resource != UTAH:
                    lines += [_Line(vo, bucket, amount, {resource: 1}) for bucket, amount in pinned.items()]
        lines += [_Line(vo, bucket, amount, weights_of(vo)) for bucket, amount in amounts.items()]
    return lines


def _fermilab_lines(scale: float) -> list[_Line]:
    """Fermilab's experiments, at home and on the 28 sites elsewhere."""
    total = core_seconds(scale)["fermilab"]
    names = list(EXPERIMENTS)
    away: dict[str, dict[str, int]] = {name: {} for name in names}
    home: dict[str, dict[str, int]] = {name: {} for name in names}
    for period, amount in total.items():
        if period == "week":
            offsite = [whole_seconds(OFFSITE_WEEK_HOURS.get(name, 0), scale) for name in names]
        else:
            weights = np.array([elsewhere for _, elsewhere in EXPERIMENTS.values()])
            offsite = shares(round(amount * OFFSITE_SHARE[period]), weights).tolist()
        onsite = shares(amount - sum(offsite), np.array([here for here, _ in EXPERIMENTS.values()]))
        for place, name in enumerate(names):
            away[name][period], home[name][period] = int(offsite[place]), int(onsite[place])
    lines = []
    for name in names:
        for bucket, amount in by_bucket(home[name]).items():
            lines.append(_Line("fermilab", bucket, amount, {FERMILAB: 1}, experiment=name))
        for bucket, amount in by_bucket(away[name]).items():
            lines.append(
                _Line(
                    "fermilab", bucket, amount, OFFSITE, experiment=name, one_core=True,
                    everywhere=name == "nova" and bucket == "feb",
                )
            )  # fmt: skip
    return lines


def _utah_intervals(bucket: str) -> list[tuple[tuple[int, int], bool]]:
    """A bucket's intervals at Utah, and whether its probe still reports them."""
    first, until = BUCKETS[bucket]
    if until <= UTAH_SILENT_S:
        return [((first, until), True)]
    if first >= UTAH_SILENT_S:
        return [((first, until), False)]
    return [((first, UTAH_SILENT_S), True), ((UTAH_SILENT_S, until), False)]


def _utah_lines(scale: float) -> list[_Line]:
    """What the OSG VO ran in Utah; January's target is what was reported until the probe fell silent."""
    full = AT_RESOURCE["osg", UTAH][0]
    begin = BUCKETS["jan"][0]
    per_second = whole_seconds(full["jan"], scale) / (UTAH_SILENT_S - begin)
    lines = []
    for bucket in BUCKETS:
        for interval, reported in _utah_intervals(bucket):
            amount = (
                whole_seconds(full[bucket], scale)
                if reported
                else round(per_second * (interval[1] - interval[0]))
            )
            lines.append(_Line("osg", bucket, amount, {UTAH: 1}, reported=reported, interval=interval))
    return lines


def _local_lines(scale: float) -> list[_Line]:
    """Jobs that no grid sent, and those of the account that nobody has mapped."""
    wanted: list[tuple[str, str, str | None, int]] = [
        (resource, account, vo, daily)
        for resource, accounts in LOCAL.items()
        for account, vo, daily in accounts
    ]
    wanted.append((UNMAPPED[0], UNMAPPED[1], None, UNMAPPED[2]))
    lines = []
    for resource, account, vo, daily in wanted:
        for bucket in BUCKETS:
            whole = [(BUCKETS[bucket], True)]
            for interval, reported in _utah_intervals(bucket) if resource == UTAH else whole:
                part = (interval[1] - interval[0]) / (BUCKETS[bucket][1] - BUCKETS[bucket][0])
                lines.append(
                    _Line(
                        vo, bucket, whole_seconds(daily * days_of(bucket) * part, scale), {resource: 1}, account=account,
                        grid=LOCAL_GRID if vo else None, reported=reported, interval=interval,
                    )
                )  # fmt: skip
    return lines


def _cells_of(line: _Line) -> list[Cell]:
    """Split a line over sizes and resources."""
    if line.core_s <= 0:
        return []
    names = list(line.weights)
    weights = np.array(list(line.weights.values()), dtype=np.float64)
    first, until = line.interval if line.interval[1] else BUCKETS[line.bucket]
    account = line.account or account_of(line.vo or "", line.experiment)
    found = []
    for cores, jobs, wall_s, cpu_s in line.sizes or _sizes(line):
        if line.everywhere:
            jobs = min(max(jobs, len(names)), wall_s)
            counts = 1 + shares(jobs - len(names), weights)
        else:
            counts = shares(jobs, weights)
        # Jobs are a little longer at some resources than at others, and some have slower processors.
        uneven = np.array([0.9 + 0.02 * (sum(name.encode()) % 11) for name in names])
        walls = np.zeros(len(names), dtype=np.int64)
        there = counts > 0
        walls[there] = counts[there] + shares(wall_s - jobs, (counts * uneven)[there])
        cpus = shares(cpu_s, walls * (1.02 - 0.04 * (uneven - 0.9) / 0.2))
        for place in np.flatnonzero(there):
            wall = int(walls[place])
            cpu = min(int(cpus[place]), wall * cores)
            found.append(
                Cell(
                    names[place], names[place], line.vo, line.experiment, "batch", line.grid, account, line.bucket, first, until, cores,
                    int(counts[place]), wall, cpu, line.reported,
                )
            )  # fmt: skip
    return found


def _sizes(line: _Line) -> list[Size]:
    """Split a line by the cores of its jobs; what does not divide evenly falls to the one-core jobs."""
    group = group_of(line.vo)
    mean_s = group.mean_hours * _HOUR * (0.6 if line.one_core and line.vo == "fermilab" else 1)
    found, rest = [], line.core_s
    for cores, share in () if line.one_core else group.shares:
        wall_s = int(line.core_s * share) // cores
        jobs = round(wall_s / mean_s)
        if cores > 1 and jobs:
            found.append((cores, jobs, wall_s, round(wall_s * cores * group.efficiency)))
            rest -= wall_s * cores
    jobs = max(1, round(rest / mean_s), -(-rest // LONGEST_WALL_S))
    return [(1, jobs, rest, round(rest * group.efficiency)), *found]


def _payloads(batch: list[Cell]) -> list[Cell]:
    """What ran inside the OSG VO's pilots: less than they held, reported by the access points."""
    held: dict[tuple[str, str, int, int], int] = {}
    for cell in batch:
        if cell.vo == "osg":
            key = (cell.resource, cell.bucket, cell.first, cell.until)
            held[key] = held.get(key, 0) + cell.core_s
    found = []
    for (resource, bucket, first, until), core_s in held.items():
        for access_point in ACCESS_POINTS:
            wall_s = int(core_s * PAYLOAD_SHARE) // len(ACCESS_POINTS)
            if wall_s:
                jobs = max(1, round(wall_s / (PAYLOAD_MEAN_HOURS * _HOUR)), -(-wall_s // LONGEST_WALL_S))
                cpu_s = round(wall_s * PAYLOAD_EFFICIENCY)
                found.append(
                    Cell(
                        access_point, resource, "osg", None, "payload", GRID, "", bucket, first, until, 1, jobs, wall_s, cpu_s,
                    )
                )  # fmt: skip
    return found


def by_source(planned: list[Cell]) -> dict[str, list[Cell]]:
    """The cells by who reports them, in the order of the list of places."""
    found: dict[str, list[Cell]] = {name: [] for name in BY_NAME}
    for cell in planned:
        found[cell.source].append(cell)
    return found
