"""Cuts streams of ClassAds into blocks of whole ads: text with banners, text with blank lines, and JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from gridkeeper.formats.contract import BLOCK_BYTES, RECORD_LIMIT_BYTES, Block
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

# How the ads of a source are set apart; the context of every block of it.
BANNERS, BLANK_LINES, JSON = b"banners", b"blank lines", b"json"

BANNER_LIMIT_BYTES = 4096
_SCAN_BYTES = 1024 * 1024
_A_BANNER = re.compile(rb"^\*\*\* [^\n]*\n", re.MULTILINE)
_A_BLANK_LINE = re.compile(rb"\n\r?\n")
JSON_BLANK = b" \t\r\n,[]"
_MIDDLE_OF_A_LINE = b"."


def ad_blocks(
    stream: BinaryIO, block_bytes: int = BLOCK_BYTES, *, limit: int = RECORD_LIMIT_BYTES
) -> Iterator[Block]:
    """Yield blocks of about `block_bytes` that end where an ad ends; the last one may end anywhere.

    The context of a block is BANNERS, BLANK_LINES or JSON, as its source begins. An ad longer than `limit`
    bytes is refused with `record_too_long` and passed over, so that memory stays bounded.
    """
    head = _read_fully(stream, limit)
    manner = _manner(head)
    ends: _Ends = _JsonEnds(limit) if manner == JSON else _TextEnds(manner)
    held, line, passing = b"", 1, None
    for chunk in _chunks(head, stream, block_bytes):
        first, last = ends.feed(chunk)
        begin = 0
        if passing is not None:
            passing.pass_over(chunk[:first] if first else chunk)
            if not first:
                continue
            yield Block(b"", line, manner, (passing.refusal(line, limit),))
            line, begin, passing = line + passing.newlines, first, None
        if last > begin:
            whole = b"".join((held, memoryview(chunk)[begin:last]))
            yield Block(whole, line, manner)
            line += whole.count(b"\n")
            held, begin = b"", last
        held += chunk[begin:]
        if len(held) > limit:
            passing, held = _TooLong(held), b""
    if passing is not None:
        yield Block(b"", line, manner, (passing.refusal(line, limit),))
    refused = _array_cut_off(head, held, line) if manner == JSON and passing is None else ()
    if held or refused:
        yield Block(held, line, manner, refused)


def is_utf8(data: bytes) -> bool:
    """Say whether bytes are UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def json_objects(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each object of JSON text begins and ends, nested ones apart; the last may lack its end."""
    begin = 0
    for end in (*_JsonEnds(len(data)).ends(data), len(data)):
        piece = data[begin:end]
        begin += len(piece) - len(piece.lstrip(JSON_BLANK))
        if begin < end:
            yield begin, end
        begin = end


def _manner(head: bytes) -> bytes:
    if head.lstrip()[:1] in (b"[", b"{"):
        return JSON
    return BANNERS if _A_BANNER.search(head) else BLANK_LINES


def _read_fully(stream: BinaryIO, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _chunks(head: bytes, stream: BinaryIO, size: int) -> Iterator[bytes]:
    for at in range(0, len(head), size):
        yield head[at : at + size]
    while chunk := stream.read(size):
        yield chunk


def _array_cut_off(head: bytes, rest: bytes, line: int) -> tuple[Reject, ...]:
    """Say that an array's end is missing where no piece of an object tells it."""
    if head.lstrip()[:1] != b"[" or rest.strip(b" \t\r\n,["):
        return ()
    return (Reject.of(Rule.TRUNCATED, line, "an array of ads without its closing bracket", rest),)


class _TooLong:
    """An ad that is longer than any may be, of which only the beginning is kept."""

    def __init__(self, begun: bytes) -> None:
        self._text, self._size, self.newlines = begun[:REJECT_TEXT_LIMIT_BYTES], 0, 0
        self.pass_over(begun)

    def pass_over(self, piece: bytes) -> None:
        self._size += len(piece)
        self.newlines += piece.count(b"\n")

    def refusal(self, line: int, limit: int) -> Reject:
        detail = f"an ad of {self._size:,} bytes where {limit:,} are the limit"
        return Reject(Rule.RECORD_TOO_LONG, line, detail, self._text, self._size)


class _Ends(Protocol):
    def feed(self, chunk: bytes) -> tuple[int, int]:
        """Say where in `chunk` the first and the last ad end that do; (0, 0) for none."""


class _TextEnds:
    """Finds ends of ads in text: banner lines, or blank lines."""

    def __init__(self, manner: bytes) -> None:
        self._pattern = _A_BANNER if manner == BANNERS else _A_BLANK_LINE
        # Where to look for it from behind, and how far behind that its match begins.
        self._mark, self._behind = (b"\n*** ", 1) if manner == BANNERS else (b"\n", 0)
        self._line = b"\n"  # the newline before the unfinished line, and that line

    def feed(self, chunk: bytes) -> tuple[int, int]:
        window, before = self._line + chunk, len(self._line)
        begun = window.rfind(
            b"\n", len(window) - BANNER_LIMIT_BYTES if len(window) > BANNER_LIMIT_BYTES else 0
        )
        self._line = window[begun:] if begun >= 0 else _MIDDLE_OF_A_LINE
        first = self._pattern.search(window)
        if first is None:
            return 0, 0
        last, at = first, len(window)
        while (at := window.rfind(self._mark, first.start(), at)) >= 0:
            if match := self._pattern.match(window, at + self._behind):
                last = match
                break
        return first.end() - before, last.end() - before


class _JsonEnds:
    """Finds ends of top-level objects in JSON, aware of strings and escapes; the array around them counts not.

    A string of JSON holds no line end, so a lost quote harms only the rest of its own line. A brace too many
    counts for nothing, and after an ad that is too long anyway, the next closing brace is taken to end one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0  # bytes since the last end
        self._depth = 0
        self._quotes = 0
        self._half = b""  # a backslash whose escaped letter is in the next chunk

    def feed(self, chunk: bytes) -> tuple[int, int]:
        ends = self.ends(chunk)
        self._open = len(chunk) - ends[-1] if ends else self._open + len(chunk)
        if self._open > self._limit:
            self._depth = 0
        return (ends[0], ends[-1]) if ends else (0, 0)

    def ends(self, chunk: bytes) -> list[int]:
        """All ends in the chunk."""
        found: list[int] = []
        for at in range(0, len(chunk), _SCAN_BYTES):
            piece = self._half + chunk[at : at + _SCAN_BYTES]
            offset = at - len(self._half)
            self._half = b"\\" if (len(piece) - len(piece.rstrip(b"\\"))) % 2 else b""
            found += (self._scan(piece[: len(piece) - len(self._half)]) + offset).tolist()
        return found

    def _scan(self, piece: bytes) -> np.ndarray:
        plain = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in piece else piece
        letters = np.frombuffer(plain, np.uint8)
        marks = np.flatnonzero(_IS_MARK[letters])
        if not len(marks):
            return marks
        kinds = letters[marks]
        quotes = self._quotes + np.cumsum(kinds == ord('"'))
        since = quotes - np.maximum.accumulate(np.where(kinds == ord("\n"), quotes, 0))
        outside = since % 2 == 0
        steps = np.where(outside, (kinds == ord("{")) * 1 - (kinds == ord("}")) * 1, 0)
        depth = self._depth + np.cumsum(steps)
        depth -= np.minimum(np.minimum.accumulate(depth), 0)
        self._depth, self._quotes = int(depth[-1]), int(since[-1]) % 2
        ends: np.ndarray = marks[(steps < 0) & (depth == 0)] + 1
        return ends


_IS_MARK = np.zeros(256, dtype=bool)
_IS_MARK[list(b'"{}\n')] = True
