"""Conversions between units, each said once; sums stay whole numbers and are divided once, here."""

from __future__ import annotations

SECONDS_PER_HOUR = 3600
MICROSECONDS_PER_SECOND = 1_000_000
MICROSECONDS_PER_HOUR = SECONDS_PER_HOUR * MICROSECONDS_PER_SECOND
JOULES_PER_KWH = 3_600_000

_BINARY = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4, "P": 1024**5, "E": 1024**6}


def hours(seconds: int | float | None) -> float | None:
    """Turn a sum of whole seconds into hours; None (not known) stays None."""
    return None if seconds is None else seconds / SECONDS_PER_HOUR


def hours_of_microseconds(microseconds: int | None) -> float | None:
    """Turn a sum of microseconds into hours; None (not known) stays None."""
    return None if microseconds is None else microseconds / MICROSECONDS_PER_HOUR


def binary_bytes(number: float, prefix: str) -> int:
    """Turn `number` of K, M, G ... (powers of 1024, as Slurm and Gratia mean them) into whole bytes.

    Raises: KeyError for a prefix that is none of "", K, M, G, T, P, E.
    """
    return round(number * _BINARY[prefix.upper()])
