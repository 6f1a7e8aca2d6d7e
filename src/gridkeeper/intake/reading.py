"""Reads one block wherever it lands: parses it, packs it for the archive, names it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.formats.contract import Block, Joinable
from gridkeeper.formats.registry import format_named
from gridkeeper.lake.archive import Received, digest, packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gridkeeper.records.draft import Delivery, Parsed
    from gridkeeper.records.rules import Reject

JOINED_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Piece:
    """One source's part of a unit: it begins at `line` of the unit's block, which is `first_line` of the source."""

    line: int
    source: str
    first_line: int


@dataclass(frozen=True)
class Unit:
    """One block to be read: of one source, or of several small ones behind one another."""

    format_name: str
    block: Block
    delivery: Delivery
    pieces: tuple[Piece, ...]

    @property
    def source(self) -> str:
        """Where it came from."""
        names = list(dict.fromkeys(piece.source for piece in self.pieces))
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

    def place_of(self, line: int) -> tuple[str, int]:
        """The source and the line in it of a line of the block."""
        piece = self.pieces[max(bisect_right([piece.line for piece in self.pieces], line) - 1, 0)]
        return piece.source, line - piece.line + piece.first_line


@dataclass(frozen=True)
class Outcome:
    """What reading a unit gave; each refusal with its source and its line in it."""

    format_name: str
    parsed: Parsed
    refused: list[tuple[str, Reject]]
    received: Received


def read(unit: Unit) -> Outcome:
    """Parse a block; its records carry the block's name in the archive."""
    block, delivery = unit.block, unit.delivery
    parsed = format_named(unit.format_name).parse(block, delivery)
    refused = []
    for reject in parsed.rejects:
        source, line = unit.place_of(reject.line)
        refused.append((source, replace(reject, line=line)))
    # A block of refusals alone has no data; then what was refused, and where, is its name.
    told = block.data or b"".join(source.encode() + reject.text for source, reject in refused)
    name = digest(told, block.context)
    tables = {
        table: rows.set_column(
            rows.schema.get_field_index("archive_ref"), "archive_ref", pa.repeat(pa.scalar(name), len(rows))
        )
        for table, rows in parsed.tables.items()
    }
    received = Received(
        sha256=name,
        received_at=delivery.received_at,
        source=unit.source,
        format=unit.format_name,
        probe=delivery.probe,
        resource=delivery.resource,
        vo=delivery.vo,
        first_line=block.first_line,
        context=block.context,
        payload=packed(block.data),
        bytes=len(block.data),
    )
    return Outcome(unit.format_name, replace(parsed, tables=tables), refused, received)


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
        or (before.format_name, before.delivery) != (unit.format_name, unit.delivery)
    ):
        return False
    plugin = format_named(unit.format_name)
    both_begin = (
        before.pieces[-1].first_line == 1 and unit.pieces[0].first_line == 1 and not unit.block.context
    )
    return both_begin and isinstance(plugin, Joinable) and plugin.may_be_followed(before.block.data)


def _join(units: list[Unit]) -> Unit:
    if len(units) == 1:
        return units[0]
    first = units[0]
    data: list[bytes] = []
    pieces: list[Piece] = []
    line = first.block.first_line
    for unit in units:
        if data and not data[-1].endswith(b"\n"):
            data.append(b"\n")
            line += 1
        pieces.append(Piece(line, unit.pieces[0].source, unit.block.first_line))
        data.append(unit.block.data)
        line += unit.block.data.count(b"\n")
    block = Block(b"".join(data), first.block.first_line, first.block.context)
    return Unit(first.format_name, block, first.delivery, tuple(pieces))
