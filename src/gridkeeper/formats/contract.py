"""What a format is: how to recognise it, cut a stream into blocks of whole records, and read a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery, Parsed
    from gridkeeper.records.rules import Reject

BLOCK_BYTES = 8 * 1024 * 1024
RECORD_LIMIT_BYTES = 4 * 1024 * 1024
SNIFF_BYTES = 64 * 1024


@dataclass(frozen=True)
class Block:
    """Whole records of one source, which any process can read without knowing the rest of it.

    data:       the bytes, exactly as they stand in the source.
    first_line: 1-based line of the source at which they begin.
    context:    what the records need from elsewhere in the source (a header); "" where nothing.
    refused:    what was too long or cut off while blocks were made.
    """

    data: bytes
    first_line: int
    context: bytes = b""
    refused: tuple[Reject, ...] = ()


class Format(Protocol):
    """One external record format. Its module calls the one instance FORMAT."""

    name: str
    describes: str

    def recognise(self, head: bytes) -> bool:
        """Say whether a source that begins with `head` (SNIFF_BYTES at most) is of this format."""

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut a stream into blocks of about `block_bytes`; memory stays bounded whatever the stream holds.

        The blocks' data, joined, are the source (less what `refused` says was passed over).
        """

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read a block. Never raises for what the text says: what cannot be read becomes a reject."""


@runtime_checkable
class Joinable(Protocol):
    """A format of which several sources, one behind the other, are read as one: many small files cost less so."""

    def may_be_followed(self, data: bytes) -> bool:
        """Say whether a whole source with these bytes is complete, so that another one may follow it."""
