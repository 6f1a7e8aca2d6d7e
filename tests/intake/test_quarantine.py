"""The quarantine counts what was refused truly: each place in each delivery once, however often it is loaded."""

from __future__ import annotations

import io
import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

from gridkeeper.database import writing
from gridkeeper.intake import quarantine
from gridkeeper.intake.quarantine import DISCARDED, RETRIED, Choice
from gridkeeper.intake.reading import Refused
from gridkeeper.intake.sources import Parcel
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


@contextmanager
def _nothing() -> Iterator[BinaryIO]:
    yield io.BytesIO()


def refused(day: int, text: bytes = b"nonsense\n", context: bytes = b"") -> Refused:
    """A line refused in the batch that came on a day."""
    parcel = Parcel(f"batch {day}", _nothing, "sacct", Delivery(MONDAY + timedelta(days=day)))
    return Refused(0, parcel, Reject.of(Rule.FIELD_COUNT, 2, "2 fields", text), context, "0" * 64)


def close(engine: sa.Engine, state: str) -> None:
    ids = [str(row.id) for row in quarantine.entries(engine, Choice())]
    with writing(engine) as connection:
        quarantine.close(connection, ids, state, "local carol", "a test", MONDAY)


def only(engine: sa.Engine) -> sa.Row[tuple[object, ...]]:
    (row,) = quarantine.entries(engine, Choice(state=None))
    return row


def test_two_equal_lines_of_one_batch_count_twice_and_once_more_in_each_further_batch(
    database: sa.Engine,
) -> None:
    quarantine.keep(database, [refused(0), refused(0)], "sacct", "first round")
    quarantine.keep(database, [refused(0)], "sacct", "first round")  # from the batch's next block
    assert only(database).times == 3
    quarantine.keep(database, [refused(1)], "sacct", "second round")
    assert only(database).times == 4


def test_a_batch_that_is_loaded_again_after_a_crash_adds_nothing(database: sa.Engine) -> None:
    quarantine.keep(database, [refused(0), refused(0)], "sacct", "cut short")
    for round_name in ("whole", "and again"):
        quarantine.keep(database, [refused(0), refused(0), refused(0)], "sacct", round_name)
    quarantine.keep(database, [refused(1)], "sacct", "another batch")
    quarantine.keep(database, [refused(0), refused(0), refused(0)], "sacct", "and a late repetition")
    assert only(database).times == 4


def test_an_older_delivery_that_comes_late_moves_what_was_seen_first(database: sa.Engine) -> None:
    quarantine.keep(database, [refused(3)], "sacct")
    quarantine.keep(database, [refused(1)], "sacct")
    row = only(database)
    assert (row.first_seen, row.last_seen, row.times) == (
        MONDAY + timedelta(days=1),
        MONDAY + timedelta(days=3),
        2,
    )


def test_what_was_discarded_is_open_again_when_it_comes_anew_and_not_when_it_is_only_loaded_again(
    database: sa.Engine,
) -> None:
    quarantine.keep(database, [refused(3)], "sacct", "one")
    close(database, DISCARDED)
    quarantine.keep(database, [refused(3)], "sacct", "the same batch after a crash")
    assert only(database).state == DISCARDED
    quarantine.keep(database, [refused(1)], "sacct", "an older batch, come late")
    row = only(database)
    assert (row.state, row.closed_by, row.closed_because, row.source) == ("open", None, None, "batch 1")


def test_what_was_read_again_is_open_again_when_the_same_delivery_is_refused_again(
    database: sa.Engine,
) -> None:
    quarantine.keep(database, [refused(0)], "sacct", "one")
    close(database, RETRIED)
    quarantine.keep(database, [refused(0)], "sacct", "two")
    assert (only(database).state, only(database).times) == ("open", 1)


def test_the_same_line_under_another_header_is_another_refusal(database: sa.Engine) -> None:
    quarantine.keep(
        database, [refused(0, context=b"JobID|State\n"), refused(0, context=b"JobID|User\n")], "sacct"
    )
    assert len(quarantine.entries(database, Choice())) == 2


def test_many_refusals_at_once_are_all_kept(database: sa.Engine) -> None:
    lines = [refused(number % 3, f"line {number % 1200}\n".encode()) for number in range(2400)]
    quarantine.keep(database, lines, "sacct", "a round")
    rows = quarantine.entries(database, Choice())
    assert (len(rows), sum(row.times for row in rows)) == (1200, 2400)


def test_order_and_repetition_of_loads_change_no_count(sqlite_database: sa.Engine) -> None:
    chance = random.Random(3)
    for turn in range(25):
        text = f"text {turn}\n".encode()
        sizes = {batch: chance.randrange(1, 4) for batch in range(4)}
        loads = chance.choices(range(4), k=chance.randrange(1, 9))
        for number, batch in enumerate(loads):
            quarantine.keep(
                sqlite_database, [refused(batch, text)] * sizes[batch], "sacct", f"round {number}"
            )
        (row,) = [row for row in quarantine.entries(sqlite_database, Choice()) if row.text == text]
        assert row.times == sum(sizes[batch] for batch in set(loads)), (sizes, loads)
        seen = (MONDAY + timedelta(days=min(loads)), MONDAY + timedelta(days=max(loads)))
        assert (row.first_seen, row.last_seen) == seen
