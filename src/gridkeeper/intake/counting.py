"""What the loaders of all collectors did, added up in the database, for those who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import insert, reading
from gridkeeper.intake.tables import COUNTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.intake.loader import Counts


def counts_of(done: Counts, seconds: float) -> dict[tuple[str, str], float]:
    """What one round did: (name, label) → how much."""
    found: dict[tuple[str, str], float] = {
        ("records_loaded", ""): done.appended.loaded,
        ("records_duplicate", ""): done.appended.duplicates,
        ("records_revised", ""): done.appended.revised,
        ("commits", ""): 1,
        ("commit_seconds", ""): seconds,
    }
    found |= {("records_rejected", rule): count for rule, count in done.rules.items()}
    found |= {("records_skipped", reason): count for reason, count in done.skipped.items()}
    return found


def add(connection: sa.Connection, more: Mapping[tuple[str, str], float]) -> None:
    """Add to the counts, in the transaction that says what became of the batches: both are there, or neither."""
    # In an order that all loaders keep, so that no two of them wait for each other.
    for (name, label), value in sorted(more.items()):
        connection.execute(
            insert(connection, COUNTERS)
            .values(name=name, label=label, value=value)
            .on_conflict_do_update(
                index_elements=[COUNTERS.c.name, COUNTERS.c.label], set_={"value": COUNTERS.c.value + value}
            )
        )


def counted(engine: sa.Engine) -> dict[tuple[str, str], float]:
    """All counts. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        return {(row.name, row.label): float(row.value) for row in connection.execute(sa.select(COUNTERS))}
