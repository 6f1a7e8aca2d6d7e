"""Writes times and durations as Slurm, HTCondor and Gratia do."""

from __future__ import annotations

from functools import cache

import numpy as np

_LONGEST_IN_TABLE_S = 4 * 86_400


def time_texts(seconds: np.ndarray) -> list[str]:
    """Times in seconds since 1970 as `2017-01-31T23:59:59` (UTC)."""
    texts: list[str] = np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()
    return texts


def clock_texts(seconds: np.ndarray) -> list[str]:
    """Durations as Slurm writes them: `HH:MM:SS` and `D-HH:MM:SS`."""
    short = _clock_table()
    return [short[value] if value < _LONGEST_IN_TABLE_S else _clock(value) for value in seconds.tolist()]


def iso_texts(seconds: np.ndarray) -> list[str]:
    """Durations as Gratia's probes write them: `P1DT2H3M4.0S`."""
    return [_iso(value) for value in seconds.tolist()]


@cache
def _clock_table() -> list[str]:
    return [_clock(value) for value in range(_LONGEST_IN_TABLE_S)]


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}-{hours:02d}:{minutes:02d}:{rest:02d}" if days else f"{hours:02d}:{minutes:02d}:{rest:02d}"


def _iso(seconds: int) -> str:
    if seconds == 0:
        return "PT0S"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    text = f"P{days}DT" if days else "PT"
    if hours:
        text += f"{hours}H"
    if minutes:
        text += f"{minutes}M"
    return f"{text}{rest}.0S" if rest or text.endswith("T") else text
