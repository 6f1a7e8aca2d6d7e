"""Gratia's ways of writing durations, times, counts and amounts of bytes, read a column at a time.

Every reader takes a column of text (null where the field is absent or empty) and returns the values and a mask
of what could not be read; a value that could not be read is null, never zero.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.units import MICROSECONDS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

# At most as many digits as 64 bits of microseconds hold, all parts together.
_ISO = (
    r"^(?P<sign>-)?P(?:(?P<years>[0-9]{1,4})Y)?(?:(?P<months>[0-9]{1,5})M)?(?:(?P<days>[0-9]{1,7})D)?"
    r"(?P<clock>T(?:(?P<hours>[0-9]{1,8})H)?(?:(?P<minutes>[0-9]{1,10})M)?"
    r"(?:(?P<seconds>[0-9]{1,12})(?:\.(?P<fraction>[0-9]+))?S)?)?$"
)
# A year is 365 days and a month 30, as GRACC reads them.
_PARTS_US = {
    name: pa.scalar(seconds * MICROSECONDS_PER_SECOND)
    for name, seconds in {
        "years": 31_536_000, "months": 2_592_000, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1,
    }.items()
}  # fmt: skip
# Made once: turning a Python value into an Arrow scalar costs as much as a thousand rows.
_EMPTY, _NOUGHT, _MINUS, _BARE_T = (pa.scalar(text) for text in ("", "0", "-", "T"))
_ZERO, _FIVE, _TEN = (pa.scalar(number) for number in (0, 5, 10))
_HALF_SECOND, _ALMOST_SECOND, _SECOND = (
    pa.scalar(number)
    for number in (MICROSECONDS_PER_SECOND // 2, MICROSECONDS_PER_SECOND - 1, MICROSECONDS_PER_SECOND)
)
_NEWLINE, _NO_TEXT = pa.scalar("\n"), pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.int64())
_NULL_IS_TRUE = pc.ScalarAggregateOptions(skip_nulls=True, min_count=0)
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
_TIME_TYPE = pa.timestamp("us", tz="UTC")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,19}(?:\.0*)?", re.ASCII)
# Gratia's probes count bytes and write the unit as `b`; nothing in Gratia counts bits.
_UNIT = re.compile(r"(?P<prefix>[KMGTPE]?)i?[bB]", re.IGNORECASE | re.ASCII)
_MOST = 2**63 - 1
_MOST_SECONDS = 10**12


def iso_durations_us(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read ISO 8601 durations (`PT1H2M3.5S`, `P1DT2H`, `-PT5S`) into microseconds, half a microsecond up."""
    encoded = text.dictionary_encode()
    parts = pc.extract_regex(encoded.dictionary, _ISO)
    total, given = None, None
    for name, factor in _PARTS_US.items():
        digits = pc.struct_field(parts, name)
        absent = pc.equal(digits, _EMPTY)
        if pc.min(absent, options=_NULL_IS_TRUE).as_py() is not False:
            continue
        number = pc.multiply(pc.cast(pc.if_else(absent, _NOUGHT, digits), pa.int64()), factor)
        total = number if total is None else pc.add(total, number)
        given = pc.invert(absent) if given is None else pc.or_(given, pc.invert(absent))
    if total is None or given is None:
        return pa.nulls(len(text), pa.int64()), pc.is_valid(text)
    # Seven digits of the fraction: the seventh rounds.
    seven = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "fraction"), 7, "0"), 0, 7)
    total = pc.add(total, pc.divide(pc.add(pc.cast(seven, pa.int64()), _FIVE), _TEN))
    total = pc.if_else(pc.equal(pc.struct_field(parts, "sign"), _MINUS), pc.negate(total), total)
    sound = pc.and_(given, pc.not_equal(pc.struct_field(parts, "clock"), _BARE_T))
    total = pc.if_else(sound, total, _NO_NUMBER)
    return total.take(encoded.indices), pc.is_null(total).take(encoded.indices)


def seconds_us(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read decimal seconds (`65.32`), as GRACC's JSON has them, into microseconds, half a microsecond up."""

    def read(value: str) -> int | None:
        if not _DECIMAL.fullmatch(value) or (seconds := abs(Decimal(value))) > _MOST_SECONDS:
            return None
        made = int(seconds * MICROSECONDS_PER_SECOND + Decimal("0.5"))
        return -made if value.startswith("-") else made

    return by_distinct(text, read, pa.int64())


def whole_seconds(microseconds: pa.Array) -> pa.Array:
    """Round microseconds to seconds, half up; what is negative stays negative, so that it is refused."""
    half_up = pc.divide(pc.add(microseconds, _HALF_SECOND), _SECOND)
    negative = pc.less(microseconds, _ZERO)
    if pc.any(negative).as_py():
        away = pc.divide(pc.subtract(microseconds, _ALMOST_SECOND), _SECOND)
        return pc.if_else(negative, away, half_up)
    return half_up


def times(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read `2017-01-31T23:59:59Z`, with a fraction or an offset as well; a time without a zone is none."""
    sound = pc.match_substring_regex(text, _TIME)
    if pc.all(sound).as_py() is not False:
        try:
            return pc.cast(text, _TIME_TYPE), pa.array(np.zeros(len(text), dtype=bool))
        except pa.ArrowInvalid:
            pass

    def read(value: str) -> object:
        shortened = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", value)
        try:
            return pa.scalar(shortened).cast(_TIME_TYPE).value if re.match(_TIME, value) else None
        except pa.ArrowInvalid:
            return None

    made, bad = by_distinct(text, read, pa.int64())
    return made.cast(_TIME_TYPE), bad


def whole_numbers(text: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read whole numbers of 64 bits; `4.0` is one."""

    def read(value: str) -> int | None:
        number = int(value.split(".")[0]) if _WHOLE.fullmatch(value) else None
        return None if number is None or abs(number) > _MOST else number

    return by_distinct(text, read, pa.int64())


def amounts_bytes(text: pa.Array, units: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read amounts with their storage units (b, B, KB, MB, MiB ...; powers of 1024) into bytes, half up.

    An amount whose unit is missing or unknown is null, for it could be anything; it is not told as unreadable.
    """
    if text.null_count == len(text):
        return pa.nulls(len(text), pa.int64()), pa.array(np.zeros(len(text), dtype=bool))

    def read(joined: str) -> int | None:
        value, _, unit = joined.partition("\n")
        match = _UNIT.fullmatch(unit)
        if not match:
            return None
        scaled = Decimal(value) * 1024 ** " KMGTPE".index(match["prefix"].upper() or " ")
        made = int(abs(scaled) + Decimal("0.5"))
        return None if made > _MOST else -made if scaled < 0 else made

    sound = pc.match_substring_regex(text, f"^{_DECIMAL.pattern}$")
    joined = pc.binary_join_element_wise(text, pc.fill_null(units, _EMPTY), _NEWLINE)
    made, _ = by_distinct(pc.if_else(sound, joined, _NO_TEXT), read, pa.int64())
    return made, pc.fill_null(pc.invert(sound), False)


def by_distinct(
    values: pa.Array, read: Callable[[str], object], kind: pa.DataType
) -> tuple[pa.Array, pa.Array]:
    """Apply a slow reader once per distinct text. Returns: (values, mask of the texts it made nothing of)."""
    encoded = values.dictionary_encode()
    made = pa.array([read(value) for value in encoded.dictionary.to_pylist()], kind)
    return made.take(encoded.indices), pc.is_null(made).take(encoded.indices)
