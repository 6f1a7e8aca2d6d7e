"""`car`: EMI's Compute Accounting Record, what ARC, UNICORE and APEL's own clients send to APEL in XML.

It says of a job what APEL's text messages say, and a job that was sent both ways is one record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.gratia_blocks import gratia_blocks
from gridkeeper.formats.gratia_spans import KNOWN_START
from gridkeeper.formats.usage_vocabularies import CAR, vocabulary
from gridkeeper.formats.usage_xml import UsageRows
from gridkeeper.records.draft import Parsed
from gridkeeper.records.finish import finish_usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery


class Car:
    """Reads compute accounting records."""

    name = "car"
    describes = "EMI's Compute Accounting Record (CAR) in XML, single or in `UsageRecords`"

    def recognise(self, head: bytes) -> bool:
        """XML in CAR's namespace, that of jobs or that of sums."""
        begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return begin.startswith(b"<") and KNOWN_START.search(head) is not None and vocabulary(head) == CAR

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut behind ends of records; the context says whether a block stands under a document type."""
        return gratia_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of records."""
        parsed = Parsed(rejects=list(block.refused))
        rows = UsageRows(block, parsed, skips_sums=True)
        if len(rows):
            draft = rows.draft(resource=("site",))
            if len(draft):
                finish_usage(draft, "apel", self.name, delivery, parsed)
        return parsed


FORMAT = Car()
