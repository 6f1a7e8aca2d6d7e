"""Judges senders of monthly sums: which months should be here and are not, and about how much is missing."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring.backlogs import UNTOLD
from gridkeeper.monitoring.evidence import HEARTBEAT, midnight
from gridkeeper.monitoring.history import Source
from gridkeeper.monitoring.judging import listed, of_word
from gridkeeper.monitoring.missing import missing_about
from gridkeeper.monitoring.months import MonthRhythm, learn_months, months_known, months_later
from gridkeeper.monitoring.other_records import REPORTED, Sums
from gridkeeper.monitoring.rhythm import HISTORY_DAYS, LEAST_GAPS, Rhythm, learn
from gridkeeper.monitoring.states import SourceState, State
from gridkeeper.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from gridkeeper.monitoring.heard import Heard, Pulse
    from gridkeeper.monitoring.missing import Missing
    from gridkeeper.monitoring.surroundings import Surroundings

# A sender whose sums come anew so often, on average, is judged by the days on which they come, too.
OFTEN_DAYS = 10
# Hours a month are learnt from so many whole months; errors of what was expected are known from so many on.
RECENT_MONTHS = 6
LEAST_REFERENCE_MONTHS = 3
# Another sender of the same resource took over where it began so near the last month.
TAKEN_OVER_MONTHS = 1
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Asked:
    """As of when sums are judged.

    until: months that end before it are over.
    day:   days before it are over; sums are due on one of them.
    """

    until: date
    day: date


@dataclass(frozen=True)
class _Found:
    """What was found out about one sender.

    missing: months that should be here; partly: the last month, where its sums ended before it did.
    daily:   the rhythm of the days on which its sums come, where they come often.
    """

    sums: Sums
    rhythm: MonthRhythm | None
    daily: Rhythm | None
    missing: tuple[date, ...]
    partly: tuple[date, ...]
    word: tuple[Heard, Pulse] | None
    away: frozenset[date]

    @property
    def is_overdue(self) -> bool:
        return bool(self.missing or self.partly)

    @property
    def is_unheard(self) -> bool:
        """Whether its probe's heartbeats stopped, and no sums came since; a Gratia probe is heard only when it sends."""
        return (
            self.word is not None
            and self.word[0].kind == HEARTBEAT
            and not self.word[1].is_beating
            and all(day <= self.word[1].last_at.date() for day in self.sums.days)
        )

    @property
    def last_day(self) -> date:
        """The last day that its sums tell of."""
        end = months_later(self.sums.last_month, 1) - _DAY
        came = self.sums.came.get(self.sums.last_month, ())
        return max(self.sums.last_month, min(end, came[-1])) if came else end


def sums_states(
    sums: Mapping[Source, Sums], around: Surroundings, asked: Asked, history_days: int = HISTORY_DAYS
) -> Iterator[SourceState]:
    """Judge every sender of monthly sums; one that sends of several resources, and of none any more, is one source."""
    by_probe: defaultdict[str | None, list[Sums]] = defaultdict(list)
    for one in sums.values():
        by_probe[one.source.probe].append(one)
    begun = min((min(one.core_seconds) for one in sums.values()), default=date.max)
    for some in by_probe.values():
        told = [_find(one, around, asked, history_days, len(some)) for one in some]
        enabled = [each for each in told if not around.disabled(each.sums.source.resource, asked.day)]
        whole = _find(together([each.sums for each in enabled]), around, asked, history_days, len(enabled)) if len(enabled) > 1 else None  # fmt: skip
        if whole is not None and whole.is_overdue:
            names = tuple(sorted(each.sums.source.resource or "" for each in enabled))
            yield replace(_silent(whole, around, asked), resource=None, resources=names)
            told = [each for each in told if each not in enabled]
        last = max(one.last_month for one in some)
        for each in told:
            state = _judged(each, around, asked, _successor(each.sums, sums.values(), begun))
            goes_on = last > each.sums.last_month
            of_probe = ("its probe goes on elsewhere",) if goes_on and state.state is State.SILENT else ()
            yield replace(state, probe_goes_on=goes_on, why=(*state.why, *of_probe))


def _find(
    sums: Sums, around: Surroundings, asked: Asked, history_days: int, resources_of_probe: int
) -> _Found:
    rhythm = learn_months(sums.first_came)
    away = around.away(sums.source.resource, sums.source.probe) if sums.source.resource else frozenset()
    missing = rhythm.missing(asked.until, asked.day, away) if rhythm else ()
    days = sums.days
    daily = learn(days, (), history_days)
    if daily is not None and (daily.gaps < LEAST_GAPS or (days[-1] - days[0]).days > OFTEN_DAYS * len(days)):
        daily = None
    partly = (
        (sums.last_month,)
        if daily is not None and daily.is_overdue(asked.day) and days[-1] < months_later(sums.last_month, 1)
        else ()
    )
    word = around.pulse(sums.source, resources_of_probe)
    return _Found(sums, rhythm, daily, missing, partly, word, away)


def together(sums: Iterable[Sums]) -> Sums:
    """One sender's sums of all resources, or those of all senders, as one."""
    some = list(sums)
    seconds: defaultdict[date, int] = defaultdict(int)
    came: defaultdict[date, set[date]] = defaultdict(set)
    for one in some:
        for month, amount in one.core_seconds.items():
            seconds[month] += amount
            came[month] |= set(one.came.get(month, ()))
    return Sums(
        Source(some[0].source.probe, None, REPORTED), None, dict(sorted(seconds.items())),
        {month: tuple(sorted(days)) for month, days in sorted(came.items()) if days},
    )  # fmt: skip


def _judged(found: _Found, around: Surroundings, asked: Asked, successor: Sums | None) -> SourceState:
    """One sender of one resource. What was announced comes first, then the probe's words, then the rhythm."""
    said, resource = _said(found, around, asked), found.sums.source.resource
    disabled = around.disabled(resource, asked.day)
    if disabled:
        since = midnight(disabled.since) if disabled.since else None
        return replace(said, state=State.DISABLED, since=since, why=tuple(filter(None, (disabled.reason,))))
    downtime = around.downtime(resource, found.sums.source.probe)
    if downtime and found.is_overdue:
        until = f"until {downtime.until:%-d %b %Y %H:%M} UTC" if downtime.until else "no end was announced"
        why = tuple(filter(None, (downtime.reason, until)))
        return replace(said, state=State.DOWNTIME, since=downtime.begin, why=why)
    pulse = found.word[1] if found.word else None
    if pulse is not None and pulse.is_beating and pulse.late_since is not None:
        waiting = pulse.backlog.sentence if pulse.backlog else "its backlog grows"
        return replace(said, state=State.LATE, since=pulse.late_since, why=(waiting,))
    if found.is_overdue and successor is not None:
        begun = min(successor.core_seconds)
        why = (f"{successor.source.probe or 'a source that names no probe'} reports in its place since {begun:%b %Y}",)  # fmt: skip
        return replace(said, state=State.DISABLED, since=midnight(begun), why=why)
    if found.is_overdue:
        return _silent(found, around, asked)
    if found.is_unheard and pulse is not None:
        return replace(said, state=State.SILENT, since=pulse.last_at, why=tuple(of_word(found.word)))
    return said


def _silent(found: _Found, around: Surroundings, asked: Asked) -> SourceState:
    said, why = _said(found, around, asked), []
    if found.partly and found.daily:
        gap = found.daily.usual_gap_days
        usual = "every day" if gap == 0 else f"after at most {gap} {'day' if gap == 1 else 'days'} without"
        why.append(
            f"its sums of {_named(found.partly)} end on {_day(found.last_day)}; usually they are renewed {usual}"
        )
    if found.missing and found.rhythm:
        why.append(f"no sums of {_named(found.missing)}")
        delay = found.rhythm.delay_days
        due = f"they were due by {_day(found.rhythm.due(found.missing[0]))}"
        usual = "" if delay is None else f", usually they come {_after(delay)}"
        why.append(f"{due}{usual}")
    if found.sums.days:
        why.append(f"the last ones came on {_day(found.sums.days[-1])}")
    since = midnight(found.last_day) if found.partly else midnight(found.last_day + _DAY)
    return replace(
        said, state=State.SILENT, since=since, why=(*why, *of_word(found.word)),
        missing_months=(*found.partly, *found.missing), missing=_missing(found, asked),
    )  # fmt: skip


def _said(found: _Found, around: Surroundings, asked: Asked) -> SourceState:
    """All that is said of a sender whatever its state; it is taken to report until something speaks against it."""
    source = found.sums.source
    site = around.site(source.resource) or found.sums.site
    word, pulse = found.word or (None, None)
    reference = _reference(found)
    return SourceState(
        source.probe, source.resource, source.level, site, State.REPORTING,
        last_day=found.last_day,
        last_contact_at=pulse.last_at if pulse else None,
        version=word.version if word else None,
        backlog=pulse.backlog if pulse else UNTOLD,
        problem=word.problem if word else None,
        silent_days=max(0, (asked.day - found.last_day).days - 1),
        core_hours_a_month=sum(reference) / len(reference) / SECONDS_PER_HOUR if reference else None,
        usual_delay_days=found.rhythm.delay_days if found.rhythm else None,
        heard=word is not None,
        ask=around.ask(source.resource, site),
    )  # fmt: skip


def _successor(gone: Sums, everybody: Iterable[Sums], begun: date) -> Sums | None:
    """Another sender of the same resource that began when this one ended. begun: the first month of all."""
    near = months_known(
        months_later(gone.last_month, -TAKEN_OVER_MONTHS),
        months_later(gone.last_month, 1 + TAKEN_OVER_MONTHS),
    )
    for one in everybody:
        first = min(one.core_seconds)
        same = one.source.resource == gone.source.resource is not None and one is not gone
        if same and begun < first and first in near and one.last_month > gone.last_month:
            return one
    return None


def _whole_months(found: _Found) -> list[int]:
    """Core seconds of its months up to the last whole one; 0 of those between that have none."""
    seconds, last = found.sums.core_seconds, found.sums.last_month
    if found.last_day < months_later(last, 1) - _DAY:
        last = months_later(last, -1)
    return [seconds.get(month, 0) for month in months_known(min(seconds), last)]


def _reference(found: _Found) -> list[int]:
    """The months that hours are learnt from; none where they are too few."""
    months = _whole_months(found)
    return months[-RECENT_MONTHS:] if len(months) >= LEAST_REFERENCE_MONTHS else []


def _missing(found: _Found, asked: Asked) -> Missing | None:
    """Estimate what the missing months that are over hold; of one that ended early, what it has already is taken off.

    The months may be off all in the same direction, so their errors are added up as they are.
    """
    reference = _reference(found)
    over = [month for month in (*found.partly, *found.missing) if months_later(month, 1) <= asked.until]
    if not reference or not over:
        return None
    mean = sum(reference) / len(reference)
    expected = sum(max(0.0, mean - found.sums.core_seconds.get(month, 0)) for month in over)
    days = sum((months_later(month, 1) - month).days for month in over)
    off = _error(_whole_months(found)) * len(over)
    return replace(missing_about(expected, off, days, from_payloads=False), from_months=True)


def _error(months: list[int]) -> float:
    """By how much a month is off from what those before it let expect: the root of the mean square.

    Where too few are known for that, the deviation of the months, widened for what their mean does not know.
    """
    off = []
    for place in range(LEAST_REFERENCE_MONTHS, len(months)):
        before = months[max(0, place - RECENT_MONTHS) : place]
        off.append(months[place] - sum(before) / len(before))
    if len(off) >= LEAST_REFERENCE_MONTHS:
        return math.sqrt(sum(value * value for value in off) / len(off))
    mean = sum(months) / len(months)
    spread = sum((value - mean) ** 2 for value in months) / (len(months) - 1)
    return math.sqrt(spread * (1 + 1 / len(months)))


def _named(months: Collection[date]) -> str:
    """`Dec 2016, Jan 2017`."""
    return listed([f"{month:%b %Y}" for month in months])


def _after(days: int) -> str:
    if days == 0:
        return "as soon as the month is over"
    return f"{days} {'day' if days == 1 else 'days'} after the month's end"


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"
