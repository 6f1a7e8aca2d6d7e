"""The bodies of batches as the loader reads them: plain, a part in memory at a time, and bounded."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from gridkeeper.errors import UnreadableInput
from gridkeeper.intake import waiting
from gridkeeper.intake.sources import decompressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import sqlalchemy as sa

    from gridkeeper.intake.waiting import Batch


@contextmanager
def bytes_stream(text: bytes) -> Iterator[BinaryIO]:
    """A text that is in memory already."""
    yield io.BytesIO(text)


def opener(engine: sa.Engine, batch: Batch, most: int) -> Callable[[], AbstractContextManager[BinaryIO]]:
    """Opens the plain bytes of a batch, of which there must not be more than `most`.

    Who reads on meets UnreadableInput (permanent).
    """

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        stream = cast("BinaryIO", waiting.stream(engine, batch.id))
        with decompressed(stream, batch.encoding) as plain:
            yield cast("BinaryIO", _Bounded(plain, most, batch.id))

    return opened


class _Bounded:
    """A stream that must not be longer than a limit: a small body may decompress to anything."""

    def __init__(self, stream: BinaryIO, most: int, name: str) -> None:
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableInput(
                f"batch {self._name}: more than {self._most:,} bytes after decompression (intake.plain_bytes); send it in parts"
            )
        return data
