"""Reads one block wherever it lands: parses it, packs it for the archive, names it.

Small sources are read together for speed. What somebody sent is archived by itself all the same, as it came and under its
sender's name; small files that are loaded by hand are archived as they were read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gridkeeper.formats.contract import Block, Joinable
from gridkeeper.formats.registry import format_named
from gridkeeper.intake.quarantine import binding_text
from gridkeeper.intake.sources import Original, Parcel
from gridkeeper.lake.archive import Received, digest, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gridkeeper.records.draft import Delivery, Parsed
    from gridkeeper.records.rules import Reject

JOINED_BYTES = 4 * 1024 * 1024
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Piece:
    """One parcel's part of a unit: it begins at `line` of the unit's block, which is `first_line` of the parcel.

    number:     the parcel's number in its load.
    start, end: where its bytes lie in the block's data; end None: to the end.
    """

    line: int
    number: int
    parcel: Parcel
    first_line: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class Unit:
    """One block to be read: of one parcel, or of several small ones behind one another.

    breaks_off: it has no text, only the refusal of its parcel, of which no more can be read.
    """

    format_name: str
    block: Block
    pieces: tuple[Piece, ...]
    breaks_off: bool = False

    @property
    def delivery(self) -> Delivery:
        """What is declared of all of it; received when the last of its parcels was."""
        deliveries = [piece.parcel.delivery for piece in self.pieces]
        return max(deliveries, key=lambda delivery: delivery.received_at)

    def pieces_of(self, lines: np.ndarray) -> np.ndarray:
        """The index of the piece in which each of some lines of the block stands."""
        starts = np.array([piece.line for piece in self.pieces])
        return np.maximum(np.searchsorted(starts, lines, side="right") - 1, 0)


@dataclass(frozen=True)
class Refused:
    """A refusal, with the number of its parcel, and what its text needs to be read (a header).

    is_whole: of the parcel as a whole, which cannot be read, or not to its end.
    """

    number: int
    parcel: Parcel
    reject: Reject
    context: bytes
    archive_ref: str
    is_whole: bool = False


@dataclass(frozen=True)
class Outcome:
    """What reading a unit gave.

    numbers: for each table, the parcel's number of each row.
    skipped: parcel's number → what was rightly no record, by reason.
    """

    format_name: str
    tables: dict[str, pa.Table]
    numbers: dict[str, np.ndarray]
    refused: list[Refused]
    skipped: dict[int, Counter[str]]
    read: int
    received: list[Received]


def read(unit: Unit) -> Outcome:
    """Parse a block; its records carry the name, in the archive, of the text they came in, and when that was received."""
    block = unit.block
    parsed = format_named(unit.format_name).parse(block, unit.delivery)
    received = _archived(unit, parsed)
    names = pa.array([one.sha256 for one in received])
    moments = pa.array(
        [piece.parcel.delivery.received_at for piece in unit.pieces], pa.timestamp("us", tz="UTC")
    )
    tables, numbers = {}, {}
    for table, rows in parsed.tables.items():
        places = unit.pieces_of(np.concatenate(parsed.lines[table]))
        numbers[table] = np.array([piece.number for piece in unit.pieces])[places]
        for column, values in (("archive_ref", names), ("received_at", moments)):
            index = rows.schema.get_field_index(column)
            told = pa.repeat(values[0], len(rows)) if len(unit.pieces) == 1 else values.take(pa.array(places))
            rows = rows.set_column(index, rows.schema.field(index), told)
        tables[table] = rows
    refused = []
    for reject in parsed.rejects:
        place = int(unit.pieces_of(np.array([reject.line]))[0])
        piece = unit.pieces[place]
        line = reject.line - piece.line + piece.first_line
        refused.append(
            Refused(
                piece.number,
                piece.parcel,
                replace(reject, line=line),
                block.context,
                received[place].sha256,
                unit.breaks_off,
            )
        )
    kept = list({(one.sha256, one.source): one for one in received if one.bytes}.values())
    return Outcome(
        unit.format_name,
        tables,
        numbers,
        refused,
        _skipped(unit, parsed, numbers, refused),
        parsed.read,
        kept,
    )


def _skipped(
    unit: Unit, parsed: Parsed, numbers: Mapping[str, np.ndarray], refused: Sequence[Refused]
) -> dict[int, Counter[str]]:
    """What was rightly no record, by parcel: of several, what its number of members leaves over."""
    if not parsed.skipped:
        return {}
    if len(unit.pieces) == 1:
        return {unit.pieces[0].number: parsed.skipped}
    left = {piece.number: piece.parcel.members or 0 for piece in unit.pieces}
    for rows in numbers.values():
        for number, count in zip(*np.unique(rows, return_counts=True), strict=True):
            left[int(number)] -= int(count)
    for one in refused:
        left[one.number] -= 1
    if sum(left.values()) != parsed.skipped.total() or min(left.values()) < 0:
        return {unit.pieces[0].number: parsed.skipped}
    reason = " or ".join(parsed.skipped)
    return {number: Counter({reason: count}) for number, count in left.items() if count}


def _archived(unit: Unit, parsed: Parsed) -> list[Received]:
    """What the archive keeps of each piece: its original, its own bytes if it was sent, or the block itself."""
    block, first = unit.block, unit.pieces[0].parcel
    if first.original is not None:
        return [
            _received(piece.parcel, piece.parcel.original, 1, b"")
            for piece in unit.pieces
            if piece.parcel.original
        ]
    if first.sender is not None and len(unit.pieces) > 1:
        return [_received(piece.parcel, _own_bytes(unit, piece), 1, b"") for piece in unit.pieces]
    # A block of refusals alone has no data; then what was refused, and where, is its name.
    told = block.data or b"".join(first.source.encode() + reject.text for reject in parsed.rejects)
    whole = Original(digest(told, block.context), unit.format_name, packed(block.data), len(block.data))
    one = _received(first, whole, block.first_line, block.context)
    more = len({piece.number for piece in unit.pieces}) - 1
    return [replace(one, source=f"{one.source} and {more} more")] * len(unit.pieces) if more else [one]


def _own_bytes(unit: Unit, piece: Piece) -> Original:
    data = unit.block.data[piece.start : piece.end]
    return Original(digest(data, b""), unit.format_name, packed(data), len(data))


def _received(parcel: Parcel, original: Original, first_line: int, context: bytes) -> Received:
    delivery = parcel.delivery
    return Received(
        sha256=original.name,
        received_at=delivery.received_at,
        source=parcel.source,
        sender=parcel.sender,
        address=parcel.address,
        format=original.format,
        probe=delivery.probe,
        said_by=delivery.said_by,
        resource=delivery.resource,
        vo=delivery.vo,
        binding=binding_text(delivery),
        first_line=first_line,
        context=context,
        payload=original.payload,
        bytes=original.bytes,
    )


def joined(units: Iterable[Unit]) -> Iterator[Unit]:
    """Put small sources together whose format allows it; every other unit stays as it is."""
    held: list[Unit] = []
    size = 0
    for unit in units:
        if held and (size + len(unit.block.data) > JOINED_BYTES or not _may_follow(held[-1], unit)):
            yield _join(held)
            held, size = [], 0
        held.append(unit)
        size += len(unit.block.data) + 1
    if held:
        yield _join(held)


def _may_follow(before: Unit, unit: Unit) -> bool:
    if (
        before.block.refused
        or unit.block.refused
        or before.format_name != unit.format_name
        or _declared(before) != _declared(unit)
    ):
        return False
    plugin = format_named(unit.format_name)
    both_begin = before.pieces[-1].first_line == 1 and unit.pieces[0].first_line == 1
    plain = not unit.block.context and not before.block.context
    return both_begin and plain and isinstance(plugin, Joinable) and plugin.may_be_followed(before.block.data)


def _declared(unit: Unit) -> tuple[Delivery, bool, bool]:
    """What must be alike: what is declared and bears on the records; and how it is archived."""
    parcel = unit.pieces[0].parcel
    return (
        replace(parcel.delivery, received_at=_NEVER, said_by=None),
        parcel.original is not None,
        parcel.sender is not None,
    )


def _join(units: list[Unit]) -> Unit:
    if len(units) == 1:
        return units[0]
    first = units[0]
    data: list[bytes] = []
    pieces: list[Piece] = []
    line, place = first.block.first_line, 0
    for unit in units:
        if data and not data[-1].endswith(b"\n"):
            data.append(b"\n")
            line += 1
            place += 1
        end = place + len(unit.block.data)
        pieces.append(replace(unit.pieces[0], line=line, start=place, end=end))
        data.append(unit.block.data)
        line += unit.block.data.count(b"\n")
        place = end
    return Unit(
        first.format_name, Block(b"".join(data), first.block.first_line, first.block.context), tuple(pieces)
    )
