"""What arrived late: the part of a period that was not yet known at a given age, so that two periods compare at equal age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from gridkeeper.federation.mapping import WORDS
from gridkeeper.queries.usage import Scope, conditions_of
from gridkeeper.records.columns import DAY
from gridkeeper.summaries.sql import LABELS
from gridkeeper.summaries.tables import PLACE, WHOSE, Summary

if TYPE_CHECKING:
    from datetime import datetime

    from gridkeeper.queries.ledger import Tables
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books


def _moment(cutoff: datetime) -> str:
    return f"CAST('{cutoff.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' AS TIMESTAMP WITH TIME ZONE)"


# What a moment did not know: records that count now and came after it, less what counted then and was replaced since.
_FACTS = {
    "end_day": "end_day",
    "jobs": "sign * njobs",
    "wall_s": "sign * wall_duration_s",
    "core_s": "sign * wall_duration_s * processors",
}
LATE = Summary(
    "late", "Usage that became known after a moment.", {"day": DAY} | PLACE | WHOSE, ("jobs", "wall_seconds", "core_seconds"),
    """
        SELECT end_day AS day, part, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_s) AS BIGINT) AS wall_seconds,
               CAST(SUM(core_s) AS BIGINT) AS core_seconds
        FROM records GROUP BY ALL
    """,
)  # fmt: skip


def _changed_since(cutoff: datetime) -> str:
    """The statement of those records, with a `sign`: 1 for what came after the cutoff, -1 for what it replaced."""
    version = ", ".join(
        (
            "identity",
            "revision",
            "end_day",
            "received_at",
            "njobs",
            "wall_duration_s",
            "processors",
            *WORDS,
            *LABELS,
        )
    )
    return f"""
        WITH changed AS (SELECT DISTINCT identity FROM usage_records__revised WHERE supersedes AND received_at > {_moment(cutoff)}),
        versions AS (
            SELECT {version} FROM usage_records__first WHERE identity IN (SELECT identity FROM changed)
            UNION ALL
            SELECT {version} FROM usage_records__revised WHERE supersedes AND identity IN (SELECT identity FROM changed)
        ),
        placed AS (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY identity ORDER BY revision DESC) AS place
            FROM versions WHERE received_at <= {_moment(cutoff)}
        ),
        parts AS (
            SELECT {version}, 1 AS sign FROM usage_records WHERE received_at > {_moment(cutoff)}
            UNION ALL
            SELECT {version}, -1 AS sign FROM placed WHERE place = 1
        )
        SELECT * FROM parts WHERE end_day IN (SELECT day FROM dirty)
    """


@dataclass(frozen=True)
class Early:
    """How much less of a period was known at the cutoff than now (negative where revisions made it less).

    core_seconds, wall_seconds, jobs: VO → late part, at each resource's own level, in the federation's grid.
    """

    cutoff: datetime
    core_seconds: dict[str | None, int]
    wall_seconds: dict[str | None, int]
    jobs: dict[str | None, int]


def late_part(books: Books, period: Period, as_of: datetime, previous: Period, tables: Tables) -> Early:
    """Say what of `previous` was not yet known as long after its end as `as_of` is after the end of `period`.

    Reads:   `usage_records`, only those that end in `previous` and came after the cutoff; mapped as summaries are.
    Units:   whole seconds.
    Raises:  LakeUnavailable (retryable).
    """
    cutoff = as_of - (period.until - previous.until)
    rows = books.of_records(LATE, previous.dates(), _changed_since(cutoff), _FACTS)
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, Scope(previous), LATE.name, parameters))
    found = books.select(
        f"""
        SELECT vo, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds,
               CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM {LATE.name} WHERE {conditions} GROUP BY vo
        """,
        tables={**tables, LATE.name: rows}, **parameters,
    ).to_pylist()  # fmt: skip
    core_seconds, wall_seconds, jobs = (
        {row["vo"]: row[name] for row in found} for name in ("core_seconds", "wall_seconds", "jobs")
    )
    return Early(cutoff, core_seconds, wall_seconds, jobs)
