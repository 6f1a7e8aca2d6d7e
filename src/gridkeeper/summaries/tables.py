"""The summary tables: their columns, what a row is, and the SQL that makes them of records.

Each is made in two steps. `raw_sql` adds records up by the words they say; the words are then mapped, once
per distinct combination, and `Summary.fold_sql` adds up again by what the words mean. Both keep whole
numbers throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.federation.mapping import WORDS
from gridkeeper.lake.tables import Layout
from gridkeeper.records.columns import COUNT, DAY, FLAG, TEXT, TIME, WHOLE
from gridkeeper.summaries import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

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

    keys:     dimension → type; what a row is one of.
    measures: the sums, whole numbers.
    span:     True when a record touches every day it ran, False when only its end (or start) day.
    raw_sql:  makes, for the words that matter, the statement that adds up records of the days in the table `dirty`.
    """

    name: str
    meaning: str
    keys: dict[str, pa.DataType]
    measures: tuple[str, ...]
    span: bool
    raw_sql: Callable[[Sequence[str]], str]

    @property
    def layout(self) -> Layout:
        """How it lies in the lake: by month."""
        fields = [*self.keys.items(), *((measure, WHOLE) for measure in self.measures), ("month", TEXT)]
        return Layout(self.name, pa.schema(fields), ("month",), ("day",))

    def words(self, of_rules: Collection[str]) -> tuple[str, ...]:
        """The words that matter here: those every mapping needs, those that rules look at, those that are keys."""
        also = {"project_reported"} if "project" in self.keys else set()
        return tuple(
            word
            for word in WORDS
            if word in ALWAYS_NEEDED or word in of_rules or word in self.keys or word in also
        )

    def fold_sql(self, words: Sequence[str]) -> str:
        """Adds the rows of `raw` up by what their words mean (table `meanings`)."""
        chosen = ",\n".join(f"{_meant(key)} AS {key}" for key in self.keys)
        sums = ",\n".join(f"CAST(SUM(raw.{measure}) AS BIGINT) AS {measure}" for measure in self.measures)
        joined = " AND ".join(f"raw.{word} = meanings.{word}" for word in words)
        return f"""
            SELECT {chosen}, {sums}
            FROM raw JOIN meanings ON {joined}
            LEFT JOIN count_levels ON count_levels.resource = meanings.meant_resource
                 AND raw.day >= count_levels.first AND raw.day < count_levels.until
            GROUP BY ALL
        """


ALWAYS_NEEDED = (
    "resource",
    "site_reported",
    "grid_reported",
    "resource_type",
    "host_description",
    "vo_reported",
    "fqan",
)
_MEANT = ("resource", "site", "facility", "vo", "experiment", "project", "grid", "in_grid", "level")


def _meant(key: str) -> str:
    """Where the fold takes a key from: what the words mean, or the words themselves ("" is unknown)."""
    if key == "counted":  # unknown where the registry does not know the resource
        return "CASE WHEN meanings.meant_registered THEN meanings.meant_level = count_levels.level END"
    if key in _MEANT:
        return f"meanings.meant_{key}"
    return f"NULLIF(raw.{key}, '')" if key in WORDS else f"raw.{key}"


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
    span=False,
    raw_sql=sql.by_end_day,
)
USAGE_DAILY_OVERLAP = Summary(
    "usage_daily_overlap",
    "Usage split over the days a job ran; jobs count on the end day, waits and starts on the start day.",
    {"day": DAY} | PLACE | WHOSE | KIND,
    (*_DAILY, "started_jobs", "active_jobs"),
    span=True,
    raw_sql=sql.by_days_run,
)
USAGE_DAILY_USERS = Summary(
    "usage_daily_users",
    "Usage by user and project and the day a job ended; the only summary that names people.",
    {"day": DAY} | PLACE | WHOSE | {"project": TEXT, "user": TEXT, "outcome": TEXT, "cpu_source": TEXT},
    ("records", "jobs", "wall_seconds", "core_seconds", "cpu_us", "gpu_seconds", "wait_seconds", "waits"),
    span=False,
    raw_sql=sql.by_end_day_and_user,
)
RUNNING_HOURLY = Summary(
    "running_hourly",
    "Wall and core seconds inside each hour: running jobs and cores when divided by 3600.",
    {"day": DAY, "hour": TIME} | PLACE | WHOSE,
    ("wall_seconds", "core_seconds"),
    span=True,
    raw_sql=sql.by_hours_run,
)
TRANSFERS_DAILY = Summary(
    "transfers_daily",
    "Transfers by the day they began, bytes as bytes.",
    {"day": DAY}
    | PLACE
    | WHOSE
    | {"project": TEXT, "probe": TEXT, "transfer_protocol": TEXT, "transfer_is_write": FLAG, "outcome": TEXT},
    ("records", "transfers", "bytes", "wall_seconds"),
    span=True,
    raw_sql=sql.transfers_by_start_day,
)

SUMMARIES: dict[str, Summary] = {
    summary.name: summary
    for summary in (USAGE_DAILY_END, USAGE_DAILY_OVERLAP, USAGE_DAILY_USERS, RUNNING_HOURLY, TRANSFERS_DAILY)
}
LAYOUTS: tuple[Layout, ...] = tuple(summary.layout for summary in SUMMARIES.values())
