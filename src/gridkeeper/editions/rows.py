"""The summary rows behind an edition, by day, place and VO, with the levels known of each resource: what a restatement begins with."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from gridkeeper.queries.ledger import totals
from gridkeeper.summaries.corrections.estimates import ESTIMATED
from gridkeeper.summaries.tables import PLACE, WHOSE

if TYPE_CHECKING:
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

TABLES = {"jobs": "usage_daily_end", "reported": "usage_reported_monthly"}
KEYS = ("day", *PLACE, *WHOSE)
_ORDER = ", ".join(f"{key} NULLS FIRST" for key in (*KEYS, ESTIMATED))
# Of resources that the registry does not know, payloads count where no batch record is known: over all days.
_LEVELS = """
    SELECT resource, level = 'batch' AS is_batch FROM usage_monthly_end
    WHERE counted IS NULL AND resource IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
"""


def rows_of(books: Books, period: Period, source: str) -> pa.Table:
    """The rows of a period and of the one before it, all levels and grids, in a fixed order; `estimated` where a correction adds them.

    Units:  whole seconds; CPU in microseconds, where it was measured.
    Raises: LakeUnavailable (retryable).
    """
    first, until = period.before().first, period.until
    estimated = ESTIMATED if books.has_estimates and source == "jobs" else f"FALSE AS {ESTIMATED}"
    sql = f"SELECT {', '.join(KEYS)}, {estimated}, {totals()} FROM {TABLES[source]} WHERE day >= $first AND day < $until GROUP BY ALL ORDER BY {_ORDER}"
    return books.select(sql, days=(first, until), first=first, until=until)


def levels_of(books: Books) -> pa.Table:
    """Which levels are known of each resource that the registry does not know: `resource`, `is_batch`."""
    return books.select(_LEVELS)


def as_parquet(rows: pa.Table) -> bytes:
    """Rows as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(data: bytes) -> pa.Table:
    """Rows of the bytes of a Parquet file."""
    return pq.read_table(pa.BufferReader(data))
