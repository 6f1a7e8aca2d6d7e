"""A format that breaks where a test wants it to, and else is sacct: what a bug in our own code does to the loader."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.registry import formats
from gridkeeper.formats.sacct import FORMAT as SACCT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery, Parsed


@dataclass
class Brittle:
    """Raises over a block that holds one of the marks.

    raises: mark → what is raised; the empty mark is in every block. seen: how often a block was read.
    """

    raises: dict[bytes, Exception] = field(default_factory=dict)
    seen: int = 0
    name: str = "brittle"
    describes: str = "sacct, for tests of failures"

    def recognise(self, head: bytes) -> bool:
        """Only by its name."""
        return False

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """As sacct's."""
        return SACCT.blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """As sacct does, or not at all."""
        self.seen += 1
        for mark, error in self.raises.items():
            if mark in block.data:
                raise type(error)(*error.args)  # a new one, without the traces of earlier times
        return SACCT.parse(block, delivery)


@contextmanager
def brittle_format() -> Iterator[Brittle]:
    """Have it among the formats for a while."""
    made = Brittle()
    formats()[made.name] = made
    try:
        yield made
    finally:
        del formats()[made.name]
