"""Splits whole numbers into whole parts whose sum is exactly the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Whole = npt.NDArray[np.int64]
    Real = npt.NDArray[np.float64]

_BISECTIONS = 48


def shares(total: int, weights: Real) -> Whole:
    """Split `total` in proportion to `weights` (not all zero), the largest remainders rounded up.

    Returns: one whole number >= 0 per weight; their sum is `total`; where a weight is 0, so is the part.
    """
    exact = total * (weights / weights.sum())
    parts: Whole = np.floor(exact).astype(np.int64)
    rest = total - int(parts.sum())
    order = np.argsort(np.where(weights > 0, parts - exact, np.inf), kind="stable")
    parts[order[:rest]] += 1
    return parts


def bounded_shares(total: int, weights: Real, low: Whole, high: Whole) -> Whole:
    """Split `total` in proportion to `weights` (> 0), each part kept within its bounds.

    Returns: whole numbers with low <= part <= high whose sum is `total`; where the bounds do not allow that
    sum, the nearest one they do.
    """
    total = int(min(max(total, int(low.sum())), int(high.sum())))
    parts = np.clip(np.floor(weights * _factor(total, weights, low, high)).astype(np.int64), low, high)
    rest = total - int(parts.sum())
    while rest:
        step = 1 if rest > 0 else -1
        free = np.flatnonzero(parts < high if step > 0 else parts > low)
        chosen = free[: abs(rest)]
        parts[chosen] += step
        rest -= step * len(chosen)
    return parts


def _factor(total: int, weights: Real, low: Whole, high: Whole) -> float:
    """Find the factor with which the clipped weights come nearest to `total`, never above it."""
    factor = total / float(weights.sum())
    if np.all((weights * factor >= low) & (weights * factor <= high)):
        return factor
    lower, upper = 0.0, float((high / weights).max())
    for _ in range(_BISECTIONS):
        middle = (lower + upper) / 2
        if float(np.clip(weights * middle, low, high).sum()) > total:
            upper = middle
        else:
            lower = middle
    return lower
