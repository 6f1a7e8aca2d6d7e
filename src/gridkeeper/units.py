"""Conversions between units, each said once; sums stay whole numbers and are divided once, here."""

from __future__ import annotations

SECONDS_PER_HOUR = 3600
MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_HOUR = SECONDS_PER_HOUR * MICROSECONDS_PER_SECOND
JOULES_PER_KWH = 3_600_000
WATTS_PER_KW = 1000
GRAMS_PER_KG = 1000


def hours(seconds: int | float | None) -> float | None:
    """Turn a sum of whole seconds into hours; None (not known) stays None."""
    return None if seconds is None else seconds / SECONDS_PER_HOUR
