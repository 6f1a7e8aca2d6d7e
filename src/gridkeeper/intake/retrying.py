"""Takes refusals up again: reads them once more (after a parser, a rule, a binding was mended), or discards them with a reason."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import sqlalchemy as sa

from gridkeeper.clock import now
from gridkeeper.database import writing
from gridkeeper.errors import UnreadableInput, UserMistake
from gridkeeper.formats.contract import Block
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.intake import quarantine
from gridkeeper.intake.inbox import SET_ASIDE, WAITING
from gridkeeper.intake.loader import AUTO, Loader
from gridkeeper.intake.reading import Piece, Refused, Unit
from gridkeeper.intake.sources import Parcel
from gridkeeper.intake.tables import BATCHES
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Rule
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridkeeper.intake.quarantine import Choice
    from gridkeeper.lake.lake import Lake

WHOLE_BATCH = frozenset({Rule.UNREADABLE_BATCH.value, Rule.TOO_MANY_MEMBERS.value})


@dataclass
class Retried:
    """What became of refusals that were read again.

    loaded:      now in the books (or there already).
    refused:     refused again; they stay open.
    handed_back: whole batches that the loader takes up again.
    incomplete:  kept in part only; their batch must be sent or replayed.
    """

    loaded: int = 0
    refused: int = 0
    handed_back: int = 0
    incomplete: int = 0
    sentences: list[str] = field(default_factory=list)


def retry(engine: sa.Engine, lake: Lake, choice: Choice, by: str) -> Retried:
    """Read the chosen open refusals again. Raises: LakeUnavailable, DatabaseUnavailable (retryable)."""
    done = Retried()
    chosen: list[sa.Row[tuple[object, ...]]] = []
    for row in quarantine.entries(engine, choice):
        if _is_whole_batch(row):
            done.handed_back += _hand_back(engine, row, by)
        elif row.text_bytes > len(row.text):
            done.incomplete += 1
        elif row.format == AUTO and not _is_known(row.text):
            done.refused += 1
        else:
            chosen.append(row)
    if chosen:
        _read_again(engine, lake, chosen, by, done)
    return done


def _is_whole_batch(row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether the refusal is of a whole batch, which its body in the inbox gives better than its head."""
    unread = row.rule in WHOLE_BATCH or row.format == AUTO or row.rule == Rule.UTF_16
    return bool(unread and row.source.startswith("batch "))


def _is_known(text: bytes) -> bool:
    try:
        recognise(text)
    except UnreadableInput:
        return False
    return True


def _read_again(
    engine: sa.Engine, lake: Lake, rows: Sequence[sa.Row[tuple[object, ...]]], by: str, done: Retried
) -> None:
    again: dict[int, Refused] = {}

    def keep(refused: Sequence[Refused], format_name: str) -> None:
        for one in refused:
            if one.reject.rule.value == rows[one.number].rule:
                again[one.number] = one
            else:  # refused under another rule now: that is an entry of its own
                quarantine.keep(engine, [one], format_name)

    loaded = Loader(lake, keep).load_units(_unit(number, row) for number, row in enumerate(rows))
    done.sentences += loaded.sentences[:10]
    gave = {number for number, counts in loaded.parcels.items() if counts.read > counts.rejected}
    closed = [str(row.id) for number, row in enumerate(rows) if number in gave and number not in again]
    done.loaded += len(closed)
    done.refused += len(rows) - len(closed)
    with writing(engine) as connection:
        quarantine.close(connection, closed, quarantine.RETRIED, by, "read again", now())
        audit.record(
            connection,
            by,
            "quarantine.retry",
            f"{len(rows)} refusals",
            {"closed": len(closed), "still_refused": len(rows) - len(closed)},
        )


def _unit(number: int, row: sa.Row[tuple[object, ...]]) -> Unit:
    delivery = quarantine.bound(
        Delivery(row.last_seen, row.resource, row.probe, row.vo, said_by=row.said_by), row.binding
    )
    if row.format == AUTO or row.rule == Rule.UNKNOWN_HEADER:
        # A whole source, which begins with its own header.
        plugin = recognise(row.text) if row.format == AUTO else format_named(row.format)
        whole = next(plugin.blocks(io.BytesIO(row.text)))
        parcel = Parcel(row.source, _nothing, plugin.name, delivery, sender="quarantine")
        return Unit(plugin.name, whole, (Piece(whole.first_line, number, parcel, row.line),))
    text = row.text if row.text.endswith(b"\n") else row.text + b"\n"
    line = 2 if row.context else 1  # behind its header
    parcel = Parcel(row.source, _nothing, row.format, delivery, sender="quarantine")
    return Unit(row.format, Block(text, line, row.context), (Piece(line, number, parcel, row.line),))


@contextmanager
def _nothing() -> Iterator[BinaryIO]:
    yield io.BytesIO()


def _hand_back(engine: sa.Engine, row: sa.Row[tuple[object, ...]], by: str) -> int:
    name = row.source.removeprefix("batch ")
    with writing(engine) as connection:
        changed = connection.execute(
            sa.update(BATCHES)
            .where(BATCHES.c.id == name, BATCHES.c.state == SET_ASIDE)
            .values(state=WAITING, attempts=0, claimed_by=None, claimed_at=None, finished_at=None)
        ).rowcount
        if changed:
            quarantine.close(connection, [row.id], quarantine.RETRIED, by, "handed back to the loader", now())
            audit.record(connection, by, "quarantine.retry", row.source, {"rule": row.rule})
    return changed


def discard(engine: sa.Engine, choice: Choice, by: str, because: str) -> int:
    """Close the chosen open refusals for good; say how many.

    Raises: UserMistake (permanent) without a reason, or where nothing is chosen; DatabaseUnavailable (retryable).
    """
    ids = [str(row.id) for row in quarantine.entries(engine, choice)]
    if not ids:
        raise UserMistake(
            "no open refusal is meant by that; `gridkeeper quarantine list` shows what there is"
        )
    with writing(engine) as connection:
        count = quarantine.close(connection, ids, quarantine.DISCARDED, by, because, now())
        audit.record(
            connection, by, "quarantine.discard", f"{count} refusals", {"reason": because, "ids": ids[:100]}
        )
    return count
