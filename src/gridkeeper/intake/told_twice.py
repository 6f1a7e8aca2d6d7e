"""Finds usage that may be told twice: a machine whose jobs came both whole and attempt by attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridkeeper.lake.lake import Snapshot

# A job's history and its execution attempts describe the same wall time under different identities.
WHOLE, BY_ATTEMPT = "condor-history", "condor-epoch"


def told_twice(snapshot: Snapshot) -> list[str]:
    """Say for each machine of which both kinds were loaded, with overlapping days, what to do.

    Reads: `usage_records`, the columns machine, format and end_day of HTCondor's records.
    """
    found = snapshot.select(
        """
        SELECT machine, MIN(first) AS first, MAX(last) AS last
        FROM (
            SELECT machine, format, MIN(end_day) AS first, MAX(end_day) AS last
            FROM usage_records WHERE format IN ($whole, $by_attempt) GROUP BY ALL
        ) AS spans
        GROUP BY machine HAVING COUNT(*) = 2 AND MAX(first) <= MIN(last) ORDER BY machine
        """,
        whole=WHOLE,
        by_attempt=BY_ATTEMPT,
    )
    return [
        f"{row['machine']} was loaded both from {WHOLE} and from {BY_ATTEMPT} ({row['first']} to {row['last']}): "
        "the same jobs may count twice; keep one of the two for this schedd"
        for row in found.to_pylist()
    ]
