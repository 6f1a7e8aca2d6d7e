"""Coverage: of the sources behind a number, which reported on the days on which their rhythm let records be expected.

A source-day is one source on one day. Expected are the days with records, and of each gap that is too long for a source's rhythm as
many days as it usually has records in such a time. A gap of its usual length is its rhythm, and an announced downtime is no gap.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gridkeeper.monitoring.history import Source, Track, read_tracks
from gridkeeper.monitoring.rhythm import HISTORY_DAYS, Rhythm, days_between, learn
from gridkeeper.monitoring.states import SourceState, State
from gridkeeper.monitoring.surroundings import Surroundings
from gridkeeper.queries.answering import rows_of
from gridkeeper.queries.periods import Period
from gridkeeper.queries.usage import Scope, conditions_of, levels_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from gridkeeper.federation.model import Downtime
    from gridkeeper.monitoring.states import Silence
    from gridkeeper.queries.usage import CountLevel
    from gridkeeper.summaries.books import Books

FLOOR = 0.95
_TABLE = "usage_daily_end"
_LEVELS = ("batch", "payload")
_LOST = (State.SILENT, State.LATE)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class SourceDays:
    """One source in a period, in days.

    present:   with records. missing: expected, and without.
    announced: without records, in announced downtime: not expected.
    rhythm_is_known: whether enough is known of it to expect anything; else only its days with records are told.
    core_hours: what is probably missing in the period, an estimate; None where it cannot be told, or nothing is.
    """

    source: Source
    site: str | None
    present: int
    missing: int
    announced: int = 0
    rhythm_is_known: bool = True
    core_hours: float | None = None


@dataclass(frozen=True)
class Covered:
    """The sources behind one number. announced, unknown: days in announced downtime; sources whose rhythm is not known yet."""

    expected: int = 0
    reported: int = 0
    expected_days: int = 0
    present_days: int = 0
    announced_days: int = 0
    unknown: int = 0

    @property
    def share(self) -> float | None:
        """The part of the expected source-days that have records; None where nothing was expected: that is not known to be all."""
        return self.present_days / self.expected_days if self.expected_days else None


@dataclass(frozen=True)
class Coverage:
    """The coverage of a period's numbers.

    floor:      a number with a smaller share is marked.
    by_vo, by_site: of those with usage in the period or shortly before.
    uncovered:  the sources with days missing, most first.
    core_hours: what is probably missing in the period, an estimate that is in no figure; None where nothing can be told.
    """

    floor: float
    total: Covered
    by_vo: Mapping[str | None, Covered]
    by_site: Mapping[str | None, Covered]
    uncovered: tuple[SourceDays, ...] = ()
    core_hours: float | None = None

    def vo(self, name: str) -> Covered:
        """Of a VO, or of all together where it has no name."""
        return self.by_vo.get(name, Covered()) if name else self.total

    def is_low(self, covered: Covered) -> bool:
        """Whether a number is to be marked."""
        return covered.share is not None and covered.share < self.floor


@dataclass
class _Adding:
    """Adds sources up."""

    found: list[SourceDays] = field(default_factory=list)

    def covered(self) -> Covered:
        expected = [one for one in self.found if one.present or one.missing]
        return Covered(
            len(expected), sum(1 for one in expected if one.present), sum(one.present + one.missing for one in expected),
            sum(one.present for one in expected), sum(one.announced for one in self.found),
            sum(1 for one in self.found if not one.rhythm_is_known),
        )  # fmt: skip


def coverage(
    books: Books, period: Period, silence: Silence, *,
    announced: Sequence[Downtime] = (), history_days: int = HISTORY_DAYS, floor: float = FLOOR,
) -> Coverage:  # fmt: skip
    """Say how well the numbers of a period are covered by the sources behind them; as `coverages`."""
    found = coverages(books, (period,), silence, announced=announced, history_days=history_days, floor=floor)
    return found[0]


def coverages(
    books: Books, periods: Sequence[Period], silence: Silence, *,
    announced: Sequence[Downtime] = (), history_days: int = HISTORY_DAYS, floor: float = FLOOR, count_level: CountLevel | None = None,
    tracks: Mapping[Source, Track] | None = None,
) -> tuple[Coverage, ...]:  # fmt: skip
    """Say how well the numbers of some periods are covered by the sources behind them.

    silence: the states of the sources at the end of the last period, or at the moment of asking; days that it does not judge are not expected.
    count_level: that of the numbers; None: each resource's own.
    tracks:  what `read_far_tracks` reads, where it is at hand; else it is read.
    Reads:   `usage_daily_end`: the days of sources, once for all periods, and which of them tell of which VO, at the level that counts.
    Units:   source-days; core hours where a name says so.
    Raises:  LakeUnavailable (retryable).
    """
    registry = books.registry
    if announced:
        registry = registry.model_copy(update={"downtimes": (*registry.downtimes, *announced)})
    if tracks is None:
        tracks = read_far_tracks(books, periods, silence.moment, history_days)
    around = Surroundings(registry, (), silence.moment)
    known = _Known(around, tracks, silence, _states(silence), history_days)
    return tuple(
        _coverage(known, period, _carriers(books, period, history_days, count_level), floor)
        for period in periods
    )


def read_far_tracks(
    books: Books, periods: Sequence[Period], moment: datetime, history_days: int = HISTORY_DAYS
) -> dict[Source, Track]:
    """Read the days of every source before `moment`, of all periods and of what a rhythm is learnt from before each; see history.read_tracks."""
    last = max(moment.date(), *(period.until for period in periods))
    first = min(period.first for period in periods)
    return read_tracks(books, moment, history_days + (last - first).days)


def nothing_expected(
    books: Books, tracks: Mapping[Source, Track], count_level: CountLevel | None, floor: float = FLOOR
) -> Coverage | None:
    """The coverage where no source of these levels is known and none should report, whatever the states are; else None."""
    levels = _LEVELS if count_level is None else (count_level,)
    if books.registry.expected or any(source.level in levels for source in tracks):
        return None
    return Coverage(floor, Covered(), {}, {})


@dataclass(frozen=True)
class _Known:
    """What is known of all sources, whatever the period."""

    around: Surroundings
    tracks: Mapping[Source, Track]
    silence: Silence
    states: Mapping[Source, SourceState]
    history_days: int

    def days_of(self, source: Source, track: Track, period: Period) -> SourceDays:
        away = self.around.away(source.resource, source.probe)
        return days_of(track, self.state(source), period, self.silence.until, away, self.history_days)

    def placed(self, one: SourceDays) -> SourceDays:
        """With the site that its resource is at by the registry."""
        return replace(one, site=self.around.site(one.source.resource) or one.site)

    def state(self, source: Source) -> SourceState | None:
        return self.states.get(source) or self.states.get(Source(source.probe, None, source.level))


def _coverage(
    known: _Known, period: Period, carriers: Mapping[str | None, set[Source]], floor: float
) -> Coverage:
    of_source: dict[Source, SourceDays] = {}
    behind = {source for sources in carriers.values() for source in sources}
    for source, track in known.tracks.items():
        state = known.state(source)
        long_silent = source.level == "batch" and state is not None and state.state in _LOST
        if source.level in _LEVELS and (source in behind or long_silent):
            of_source[source] = known.days_of(source, track, period)
    adding = _Adding(
        [known.placed(one) for one in (*of_source.values(), *_never_seen(known.silence, period))]
    )
    by_site: defaultdict[str | None, _Adding] = defaultdict(_Adding)
    for one in adding.found:
        by_site[one.site].found.append(one)
    by_vo = {
        vo: _Adding([of_source[source] for source in sources if source in of_source]).covered()
        for vo, sources in carriers.items()
    }
    uncovered = sorted(
        (one for one in adding.found if one.missing),
        key=lambda one: (-one.missing, one.source.resource or "", one.source.probe or "", one.source.level),
    )
    hours = [one.core_hours for one in uncovered if one.core_hours is not None]
    return Coverage(
        floor, adding.covered(), by_vo, {site: some.covered() for site, some in by_site.items()}, tuple(uncovered),
        sum(hours) if hours else None,
    )  # fmt: skip


def days_of(
    track: Track, state: SourceState | None, period: Period, until: date, away: Collection[date] = (), history_days: int = HISTORY_DAYS
) -> SourceDays:  # fmt: skip
    """Count one source's days in a period: present, missing, announced. A pure function.

    state: what it does at `until`, which says whether the days since its last one are missing.
    until: days before it are over.
    """
    first, end = max(period.first, track.first_day), min(period.until, until)
    days = track.days
    present = sum(1 for day in days if period.first <= day < end)
    without = [day for day in days_between(first, end) if day not in track.core_seconds]
    announced = sum(1 for day in without if day in away)
    missing = 0
    for before, after in pairwise(days):
        if after - before > _DAY and after > first and before < end:
            missing += _missing_in(days, before, after, (first, end), away, history_days)
    rhythm = learn(days, away, history_days)
    lost = state is not None and state.state in _LOST and not state.is_partial
    tail = days_between(max(first, track.last_day + _DAY), end, away)
    hours = None
    if lost and tail:
        missing += _usually(rhythm, tail)
        if state is not None and state.missing is not None and state.missing.days:
            hours = state.missing.core_hours * min(1.0, len(tail) / state.missing.days)
    return SourceDays(track.source, track.site, present, missing, announced, rhythm is not None, hours)


def _missing_in(
    days: Sequence[date], before: date, after: date, within: tuple[date, date], away: Collection[date], history_days: int
) -> int:  # fmt: skip
    """Of a gap that ended, the expected days within bounds; none where the gap was not too long for the rhythm until then."""
    rhythm = learn([day for day in days if day <= before], away, history_days)
    if rhythm is None or not rhythm.is_overdue(after, away):
        return 0
    silent = days_between(max(before + _DAY, within[0]), min(after, within[1]), away)
    return _usually(rhythm, silent) if silent else 0


def _usually(rhythm: Rhythm | None, silent: Sequence[date]) -> int:
    """On how many of some days there usually are records: at least on one, and on each where no rhythm is known."""
    if rhythm is None:
        return len(silent)
    expected = sum(rhythm.weights[day.weekday()] for day in silent) / rhythm.mean
    return min(len(silent), max(1, round(expected)))


def _carriers(
    books: Books, period: Period, history_days: int, count_level: CountLevel | None
) -> dict[str | None, set[Source]]:
    """The sources of the federation's usage by VO, at the level that counts, in the period and shortly before."""
    scope = Scope(Period(period.first - history_days * _DAY, period.until), count_level)
    parameters: dict[str, Any] = {}
    where = " AND ".join(conditions_of(books, scope, _TABLE, parameters))
    by = ("vo", "probe", "resource", "level")
    rows, months = rows_of(_TABLE, by, scope, f"{' '.join(by)} records {where}")
    found = books.select(
        f"SELECT DISTINCT {', '.join(by)} FROM {rows} WHERE {where} AND records > 0",
        days=(parameters["first"], parameters["until"]), tables=levels_for(books, scope, _TABLE), **parameters, **months,
    )  # fmt: skip
    carriers: defaultdict[str | None, set[Source]] = defaultdict(set)
    for row in found.to_pylist():
        carriers[row["vo"]].add(Source(row["probe"], row["resource"], row["level"]))
    return dict(carriers)


def _states(silence: Silence) -> dict[Source, SourceState]:
    """The states by source; of a silent access point one for all of its resources, under none."""
    return {
        Source(state.probe, state.resource, state.level): state
        for state in silence.sources
        if state.level is not None
    }


def _never_seen(silence: Silence, period: Period) -> Iterable[SourceDays]:
    """Sources that should report, and of which no record ever came: each day since is missing."""
    end = min(period.until, silence.until)
    for state in silence.of(State.NEVER_SEEN):
        since = state.since.date() if state.since else period.first
        days = (end - max(since, period.first)).days
        if days > 0:
            yield SourceDays(Source(state.probe, state.resource, "batch"), state.site, 0, days)
