"""Finds the files of a load and opens them, plain or compressed, as streams of bytes."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# What a broken compressed stream raises while it is read.
BROKEN_STREAM = (EOFError, OSError, zstandard.ZstdError, zlib.error)


def find(paths: Sequence[Path]) -> list[Path]:
    """List the files to load: those named, and all in named folders (hidden ones left out), in order of name.

    Raises: UserMistake (permanent) for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
            )
        elif path.exists():
            found.append(path)
        else:
            raise UserMistake(f"there is no file or folder {path}")
    return found


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading its plain bytes, whether gzip, zstd or not compressed.

    Raises: UserMistake (permanent) when it cannot be opened.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UserMistake(f"{path} cannot be opened: {error.strerror}") from error
    with stream:
        magic = stream.read(4)
        stream.seek(0)
        if magic.startswith(_GZIP_MAGIC):
            with gzip.GzipFile(fileobj=stream) as plain:
                yield cast("BinaryIO", plain)
        elif magic == _ZSTD_MAGIC:
            with zstandard.ZstdDecompressor().stream_reader(
                stream, closefd=False, read_across_frames=True
            ) as plain:
                yield cast("BinaryIO", plain)
        else:
            yield stream


def with_head(stream: BinaryIO, size: int) -> tuple[bytes, BinaryIO]:
    """Read the first `size` bytes and return them with a stream that still begins with them."""
    pieces: list[bytes] = []
    left = size
    while left and (piece := stream.read(left)):
        pieces.append(piece)
        left -= len(piece)
    head = b"".join(pieces)
    return head, cast("BinaryIO", _Rejoined(head, stream))


class _Rejoined:
    """A stream whose beginning was read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(self._all())
        begin, self._head = self._head[:size], self._head[size:]
        if len(begin) == size:
            return begin
        return begin + self._rest.read(size - len(begin))

    def _all(self) -> Iterator[bytes]:
        begin, self._head = self._head, b""
        yield begin
        yield self._rest.read()
