"""Every measure: what it is made of, its unit, and the one division at the end. docs/measures.md explains each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.federation.factors import MILLIONTHS
from gridkeeper.records.usage import FAILED_OUTCOMES
from gridkeeper.units import (
    GRAMS_PER_KG,
    JOULES_PER_KWH,
    MICROSECONDS_PER_HOUR,
    MICROSECONDS_PER_SECOND,
    SECONDS_PER_HOUR,
    WATTS_PER_KW,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAILED = "outcome IN (" + ", ".join(f"'{outcome}'" for outcome in FAILED_OUTCOMES) + ")"
_MEASURED = "cpu_source = 'measured'"
OF_TRANSFERS = ("transfers", "bytes")


def _of_failed(column: str) -> str:
    # Where no outcome at all is known (sums that others reported), nobody knows how many failed: null, not 0.
    return f"SUM(CASE WHEN {_FAILED} THEN {column} WHEN outcome <> 'unknown' THEN 0 END)"


def _of_measured(column: str, also: str = "") -> str:
    # Null where no record has measured CPU.
    return f"SUM(CASE WHEN {_MEASURED}{also} THEN {column} END)"


@dataclass(frozen=True)
class Measure:
    """One measure: sums (SQL over a summary), and how they are divided.

    above, below: names of SUMS; the value is above ÷ below (a sum or 1) ÷ divisor; None where below is 0.
    """

    name: str
    unit: str
    meaning: str
    above: str
    below: str | None = None
    divisor: int = 1
    places: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers, not quotients."""
        return self.below is None and self.divisor == 1

    def value(self, sums: Mapping[str, int | None]) -> float | int | None:
        """Make the value of one row of sums; None where it is not defined."""
        above = sums[self.above]
        if above is None:
            return None
        if self.below is not None:
            below = sums[self.below]
            return above / (below * self.divisor) if below else None
        return above if self.divisor == 1 else above / self.divisor


# Sums over a summary's rows, by the name that measures give them. A sum of which nothing is known is null.
SUMS: dict[str, str] = {
    "records": "SUM(records)",
    "jobs": "SUM(jobs)",
    "wall_seconds": "SUM(wall_seconds)",
    "core_seconds": "SUM(core_seconds)",
    "cpu_us": _of_measured("cpu_us"),
    "measured_core_seconds": _of_measured("core_seconds"),
    "cpu_1core_us": _of_measured("cpu_us", " AND processors = 1"),
    "measured_1core_seconds": _of_measured("core_seconds", " AND processors = 1"),
    "unmeasured_core_seconds": f"SUM(CASE WHEN {_MEASURED} THEN 0 ELSE core_seconds END)",
    "gpu_seconds": "SUM(gpu_seconds)",
    "node_seconds": "SUM(node_seconds)",
    "wait_seconds": "CASE WHEN SUM(waits) > 0 THEN SUM(wait_seconds) END",
    # No machine runs on no energy: 0 is what batch systems say that do not measure it.
    "energy_j": "NULLIF(SUM(energy_j), 0)",
    "failed_jobs": _of_failed("jobs"),
    "failed_core_seconds": _of_failed("core_seconds"),
    "started_jobs": "SUM(started_jobs)",
    "active_jobs": "SUM(active_jobs)",
    "processors_filled": "SUM(processors_filled)",
    "transfers": "SUM(transfers)",
    "bytes": "SUM(bytes)",
    # Of rows with a factor alone; null where none has one. See factoring.py for what stands in the columns.
    "hepscore_second_millionths": "SUM(CAST(core_seconds AS HUGEINT) * hepscore_millionths)",
    "hepscore_default_core_seconds": "SUM(CASE WHEN hepscore_is_default AND hepscore_millionths IS NOT NULL THEN core_seconds ELSE 0 END)",
    "hepscore_missing_core_seconds": "SUM(CASE WHEN hepscore_millionths IS NULL THEN core_seconds ELSE 0 END)",
    "carbon_second_millionths": "SUM(CAST(core_seconds AS HUGEINT) * carbon_millionths)",
    "carbon_missing_core_seconds": "SUM(CASE WHEN carbon_millionths IS NULL THEN core_seconds ELSE 0 END)",
}
# Sums that need a factor of each row's resource and day, by the kind of factor.
OF_FACTORS: dict[str, frozenset[str]] = {
    kind: frozenset(name for name in SUMS if name.startswith(f"{kind}_")) for kind in ("hepscore", "carbon")
}

BRIEF = "usage_daily_brief"
# What other summaries find out from their kinds, the brief one has added up already.
_OF_BRIEF = {
    "cpu_us": "CASE WHEN SUM(measured) > 0 THEN SUM(measured_cpu_us) END",
    "measured_core_seconds": "CASE WHEN SUM(measured) > 0 THEN SUM(measured_core_seconds) END",
    "cpu_1core_us": "CASE WHEN SUM(measured_1core) > 0 THEN SUM(measured_1core_cpu_us) END",
    "measured_1core_seconds": "CASE WHEN SUM(measured_1core) > 0 THEN SUM(measured_1core_seconds) END",
    "unmeasured_core_seconds": "SUM(core_seconds - measured_core_seconds)",
    "failed_jobs": "CASE WHEN SUM(with_outcome) > 0 THEN SUM(failed_jobs) END",
    "failed_core_seconds": "CASE WHEN SUM(with_outcome) > 0 THEN SUM(failed_core_seconds) END",
}
_OVERLAP = "usage_daily_overlap"
# On a day on which no job started, none waited: that is known, and it is 0.
_WAIT_OF_OVERLAP = "CASE WHEN SUM(waits) > 0 OR SUM(started_jobs) = 0 THEN SUM(wait_seconds) END"


def sum_in(table: str, name: str) -> str:
    """The SQL of one of SUMS over the rows of a summary."""
    if table == BRIEF and name in _OF_BRIEF:
        return _OF_BRIEF[name]
    return _WAIT_OF_OVERLAP if (table, name) == (_OVERLAP, "wait_seconds") else SUMS[name]


def sum_type(name: str) -> str:
    """The SQL type that one of SUMS fits into: seconds x millionths, and microseconds of CPU, are more than 64 bits hold."""
    return "DECIMAL(38, 0)" if name.endswith(("_second_millionths", "cpu_us", "cpu_1core_us")) else "BIGINT"


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("jobs", "jobs", "Jobs (Σ Njobs) that ended in the period, by count level.", "jobs"),
        Measure("records", "records", "Usage records behind the other measures.", "records"),
        Measure("wall_hours", "wall hours", "Wall seconds ÷ 3600, not multiplied by processors.", "wall_seconds", divisor=SECONDS_PER_HOUR),
        Measure("core_hours", "core hours", "Wall seconds x processors ÷ 3600.", "core_seconds", divisor=SECONDS_PER_HOUR),
        Measure("cpu_hours", "CPU hours", "CPU seconds used (user + system) ÷ 3600, where CPU was measured.", "cpu_us", divisor=MICROSECONDS_PER_HOUR),
        Measure("gpu_hours", "GPU hours", "Wall seconds x GPUs ÷ 3600.", "gpu_seconds", divisor=SECONDS_PER_HOUR),
        Measure("node_hours", "node hours", "Wall seconds x nodes ÷ 3600.", "node_seconds", divisor=SECONDS_PER_HOUR),
        Measure("efficiency", "ratio", "CPU hours ÷ core hours over records with measured CPU.", "cpu_us", "measured_core_seconds", MICROSECONDS_PER_SECOND, 3),
        Measure(
            "efficiency_1core", "ratio", "CPU hours ÷ core hours over records with one processor and measured CPU.",
            "cpu_1core_us", "measured_1core_seconds", MICROSECONDS_PER_SECOND, 3,
        ),
        Measure("unmeasured_share", "ratio", "Core hours without measured CPU ÷ core hours.", "unmeasured_core_seconds", "core_seconds", places=3),
        Measure("wait_hours", "wait hours", "Seconds from submit to start ÷ 3600, each job once.", "wait_seconds", divisor=SECONDS_PER_HOUR),
        Measure("energy_kwh", "kWh", "Energy, where the source measures it.", "energy_j", divisor=JOULES_PER_KWH, places=1),
        Measure(
            "hepscore_hours", "HEPScore23 hours", "Core hours x HEPScore23 per core of that resource on that day; of core hours with a factor.",
            "hepscore_second_millionths", divisor=MILLIONTHS * SECONDS_PER_HOUR,
        ),
        Measure(
            "default_factor_share", "ratio", "Core hours whose HEPScore23 is the federation's default ÷ core hours.",
            "hepscore_default_core_seconds", "core_seconds", places=3,
        ),
        Measure(
            "no_factor_core_hours", "core hours", "Core hours without any HEPScore23 factor; `hepscore_hours` has nothing of them.",
            "hepscore_missing_core_seconds", divisor=SECONDS_PER_HOUR,
        ),
        Measure(
            "carbon_kg", "kg CO2e (estimate)", "Core hours x watts per core x carbon per kilowatt hour of that resource on that day: an estimate.",
            "carbon_second_millionths", divisor=MILLIONTHS * SECONDS_PER_HOUR * WATTS_PER_KW * GRAMS_PER_KG, places=1,
        ),
        Measure(
            "no_power_core_hours", "core hours", "Core hours without any power factor; `carbon_kg` has nothing of them.",
            "carbon_missing_core_seconds", divisor=SECONDS_PER_HOUR,
        ),
        Measure("failed_jobs", "jobs", "Jobs whose exit code or signal was other than success.", "failed_jobs"),
        Measure("failed_core_hours", "core hours", "Core hours of failed jobs.", "failed_core_seconds", divisor=SECONDS_PER_HOUR),
        Measure("started_jobs", "jobs", "Jobs that started in the period (attribution overlap).", "started_jobs"),
        Measure("active_jobs", "jobs", "Jobs that ran at any time of a day (attribution overlap; by day only).", "active_jobs"),
        Measure("transfers", "transfers", "Transfers that began in the period; beside them only `bytes` and `records` can be asked.", "transfers"),
        Measure("bytes", "bytes", "Bytes that they moved.", "bytes"),
    )
}  # fmt: skip
