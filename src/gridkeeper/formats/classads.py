"""Reads the ads of a block: which there are, and the expression that each has for an attribute, whole columns at once.

In text, an ad is lines of `Attribute = expression`. A value never spans lines; names know no case; where an ad
gives an attribute twice, the last one holds. What an expression means is the matter of `classad_values`.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from gridkeeper.formats.classad_blocks import BANNERS, JSON, is_utf8
from gridkeeper.formats.classad_json import json_ads
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.formats.contract import Block
    from gridkeeper.records.draft import Parsed

# One ad has one of each; two that differ are two jobs whose separator is missing.
IDENTIFYING = ("GlobalJobId", "ClusterId")

_NEWLINE, _EQUALS, _BLANK = b"\n= "
_TWO_BLANKS = 0x2020
# Places in a block, which is far below 2 GB: half as wide as usual, they save memory and the time to fetch it.
_PLACE = np.int32
_PADDING = b"\0" * 8
_SLICE_BYTES = 256 * 1024
_MASKS = np.array([2 ** (8 * length) - 1 for length in range(9)], dtype=np.uint64)
# Set in a capital, it makes a small letter, and makes no two other letters of a name the same.
_SMALL = np.uint64(0x2020202020202020)
_SCATTER, _HALF, _TOP = np.uint64(0x9E3779B97F4A7C15), np.uint64(32), np.uint64(48)
_NAME_BEGINS = np.zeros(256, dtype=bool)
_NAME_BEGINS[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_'")] = True


class Ads(Protocol):
    """The ads of a block that can be read."""

    @property
    def lines(self) -> np.ndarray:
        """1-based line of the source where each begins."""

    @property
    def banners(self) -> list[bytes]:
        """The line that ends each, with its newline if it has one; b"" where none does."""

    def text(self, row: int) -> bytes:
        """The bytes of an ad as they stand in the source."""

    def expressions(self, name: str) -> pa.Array:
        """What each ad says of an attribute, as ClassAd text; null where nothing."""

    def keep(self, wanted: np.ndarray) -> Self:
        """The ads for which the mask is true."""


_SomeAds = TypeVar("_SomeAds", bound=Ads)


def read_ads(block: Block, parsed: Parsed) -> Ads:
    """Read the ads of a block; those that cannot be read become rejects of `parsed`."""
    return json_ads(block, parsed) if block.context == JSON else _text_ads(block, parsed)


def refuse(
    ads: _SomeAds, broken: np.ndarray, rule: Rule, detail: str | Callable[[int], str], parsed: Parsed
) -> _SomeAds:
    """Make rejects of the ads for which the mask is true; return the others."""
    if not broken.any():
        return ads
    for row in np.flatnonzero(broken):
        said = detail if isinstance(detail, str) else detail(int(row))
        parsed.rejects.append(Reject.of(rule, int(ads.lines[row]), said, ads.text(int(row))))
    return ads.keep(~broken)


class _Text:
    """The lines of a block of text, taken apart once: where each begins, its name and its value."""

    def __init__(self, block: Block) -> None:
        self.data, self.first_line = block.data, block.first_line
        letters = np.frombuffer(self.data, np.uint8)
        marks = _places_of_marks(letters)
        newlines = np.flatnonzero(letters[marks] == _NEWLINE)
        marks = np.append(marks, _PLACE(len(self.data)))
        if letters[-1] != _NEWLINE:
            newlines = np.append(newlines, len(marks) - 1)
        self.stops = marks[newlines]
        self.starts = np.concatenate([np.zeros(1, _PLACE), self.stops[:-1] + _PLACE(1)])
        # The mark behind a newline is the first equals sign of the next line, or that line has none.
        self._equals = marks[np.concatenate([[0], newlines[:-1] + 1])]
        # A word of eight letters may be read from wherever a line begins.
        spare = letters[-1] == _NEWLINE and len(letters) - self.starts[-1] >= len(_PADDING)
        readable = self.data if spare else self.data + _PADDING
        self._letters = np.frombuffer(readable, np.uint8)
        self._pairs = np.ndarray(len(readable) - 1, "<u2", readable, strides=(1,))
        self._words = np.ndarray(len(readable) - len(_PADDING) + 1, "<u8", readable, strides=(1,))
        self._index_names()

    def _index_names(self) -> None:
        """Sort the rows by a hash of their names, so that all rows of a name are found together."""
        before = self._pairs[np.maximum(self._equals - 2, 0)]
        stops = self._equals - (before >> 8 == _BLANK)
        for row in np.flatnonzero(before == _TWO_BLANKS):
            stops[row] = self.starts[row] + len(self.data[self.starts[row] : self._equals[row]].rstrip())
        lengths = np.maximum(stops - self.starts, 0)
        ends = self.starts + np.maximum(lengths - 8, 0)
        hashes = _hashed(lengths, self._words[self.starts], self._words[ends])
        leading = (hashes >> _TOP).astype(np.uint16)
        self._by_hash = np.argsort(leading, kind="stable")
        self._leading, self._hashes = leading[self._by_hash], hashes[self._by_hash]

    @cached_property
    def is_banner(self) -> np.ndarray:
        """The mask of rows that are banners."""
        mask: np.ndarray = self._words[self.starts] & _MASKS[4] == _word(b"*** ")
        return mask

    @cached_property
    def empty(self) -> np.ndarray:
        """The mask of rows that hold nothing but blanks."""
        mask: np.ndarray = self.starts == self.stops
        odd = np.flatnonzero(~mask & (self._letters[self.starts] <= _BLANK))
        mask[odd] = [not self.line(int(row)).strip() for row in odd]
        return mask

    @cached_property
    def malformed(self) -> np.ndarray:
        """The rows that are neither attribute nor banner nor empty."""
        bad = (self._equals >= self.stops) | ~_NAME_BEGINS[self._letters[self.starts]]
        return np.flatnonzero(bad & ~self.is_banner & ~self.empty)

    @cached_property
    def values(self) -> pa.Array:
        """Three texts for each row: what stands before its value, the value, and the line end."""
        behind = self._pairs[np.minimum(self._equals + 1, len(self._pairs) - 1)]
        first, second = behind & 0xFF, behind >> 8
        begins = np.minimum(self._equals + 1 + (first == _BLANK), self.stops)
        ends = self.stops.copy()
        odd = (
            (first < _BLANK) | ((first == _BLANK) & (second <= _BLANK)) | (self._letters[ends - 1] <= _BLANK)
        )
        for row in np.flatnonzero(odd & (begins < ends)):
            value = self.data[begins[row] : ends[row]].rstrip()
            ends[row] = begins[row] + len(value)
            begins[row] += len(value) - len(value.lstrip())
        offsets = np.empty(3 * len(self.starts) + 1, _PLACE)
        offsets[0:-1:3], offsets[1::3], offsets[2::3] = self.starts, begins, ends
        offsets[-1] = len(self.data)
        return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(self.data))

    def line(self, row: int, beyond: int = 0) -> bytes:
        """One line without its end, or with it where `beyond` is 1."""
        return self.data[self.starts[row] : self.stops[row] + beyond]

    def rows_of(self, name: str) -> np.ndarray:
        """The rows whose attribute is `name`, in their order."""
        wanted, leading, middle = _wanted(name)
        begin, end = (
            np.searchsorted(self._leading, leading, "left"),
            np.searchsorted(self._leading, leading, "right"),
        )
        rows: np.ndarray = self._by_hash[begin:end][self._hashes[begin:end] == wanted]
        for at, word in middle:
            rows = rows[self._words[self.starts[rows] + at] | _SMALL == word]
        return rows


def _places_of_marks(letters: np.ndarray) -> np.ndarray:
    """Where the newlines and the equals signs are; slice by slice, in memory that stays in the cache."""
    places = []
    for at in range(0, len(letters), _SLICE_BYTES):
        piece = letters[at : at + _SLICE_BYTES]
        places.append(np.flatnonzero((piece == _NEWLINE) | (piece == _EQUALS)).astype(_PLACE) + _PLACE(at))
    return np.concatenate(places)


@cache
def _wanted(name: str) -> tuple[np.uint64, np.uint16, list[tuple[int, np.uint64]]]:
    """The hash of a name, its leading bits, and the words between its first and its last."""
    letters = name.lower().encode()
    first, last = _word(letters[:8]), _word(letters[max(len(letters) - 8, 0) :])
    (wanted,) = _hashed(np.array([len(letters)]), np.array([first]), np.array([last]))
    middle = [(at, _word(letters[at : at + 8]) | _SMALL) for at in range(8, len(letters) - 8, 8)]
    return wanted, np.uint16(wanted >> _TOP), middle


def _word(letters: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(letters, "little"))


def _hashed(lengths: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Hash names by their lengths and their first and last eight bytes, as if they were in small letters."""
    masks = _MASKS[np.minimum(lengths, 8)]
    mixed: np.ndarray = ((first | _SMALL) & masks) * _SCATTER + lengths.astype(np.uint64)
    mixed ^= (mixed >> _HALF) ^ ((last | _SMALL) & masks)
    mixed *= _SCATTER
    return mixed


class _TextAds:
    """Ads of text: each reaches from a row to the row of its banner, or to a blank line."""

    def __init__(self, text: _Text, begins: np.ndarray, stops: np.ndarray) -> None:
        self._text, self._begins, self._stops = text, begins, stops
        self.lines = text.first_line + begins
        self._read: dict[str, pa.Array] = {}

    @property
    def banners(self) -> list[bytes]:
        banner = self._text.is_banner[self._stops - 1]
        return [
            self._text.line(row, 1) if row_is else b""
            for row, row_is in zip(self._stops - 1, banner, strict=True)
        ]

    def text(self, row: int) -> bytes:
        starts, stops = self._text.starts, self._text.stops
        return self._text.data[starts[self._begins[row]] : stops[self._stops[row] - 1] + 1]

    def expressions(self, name: str) -> pa.Array:
        if name not in self._read:
            self._read[name] = self._expressions(name)
        return self._read[name]

    def _expressions(self, name: str) -> pa.Array:
        rows, ads = self._occurrences(name)
        if not len(rows):
            return pa.nulls(len(self._begins), pa.string())
        places = np.full(len(self._begins), -1)
        places[ads] = 3 * rows + 1  # of several, the last one stays
        return self._text.values.take(pa.array(places, mask=places < 0))

    def keep(self, wanted: np.ndarray) -> _TextAds:
        return _TextAds(self._text, self._begins[wanted], self._stops[wanted])

    def holding(self, rows: np.ndarray) -> np.ndarray:
        """The mask of ads that hold one of the rows."""
        mask = np.zeros(len(self._begins), dtype=bool)
        owners = self._owners[rows]
        mask[owners[owners >= 0]] = True
        return mask

    def contradicting(self, name: str) -> np.ndarray:
        """The mask of ads that give an attribute more than once, and not always alike."""
        mask = np.zeros(len(self._begins), dtype=bool)
        rows, ads = self._occurrences(name)
        for index in np.flatnonzero(ads[1:] == ads[:-1]):
            before, after = (self._text.values[3 * int(rows[at]) + 1] for at in (index, index + 1))
            mask[ads[index]] |= before != after
        return mask

    @cached_property
    def _owners(self) -> np.ndarray:
        """For each row of the text the ad that holds it; -1 for none."""
        count = len(self._begins)
        runs, owners = np.empty(2 * count + 1, np.int64), np.full(2 * count + 1, -1, np.int32)
        runs[1::2], owners[1::2] = self._stops - self._begins, np.arange(count)
        runs[0::2] = np.append(self._begins, len(self._text.starts)) - np.concatenate([[0], self._stops])
        return np.repeat(owners, runs)

    def _occurrences(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The rows of an attribute that an ad holds, and which ad it is."""
        rows = self._text.rows_of(name)
        ads = self._owners[rows]
        return (rows, ads) if ads.min(initial=0) >= 0 else (rows[ads >= 0], ads[ads >= 0])


def _text_ads(block: Block, parsed: Parsed) -> Ads:
    text = _Text(block)
    rows = len(text.starts)
    breaks = np.flatnonzero(text.is_banner if block.context == BANNERS else text.empty)
    begins, stops = np.concatenate([[0], breaks + 1]), np.append(breaks, rows)
    filled = np.concatenate([[0], np.cumsum(~text.empty)])
    some = filled[stops] > filled[begins]
    unended = np.arange(len(some)) == len(breaks)
    if block.context == BANNERS:
        stops = np.minimum(stops + 1, rows)  # the banner belongs to the ad above it
    ads = _TextAds(text, begins[some], stops[some])
    if block.context == BANNERS:
        detail = "an ad without the banner line that ends it: the file ends too early"
        ads = refuse(ads, unended[some], Rule.TRUNCATED, detail, parsed)
    elif not block.data.endswith(b"\n") and not text.is_banner[-1]:
        detail = "an ad whose last line has no end: the file ends too early"
        ads = refuse(ads, unended[some], Rule.TRUNCATED, detail, parsed)
    if b"\0" in block.data:
        nul = np.array([b"\0" in ads.text(row) for row in range(len(ads.lines))], dtype=bool)
        ads = refuse(ads, nul, Rule.BINARY_JUNK, "a NUL byte in a line of text", parsed)
    if not is_utf8(block.data):
        broken = np.array([not is_utf8(ads.text(row)) for row in range(len(ads.lines))], dtype=bool)
        ads = refuse(ads, broken, Rule.NOT_UTF8, "bytes that are no UTF-8", parsed)
    if len(text.malformed):
        detail = "a line that is no `Attribute = expression`"
        ads = refuse(ads, ads.holding(text.malformed), Rule.NOT_WELL_FORMED, detail, parsed)
    for name in IDENTIFYING:
        detail = f"several {name} in one ad: what sets ads apart (a banner, a blank line) is missing"
        ads = refuse(ads, ads.contradicting(name), Rule.NOT_WELL_FORMED, detail, parsed)
    return ads
