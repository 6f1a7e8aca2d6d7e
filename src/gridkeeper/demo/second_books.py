"""The books of a second accounting: January's sums by site and VO as another system would report them, right but for two sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridkeeper.demo.days import DAY_S, PERIODS
from gridkeeper.demo.places import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.plan import Cell

SECOND_BOOKS = "second-accounting-2017-01.apel"
# A batch system whose jobs of many cores are sent as jobs of one: the same jobs, wall and CPU hours, too few core hours.
WRONG_SITE = "Purdue"
# A site that never moved to the second accounting.
MISSING_SITE = "Syracuse"
_HEADER = "APEL-summary-job-message: v0.2\n"
_INFRASTRUCTURE = "Invented-Accounting"
_BENCHMARK = "ServiceLevelType: Si2k\nServiceLevel: 2500\n"


class SecondBooks:
    """Adds up January by site, VO and cores, from the list of jobs and from no file."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, int], np.ndarray] = {}

    def add(self, cells: Sequence[Cell], jobs: Jobs) -> None:
        """Count the reported batch jobs of one source that grids sent and that ended in January."""
        first, until = PERIODS["jan"]
        wanted = np.array([cell.reported and cell.level == "batch" and cell.grid == "OSG" for cell in cells])
        rows = np.flatnonzero(wanted[jobs.cell] & (jobs.end >= first) & (jobs.end < until))
        table = np.zeros((len(cells), 3), dtype=np.int64)
        cpu = jobs.cpu_user + jobs.cpu_system
        for column, values in enumerate((np.ones_like(cpu), jobs.wall, cpu)):
            np.add.at(table[:, column], jobs.cell[rows], values[rows])
        for cell, row in zip(cells, table, strict=True):
            if row[0]:
                site = BY_NAME[cell.resource].site
                # Sums that say the same of site, VO, month and cores would be one sum sent twice.
                key = (site, str(cell.vo), 1 if site == WRONG_SITE else cell.cores)
                self._sums[key] = self._sums.get(key, 0) + row

    def text(self) -> str:
        """All of it as one APEL message of monthly summaries."""
        first, until = PERIODS["jan"]
        told = []
        for (site, vo, cores), (jobs, wall, cpu) in sorted(self._sums.items()):
            if site == MISSING_SITE:
                continue
            told.append(
                f"Site: {site}\nVO: {vo}\nMonth: 1\nYear: 2017\nEarliestEndTime: {first}\nLatestEndTime: {until - DAY_S}\n"
                f"Infrastructure: {_INFRASTRUCTURE}\nProcessors: {cores}\nNodeCount: 1\n"
                f"WallDuration: {wall}\nCpuDuration: {cpu}\n{_BENCHMARK}NumberOfJobs: {jobs}\n"
            )
        return _HEADER + "%%\n".join(told) + "%%\n"
