"""Cuts a stream of records in XML, Gratia's, OGF's and CAR's, into blocks of whole records, in bounded memory.

A block ends behind the end tag of a record and of its envelope, if that follows, so that a small text is one
block; or in a bundle before an item. The envelope's head, and whatever else stands between records, goes with
what follows. What a later block must know of an earlier one is one word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from gridkeeper.formats.contract import BLOCK_BYTES, RECORD_LIMIT_BYTES, Block
from gridkeeper.formats.gratia_bundle import BUNDLE_HEAD, ITEM_START
from gridkeeper.formats.gratia_spans import (
    ENVELOPE_ENDS,
    KNOWN_END,
    KNOWN_START,
    KNOWN_TAG,
    blanked,
    document_pieces,
    has_markup,
)
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

BUNDLE = b"bundle"
UNDER_DTD = b"under dtd"
MODE_BYTES = 1024
# As much of a boundary as may stand at the end of one read and the beginning of the next.
_OVERLAP_BYTES = 512


def gratia_blocks(stream: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yield blocks whose context is "", BUNDLE or UNDER_DTD."""
    rest, line, context, searched = b"", 1, None, 0
    while chunk := stream.read(block_bytes):
        data = rest + chunk
        if context is None:
            if len(data) < MODE_BYTES:
                rest = data
                continue
            context = BUNDLE if BUNDLE_HEAD.match(data) else b""
        cut = _cut(data, context == BUNDLE, max(0, searched - _OVERLAP_BYTES))
        searched = len(data)
        if cut == 0 and len(data) > RECORD_LIMIT_BYTES:
            cut = _forced_cut(data, context == BUNDLE)
            if cut == 0:
                refused, newlines, rest = _pass_over(stream, data, line, context == BUNDLE)
                yield Block(b"", line, context, (refused,))
                line, searched = line + newlines, 0
                continue
        rest = data
        if cut:
            whole, rest = data[:cut], data[cut:]
            searched = 0
            yield Block(whole, line, context)
            line += whole.count(b"\n")
            context = _context_after(whole, context)
    if rest:
        yield Block(
            rest, line, context if context is not None else BUNDLE if BUNDLE_HEAD.match(rest) else b""
        )


def _context_after(whole: bytes, context: bytes) -> bytes:
    if context == BUNDLE or not (context or b"<!DOCTYPE" in whole):
        return context
    return UNDER_DTD if document_pieces(whole, context == UNDER_DTD)[1] else b""


def _cut(data: bytes, is_bundle: bool, start: int) -> int:
    """Where the last whole record ends, 0 where none does; `start`: before it, nothing was found already."""
    if has_markup(data):
        text, start = _without_open_end(blanked(data)), 0
    else:
        text = data
    return _last_boundary(text, is_bundle, start)


def _last_boundary(text: bytes, is_bundle: bool, start: int) -> int:
    mark, pattern = (b"|", ITEM_START) if is_bundle else (b"</", KNOWN_END)
    place = text.rfind(mark, start)
    while place >= 0:
        if match := pattern.match(text, place):
            return place + 1 if is_bundle else _behind_envelope(text, match.end())
        place = text.rfind(mark, start, place)
    return 0


def _behind_envelope(text: bytes, place: int) -> int:
    ends = ENVELOPE_ENDS.match(text, place)
    return ends.end() if ends else place


def _without_open_end(text: bytes) -> bytes:
    """Cut off from the first comment, section or document type on that has not ended yet."""
    open_at = min(
        (place for mark in (b"<!--", b"<![CDATA[", b"<!DOCTYPE") if (place := _open(text, mark)) >= 0),
        default=-1,
    )
    return text if open_at < 0 else text[:open_at]


def _open(text: bytes, mark: bytes) -> int:
    """Find the first `mark` that can still be ended by what follows the text."""
    if mark == b"<!--":  # a comment must not hold `--`
        place = text.rfind(mark)
        return place if place >= 0 and text.find(b"--", place + 4, len(text) - 2) < 0 else -1
    if mark == b"<!DOCTYPE":  # those that have ended are blank up to their `>`
        place = text.rfind(mark)
        return place if place >= 0 and re.compile(rb"<!DOCTYPE *>").match(text, place) is None else -1
    return text.find(mark)


def _forced_cut(data: bytes, is_bundle: bool) -> int:
    """Find a cut in text too long for one record: what looks like a boundary, else the last record's beginning."""
    if cut := _last_boundary(data, is_bundle, 0):
        return cut
    if is_bundle:
        return 0
    place = len(data)
    while (place := data.rfind(b"<", 0, place)) > 0:
        if KNOWN_START.match(data, place):
            return place
    return 0


def _pass_over(stream: BinaryIO, data: bytes, line: int, is_bundle: bool) -> tuple[Reject, int, bytes]:
    """Read on to where the next record begins. Returns: the refusal, newlines passed, what was read beyond."""
    size, newlines = len(data), data.count(b"\n")
    tail, rest = data[-_OVERLAP_BYTES:], b""
    while chunk := stream.read(BLOCK_BYTES):
        joined = tail + chunk
        match = (ITEM_START if is_bundle else KNOWN_TAG).search(joined)
        cut = len(joined) if not match else match.start() + 1 if is_bundle else _resume_at(match, joined)
        # What the overlap held was counted when it was read.
        size += cut - len(tail)
        newlines += joined.count(b"\n", 0, cut) - tail.count(b"\n")
        if match:
            rest = joined[cut:]
            break
        tail = joined[-_OVERLAP_BYTES:]
    detail = f"a record of {size:,} bytes where {RECORD_LIMIT_BYTES:,} are the limit"
    return Reject(Rule.RECORD_TOO_LONG, line, detail, data[:REJECT_TEXT_LIMIT_BYTES], size), newlines, rest


def _resume_at(match: re.Match[bytes], text: bytes) -> int:
    """At the beginning of a record, or behind the end of one."""
    return text.find(b">", match.end()) + 1 or len(text) if match["slash"] else match.start()
