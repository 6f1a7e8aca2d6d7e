"""Cuts JSON into the objects that are records, and reads them: one to a line, in a row, in an array, or in search hits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import orjson

from gridkeeper.formats.contract import BLOCK_BYTES, RECORD_LIMIT_BYTES, SNIFF_BYTES, Block
from gridkeeper.formats.gratia_tree import Refused
from gridkeeper.formats.lines import line_blocks
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.records.draft import Parsed

LINES, OBJECTS, HITS = b"lines", b"objects", b"hits"
BLANKS = b" \t\r\n\xef\xbb\xbf"
# What stands between objects that stand one behind the other or in an array.
_BETWEEN = BLANKS + b",[]"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z)|[{}]', re.DOTALL)
_SOURCE = re.compile(rb'"_source"\s*:\s*\Z')
_SOURCE_REACH_BYTES = 64
_SEARCH = re.compile(rb'\A\s*\{.*?"hits"\s*:\s*[{\[]', re.DOTALL)
_OBJECT_ON_A_LINE = re.compile(rb"\n\s*\{")


@dataclass(frozen=True)
class Span:
    """One object of a block, from `start` to `end`; `whole` is False for one that does not end there."""

    start: int
    end: int
    whole: bool = True


class _Rejoined:
    """A stream of which the beginning was read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            wanted = len(self._head) if size < 0 else size
            head, self._head = self._head[:wanted], self._head[wanted:]
            return head
        return self._stream.read(size)


def json_blocks(stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield blocks of whole objects; the context is LINES, OBJECTS or HITS and says how they are arranged."""
    head = b""
    while head.count(b"\n") < 2 and len(head) < SNIFF_BYTES and (chunk := stream.read(SNIFF_BYTES)):
        head += chunk
    mode = arrangement(head)
    rejoined: BinaryIO = _Rejoined(head, stream)  # type: ignore[assignment]
    if mode == LINES:
        for block in line_blocks(rejoined, block_bytes):
            yield Block(block.data, block.first_line, LINES, block.refused)
    else:
        yield from _object_blocks(rejoined, block_bytes, mode)


def arrangement(head: bytes) -> bytes:
    """Say how the objects of a source are arranged, from its beginning."""
    if b'"_source"' in head and _SEARCH.match(head):
        return HITS if b'"_source"' not in head.split(b'"hits"', 1)[0] else LINES
    first, _, others = head.lstrip(BLANKS).partition(b"\n")
    if first.startswith(b"{") and (_is_object(first) or others.lstrip().startswith(b"{")):
        return LINES
    return OBJECTS


@dataclass(frozen=True)
class Found:
    """What stands where a record should: its value as JSON has it, its text and the 1-based line where that begins."""

    value: object
    text: bytes
    line: int


def json_values(block: Block, parsed: Parsed) -> Iterator[Found]:
    """Read the objects of a block made by `json_blocks`, in order; what is no JSON becomes a reject of `parsed`."""
    data, mode = block.data, block.context or OBJECTS
    spans = _lines(data) if mode == LINES else object_spans(data, mode)
    strays = set(between(data, spans)) if mode == OBJECTS else set()
    line, passed = block.first_line, 0
    for span in sorted({*spans, *strays}, key=lambda span: span.start):
        end = span.end if span.whole else len(data)
        begin = end - len(data[span.start : end].lstrip(BLANKS))
        line += data.count(b"\n", passed, begin)
        passed, text = begin, data[span.start : span.end].strip(BLANKS)
        open_end = not span.whole or (mode == LINES and span.end == len(data))
        try:
            if span in strays:
                raise Refused(Rule.NOT_WELL_FORMED, "text between records")
            value = _loaded(text, open_end)
        except Refused as why:
            parsed.rejects.append(Reject.of(why.rule, line, why.detail, text))
        else:
            yield Found(value, text, line)


def _lines(data: bytes) -> list[Span]:
    spans, start = [], 0
    for line in data.split(b"\n"):
        if line.strip(BLANKS):
            spans.append(Span(start, start + len(line)))
        start += len(line) + 1
    return spans


def _loaded(text: bytes, open_end: bool) -> object:
    """Read one object; `open_end` says that the source may have ended inside it."""
    if len(text) > RECORD_LIMIT_BYTES:
        detail = f"a record of {len(text):,} bytes where {RECORD_LIMIT_BYTES:,} are the limit"
        raise Refused(Rule.RECORD_TOO_LONG, detail)
    if b"\0" in text:
        raise Refused(Rule.BINARY_JUNK, "a NUL byte in a record")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = error.msg
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(Rule.NOT_UTF8, "bytes that are no UTF-8") from None
    raise Refused(Rule.TRUNCATED if open_end else Rule.NOT_WELL_FORMED, f"no JSON ({reason})")


def object_spans(data: bytes, mode: bytes) -> list[Span]:
    """Find the record objects of a block arranged as OBJECTS or HITS."""
    spans, depth, start = [], 0, -1
    for token in _TOKEN.finditer(data):
        if token[0] == b"{":
            place = token.start()
            if depth or mode == OBJECTS or _SOURCE.search(data, max(0, place - _SOURCE_REACH_BYTES), place):
                start = start if depth else place
                depth += 1
        elif token[0] == b"}" and depth:
            depth -= 1
            if not depth:
                spans.append(Span(start, token.end()))
    if depth:
        spans.append(Span(start, len(data), whole=False))
    return spans


def between(data: bytes, spans: list[Span]) -> list[Span]:
    """Find the text between objects that is neither blank nor punctuation of an array."""
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(data)]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    words = [(data[start:end].strip(_BETWEEN), start) for start, end in gaps]
    places = [(data.index(text, start), text) for text, start in words if text]
    return [Span(place, place + len(text)) for place, text in places]


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _object_blocks(stream: BinaryIO, block_bytes: int, mode: bytes) -> Iterator[Block]:
    rest, line = b"", 1
    while chunk := stream.read(block_bytes):
        data = rest + chunk
        whole = [span for span in object_spans(data, mode) if span.whole]
        cut = whole[-1].end if whole else 0
        if not cut and len(data) > RECORD_LIMIT_BYTES:
            refused, newlines, rest = _pass_over(stream, data, line)
            yield Block(b"", line, mode, (refused,))
            line += newlines
            continue
        rest = data[cut:]
        if cut:
            yield Block(data[:cut], line, mode)
            line += data.count(b"\n", 0, cut)
    if rest:
        yield Block(rest, line, mode)


def _pass_over(stream: BinaryIO, data: bytes, line: int) -> tuple[Reject, int, bytes]:
    """Read on to the next object that begins a line. Returns: the refusal, newlines passed, what was read beyond."""
    size, newlines, rest = len(data), data.count(b"\n"), b""
    while chunk := stream.read(BLOCK_BYTES):
        match = _OBJECT_ON_A_LINE.search(chunk)
        cut = match.end() - 1 if match else len(chunk)
        size += cut
        newlines += chunk.count(b"\n", 0, cut)
        if match:
            rest = chunk[cut:]
            break
    detail = f"a record of {size:,} bytes where {RECORD_LIMIT_BYTES:,} are the limit"
    return Reject(Rule.RECORD_TOO_LONG, line, detail, data[:REJECT_TEXT_LIMIT_BYTES], size), newlines, rest
