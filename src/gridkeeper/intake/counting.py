"""What the loaders of all collectors did, added up in the database, for those who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import reading, writing
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


def add(engine: sa.Engine, more: Mapping[tuple[str, str], float]) -> None:
    """Add to the counts. Raises: DatabaseUnavailable (retryable)."""
    with writing(engine) as connection:
        for (name, label), value in more.items():
            here = sa.and_(COUNTERS.c.name == name, COUNTERS.c.label == label)
            changed = connection.execute(
                sa.update(COUNTERS).where(here).values(value=COUNTERS.c.value + value)
            )
            if not changed.rowcount:
                connection.execute(sa.insert(COUNTERS), {"name": name, "label": label, "value": value})


def counted(engine: sa.Engine) -> dict[tuple[str, str], float]:
    """All counts. Raises: DatabaseUnavailable (retryable)."""
    with reading(engine) as connection:
        return {(row.name, row.label): float(row.value) for row in connection.execute(sa.select(COUNTERS))}
