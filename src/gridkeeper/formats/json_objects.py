"""Cuts a JSON document that holds one long array of objects into blocks of whole objects, in bounded memory.

What stands before the array, the array's objects, and what stands after it become blocks of their own kinds. The
scan sees strings and escapes, and nothing else of JSON: whether an object is well formed is for who reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import orjson

from gridkeeper.formats.contract import RECORD_LIMIT_BYTES, Block
from gridkeeper.records.rules import REJECT_TEXT_LIMIT_BYTES, Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE, INSIDE, AFTER = b"before the array", b"inside the array", b"after the array"
SCAN_BYTES = 1024 * 1024
_KEY_BYTES = 256
_BETWEEN = b" \t\r\n,"
_STEP = np.zeros(256, np.int8)
_STEP[list(b"{[")], _STEP[list(b"}]")] = 1, -1


@dataclass
class _Scan:
    """How deep the text is nested, and whether it stands within a string; goes on from one piece to the next."""

    depth: int = 0
    in_string: bool = False

    def marks(self, text: bytes) -> tuple[np.ndarray, bytes, np.ndarray]:
        """Find brackets outside strings. Returns: their places, which they are, and how deep it is behind each."""
        signs = np.frombuffer(text.replace(rb"\\", b"  ").replace(rb"\"", b"  "), np.uint8)
        quotes = np.flatnonzero(signs == ord('"'))
        places = np.flatnonzero(_STEP[signs])
        outside = (np.searchsorted(quotes, places) + self.in_string) % 2 == 0
        places = places[outside]
        depths = np.cumsum(_STEP[signs[places]], dtype=np.int64) + self.depth
        self.in_string ^= bool(len(quotes) % 2)
        self.depth = int(depths[-1]) if len(depths) else self.depth
        return places, signs[places].tobytes(), depths


def array_blocks(
    stream: BinaryIO, block_bytes: int, key: str, limit: int = RECORD_LIMIT_BYTES
) -> Iterator[Block]:
    """Yield blocks whose context says what they are: BEFORE, INSIDE (whole objects and commas) or AFTER.

    An object longer than `limit` bytes is refused and passed over. Where the document ends too early or is no
    JSON around its array, the last block says so. Several documents may stand one after the other.
    """
    cutter, carried = _Cutter(key, block_bytes, limit), b""
    while not cutter.given_up and (chunk := stream.read(min(block_bytes, SCAN_BYTES))):
        text = carried + chunk
        # A backslash at the end of a piece belongs to the sign that follows it.
        odd = (len(text) - len(text.rstrip(b"\\"))) % 2
        text, carried = text[: len(text) - odd], text[len(text) - odd :]
        yield from cutter.take(text)
    if not cutter.given_up:
        yield from cutter.take(carried)
        yield from cutter.finish()


class _Cutter:
    def __init__(self, key: str, block_bytes: int, limit: int) -> None:
        self._key = re.compile(rb'"' + key.encode() + rb'"\s*:\s*\Z')
        self._name, self._block_bytes, self._limit = key, block_bytes, limit
        self._scan, self._state, self._line = _Scan(), BEFORE, 1
        self._held = bytearray()
        self._whole = 0  # bytes of what is held up to the last whole object
        self._passed = 0  # bytes of an overlong object that were passed over
        self._head, self._newlines = b"", 0
        self._opening = b""
        self.given_up = False

    def take(self, text: bytes) -> Iterator[Block]:
        """Take the next piece of text; yield what is complete."""
        offset = len(self._held)
        self._held += text
        places, kinds, depths = self._scan.marks(text)
        shift = 0
        for number in np.flatnonzero(depths <= 2):
            depth, kind = int(depths[number]) + shift, kinds[number]
            place = offset + int(places[number])
            before = len(self._held)
            if self._state == BEFORE and kind == ord("[") and depth == 2:
                if self._key.search(bytes(self._held[max(0, place - _KEY_BYTES) : place])):
                    self._opening = bytes(self._held[: place + 1])
                    yield self._out(place + 1, BEFORE)
                    self._state = INSIDE
            elif self._state == BEFORE and kind == ord("}") and depth == 0:
                yield self._close(place + 1)
            elif self._state == INSIDE and kind == ord("}") and depth == 2:
                size = place + 1 - self._whole
                if self._passed or size > self._limit:
                    if self._whole:
                        yield self._out(self._whole, INSIDE)
                    yield self._overlong(size)
                else:
                    self._whole = place + 1
            elif self._state == INSIDE and kind == ord("}") and depth == 1:
                shift += 1  # a brace that closes no object; the reader of the block will refuse it
            elif self._state == INSIDE and kind == ord("]") and depth == 1:
                yield self._out(place, INSIDE)
                self._state = AFTER
            elif self._state == AFTER and kind == ord("}") and depth == 0:
                yield self._close(place + 1)
            offset -= before - len(self._held)
        self._scan.depth += shift
        yield from self._keep_bounded()

    def _keep_bounded(self) -> Iterator[Block]:
        if self._state == INSIDE:
            if self._whole >= self._block_bytes:
                yield self._out(self._whole, INSIDE)
            if len(self._held) - self._whole > self._limit or self._passed:
                if self._whole:
                    yield self._out(self._whole, INSIDE)
                self._pass_over()
        elif len(self._held) > self._limit:
            detail = f"{len(self._held):,} bytes outside the array {self._name!r} where {self._limit:,} are the limit"
            yield self._out(len(self._held), self._state, Rule.RECORD_TOO_LONG, detail)
            self.given_up = True

    def finish(self) -> Iterator[Block]:
        """Say how the document ended."""
        rest = bytes(self._held).strip(_BETWEEN)
        if self._passed:
            yield self._overlong(len(self._held))
        elif self._state == INSIDE:
            if self._whole:
                yield self._out(self._whole, INSIDE)
            yield self._out(
                len(self._held), AFTER, Rule.TRUNCATED, f"the document ends within its array {self._name!r}"
            )
        elif self._state == AFTER:
            yield self._out(len(self._held), AFTER, Rule.TRUNCATED, "the document ends before its last brace")
        elif rest:
            rule = Rule.TRUNCATED if rest.startswith(b"{") else Rule.NOT_WELL_FORMED
            yield self._out(len(self._held), BEFORE, rule, f"no document with an array {self._name!r}")
        elif self._held:
            yield self._out(len(self._held), BEFORE)

    def _close(self, until: int) -> Block:
        """End a document, and look whether what stands around its array is JSON."""
        around = self._opening + bytes(self._held[:until])
        rule, detail = None, ""
        if not self._opening:
            rule, detail = Rule.NOT_WELL_FORMED, f"a document without an array {self._name!r}"
        else:
            try:
                orjson.loads(around)
            except orjson.JSONDecodeError as error:
                rule, detail = Rule.NOT_WELL_FORMED, f"no JSON around the array {self._name!r}: {error}"
        state, self._state, self._opening = self._state, BEFORE, b""
        return self._out(until, state, rule, detail)

    def _out(self, until: int, context: bytes, rule: Rule | None = None, detail: str = "") -> Block:
        data = bytes(self._held[:until])
        del self._held[:until]
        self._whole = max(0, self._whole - until)
        line = self._line
        self._line += data.count(b"\n")
        if rule is None:
            return Block(data, line, context)
        text = data.lstrip(_BETWEEN)
        line += data[: len(data) - len(text)].count(b"\n")
        return Block(b"", line, context, (Reject.of(rule, line, detail, text),))

    def _pass_over(self) -> None:
        if not self._passed:
            self._head = bytes(self._held[:REJECT_TEXT_LIMIT_BYTES])
        self._passed += len(self._held)
        self._newlines += self._held.count(b"\n")
        self._held.clear()

    def _overlong(self, until: int) -> Block:
        if not self._passed:
            self._head = bytes(self._held[:REJECT_TEXT_LIMIT_BYTES])
        newlines = self._newlines + self._held[:until].count(b"\n")
        size = self._passed + until
        del self._held[:until]
        detail = f"a record of {size:,} bytes where {self._limit:,} are the limit"
        text = self._head.lstrip(_BETWEEN)
        line = self._line + self._head[: len(self._head) - len(text)].count(b"\n")
        block = Block(b"", line, INSIDE, (Reject(Rule.RECORD_TOO_LONG, line, detail, text, size),))
        self._line += newlines
        self._whole = self._passed = self._newlines = 0
        return block


def objects(data: bytes) -> Iterator[tuple[int, int]]:
    """Find the objects that stand side by side in `data`. Yields: where each begins and ends.

    What stands between them and is neither blank nor comma comes out as well; it begins with no brace.
    """
    places, kinds, depths = _Scan().marks(data)
    done, shift, begin = 0, 0, 0
    for number in np.flatnonzero(depths <= 1):
        depth, place = int(depths[number]) + shift, int(places[number])
        if depth < 0:
            shift += 1
        elif kinds[number] == ord("{") and depth == 1:
            begin = place
        elif kinds[number] == ord("}") and depth == 0:
            if data[done:begin].strip(_BETWEEN):
                yield done, begin
            yield begin, place + 1
            done = begin = place + 1
    if data[done:].strip(_BETWEEN):
        yield done, len(data)
