"""Makes rows of `usage_records` out of a few facts, through the same finishing as any format."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from gridkeeper.records.draft import Delivery, Draft, Parsed
from gridkeeper.records.finish import finish_usage
from gridkeeper.records.usage import USAGE_RECORDS

NOON = datetime(2017, 1, 31, 12, tzinfo=UTC)
RECEIVED = datetime(2017, 3, 1, tzinfo=UTC)


def job(number: int = 1, *, wall_s: int = 3600, start: datetime = NOON, **more: Any) -> dict[str, Any]:
    """One job on the cluster `alpha`, submitted a minute before it started."""
    facts = {
        "resource": "alpha",
        "local_job_id": str(number),
        "submit_time": start - timedelta(minutes=1),
        "start_time": start,
        "end_time": start + timedelta(seconds=wall_s),
        "wall_duration_s": wall_s,
        "processors": 1,
        "outcome": "success",
    }
    return facts | more


def rows(jobs: list[dict[str, Any]], received: datetime = RECEIVED) -> pa.Table:
    """The jobs as finished rows of one delivery."""
    names = {name for facts in jobs for name in facts}
    columns = {
        column.name: pa.array([facts.get(column.name) for facts in jobs], column.type)
        for column in USAGE_RECORDS.columns
        if column.name in names
    }
    parsed = Parsed()
    finish_usage(
        Draft(columns, range(1, len(jobs) + 1), lambda row: str(jobs[row]).encode()),
        "slurm",
        "sacct",
        Delivery(received),
        parsed,
    )
    assert not parsed.rejects, parsed.rejects
    return parsed.tables["usage_records"]
