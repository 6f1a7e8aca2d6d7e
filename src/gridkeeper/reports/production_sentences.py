"""Tells a period as the production meeting's minutes do: short points, wall hours and core hours always named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.reports.wording import MINUS, UNKNOWN, percent, rough, signed_percent, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.queries.beside import Beside
    from gridkeeper.queries.changes import Change, Mover, Movers
    from gridkeeper.queries.opportunism import Part
    from gridkeeper.queries.production import Group, OwnPeriod, Production, VOUse

MOST_EXPERIMENTS = 15
MOST_UNMAPPED = 10
NO_SITE = "(no site known)"
NO_VO = "(no VO known)"
NO_RESOURCE = "(no resource known)"
NO_EXPERIMENT = "(no experiment named)"


@dataclass(frozen=True)
class Point:
    """One point of a list, and those below it."""

    text: str
    below: tuple[str, ...] = ()


def roughly(number: float | None) -> str:
    """Three digits that count; a dash where it is not known."""
    return UNKNOWN if number is None else rough(number)


def moved(number: float | None) -> str:
    """`+1.80M`, or with a minus sign; a dash where it is not known."""
    if number is None:
        return UNKNOWN
    return f"{'+' if number > 0 else MINUS if number < 0 else ''}{rough(number)}"


def counted(number: float, one: str, many: str) -> str:
    """`1 site`, `28 sites`."""
    return f"{whole(number)} {one if number == 1 else many}"


def overall(found: Production) -> list[Point]:
    """What the whole federation did."""
    everything = found.total
    sums = everything.sums
    points = [
        Point(
            f"{roughly(sums.core_hours)} core hours ({roughly(sums.wall_hours)} wall hours) in {roughly(sums.jobs)} jobs on "
            f"{f'{UNKNOWN} sites: there are no records of this period' if everything.sites is None else counted(everything.sites, 'site', 'sites')}."
        ),
        Point(f"Change in core hours: {change(everything.change, found, say_why=True)}"),
        Point(f"{running(everything)}"),
    ]
    if everything.pilots is not None:
        points.append(
            Point(
                f"{roughly(everything.pilots)} pilots; {roughly(everything.payloads)} payloads inside pilots (the same cores, not added)."
            )
        )
    return points + [Point(beside(one)) for one in found.figures if one.figure.vo is None]


def change(one: Change, found: Production, *, say_why: bool = False) -> str:
    """`+2.1 % (+530K) on 24 Jan to 30 Jan 2017 as known today; at equal age +2.3 %.`"""
    if one.now is None:
        return f"{UNKNOWN} (nothing is known of {found.period.name})."
    if not found.ledger.before:
        return f"{UNKNOWN} (nothing is known of {found.previous.name})."
    if not one.before:
        return f"{moved(one.core_hours)}; there were none on {found.previous.name}."
    today = f"{signed_percent(one.ratio)} ({moved(one.core_hours)}) on {found.previous.name} as known today"
    return f"{today}; at equal age {signed_percent(one.ratio_at_equal_age)}{_why(one, found) if say_why else ''}."


def _why(one: Change, found: Production) -> str:
    """Why the change at equal age is not known, where it is not."""
    if found.early is None:
        return " (reported sums have no age)"
    if one.ratio_at_equal_age is None:
        return f" (nothing of {found.previous.name} had come by {found.early.cutoff:%-d %b %Y %H:%M} UTC)"
    return ""


def running(vo: VOUse) -> str:
    """`Running cores: 61.5K on average, daily means 58.1K to 64.9K; the last 26 hours are open and left out.`"""
    cores = vo.running
    if cores is None:
        return f"Running cores: {UNKNOWN} (reported sums do not tell)."
    if not vo.sums.is_known:
        return f"Running cores: {UNKNOWN} (there are no records of this period)."
    if cores.unknown_hours and cores.mean is None:
        return f"Running cores: {UNKNOWN}; {counted(cores.open_hours, 'hour is', 'hours are')} still open, and of the others there are no records."
    if cores.mean is None:
        return f"Running cores: {UNKNOWN}; all {cores.open_hours} hours are still open (95 % of its jobs are up to {cores.length_hours} hours long)."
    spread = "no day is whole yet"
    if cores.lowest is not None and cores.highest is not None:
        spread = f"daily means {_three_digits(cores.lowest)} to {_three_digits(cores.highest)}"
    is_open = (
        f"; the last {counted(cores.open_hours, 'hour is', 'hours are')} open and left out"
        if cores.open_hours
        else ""
    )
    return f"Running cores: {_three_digits(cores.mean)} on average, {spread}{is_open}."


def vo_points(vo: VOUse, found: Production) -> list[Point]:
    """One VO as in the minutes: production status, job statistics, figures from elsewhere, experiments."""
    status = (running(vo), f"Change in core hours: {change(vo.change, found)}")
    places = f"{counted(vo.sites or 0, 'site', 'sites')}{most(vo)}."
    statistics = [
        f"{_counts(vo)}, {roughly(vo.sums.wall_hours)} wall hours, {roughly(vo.sums.core_hours)} core hours{_ratios(vo)}.",
    ]
    if vo.sums.jobs:
        statistics += [places, _opportunistic(vo)]
    elif vo.payloads:
        statistics.append("Its payloads are in no sum of hours: where they ran, batch records count.")
    statistics += [
        beside(one)
        for one in found.figures
        if one.figure.vo is not None and one.figure.vo.lower() == vo.name.lower()
    ]
    points = [
        Point("General production status.", status),
        Point(f"Job statistics of {found.period.name}.", tuple(statistics)),
    ]
    own = vo.own_period
    if vo.experiments:
        points.append(experiments(vo, vo, f"{found.period.name}: " if own else ""))
    return points + ([experiments(vo, own, f"{in_own_period(own)}: ")] if own else [])


def _counts(vo: VOUse) -> str:
    if vo.pilots is None:
        return f"{roughly(vo.sums.jobs)} jobs as reported"
    told = [
        f"{roughly(number)} {name}"
        for number, name in ((vo.pilots, "pilots"), (vo.payloads, "payloads"))
        if number
    ]
    return ", ".join(told) or "no jobs"


def _ratios(vo: VOUse) -> str:
    one, all_cores, unmeasured = vo.sums.efficiency_1core, vo.sums.efficiency, vo.sums.unmeasured_share
    if all_cores is None:
        return "; no measured CPU" if vo.sums.core_seconds else ""
    ratio = f"; CPU ÷ core hours {percent(all_cores)}" + (
        "" if one is None else f" (CPU/wall {percent(one)} for single-core jobs)"
    )
    return ratio + (f", {percent(unmeasured)} of the core hours without measured CPU" if unmeasured else "")


def most(vo: VOUse) -> str:
    """`; most core hours at A (1.20M), B (800K)`."""
    if not vo.top_sites:
        return ""
    return "; most core hours at " + ", ".join(
        f"{use.site or NO_SITE} ({roughly(use.sums.core_hours)})" for use in vo.top_sites
    )


def _opportunistic(vo: VOUse) -> str:
    part, unknown = vo.opportunistic.by_owner, vo.opportunistic.owner_unknown
    if unknown.part.jobs == vo.sums.jobs:
        return f"On resources that others own: {UNKNOWN} (no owner is known where it ran)."
    told = f"On resources that others own: {of_whole(part)}"
    return told + (f"; no owner is known of {of_whole(unknown)}." if unknown.part.jobs else ".")


def of_whole(part: Part) -> str:
    """`178K jobs (11.1 %), 500K core hours (9.4 %)`."""
    return (
        f"{roughly(part.part.jobs)} jobs ({percent(part.share('jobs'))}), "
        f"{roughly(part.part.core_hours)} core hours ({percent(part.share('core_seconds'))})"
    )


def in_own_period(own: OwnPeriod) -> str:
    """`24 Jan – 6 Feb 2017 (2 weeks)`."""
    weeks, rest = divmod(own.period.days, 7)
    span = counted(own.period.days, "day", "days") if rest else counted(weeks, "week", "weeks")
    return f"{own.period.name} ({span})"


def experiments(vo: VOUse, used: VOUse | OwnPeriod, begin: str = "") -> Point:
    """The FIFE lines: wall hours of each experiment, off-site where a home site is known.

    used: what the VO used in the report's period, or in the one of its own.
    """
    away = used.off_site
    if away is None:
        shown = [(group, group.sums.wall_hours or 0.0) for group in used.experiments]
        text = f"Experiments of {vo.name} on {counted(used.sites or 0, 'site', 'sites')} (wall hours):"
    else:
        shown = [
            (group, group.off_site.part.part.wall_hours or 0.0)
            for group in used.experiments
            if group.off_site is not None
        ]
        shown = sorted(
            ((group, amount) for group, amount in shown if amount),
            key=lambda one: (-one[1], one[0].name or ""),
        )
        text = (
            f"Off-site, away from {', '.join(away.home_sites)}: {roughly(away.part.part.wall_hours)} wall hours"
            f" ({percent(away.part.share('wall_seconds'))} of its wall hours) on {counted(away.sites, 'site', 'sites')} (wallHours, off-site):"
        )
    return Point(begin + text, _experiment_lines(shown))


def _experiment_lines(shown: Sequence[tuple[Group, float]]) -> tuple[str, ...]:
    lines = [f"{group.name or NO_EXPERIMENT} ({whole(amount)})" for group, amount in shown[:MOST_EXPERIMENTS]]
    rest = shown[MOST_EXPERIMENTS:]
    return (*lines, *([f"and {len(rest)} more ({whole(sum(amount for _, amount in rest))})"] if rest else []))


def beside(one: Beside) -> str:
    """A figure from elsewhere beside ours."""
    figure = one.figure
    measure = figure.measure.replace("_", " ")
    unit = "" if measure.lower().endswith(figure.unit.lower().replace("_", " ")) else f" ({figure.unit})"
    theirs = f"{figure.source}: {_three_digits(figure.value)} {measure}{unit}"
    if one.ours is None or one.ours.value is None:
        return f"{theirs}; nothing of ours to compare: {one.reason}."
    return f"{theirs}; ours: {_three_digits(one.ours.value)} {one.ours.name}, ratio ours/theirs {UNKNOWN if one.ratio is None else _three_digits(one.ratio)}."


def _three_digits(number: float) -> str:
    return roughly(number) if number >= 1000 or number == int(number) else f"{number:.3g}"


def support(found: Production, care: Sequence[Point] = ()) -> list[Point]:
    """What Production Support says: trends, top sites, opportunistic use, `care` (silent sources, pools), usage without a VO."""
    overall_part = found.total.opportunistic
    points = [
        Point(
            f"Overall trends in {found.period.name}:",
            (f"{roughly(found.total.sums.core_hours)} core hours; change: {change(found.total.change, found)}", *(line for each in found.movers for line in _moves(each))),
        ),
        Point("Top sites in core hours:", tuple(f"{use.site or NO_SITE} ({roughly(use.sums.core_hours)})" for use in found.total.top_sites)),
        Point("Opportunistic use:", tuple(opportunistic_lines(overall_part.by_owner, overall_part.owner_unknown, overall_part.by_list))),
    ]  # fmt: skip
    return [*points, *care, *_unmapped(found)]


def _unmapped(found: Production) -> list[Point]:
    if not found.unmapped:
        return []
    lines = [
        f"{one.resource or NO_RESOURCE}: {roughly(one.sums.core_hours)} core hours, {roughly(one.sums.wall_hours)} wall hours in {counted(one.sums.jobs or 0, 'job', 'jobs')}"
        + ("" if one.in_totals else " (not in the totals: nothing says which grid ran it)")
        for one in found.unmapped[:MOST_UNMAPPED]
    ]
    rest = found.unmapped[MOST_UNMAPPED:]
    if rest:
        hours = roughly(sum(one.sums.core_hours or 0.0 for one in rest))
        lines.append(f"and {len(rest)} more with {hours} core hours")
    return [Point("No rule maps this usage to a VO:", tuple(lines))]


def opportunistic_lines(by_owner: Part, unknown: Part, by_list: Part | None) -> list[str]:
    """The two ways to say opportunistic, named."""
    lines = [f"by owner (the VO does not own the resource): {of_whole(by_owner)}"]
    if unknown.part.jobs:
        lines.append(f"owner not known: {of_whole(unknown)}")
    lines.append(
        f"by list of VOs: {UNKNOWN} (the registry has no list)"
        if by_list is None
        else f"by list of VOs: {of_whole(by_list)}"
    )
    return lines


def _moves(movers: Movers) -> list[str]:
    by = " and ".join("VO" if part == "vo" else part for part in movers.by)
    return [
        f"{which} by {by}, core hours: {', '.join(f'{name_of(mover, movers.by)} {moved(mover.difference)}' for mover in some)}."
        for which, some in (("Up", movers.ups), ("Down", movers.downs))
        if some
    ]


def name_of(mover: Mover, by: tuple[str, ...]) -> str:
    """`cms`, `Utah`, `Utah / osg`."""
    return " / ".join(
        part or (NO_VO if key == "vo" else NO_SITE) for part, key in zip(mover.name, by, strict=True)
    )
