"""Takes refusals up again: reads them once more (after a parser, a rule, a binding was mended), or discards them with a reason."""

from __future__ import annotations

import io
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import structlog

from gridkeeper.clock import now
from gridkeeper.database import DatabaseUnavailable, writing
from gridkeeper.errors import GridkeeperError, LakeUnavailable, UnreadableInput, UserMistake
from gridkeeper.formats.contract import Block
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.intake import quarantine, setting_aside
from gridkeeper.intake.gratia_post import read_post
from gridkeeper.intake.inbox import WAITING
from gridkeeper.intake.loader import AUTO, Loader
from gridkeeper.intake.opening import GRATIA_POST
from gridkeeper.intake.reading import Piece, Refused, Unit
from gridkeeper.intake.sources import Parcel
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Rule
from gridkeeper.trust import audit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from gridkeeper.intake.quarantine import Choice
    from gridkeeper.lake.lake import Lake

MOST_SENTENCES = 10
log = structlog.get_logger("quarantine")


@dataclass
class Retried:
    """What became of refusals that were read again.

    loaded:      now in the books (or there already).
    refused:     refused again; they stay open.
    handed_back: whole batches that the loader takes up again.
    incomplete:  kept in part only; their batch must be sent or replayed.
    told_only:   of which nothing was refused (a bundle that promised more records than it had); to be discarded when read.
    failed:      that could not be read at all; they stay open, and a sentence says why.
    """

    loaded: int = 0
    refused: int = 0
    handed_back: int = 0
    incomplete: int = 0
    told_only: int = 0
    failed: int = 0
    sentences: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Add a sentence, as long as there are not too many."""
        if len(self.sentences) < MOST_SENTENCES:
            self.sentences.append(sentence)


@dataclass(frozen=True)
class _Text:
    """An open refusal whose text is complete, and how it is read."""

    row: sa.Row[tuple[object, ...]]
    unit: Unit


def retry(engine: sa.Engine, lake: Lake, choice: Choice, by: str) -> Retried:
    """Read the chosen open refusals again; whole batches that are set aside go back to the loader.

    What fails over one of them is told, and stops none of the others.
    Raises: LakeUnavailable, DatabaseUnavailable (retryable).
    """
    done = Retried()
    texts: list[_Text] = []
    for row in quarantine.entries(engine, choice):
        if row.rule == Rule.BUNDLE_SIZE.value:
            done.told_only += 1
        elif row.batch is not None and setting_aside.hand_back(engine, row, by):
            done.handed_back += 1
        elif row.batch is not None and setting_aside.state(engine, row.batch) == WAITING:
            done.say(f"{row.source}: the loader has it already")
        elif row.text_bytes > len(row.text) or not row.text:
            done.incomplete += 1
        elif row.format == AUTO and not _is_known(row.text):
            done.refused += 1
        else:
            try:
                texts.append(_Text(row, _unit(len(texts), row)))
            except GridkeeperError as error:
                done.failed += 1
                done.say(f"{row.id}: {error}")
    _read_again(engine, lake, texts, by, done)
    return done


def _is_known(text: bytes) -> bool:
    try:
        recognise(text)
    except UnreadableInput:
        return False
    return True


def _read_again(engine: sa.Engine, lake: Lake, texts: Sequence[_Text], by: str, done: Retried) -> None:
    """Read texts together; where that fails, half of them at a time, so that only the one that fails stays behind."""
    if not texts:
        return
    try:
        _read_together(engine, lake, texts, by, done)
    except Exception as error:
        waits = isinstance(error, LakeUnavailable | DatabaseUnavailable)  # which is no text's fault
        if waits or (isinstance(error, GridkeeperError) and not error.permanent):
            raise
        if len(texts) > 1:
            half = len(texts) // 2
            _read_again(engine, lake, texts[:half], by, done)
            _read_again(engine, lake, texts[half:], by, done)
            return
        log.error("a refusal cannot be read again", refusal=texts[0].row.id, exc_info=True)
        done.failed += 1
        why = str(error) if isinstance(error, GridkeeperError) else type(error).__name__
        done.say(f"{texts[0].row.id}: to read it again failed ({why}); it stays open")


def _read_together(engine: sa.Engine, lake: Lake, texts: Sequence[_Text], by: str, done: Retried) -> None:
    again: set[int] = set()
    load = uuid.uuid4().hex

    def keep(refused: Sequence[Refused], format_name: str) -> None:
        for one in refused:
            if one.reject.rule.value == texts[one.number].row.rule:
                again.add(one.number)
            else:  # refused under another rule now: that is an entry of its own
                quarantine.keep(engine, [one], format_name, load)

    loaded = Loader(lake, keep).load_units(
        replace(text.unit, pieces=(replace(text.unit.pieces[0], number=number),))
        for number, text in enumerate(texts)
    )
    for sentence in loaded.sentences:
        done.say(sentence)
    gave = {number for number, counts in loaded.parcels.items() if counts.read > counts.rejected}
    closed = [str(text.row.id) for number, text in enumerate(texts) if number in gave and number not in again]
    done.loaded += len(closed)
    done.refused += len(texts) - len(closed)
    with writing(engine) as connection:
        quarantine.close(connection, closed, quarantine.RETRIED, by, "read again", now())
        audit.record(
            connection,
            by,
            "quarantine.retry",
            f"{len(texts)} refusals",
            {"closed": len(closed), "still_refused": len(texts) - len(closed)},
        )


def _unit(number: int, row: sa.Row[tuple[object, ...]]) -> Unit:
    """A refusal's text as a unit of its format. Raises: UnreadableInput (permanent) where that is not to be seen."""
    delivery = Delivery(row.last_seen, row.resource, row.probe, row.vo, said_by=row.said_by)
    text, format_name = row.text, row.format
    if format_name == GRATIA_POST:  # the records are in it, under names of their own
        text, format_name = read_post(text).text or text, "gratia-xml"
        delivery = Delivery(row.last_seen, said_by=row.said_by)
    delivery = quarantine.bound(delivery, row.binding)
    if (
        format_name == AUTO or row.rule == Rule.UNKNOWN_HEADER
    ):  # a whole source, which begins with its own header
        plugin = recognise(text) if format_name == AUTO else format_named(format_name)
        whole = next(plugin.blocks(io.BytesIO(text)))
        parcel = Parcel(row.source, _nothing, plugin.name, delivery, sender="quarantine")
        return Unit(plugin.name, whole, (Piece(whole.first_line, number, parcel, row.line),))
    text = text if text.endswith(b"\n") else text + b"\n"
    line = 2 if row.context else 1  # behind its header
    parcel = Parcel(row.source, _nothing, format_name, delivery, sender="quarantine")
    return Unit(format_name, Block(text, line, row.context), (Piece(line, number, parcel, row.line),))


@contextmanager
def _nothing() -> Iterator[BinaryIO]:
    yield io.BytesIO()


def discard(engine: sa.Engine, lake: Lake, choice: Choice, by: str, because: str) -> int:
    """Close the chosen open refusals for good; say how many. Whole batches among them are kept elsewhere and freed.

    Raises: UserMistake (permanent) without a reason, or where nothing is chosen; LakeUnavailable, DatabaseUnavailable
    (retryable; what was not discarded stays open).
    """
    rows = quarantine.entries(engine, choice)
    if not rows:
        raise UserMistake(
            "no open refusal is meant by that; `gridkeeper quarantine list` shows what there is"
        )
    if not because.strip():
        raise UserMistake("nothing is discarded without a reason; write --reason TEXT")
    ids = [str(row.id) for row in rows if row.batch is None]
    count = 0
    if ids:
        with writing(engine) as connection:
            count = quarantine.close(connection, ids, quarantine.DISCARDED, by, because, now())
            told = {"reason": because, "ids": ids[:100]}
            audit.record(connection, by, "quarantine.discard", f"{count} refusals", told)
    for row in rows:
        if row.batch is not None:
            count += setting_aside.discard(engine, lake, row, by, because)
    return count
