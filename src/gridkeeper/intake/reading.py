"""Reads one block wherever it lands: parses it, packs it for the archive, names it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.formats.registry import format_named
from gridkeeper.lake.archive import Received, digest, packed

if TYPE_CHECKING:
    from gridkeeper.formats.contract import Block
    from gridkeeper.records.draft import Delivery, Parsed


@dataclass(frozen=True)
class Unit:
    """One block of one source, to be read."""

    source: str
    format_name: str
    block: Block
    delivery: Delivery


@dataclass(frozen=True)
class Outcome:
    """What reading a unit gave."""

    source: str
    format_name: str
    parsed: Parsed
    received: Received
    read_bytes: int


def read(unit: Unit) -> Outcome:
    """Parse a block; its records carry the block's name in the archive."""
    block, delivery = unit.block, unit.delivery
    parsed = format_named(unit.format_name).parse(block, delivery)
    name = digest(block.data, block.context)
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
    return Outcome(unit.source, unit.format_name, replace(parsed, tables=tables), received, len(block.data))
