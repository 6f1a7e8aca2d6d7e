"""Replays of what a test's collector received, and what came of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper import clock
from gridkeeper.intake.replaying import replay

if TYPE_CHECKING:
    from gridkeeper.intake.archived import Wanted
    from gridkeeper.intake.replaying import Replayed
    from tests.collectors import Collector

WHAT_BECOMES_OF_ROWS = ("same", "new", "changed", "duplicates", "elsewhere")


def again(
    gate: Collector, wanted: Wanted, *, commit: bool = True, member_bytes: int | None = None
) -> Replayed:
    """Replay a minute from now, as carol at the console; what it says must add up."""
    done = replay(
        gate.place.lake,
        gate.place.registry,
        wanted,
        clock.now() + timedelta(minutes=1),
        member_bytes=member_bytes or gate.settings.intake.member_bytes,
        engine=gate.services.engine,
        by="local carol" if commit else None,
    )
    rows = sum(found.rows for found in done.tables.values())
    assert done.records == rows + done.refused.total() + done.skipped.total()
    for found in done.tables.values():
        assert found.rows == sum(getattr(found, name) for name in WHAT_BECOMES_OF_ROWS)
        assert found.new == sum(sums.new for sums in found.by_place.values())
        assert found.changed == sum(sums.changed for sums in found.by_place.values())
    return done


def counts(done: Replayed, table: str = "usage_records") -> dict[str, int]:
    """What became of the rows of a table, without zeros."""
    found = done.tables[table]
    told = {name: getattr(found, name) for name in (*WHAT_BECOMES_OF_ROWS, "orphans")}
    return {name: count for name, count in told.items() if count}
