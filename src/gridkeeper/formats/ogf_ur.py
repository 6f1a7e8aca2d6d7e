"""`ogf-ur`: the Open Grid Forum's usage record in XML, 1.0 (GFD-R-P.098) and 2.0 (GFD-R-P.204).

Gratia's records are of the same family and have a format of their own; the namespace tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from gridkeeper.formats.contract import BLOCK_BYTES, Block
from gridkeeper.formats.gratia_blocks import gratia_blocks
from gridkeeper.formats.gratia_spans import KNOWN_START
from gridkeeper.formats.usage_vocabularies import OGF, vocabulary
from gridkeeper.formats.usage_xml import UsageRows
from gridkeeper.records.draft import Parsed
from gridkeeper.records.finish import finish_usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Delivery


class OgfUr:
    """Reads OGF usage records."""

    name = "ogf-ur"
    describes = "OGF usage records in XML, 1.0 and 2.0, single or in `UsageRecords`"

    def recognise(self, head: bytes) -> bool:
        """XML in OGF's own namespace, or with a block that the record 2.0 alone has."""
        begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return begin.startswith(b"<") and KNOWN_START.search(head) is not None and vocabulary(head) == OGF

    def blocks(self, stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Cut behind ends of records; the context says whether a block stands under a document type."""
        return gratia_blocks(stream, block_bytes)

    def parse(self, block: Block, delivery: Delivery) -> Parsed:
        """Read one block of records."""
        parsed = Parsed(rejects=list(block.refused))
        rows = UsageRows(block, parsed, skips_sums=False)
        if len(rows):
            draft = rows.draft(resource=("machine", "site", "primary_host"))
            if len(draft):
                finish_usage(draft, "ogf", self.name, delivery, parsed)
        return parsed


FORMAT = OgfUr()
