"""How ATLAS and CMS split into jobs of one and of eight cores, so that core hours, wall hours and pilots all fit.

With w1 and w8 wall seconds of both sizes, w1 + w8 is the wall time and w1 + 8 w8 the core time; so w8 is a
seventh of their difference, rounded to whole seconds. The core time stays exact; the wall time is off by at
most 3 seconds in a period.
"""

from __future__ import annotations

from gridkeeper.demo.days import by_bucket
from gridkeeper.demo.people import GROUPS
from gridkeeper.demo.targets import (
    CORE_HOURS,
    EFFICIENCY,
    EFFICIENCY_1CORE,
    PILOTS,
    WALL_SECONDS,
    scaled_jobs,
)

Size = tuple[int, int, int, int]  # cores, jobs, wall seconds, CPU seconds
TWO_SIZES = tuple(WALL_SECONDS)
LONGER_WITH_EIGHT = 1.4
MANY = 8


def sized_amounts(vo: str, core_s: dict[str, int], scale: float) -> dict[str, tuple[Size, ...]]:
    """Split a VO's core seconds by bucket into its jobs of one and eight cores.

    Takes: core seconds by period. Months without a measured wall time have January's mean sizes.
    """
    periods = {period: _sizes(vo, period, amount, scale) for period, amount in core_s.items()}
    found: dict[str, list[Size]] = {}
    for place, cores in enumerate((1, MANY)):
        amounts = [
            by_bucket({period: sizes[place][part] for period, sizes in periods.items()}) for part in (1, 2, 3)
        ]
        for bucket in amounts[0]:
            jobs, wall_s, cpu_s = (amount[bucket] for amount in amounts)
            found.setdefault(bucket, []).append((cores, jobs, wall_s, cpu_s))
    return {bucket: tuple(sizes) for bucket, sizes in found.items()}


def _sizes(vo: str, period: str, core_s: int, scale: float) -> tuple[Size, Size]:
    measured = WALL_SECONDS[vo]
    if period in measured:
        wall_s, pilots = round(measured[period] * scale), scaled_jobs(PILOTS[vo][period], scale)
    else:
        # CORE_HOURS lists November, December, January and the week.
        january = CORE_HOURS[vo][0][2] * 3600
        wall_s = round(core_s * measured["jan"] / january)
        pilots = max(1, round(PILOTS[vo]["jan"] * core_s / january))
    many = round((core_s - wall_s) / (MANY - 1))
    one = core_s - MANY * many
    jobs = min(max(round(pilots * many / (many + one * LONGER_WITH_EIGHT)), 1), pilots - 1)
    total = round(core_s * EFFICIENCY.get(vo, GROUPS[vo].efficiency))
    cpu = round(one * EFFICIENCY_1CORE[vo][period]) if vo in EFFICIENCY_1CORE else round(total * one / core_s)
    return (1, pilots - jobs, one, cpu), (MANY, jobs, many, total - cpu)
