"""Columns of text turned into numbers and times, for every format; what cannot be read is told row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

# About the year 5138; beyond it a number of seconds is no date, and microseconds of it may not fit 64 bits.
FARTHEST_EPOCH_S = 10**11
EARLIEST_EPOCH_S = -62_135_596_800  # the first second of year 1, before which Python has no time
MOST_SECONDS = 9 * 10**12  # as microseconds this fits 64 bits and breaks the rule `absurd_value`
# Made once: each bare Python value handed to Arrow's functions costs a quarter of a millisecond.
NO_TEXT, EMPTY, FALSE = pa.scalar(None, pa.string()), pa.scalar(""), pa.scalar(False)
_NO_NUMBER, _NO_REAL = pa.scalar(None, pa.int64()), pa.scalar(None, pa.float64())


def by_distinct(values: pa.Array, read: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
    """Apply a slow reader once per distinct value of a column; null stays null."""
    encoded = values.dictionary_encode()
    made = pa.array([read(value) for value in encoded.dictionary.to_pylist()], kind)
    return made.take(encoded.indices)


def whole_numbers(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read decimal whole numbers; "" is null. Returns: (int64, mask of what is no whole number)."""
    numbers, bad = cast_or_null(_known(text), pa.int64())
    # Arrow reads 0x10 as sixteen; no accounting format writes that.
    hexadecimal = pc.fill_null(pc.match_substring(text, "x", ignore_case=True), FALSE)
    if pc.any(hexadecimal).as_py():
        bad = pc.or_(bad, hexadecimal)
        numbers = pc.if_else(hexadecimal, _NO_NUMBER, numbers)
    return numbers, bad


def real_numbers(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read finite numbers; "" is null. Returns: (float64, mask of what is no finite number)."""
    numbers, bad = cast_or_null(_known(text), pa.float64())
    endless = pc.fill_null(pc.invert(pc.is_finite(numbers)), FALSE)
    return pc.if_else(endless, _NO_REAL, numbers), pc.or_(bad, endless)


def epoch_times(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read whole seconds since 1970, or `2017-01-31T23:59:59Z`. Returns: (times in UTC, mask of what is neither)."""
    seconds, bad = whole_numbers(text)
    if pc.any(bad).as_py():
        written = pc.and_(bad, pc.match_substring_regex(text, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"))
        dates, _ = cast_or_null(pc.if_else(written, pc.utf8_rtrim(text, "Z"), NO_TEXT), pa.timestamp("s"))
        seconds = pc.coalesce(seconds, pc.cast(dates, pa.int64()))
        bad = pc.and_(bad, pc.is_null(seconds))
    far = pc.fill_null(
        pc.or_(pc.less(seconds, -FARTHEST_EPOCH_S), pc.greater(seconds, FARTHEST_EPOCH_S)), False
    )
    seconds = pc.if_else(far, _NO_NUMBER, seconds)
    return utc(seconds), pc.or_(bad, far)


def utc(seconds: pa.Array) -> pa.Array:
    """Turn seconds since 1970 (int64, at most FARTHEST_EPOCH_S; or timestamps of seconds) into UTC times."""
    stamped = seconds if pa.types.is_timestamp(seconds.type) else pc.cast(seconds, pa.timestamp("s"))
    return pc.cast(pc.cast(stamped, pa.timestamp("us")), pa.timestamp("us", tz="UTC"))


def small(numbers: pa.Array) -> pa.Array:
    """Whole numbers as 32 bits; what does not fit becomes the nearest that does, which no rule lets pass."""
    return pc.cast(_between(numbers, -(2**31), 2**31 - 1), pa.int32())


def microseconds(seconds: pa.Array) -> pa.Array:
    """Whole seconds as microseconds; what does not fit becomes an absurd number that does."""
    return pc.multiply(_between(seconds, -MOST_SECONDS, MOST_SECONDS), 1_000_000)


def cast_or_null(text: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """Cast what can be cast. Returns: (values, mask of known texts that cannot)."""
    try:
        return pc.cast(text, kind), pa.array(np.zeros(len(text), dtype=bool))
    except pa.ArrowInvalid:
        pass

    def read(value: str | None) -> object:
        try:
            return None if value is None else pa.scalar(value).cast(kind).as_py()
        except pa.ArrowInvalid:
            return None

    made = by_distinct(text, read, kind)
    return made, pc.and_(pc.is_valid(text), pc.is_null(made))


def _known(text: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(text, EMPTY), NO_TEXT, text)


def _between(numbers: pa.Array, least: int, most: int) -> pa.Array:
    return pc.min_element_wise(pc.max_element_wise(numbers, least, skip_nulls=False), most, skip_nulls=False)
