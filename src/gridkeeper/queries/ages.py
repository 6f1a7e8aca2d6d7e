"""What arrived late: the part of a period that was not yet known at a given age, so that two periods compare at equal age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from gridkeeper.queries.usage import Scope, conditions_of
from gridkeeper.records.columns import DAY
from gridkeeper.summaries.tables import PLACE, WHOSE, Summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.queries.ledger import Tables
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

_MEASURES = ("jobs", "wall_seconds", "core_seconds")


def _moment(cutoff: datetime) -> str:
    return f"CAST('{cutoff.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00' AS TIMESTAMP WITH TIME ZONE)"


def late(cutoff: datetime) -> Summary:
    """What a moment did not know: records that count now and came after it, less what counted then and was replaced since."""

    def raw_sql(words: Sequence[str]) -> str:
        said = ", ".join(f"COALESCE({word}, '') AS {word}" for word in words)
        facts = "njobs, wall_duration_s, wall_duration_s * processors AS core_s"
        version = ", ".join(
            (
                "identity",
                "revision",
                "end_day",
                "received_at",
                "njobs",
                "wall_duration_s",
                "processors",
                *words,
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
                SELECT end_day, {said}, {facts}, 1 AS sign FROM usage_records WHERE received_at > {_moment(cutoff)}
                UNION ALL
                SELECT end_day, {said}, {facts}, -1 AS sign FROM placed WHERE place = 1
            )
            SELECT end_day AS day, {", ".join(words)}, CAST(SUM(sign * njobs) AS BIGINT) AS jobs,
                   CAST(SUM(sign * wall_duration_s) AS BIGINT) AS wall_seconds, CAST(SUM(sign * core_s) AS BIGINT) AS core_seconds
            FROM parts WHERE end_day IN (SELECT day FROM dirty)
            GROUP BY ALL
        """

    keys = {"day": DAY} | PLACE | WHOSE
    return Summary(
        "late", "Usage that became known after a moment.", keys, _MEASURES, span=False, raw_sql=raw_sql
    )


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
    summary = late(cutoff)
    rows = books.of_records(summary, previous.dates())
    parameters: dict[str, Any] = {}
    conditions = " AND ".join(conditions_of(books, Scope(previous), summary.name, parameters))
    found = books.select(
        f"""
        SELECT vo, CAST(SUM(jobs) AS BIGINT) AS jobs, CAST(SUM(wall_seconds) AS BIGINT) AS wall_seconds,
               CAST(SUM(core_seconds) AS BIGINT) AS core_seconds
        FROM {summary.name} WHERE {conditions} GROUP BY vo
        """,
        tables={**tables, summary.name: rows}, **parameters,
    ).to_pylist()  # fmt: skip
    core_seconds, wall_seconds, jobs = (
        {row["vo"]: row[name] for row in found} for name in ("core_seconds", "wall_seconds", "jobs")
    )
    return Early(cutoff, core_seconds, wall_seconds, jobs)
