"""How likely long gaps are: the tail of the gamma distribution, and quantiles of what was seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TERMS = 10_000
_PRECISE = 1e-14
_TINY = 1e-300


def gamma_tail(shape: float, ratio: float) -> float:
    """Say how likely a gap is longer than `ratio` times the mean gap, if gaps follow a gamma distribution.

    shape:   1 for gaps as of pure chance; greater, the more regular they are; less, where they come in clusters.
    Returns: the regularised upper incomplete gamma function Q(shape, shape x ratio), a probability.
    """
    x = shape * ratio
    if x <= 0:
        return 1.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        return max(0.0, 1.0 - front * _series(shape, x))
    return min(1.0, front * _fraction(shape, x))


def _series(shape: float, x: float) -> float:
    """The power series of the lower part, which converges quickly where x < shape + 1."""
    term = total = 1 / shape
    for number in range(1, MOST_TERMS):
        term *= x / (shape + number)
        total += term
        if term < total * _PRECISE:
            break
    return total


def _fraction(shape: float, x: float) -> float:
    """The continued fraction of the upper part (Lentz's method), which converges quickly elsewhere."""
    below = x + 1 - shape
    over, under = 1 / _TINY, 1 / below
    found = under
    for number in range(1, MOST_TERMS):
        factor = -number * (number - shape)
        below += 2
        under = 1 / _not_zero(factor * under + below)
        over = _not_zero(below + factor / over)
        found *= under * over
        if abs(under * over - 1) < _PRECISE:
            break
    return found


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def shape_of(gaps: Sequence[float]) -> float:
    """How regular gaps are: mean² ÷ variance, with one gap more that says "as of pure chance".

    That one more keeps the answer finite where all gaps are alike, and modest where there are few.
    gaps: at least one, none of them negative, not all zero.
    """
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) + mean * mean) / (len(gaps) + 1)
    return mean * mean / spread


def quantile(values: Sequence[float], part: float) -> float:
    """The least of the values that `part` of them do not exceed. values: at least one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(part * len(ordered)) - 1))]
