"""What the sample federation must add up to: figures in core hours at full size, each with its origin.

P is published in the minutes of the production meeting of 7 February 2017, M measured from the usage summaries
that the federation sent to APEL for January 2017, D is M plus or minus a published change, F is filled in by us.
At a scale, an amount of hours becomes round(hours x scale x 3600) whole seconds, a number of jobs
round(jobs x scale), at least 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gridkeeper.demo.days import PERIODS, day_of

KINDS = {"P": "published", "M": "measured", "D": "derived", "F": "filled"}

# Core hours in November, December, January and the week from 31 January to 6 February; the marks in that order.
CORE_HOURS: dict[str, tuple[tuple[int, int, int, int], str]] = {
    "cms": ((55_000_000, 59_020_369, 60_820_369, 10_826_344), "FDMP"),
    "atlas": ((43_000_000, 47_094_289, 42_694_289, 10_332_000), "FDMF"),
    "osg": ((8_260_000, 5_700_000, 8_270_000, 1_870_000), "PPPF"),
    "fermilab": ((8_100_000, 8_400_000, 6_500_000, 1_233_086), "FFFF"),
    "glow": ((2_350_000, 2_450_000, 2_450_000, 553_000), "FFFF"),
    "hcc": ((1_300_000, 1_350_000, 1_350_000, 305_000), "FFFF"),
    "gluex": ((600_000, 600_000, 600_000, 135_000), "FFFF"),
    "sbgrid": ((250_000, 250_000, 250_000, 56_000), "FFFF"),
    "alice": ((290_000, 300_000, 297_535, 67_000), "FFMF"),
    "other": ((1_850_000, 1_835_342, 1_767_807, 400_000), "FFFF"),
}
TOTAL_MARKS = "FPPF"
# The target "other" is met by these together, in these shares.
OTHER = {"icecube": 0.38, "ligo": 0.30, "belle": 0.20, "dosar": 0.12}

WALL_SECONDS = {
    "cms": {"jan": 35_879_047_948, "week": 6_386_659_200},
    "atlas": {"jan": 71_893_274_855, "week": 19_080_000_000},
}
WALL_MARKS = {"cms": {"jan": "M", "week": "F"}, "atlas": {"jan": "M", "week": "P"}}
PILOTS = {"cms": {"jan": 2_389_368, "week": 514_272}, "atlas": {"jan": 8_146_579, "week": 1_600_000}}
PILOT_MARKS = {"cms": {"jan": "M", "week": "P"}, "atlas": {"jan": "M", "week": "P"}}
# CPU / (wall x cores): of one-core jobs, and of all.
EFFICIENCY_1CORE = {"atlas": {"nov": 0.841, "dec": 0.841, "jan": 0.841, "week": 0.85}}
EFFICIENCY_1CORE_MARKS = {"atlas": {"jan": "M", "week": "P"}}
EFFICIENCY = {"atlas": 0.786}
EFFICIENCY_MARKS = {"atlas": {"jan": "M", "week": "F"}}

# Fermilab in the week, away from its own site: wall hours of one-core jobs on 28 sites.
OFFSITE_WEEK_HOURS = {"nova": 31_920, "des": 858, "cdms": 171, "mu2e": 96, "microboone": 41}
# Core hours of one VO at one resource that have targets of their own, by period.
AT_RESOURCE: dict[tuple[str, str], tuple[dict[str, int], dict[str, str]]] = {
    ("osg", "SU-ITS"): (
        {"nov": 1_850_000, "dec": 1_250_000, "jan": 1_900_000, "week": 430_000},
        {"jan": "F"},
    ),
    ("osg", "FNAL_GPGrid"): (
        {"nov": 1_250_000, "dec": 850_000, "jan": 1_300_000, "week": 290_000},
        {"jan": "F"},
    ),
    ("osg", "Utah-Kingspeak"): ({"nov": 550_000, "dec": 420_000, "jan": 380_000, "week": 0}, {"jan": "P"}),
}
# The range of daily means of running cores that the minutes publish for ATLAS.
ATLAS_RUNNING_CORES = (58_000, 65_000)


@dataclass(frozen=True)
class Target:
    """One figure that the records of a period must add up to.

    period, first, until: name and half-open days; vo: None for all together; value: at the ledger's scale.
    measure: core_hours, wall_hours (value in whole seconds, unit "s"); jobs; running_cores_low and
             running_cores_high (cores); efficiency and efficiency_1core (a ratio).
    kind:    published, measured, derived or filled.
    full:    the figure at full size: hours, jobs, cores or the ratio.
    resource, experiment: None unless the figure is of one; offsite: True where it is away from the VO's own site.
    tolerance: how far from `value` the ledger may be by rounding, in the unit; 0 where it is exact.
    """

    period: str
    first: str
    until: str
    vo: str | None
    measure: str
    value: float
    unit: str
    kind: str
    full: float
    resource: str | None = None
    experiment: str | None = None
    offsite: bool = False
    tolerance: float = 0

    def as_dict(self) -> dict[str, object]:
        """The target as its JSON object."""
        return asdict(self)


def whole_seconds(hours: float, scale: float) -> int:
    """Hours at full size as whole seconds at the scale."""
    return round(hours * scale * 3600)


def scaled_jobs(jobs: int, scale: float) -> int:
    """A number of jobs at the scale, rounded, at least 1."""
    return max(1, round(jobs * scale))


def core_seconds(scale: float) -> dict[str, dict[str, int]]:
    """The core seconds to be reported, by VO (with `other` as one) and period."""
    return {
        vo: {period: whole_seconds(hours, scale) for period, hours in zip(PERIODS, amounts, strict=True)}
        for vo, (amounts, _) in CORE_HOURS.items()
    }


def targets(scale: float) -> list[Target]:
    """All targets at a scale: totals, by VO, and those of one resource, experiment or kind of job."""
    found: list[Target] = []
    seconds = core_seconds(scale)
    for place, period in enumerate(PERIODS):
        total = sum(amounts[period] for amounts in seconds.values())
        hours = sum(amounts[place] for amounts, _ in CORE_HOURS.values())
        found.append(_target(period, None, "core_hours", total, "s", TOTAL_MARKS[place], hours))
        found += [
            _target(period, vo, "core_hours", seconds[vo][period], "s", marks[place], amounts[place])
            for vo, (amounts, marks) in CORE_HOURS.items()
        ]
    return found + _of_pilots(scale) + _of_places(scale)


def _of_pilots(scale: float) -> list[Target]:
    found = []
    for vo in WALL_SECONDS:
        for period in ("jan", "week"):
            wall, pilots = WALL_SECONDS[vo][period], PILOTS[vo][period]
            found.append(
                _target(
                    period,
                    vo,
                    "wall_hours",
                    round(wall * scale),
                    "s",
                    WALL_MARKS[vo][period],
                    wall / 3600,
                    tolerance=4,
                )
            )
            found.append(
                _target(
                    period, vo, "jobs", scaled_jobs(pilots, scale), "jobs", PILOT_MARKS[vo][period], pilots
                )
            )
    for period in ("jan", "week"):
        one, whole = EFFICIENCY_1CORE["atlas"][period], EFFICIENCY["atlas"]
        marks = EFFICIENCY_1CORE_MARKS["atlas"][period], EFFICIENCY_MARKS["atlas"][period]
        found.append(
            _target(period, "atlas", "efficiency_1core", one, "ratio", marks[0], one, tolerance=0.0005)
        )
        found.append(
            _target(period, "atlas", "efficiency", whole, "ratio", marks[1], whole, tolerance=0.0005)
        )
    for edge, cores in zip(("low", "high"), ATLAS_RUNNING_CORES, strict=True):
        found.append(_target("week", "atlas", f"running_cores_{edge}", cores * scale, "cores", "P", cores))
    return found


def _of_places(scale: float) -> list[Target]:
    found = []
    for experiment, hours in OFFSITE_WEEK_HOURS.items():
        value = whole_seconds(hours, scale)
        found.append(
            _target(
                "week", "fermilab", "wall_hours", value, "s", "P", hours, experiment=experiment, offsite=True
            )
        )
    for (vo, resource), (amounts, marks) in AT_RESOURCE.items():
        for period, mark in marks.items():
            value = whole_seconds(amounts[period], scale)
            found.append(
                _target(period, vo, "core_hours", value, "s", mark, amounts[period], resource=resource)
            )
    return found


def _target(
    period: str, vo: str | None, measure: str, value: float, unit: str, mark: str, full: float,
    *, resource: str | None = None, experiment: str | None = None, offsite: bool = False, tolerance: float = 0,
) -> Target:  # fmt: skip
    first, until = (day_of(bound).isoformat() for bound in PERIODS[period])
    return Target(
        period, first, until, vo, measure, value, unit, KINDS[mark], full, resource, experiment, offsite, tolerance
    )  # fmt: skip
