"""Finds the files of a load and opens them, plain or compressed, files or pipes, as streams of bytes."""

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from gridkeeper.records.draft import Delivery

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# What some programs set before UTF-8; it is no part of the text.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
STANDARD_INPUT = Path("-")
# What a broken compressed stream raises while it is read.
BROKEN_STREAM = (EOFError, OSError, zstandard.ZstdError, zlib.error)


def find(paths: Sequence[Path]) -> list[Path]:
    """List the files to load: those named (`-` is standard input), and all in named folders (hidden ones left out), in order of name.

    Raises: UserMistake (permanent) for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")
            )
        elif path == STANDARD_INPUT or path.exists():
            found.append(path)
        else:
            raise UserMistake(f"there is no file or folder {path}")
    return found


@dataclass(frozen=True)
class Original:
    """What was received where it is not the text itself that is archived (a post with the text inside).

    name: its SHA-256; payload: its bytes, compressed; bytes: how many there were.
    """

    name: str
    format: str
    payload: bytes
    bytes: int


@dataclass(frozen=True)
class Parcel:
    """One text to load.

    source:   what refusals call it.
    opened:   opens its plain bytes.
    delivery: what is declared of it.
    original: what to archive instead of the text.
    sender:   who sent it, and from which address; for the archive. None: loaded by hand.
    members:  how many records it holds, where that is known before it is read.
    """

    source: str
    opened: Callable[[], AbstractContextManager[BinaryIO]]
    format_name: str
    delivery: Delivery
    original: Original | None = None
    sender: str | None = None
    members: int | None = None
    address: str | None = None

    @classmethod
    def of_file(cls, path: Path, format_name: str, delivery: Delivery) -> Parcel:
        """A file, plain or compressed."""
        name = "standard input" if path == STANDARD_INPUT else str(path)
        return cls(name, partial(open_plain, path), format_name, delivery)


@contextmanager
def open_plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file or a pipe (`-`: standard input) for reading its plain bytes, whether gzip, zstd or not compressed.

    Raises: UserMistake (permanent) when it cannot be opened.
    """
    try:
        # Standard input is not ours to close; everything else is opened here.
        opened = nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else path.open("rb")
    except OSError as error:
        raise UserMistake(f"{path} cannot be opened: {error.strerror}") from error
    with opened as file:
        magic, stream = with_head(cast("BinaryIO", file), len(_ZSTD_MAGIC))  # a pipe cannot be wound back
        encoding = "gzip" if magic.startswith(_GZIP_MAGIC) else "zstd" if magic == _ZSTD_MAGIC else "identity"
        with decompressed(stream, encoding) as plain:
            yield plain


@contextmanager
def decompressed(stream: BinaryIO, encoding: str) -> Iterator[BinaryIO]:
    """Give the plain bytes of a stream that is `gzip`, `zstd` or `identity`."""
    if encoding == "gzip":
        with gzip.GzipFile(fileobj=stream) as plain:
            yield cast("BinaryIO", plain)
    elif encoding == "zstd":
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


def text_with_head(stream: BinaryIO, size: int) -> tuple[bytes, BinaryIO]:
    """Like with_head, without the byte order mark that stands before some UTF-8."""
    begin, stream = with_head(stream, len(_BYTE_ORDER_MARK))
    if begin == _BYTE_ORDER_MARK:
        stream.read(len(_BYTE_ORDER_MARK))
    return with_head(stream, size)


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
