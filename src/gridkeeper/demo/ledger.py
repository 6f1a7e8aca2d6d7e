"""The ledger: what must come out, counted from the generator's own list of jobs and from no file it wrote."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gridkeeper.demo.days import BUCKETS_OF_PERIOD, DAY_S, FIRST_S, MARGIN_DAYS, UNTIL_S, day_of
from gridkeeper.demo.people import GROUPS
from gridkeeper.demo.places import BY_NAME, FERMILAB
from gridkeeper.demo.targets import OTHER, Target, targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gridkeeper.demo.jobs import Jobs
    from gridkeeper.demo.plan import Cell

STATEMENT = (
    "All data are invented: no job, user, host or record in these files ever existed. Names of sites and VOs are "
    "borrowed from the public history of 2017 to make the reports readable."
)
ROUNDING = (
    "Core hours become round(hours x scale x 3600) whole core seconds and are met exactly; the total is the sum of "
    "those. Wall hours of a whole VO are met within 4 seconds, those of Fermilab's experiments exactly. Jobs become "
    "round(jobs x scale), at least 1, and are met exactly."
)


class LedgerRow(NamedTuple):
    """What one kind of job amounts to on one day.

    book:        "ran" (what was so) or "reported" (what the records can tell).
    attribution: "end" (all on the day of the end) or "overlap" (seconds split over the UTC days it ran).
    jobs:        count on the day of the end under both; jobs still running count nowhere.
    vo, experiment, grid: None where nothing says.
    """

    book: str
    attribution: str
    day: str
    site: str
    resource: str
    vo: str | None
    experiment: str | None
    level: str
    grid: str | None
    jobs: int
    wall_s: int
    core_s: int


@dataclass
class Ledger:
    """All rows, ordered, and a header that says scale, seed, period and targets."""

    header: dict[str, Any]
    rows: list[LedgerRow] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger from its file."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(content["header"], [LedgerRow(**row) for row in content["rows"]])

    def write(self, path: Path) -> None:
        """Write the ledger as JSON, one row a line."""
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write('{"header": ' + json.dumps(self.header, indent=1) + ',\n"rows": [\n')
            last = len(self.rows) - 1
            for place, row in enumerate(self.rows):
                stream.write(json.dumps(row._asdict()) + (",\n" if place < last else "\n"))
            stream.write("]}\n")

    @property
    def targets(self) -> list[Target]:
        """The targets of the header."""
        return [Target(**target) for target in self.header["targets"]]

    def select(self, **wanted: object) -> Iterator[LedgerRow]:
        """The rows whose fields have these values; `first` and `until` bound the day, half-open."""
        first, until = str(wanted.pop("first", "")), str(wanted.pop("until", "9999"))
        places = [(LedgerRow._fields.index(name), value) for name, value in wanted.items()]
        for row in self.rows:
            if first <= row.day < until and all(row[place] == value for place, value in places):
                yield row

    def total(self, measure: str, **wanted: object) -> int:
        """The sum of `jobs`, `wall_s` or `core_s` over the selected rows."""
        return sum(getattr(row, measure) for row in self.select(**wanted))

    def got(self, target: Target) -> float:
        """What the reported records amount to where the target says what they must: batch level, the grid's own."""
        if target.measure in ("efficiency", "efficiency_1core"):
            return self._efficiency(target)
        rows = list(
            self.select(
                book="reported", level="batch", grid="OSG", first=target.first, until=target.until,
                attribution="overlap" if target.measure.startswith("running") else "end",
            )
        )  # fmt: skip
        names = self.header["groups"].get(target.vo, [target.vo])
        rows = [
            row
            for row in rows
            if (target.vo is None or row.vo in names)
            and target.resource in (None, row.resource)
            and target.experiment in (None, row.experiment)
            and not (target.offsite and row.resource == FERMILAB)
        ]
        if target.measure.startswith("running_cores"):
            return self._running(rows, target)
        measure = {"core_hours": "core_s", "wall_hours": "wall_s", "jobs": "jobs"}[target.measure]
        return int(sum(getattr(row, measure) for row in rows))

    def met(self, target: Target) -> bool:
        """Say whether the ledger meets a target; running cores promise to from a scale of 0.01 on."""
        got = self.got(target)
        if target.measure.startswith("running_cores"):
            return got >= target.value if target.measure.endswith("low") else got <= target.value
        return abs(got - target.value) <= target.tolerance

    def _running(self, rows: Sequence[LedgerRow], target: Target) -> float:
        """The lowest or highest daily mean of running cores; the last day is open and left out."""
        days: dict[str, int] = defaultdict(int)
        for row in rows:
            days[row.day] += row.core_s
        closed = [core_s / DAY_S for day, core_s in days.items() if day != max(days)]
        return min(closed) if target.measure.endswith("low") else max(closed)

    def _efficiency(self, target: Target) -> float:
        sizes = [
            size
            for size in self.header["by_size"]
            if size["vo"] == target.vo
            and size["period"] == target.period
            and (target.measure == "efficiency" or size["cores"] == 1)
        ]
        return float(sum(size["cpu_s"] for size in sizes) / sum(size["measured_core_s"] for size in sizes))


class Count:
    """Adds jobs up for the ledger."""

    def __init__(self, scale: float, seed: int) -> None:
        self._scale, self._seed = scale, seed
        self._sums: dict[tuple[Any, ...], np.ndarray] = {}
        self._sizes: dict[tuple[str, str, int], np.ndarray] = {}
        self._first_day = FIRST_S // DAY_S - MARGIN_DAYS
        self._days = UNTIL_S // DAY_S - self._first_day

    def add(self, cells: Sequence[Cell], jobs: Jobs) -> None:
        """Count the jobs of one source."""
        keys = [
            (BY_NAME[cell.resource].site, cell.resource, cell.vo, cell.experiment, cell.level, cell.grid)
            for cell in cells
        ]
        names = sorted(set(keys), key=str)
        groups = np.array([names.index(key) for key in keys], dtype=np.int64)[jobs.cell]
        reported = np.array([cell.reported for cell in cells], dtype=bool)[jobs.cell]
        ended = jobs.end < UNTIL_S
        for book, rows in (("ran", np.ones(len(jobs), dtype=bool)), ("reported", reported & ended)):
            chosen = jobs.take(np.flatnonzero(rows))
            sums = self._by_day(chosen, groups[rows], len(names))
            for place, name in enumerate(names):
                for attribution, table in sums.items():
                    key = (book, attribution, *name)
                    self._sums[key] = self._sums.get(key, 0) + table[place]
        self._add_sizes(cells, jobs)

    def _by_day(self, jobs: Jobs, groups: np.ndarray, count: int) -> dict[str, np.ndarray]:
        """Sum jobs, wall and core seconds by group and day. Returns: int64 (group, day, 3) by attribution."""
        shape = (count, self._days, 3)
        end, overlap = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        done = np.flatnonzero(jobs.end < UNTIL_S)
        day = jobs.end[done] // DAY_S - self._first_day
        group = groups[done]
        np.add.at(end[:, :, 0], (group, day), 1)
        np.add.at(end[:, :, 1], (group, day), jobs.wall[done])
        np.add.at(end[:, :, 2], (group, day), (jobs.wall * jobs.cores)[done])
        overlap[:, :, 0] = end[:, :, 0]
        # A job occupies [start, start + wall); seconds are whole, so the parts of its days are, too.
        until = np.minimum(jobs.start + jobs.wall, UNTIL_S)
        for ahead in range(MARGIN_DAYS + 1):
            day = jobs.start // DAY_S + ahead
            inside = np.minimum(until, (day + 1) * DAY_S) - np.maximum(jobs.start, day * DAY_S)
            rows = np.flatnonzero(inside > 0)
            place = (groups[rows], day[rows] - self._first_day)
            np.add.at(overlap[:, :, 1], place, inside[rows])
            np.add.at(overlap[:, :, 2], place, (inside * jobs.cores)[rows])
        return {"end": end, "overlap": overlap}

    def _add_sizes(self, cells: Sequence[Cell], jobs: Jobs) -> None:
        """Sum jobs, wall, core, CPU and CPU-measured core seconds by VO, bucket and cores."""
        core_s, cpu_s = jobs.wall * jobs.cores, jobs.cpu_user + jobs.cpu_system
        measured = np.where((cpu_s > 0) | (core_s < 3600), core_s, 0)
        table = np.zeros((len(cells), 5), dtype=np.int64)
        for column, values in enumerate((np.ones_like(core_s), jobs.wall, core_s, cpu_s, measured)):
            np.add.at(table[:, column], jobs.cell, values)
        for cell, row in zip(cells, table, strict=True):
            if cell.reported and cell.level == "batch" and cell.grid == "OSG" and cell.bucket != "open":
                key = (str(cell.vo), cell.bucket, cell.cores)
                self._sizes[key] = self._sizes.get(key, 0) + row

    def ledger(self) -> Ledger:
        """All that was counted, as a ledger."""
        days = [day_of((self._first_day + place) * DAY_S).isoformat() for place in range(self._days)]
        rows = []
        for (book, attribution, *name), table in sorted(self._sums.items(), key=lambda entry: str(entry[0])):
            for place in np.flatnonzero(table.any(axis=1)).tolist():
                amounts = table[place].tolist()
                rows.append(LedgerRow(book, attribution, days[place], *name, *amounts))
        return Ledger(self._header(), rows)

    def _header(self) -> dict[str, Any]:
        columns = ("jobs", "wall_s", "core_s", "cpu_s", "measured_core_s")
        sizes = []
        for period, buckets in BUCKETS_OF_PERIOD.items():
            summed: dict[tuple[str, int], np.ndarray] = {}
            for (vo, bucket, cores), row in self._sizes.items():
                if bucket in buckets:
                    summed[vo, cores] = summed.get((vo, cores), 0) + row
            for (vo, cores), row in sorted(summed.items()):
                amounts = dict(zip(columns, row.tolist(), strict=True))
                sizes.append({"period": period, "vo": vo, "cores": cores} | amounts)
        return {
            "statement": STATEMENT,
            "scale": self._scale,
            "seed": self._seed,
            "first": day_of(FIRST_S).isoformat(),
            "until": day_of(UNTIL_S).isoformat(),
            "rounding": ROUNDING,
            "groups": {"other": list(OTHER)},
            "local_vos": [name for name, group in GROUPS.items() if not group.role],
            "targets": [target.as_dict() for target in targets(self._scale)],
            "by_size": sizes,
        }
