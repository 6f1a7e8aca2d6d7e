"""The summary tables: their columns, what a row is, and the SQL that makes them of records.

Rows are made of a stage (see making.py), in which the words of each record are one number and each distinct
combination of words is mapped once. Whole numbers throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from gridkeeper.federation.mapping import WORDS
from gridkeeper.lake.tables import Layout
from gridkeeper.records.columns import COUNT, DAY, FLAG, TEXT, TIME, WHOLE
from gridkeeper.summaries import sql

PLACE = {"resource": TEXT, "site": TEXT, "facility": TEXT}
WHOSE = {"vo": TEXT, "experiment": TEXT, "grid": TEXT, "in_grid": FLAG, "counted": FLAG, "level": TEXT}
KIND = {
    "resource_type": TEXT,
    "probe": TEXT,
    "queue": TEXT,
    "processors": COUNT,
    "gpu_model": TEXT,
    "outcome": TEXT,
    "cpu_source": TEXT,
}


@dataclass(frozen=True)
class Summary:
    """One summary table.

    keys:      dimension → type; what a row is one of.
    measures:  the sums, whole numbers.
    adds_up:   the statement that adds `records` up by `part` and what else a row is one of, for the days in `dirty`.
    transfers: True where it is about transfers, False where it is about jobs.
    """

    name: str
    meaning: str
    keys: dict[str, pa.DataType]
    measures: tuple[str, ...]
    adds_up: str
    transfers: bool = False

    @property
    def layout(self) -> Layout:
        """How it lies in the lake: by month."""
        fields = [*self.keys.items(), *((measure, WHOLE) for measure in self.measures), ("month", TEXT)]
        return Layout(self.name, pa.schema(fields), ("month",), ("day",), self.measures)

    @property
    def numbering(self) -> str:
        """Numbers the combinations of names that its rows have: `part`, 1 and up, for each `combo` of a stage."""
        names = {key: _named(key) for key in self.named}
        return f"""
            SELECT combo, {", ".join(f"{source} AS {name}" for name, source in names.items())}, meant_registered AS registered,
                   CAST(DENSE_RANK() OVER (ORDER BY {", ".join([*names.values(), "meant_registered"])}) AS INTEGER) AS part
            FROM combos WHERE meant_level {"=" if self.transfers else "<>"} 'transfer'
        """

    @property
    def adding(self) -> str:
        """Adds up the records in `staged`, with `numbered` (combo, part), `counting` (see making.py) and `dirty`.

        In the order of names, resources first: a question of one place then reads only where in a file its rows lie.
        """
        chosen = ", ".join(
            f"sums.{key}" for key in (*self.keys, *self.measures) if key not in (*self.named, "counted")
        )
        return f"""
            WITH records AS (SELECT numbered.part, staged.* FROM staged JOIN numbered ON staged.combo = numbered.combo),
            sums AS ({self.adds_up})
            SELECT sums.part, counting.counted, {chosen}
            FROM sums LEFT JOIN counting ON counting.part = sums.part AND sums.day >= counting.first AND sums.day < counting.until
            ORDER BY sums.part
        """

    @property
    def sums(self) -> str:
        """Its measures added up, as a statement lists them."""
        return ", ".join(f"CAST(SUM({measure}) AS BIGINT) AS {measure}" for measure in self.measures)

    @property
    def named(self) -> tuple[str, ...]:
        """The keys that words and labels decide; the others come from the facts."""
        return tuple(key for key in self.keys if key in _MEANT or key in WORDS or key in sql.LABELS)


_MEANT = ("resource", "site", "facility", "vo", "experiment", "project", "grid", "in_grid", "level")


def _named(key: str) -> str:
    """Where a name comes from: what the words mean, or the word itself ("" is unknown)."""
    return f"meant_{key}" if key in _MEANT else f"NULLIF({key}, '')"


_DAILY = (
    "records",
    "jobs",
    "wall_seconds",
    "core_seconds",
    "cpu_us",
    "gpu_seconds",
    "node_seconds",
    "wait_seconds",
    "waits",
    "energy_j",
    "processors_filled",
)

USAGE_DAILY_END = Summary(
    "usage_daily_end",
    "Usage by the day a job ended; the whole job counts on that day.",
    {"day": DAY} | PLACE | WHOSE | KIND,
    _DAILY,
    adds_up=sql.BY_END_DAY,
)
USAGE_DAILY_BRIEF = Summary(
    "usage_daily_brief",
    "The same by where and whose alone, in a fifth of the rows or fewer: most questions need no more.",
    {"day": DAY} | PLACE | WHOSE,
    (
        "records", "jobs", "wall_seconds", "core_seconds", "measured", "measured_cpu_us", "measured_core_seconds", "measured_1core", "measured_1core_cpu_us",
        "measured_1core_seconds", "with_outcome", "failed_jobs", "failed_core_seconds", "gpu_seconds", "node_seconds", "wait_seconds", "waits", "energy_j",
        "processors_filled",
    ),
    adds_up=sql.BY_END_DAY_IN_BRIEF,
)  # fmt: skip
# Kinds repeat from day to day: a month has a tenth of its days' rows or fewer. Made of the daily rows, see months.py.
USAGE_MONTHLY_END = replace(
    USAGE_DAILY_END,
    name="usage_monthly_end",
    meaning="`usage_daily_end` added up by month, `day` being its first: what questions of whole months read.",
)
USAGE_DAILY_OVERLAP = Summary(
    "usage_daily_overlap",
    "Usage split over the days a job ran; jobs count on the end day, waits and starts on the start day.",
    {"day": DAY} | PLACE | WHOSE | KIND,
    (*_DAILY, "started_jobs", "active_jobs"),
    adds_up=sql.BY_DAYS_RUN,
)
USAGE_DAILY_USERS = Summary(
    "usage_daily_users",
    "Usage by user and project and the day a job ended; the only summary that names people.",
    {"day": DAY} | PLACE | WHOSE | {"project": TEXT, "user": TEXT, "outcome": TEXT, "cpu_source": TEXT},
    ("records", "jobs", "wall_seconds", "core_seconds", "cpu_us", "gpu_seconds", "wait_seconds", "waits"),
    adds_up=sql.BY_END_DAY_AND_USER,
)
RUNNING_HOURLY = Summary(
    "running_hourly",
    "Wall and core seconds inside each hour: running jobs and cores when divided by 3600.",
    {"day": DAY, "hour": TIME} | PLACE | WHOSE,
    ("wall_seconds", "core_seconds"),
    adds_up=sql.BY_HOURS_RUN,
)
TRANSFERS_DAILY = Summary(
    "transfers_daily",
    "Transfers by the day they began, bytes as bytes.",
    {"day": DAY}
    | PLACE
    | WHOSE
    | {"project": TEXT, "probe": TEXT, "transfer_protocol": TEXT, "transfer_is_write": FLAG, "outcome": TEXT},
    ("records", "transfers", "bytes", "wall_seconds"),
    adds_up=sql.TRANSFERS_BY_START_DAY,
    transfers=True,
)

# What takes longest comes first, since two are made at once.
SUMMARIES: dict[str, Summary] = {
    summary.name: summary
    for summary in (
        RUNNING_HOURLY,
        USAGE_DAILY_OVERLAP,
        USAGE_DAILY_END,
        USAGE_MONTHLY_END,
        USAGE_DAILY_USERS,
        USAGE_DAILY_BRIEF,
        TRANSFERS_DAILY,
    )
}
# A daily summary → the monthly one that is made of it.
MONTHLY: dict[str, Summary] = {USAGE_DAILY_END.name: USAGE_MONTHLY_END}
LAYOUTS: tuple[Layout, ...] = tuple(summary.layout for summary in SUMMARIES.values())
