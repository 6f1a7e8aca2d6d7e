"""What a ClassAd expression says: text, number or truth where it is a literal; nothing known where it must be evaluated.

Every reader takes a column of expressions and returns its values with the mask of those that are damaged:
a string without its end, a number that is none. `undefined`, `error`, lists, nested ads and everything that
would have to be evaluated (`ceiling(...)`) are not damaged, they are unknown: null.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.units import MICROSECONDS_PER_SECOND

_NUMBER = r"^-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?$"
_NUMBER_BEGINS = r"^[-+]?\.?[0-9]"
_ONE_WORD = r"^[-+.0-9A-Za-z_]+$"
_BARE_QUOTE = r'(?:^|[^\\])"'
# Beyond it a microsecond is no longer exact in 64-bit floating point, however the text reads.
_EXACT_BELOW_S = pa.scalar(1e9, pa.float64())
# Scalars made beforehand: Arrow takes eighty times as long when it has to find out their type.
_LEAST, _GREATEST = pa.scalar(-9e18, pa.float64()), pa.scalar(9e18, pa.float64())
_HALF, _MICROSECONDS = pa.scalar(0.5, pa.float64()), pa.scalar(float(MICROSECONDS_PER_SECOND), pa.float64())
_ONE, _TWO = pa.scalar(1, pa.int32()), pa.scalar(2, pa.int32())
_TRUE, _FALSE = pa.scalar("true", pa.string()), pa.scalar("false", pa.string())
_MOST_US = 9 * 10**18
_NO = pa.scalar(False, pa.bool_())


def texts(expressions: pa.Array) -> tuple[pa.Array, pa.Array]:
    r"""Read strings; `""` is null.

    In the text that HTCondor writes, a backslash is a letter like any other save before a quote: `\"`.
    Returns: (string, mask of strings without their closing quote).
    """
    if expressions.null_count == len(expressions):
        return expressions, _nowhere(expressions)
    opened, closed = pc.starts_with(expressions, '"'), pc.ends_with(expressions, '"')
    quoted = pc.and_(pc.and_(opened, closed), pc.greater(pc.binary_length(expressions), _TWO))
    inner = pc.utf8_slice_codeunits(_where(quoted, expressions), 1, -1)
    if pc.any(pc.match_substring(inner, '"')).as_py():
        inner = _where(pc.invert(pc.match_substring_regex(inner, _BARE_QUOTE)), inner)
        inner = pc.replace_substring(inner, '\\"', '"')
    unclosed = pc.and_not(opened, closed)
    if pc.any(unclosed).as_py():
        bare = pc.count_substring(pc.replace_substring(expressions, '\\"', ""), '"')
        unclosed = pc.and_(unclosed, pc.equal(pc.bit_wise_and(bare, _ONE), _ONE))
    return inner, unclosed


def numbers(expressions: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read whole and real numbers. Returns: (float64, mask of what begins like a number and is none, and of strings)."""
    if expressions.null_count == len(expressions):
        return pc.cast(expressions, pa.float64()), _nowhere(expressions)
    try:
        values = pc.cast(expressions, pa.float64())
        if pc.all(pc.is_finite(values)).as_py() is not False:
            return values, _nowhere(expressions)
    except pa.ArrowInvalid:
        pass
    values = pc.cast(_where(pc.match_substring_regex(expressions, _NUMBER), expressions), pa.float64())
    values = _where(pc.is_finite(values), values)
    numeric = pc.and_(
        pc.match_substring_regex(expressions, _NUMBER_BEGINS),
        pc.match_substring_regex(expressions, _ONE_WORD),
    )
    damaged = pc.and_(pc.is_null(values), pc.or_(numeric, pc.starts_with(expressions, '"')))
    return values, damaged


def whole_numbers(expressions: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read numbers, rounded half up. Returns: (int64, mask as of `numbers`)."""
    values, damaged = numbers(expressions)
    return rounded(values), damaged


def microseconds(expressions: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Read seconds, exactly as the decimal text says them. Returns: (int64, mask as of `numbers`)."""
    seconds, damaged = numbers(expressions)
    made = rounded(pc.multiply(seconds, _MICROSECONDS))
    great = pc.fill_null(pc.greater_equal(pc.abs(seconds), _EXACT_BELOW_S), False)
    if pc.any(great).as_py():
        places = np.flatnonzero(great.to_numpy(zero_copy_only=False))
        exact = [_exact_microseconds(expressions[int(row)].as_py()) for row in places]
        made = pc.replace_with_mask(made, great, pa.array(exact, pa.int64()))
    return made, damaged


def truths(expressions: pa.Array) -> pa.Array:
    """Read `true` and `false` in any case; null for all else."""
    folded = pc.ascii_lower(expressions)
    return _where(pc.or_(pc.equal(folded, _TRUE), pc.equal(folded, _FALSE)), pc.equal(folded, _TRUE))


def numbers_in_strings(expressions: pa.Array) -> pa.Array:
    r"""Read whole numbers that may stand in quotes, as what is expanded at match time does (`"8"`)."""
    inner, _ = texts(expressions)
    return whole_numbers(pc.coalesce(inner, expressions))[0]


def rounded(values: pa.Array) -> pa.Array:
    """Round half up to int64; what does not fit becomes the greatest that does, which no rule lets pass."""
    whole = pc.floor(pc.add(values, _HALF))
    bounded = pc.min_element_wise(
        pc.max_element_wise(whole, _LEAST, skip_nulls=False), _GREATEST, skip_nulls=False
    )
    return pc.cast(bounded, pa.int64())


def _exact_microseconds(text: str) -> int:
    scaled = (Decimal(text) * MICROSECONDS_PER_SECOND).to_integral_value(ROUND_HALF_UP)
    return int(min(max(scaled, Decimal(-_MOST_US)), Decimal(_MOST_US)))


def _where(mask: pa.Array, values: pa.Array) -> pa.Array:
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _nowhere(values: pa.Array) -> pa.Array:
    return pa.repeat(_NO, len(values))
