"""Tells in words which sources need care, and what pools saw beside the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.monitoring.missing import INTERVAL_PART
from gridkeeper.monitoring.months import USUAL_DELAY_PART
from gridkeeper.monitoring.rhythm import FALSE_ALARM_RATE, LEAST_SILENT_DAYS, USUAL_PART
from gridkeeper.monitoring.states import State
from gridkeeper.reports.production_sentences import NO_RESOURCE, Point, counted, roughly
from gridkeeper.reports.wording import UNKNOWN, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.model import Contact
    from gridkeeper.monitoring.missing import Missing
    from gridkeeper.monitoring.pools import Pool
    from gridkeeper.monitoring.states import Silence, SourceState

CHANCE = f"{100 * INTERVAL_PART:.0f} %"
MOST_SOURCES = 20
MOST_POOLS = 20
NO_PROBE = "no probe named"
STATES_SHOWN = (State.SILENT, State.NEVER_SEEN, State.LATE, State.DOWNTIME)


def shown(sources: Silence) -> tuple[SourceState, ...]:
    """The sources that a report names: those that need care, and those in announced downtime."""
    return sources.of(*STATES_SHOWN)


def source_points(sources: Silence) -> list[Point]:
    """What the meeting should know of its sources."""
    points = []
    if sources.nothing_since is not None:
        points.append(
            Point(
                f"Nothing at all has come from any source since {sources.nothing_since:%-d %b %Y}; what follows is as of then."
            )
        )
    for state, heading in (
        (State.SILENT, "Sources that stopped reporting:"),
        (State.NEVER_SEEN, "Sources that should report and never did:"),
        (State.LATE, "Sources that are late:"),
        (State.DOWNTIME, "Sources in announced downtime:"),
    ):
        points += _point(heading, [line(one) for one in sources.of(state)])
        if state is State.SILENT and not sources.silent:
            points.append(Point("All sources that reported lately still do."))
    idle = [one for one in sources.of(State.IDLE) if one.level != "payload"]
    if idle:
        points.append(
            Point(
                f"Idle (their probes are heard, and have no jobs): {', '.join(named(one) for one in idle)}."
            )
        )
    return points


def line(one: SourceState) -> str:
    """`Utah-Kingspeak, batch (slurm:kingspeak): since 19 Jan 2017 14:00 UTC, 18 days; about 3.70K core hours ...`"""
    parts = [since(one), missing(one.missing), *one.why, asked(one.ask)]
    return f"{named(one)}, {one.level or 'no record yet'} ({one.probe or NO_PROBE}): {'; '.join(filter(None, parts))}."


def named(one: SourceState) -> str:
    """The resource, a part of it, or how many resources."""
    name = (
        one.resource or (counted(len(one.resources), "resource", "resources") if one.resources else NO_RESOURCE)
    )  # fmt: skip
    return f"{name}, {one.part} only" if one.part else name


def since(one: SourceState) -> str:
    """`since 19 Jan 2017 14:00 UTC, 18 days`; only the day, where only that is known."""
    if one.since is None:
        return ""
    exact = one.since.time().isoformat() != "00:00:00"
    told = f"since {one.since:%-d %b %Y}{f' {one.since:%H:%M} UTC' if exact else ''}"
    silent = one.state is State.SILENT and one.silent_days and not one.is_partial
    return f"{told}, {counted(one.silent_days, 'day', 'days')}" if silent else told


def missing(found: Missing | None) -> str:
    """`about 3.70K core hours are probably missing (3.48K to 3.92K with 80 % chance; by its payloads)`."""
    if found is None:
        return ""
    between = f"{roughly(found.low)} to {roughly(found.high)} with {CHANCE} chance"
    return (
        f"about {roughly(found.core_hours)} core hours are probably missing ({between}; {learnt_from(found)})"
    )


def learnt_from(found: Missing) -> str:
    """By what the missing hours were estimated."""
    if found.from_months:
        return "by its months before"
    return "by its payloads" if found.from_payloads else "by its weekdays before"


def asked(contacts: Iterable[Contact]) -> str:
    """`ask Utah operations (ops@utah.example.edu)`; nothing where nobody is known."""
    people = [f"{one.name} ({one.email})" if one.email else one.name for one in contacts]
    return f"ask {', '.join(people)}" if people else ""


def _point(heading: str, lines: list[str]) -> list[Point]:
    if not lines:
        return []
    rest = len(lines) - MOST_SOURCES
    return [Point(heading, (*lines[:MOST_SOURCES], *([f"and {rest} more"] if rest > 0 else [])))]


def pool_points(found: tuple[Pool, ...]) -> list[Point]:
    """Running cores as probes saw them in their pools, beside those that the records make."""
    if not found:
        return []
    lines = [
        f"{pool.resource or NO_RESOURCE} ({pool.probe}): {roughly(pool.running_cores)} cores running in {roughly(pool.running_jobs)} jobs, "
        f"{roughly(pool.pending_cores)} cores pending; by its records {roughly(pool.derived)}, ratio records/pool {ratio(pool)}; "
        f"over {whole(pool.hours)} closed hours in which it looked"
        for pool in found[:MOST_POOLS]
    ]
    rest = len(found) - MOST_POOLS
    lines += [f"and {rest} more"] if rest > 0 else []
    return [
        Point(
            "Running cores as probes saw them in their pools, beside those made of batch records of all grids:",
            tuple(lines),
        )
    ]


def ratio(pool: Pool) -> str:
    """Cores by the records ÷ cores that the probe saw; a dash where it is not defined."""
    return UNKNOWN if pool.ratio is None else f"{pool.ratio:,.3f}"


def about(sources: Silence, *, has_pools: bool) -> dict[str, str]:
    """Keyword → sentence on how silence is told."""
    told = {
        "Stopped reporting": f"a source (probe and resource, each level for itself) is silent when it has had no record for {LEAST_SILENT_DAYS} days or more, "
        f"longer than {100 * USUAL_PART:.0f} % of its gaps, and by its own weekdays and gaps such a gap has a chance below "
        f"{100 * FALSE_ALARM_RATE:g} % in as long a time as was learnt from; or when it fell far behind the payloads in its pilots. "
        f"Missing core hours lie in the interval with a chance of {100 * INTERVAL_PART:.0f} %; they are in no total. Days are judged up to {sources.until:%Y-%m-%d}"
        + (
            ""
            if sources.heard
            else "; no probe of this home was ever heard, so all is learnt from records alone"
        )
    }
    if any(one.level == "reported" for one in sources.sources):
        told["Months without sums"] = (
            f"the sums of a month (level reported) are missed when they are not here {LEAST_SILENT_DAYS} days or more after the day, "
            f"counted from the month's end, by which {100 * USUAL_DELAY_PART:.0f} % of the sender's months came; their missing core hours are of all grids"
        )
    if has_pools:
        told["Pools"] = (
            "cores that probes saw running, means over closed hours in which they looked, beside core seconds of batch records of all grids in the same hours"
        )
    return told


def silent_days(one: SourceState) -> str:
    """Whole days without records; a dash where none was ever there."""
    return UNKNOWN if one.last_day is None else whole(one.silent_days)
