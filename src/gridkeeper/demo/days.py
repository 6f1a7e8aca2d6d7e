"""The days of the sample federation: its periods, and the disjoint buckets that periods are made of.

31 January 2017 lies both in January and in the week that the minutes of 7 February report; so it is a bucket of
its own and gets one seventh of the week. All times are whole seconds since 1970, UTC; intervals are half-open.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

DAY_S = 86_400
WEEK_S = 7 * DAY_S


def seconds_at(text: str) -> int:
    """Turn `2017-01-19T14:00` or `2017-01-19` (UTC) into seconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def day_of(seconds: int) -> date:
    """The UTC day of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()


FIRST_S, UNTIL_S = seconds_at("2016-11-01"), seconds_at("2017-02-07")
DAYS = (UNTIL_S - FIRST_S) // DAY_S
WEEKS = (UNTIL_S - FIRST_S) // WEEK_S
# Jobs that began before the first day reach back at most this far; jobs still running, at most this far ahead.
LONGEST_WALL_S = 72 * 3600
MARGIN_DAYS = 4

PERIODS: dict[str, tuple[int, int]] = {
    "nov": (FIRST_S, seconds_at("2016-12-01")),
    "dec": (seconds_at("2016-12-01"), seconds_at("2017-01-01")),
    "jan": (seconds_at("2017-01-01"), seconds_at("2017-02-01")),
    "week": (seconds_at("2017-01-31"), UNTIL_S),
}
BUCKETS: dict[str, tuple[int, int]] = {
    "nov": PERIODS["nov"],
    "dec": PERIODS["dec"],
    "jan": (seconds_at("2017-01-01"), seconds_at("2017-01-31")),
    "jan31": (seconds_at("2017-01-31"), seconds_at("2017-02-01")),
    "feb": (seconds_at("2017-02-01"), UNTIL_S),
    "open": (UNTIL_S, UNTIL_S + LONGEST_WALL_S),
}
BUCKETS_OF_PERIOD = {"nov": ("nov",), "dec": ("dec",), "jan": ("jan", "jan31"), "week": ("jan31", "feb")}
# The batch probe of Utah fell silent here; its jobs ran on.
UTAH_SILENT_S = seconds_at("2017-01-19T14:00")


def by_bucket(periods: dict[str, int]) -> dict[str, int]:
    """Spread an amount per period over the buckets.

    31 January gets a seventh of the week; the jobs still running at the end are drawn from three more days at
    the rate of 1 to 6 February.
    """
    day = periods["week"] // 7
    rest = periods["week"] - day
    return {
        "nov": periods["nov"],
        "dec": periods["dec"],
        "jan": periods["jan"] - day,
        "jan31": day,
        "feb": rest,
        "open": rest // 2,
    }


def days_of(bucket: str) -> float:
    """The length of a bucket in days."""
    first, until = BUCKETS[bucket]
    return (until - first) / DAY_S


def moments(fractions: np.ndarray, first: int, until: int) -> np.ndarray:
    """Turn fractions of an interval into whole seconds inside it, a little more of them on busier days.

    Takes:   fractions >= 0 and < 1; bounds in seconds since 1970.
    Returns: int64 seconds since 1970, first <= second < until.
    """
    inner = np.arange(first // DAY_S + 1, -(-until // DAY_S)) * DAY_S
    edges = np.concatenate(([first], inner, [until])).astype(np.float64)
    days = edges[:-1] // DAY_S
    busy = 1 + 0.018 * np.sin(2 * np.pi * days / 7 + 1) + 0.008 * np.sin(2 * np.pi * days / 3.3)
    passed = np.concatenate(([0.0], np.cumsum(np.diff(edges) * busy)))
    seconds = np.interp(fractions * passed[-1], passed, edges)
    whole: np.ndarray = np.clip(np.floor(seconds).astype(np.int64), first, until - 1)
    return whole
