"""What speaks for and against each source: its rhythm, its probe's words, and whatever goes on beside it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from gridkeeper.monitoring import falls
from gridkeeper.monitoring.history import Source, Track
from gridkeeper.monitoring.missing import (
    go_on,
    mean_core_hours,
    missing_by_payloads,
    missing_by_weekday,
)
from gridkeeper.monitoring.rhythm import HISTORY_DAYS, days_between, learn
from gridkeeper.monitoring.surroundings import closed_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.monitoring.falls import Fall
    from gridkeeper.monitoring.heard import Heard, Pulse
    from gridkeeper.monitoring.history import History
    from gridkeeper.monitoring.missing import Missing
    from gridkeeper.monitoring.rhythm import Rhythm
    from gridkeeper.monitoring.surroundings import Surroundings

# Another probe of the same resource took over where it began so near the last day, and reports so much of it.
TAKEN_OVER_DAYS = 7
TAKEN_OVER_PART = 0.5
LEAST_MACHINE_PART = 0.1
# Levels that know of no core hours.
WITHOUT_HOURS = ("transfer", "storage")
# The kind of word that a probe says every few minutes, whether it has anything to send or not.
HEARTBEAT = "heartbeat"
_OTHER = {"batch": "payload", "payload": "batch"}
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Evidence:
    """What was found out about one source.

    closed:  the day before which its records should be here.
    overdue: whether its gap is too long for its rhythm.
    word:    what its probe said last and how it is, if that is about this source.
    ended:   when its newest record ended, where that was looked up.
    """

    track: Track
    rhythm: Rhythm | None
    closed: date
    overdue: bool
    word: tuple[Heard, Pulse] | None
    away: frozenset[date]
    ended: datetime | None

    @property
    def source(self) -> Source:
        """Which source it is about."""
        return self.track.source

    @property
    def is_beating(self) -> bool:
        """Whether its probe is known to be alive."""
        return self.word is not None and self.word[1].is_beating

    @property
    def is_working(self) -> bool:
        """Whether its probe, alive, saw jobs running when it last looked."""
        return self.is_beating and self.word is not None and bool(self.word[0].running_cores)

    @property
    def may_be_idle(self) -> bool:
        """Whether its probe, alive, may have no jobs to tell of. Space is there to be measured at any time."""
        return self.is_beating and not self.is_working and self.source.level != "storage"

    @property
    def is_unheard(self) -> bool:
        """Whether its probe's heartbeats stopped, and no record came since.

        A Gratia probe is heard only when it sends, so one that measures space once a week says nothing in between.
        """
        return (
            self.word is not None
            and (self.source.level != "storage" or self.word[0].kind == HEARTBEAT)
            and not self.word[1].is_beating
            and self.track.last_day <= self.word[1].last_at.date()
        )

    @property
    def last_at(self) -> datetime:
        """When its last record ended, or the day that it ended on began."""
        return self.ended or midnight(self.track.last_day)

    def silent_days(self, until: date) -> list[date]:
        """The days since its last one that are over, without announced downtime."""
        return days_between(self.track.last_day + _DAY, until, self.away)


@dataclass(frozen=True)
class LostMachine:
    """One of several machines behind a source that is silent. share: its part of the core hours before."""

    name: str
    last_day: date
    share: float
    missing: Missing | None
    others: tuple[str, ...]


def midnight(day: date) -> datetime:
    """The moment at which a UTC day begins."""
    return datetime.combine(day, time(), UTC)


class Gathered:
    """The evidence of all sources of a history. history_days: see rhythm.learn."""

    def __init__(self, history: History, around: Surroundings, history_days: int = HISTORY_DAYS) -> None:
        self.history, self.around, self.until = history, around, history.until
        self._history_days = history_days
        self._resources: defaultdict[tuple[str | None, str], set[str | None]] = defaultdict(set)
        self._last_of_level: dict[tuple[str | None, str], date] = {}
        self._last_of_probe: dict[str | None, date] = {}
        for source, track in history.tracks.items():
            here = source.resource, source.level
            self._resources[source.probe, source.level].add(source.resource)
            self._last_of_level[here] = max(track.last_day, self._last_of_level.get(here, date.min))
            self._last_of_probe[source.probe] = max(
                track.last_day, self._last_of_probe.get(source.probe, date.min)
            )
        self.of = {source: self._of(track) for source, track in history.tracks.items()}

    def _of(self, track: Track, resource_count: int | None = None) -> Evidence:
        source = track.source
        away = self.around.away(source.resource, source.probe) if resource_count is None else frozenset()
        came = self.history.measured if source.level == "storage" else self.history.delivered
        closed = closed_until(came.get(source.probe, ()), self.until)
        rhythm = learn(track.days, away, self._history_days)
        count = resource_count or len(self._resources[source.probe, source.level])
        return Evidence(
            track, rhythm, closed, rhythm is not None and rhythm.is_overdue(closed, away),
            self.around.pulse(source, count), away, self.history.ended.get(source),
        )  # fmt: skip

    @cached_property
    def access_points(self) -> dict[str | None, Evidence]:
        """The evidence of each probe that reports payloads, over all resources: it is one source of many."""
        tracks: defaultdict[str | None, list[Track]] = defaultdict(list)
        for source, track in self.history.tracks.items():
            if source.level == "payload":
                tracks[source.probe].append(track)
        return {probe: self._of(_together(some), len(some)) for probe, some in tracks.items()}

    def resources(self, source: Source) -> list[str | None]:
        """The resources that its probe sends for at its level."""
        return sorted(self._resources[source.probe, source.level], key=lambda name: name or "")

    def is_silent_access_point(self, probe: str | None) -> bool:
        """Whether a probe reports payloads of no resource any more. That one sees none says nothing of the probe."""
        evidence = self.access_points[probe]
        return not evidence.is_beating and (evidence.is_unheard or evidence.overdue)

    def other_level_goes_on(self, evidence: Evidence) -> bool:
        """Whether records of the other level at the same resource came after its last day."""
        here = evidence.source.resource, _OTHER.get(evidence.source.level, "")
        return self._last_of_level.get(here, date.min) > evidence.track.last_day

    def probe_goes_on(self, evidence: Evidence) -> bool:
        """Whether the same probe reported other resources after its last day."""
        probe = evidence.source.probe
        return probe is not None and self._last_of_probe[probe] > evidence.track.last_day

    def payloads_go_on(self, evidence: Evidence) -> bool:
        """Whether payloads show that a resource was at work while its batch records stopped."""
        if evidence.source.level != "batch":
            return False
        return go_on(self._payloads.get(evidence.source.resource, {}), evidence.silent_days(self.until))

    @cached_property
    def _payloads(self) -> dict[str | None, dict[date, int]]:
        found: dict[str | None, dict[date, int]] = {}
        for source, track in self.history.tracks.items():
            if source.level == "payload":
                by_day = found.setdefault(source.resource, {})
                for day, seconds in track.core_seconds.items():
                    by_day[day] = by_day.get(day, 0) + seconds
        return found

    def site_of(self, track: Track) -> str | None:
        """The site of a source, as the registry says, else as its records say."""
        return self.around.site(track.source.resource) or track.site

    @cached_property
    def _at_site(self) -> dict[str | None, list[Evidence]]:
        found: defaultdict[str | None, list[Evidence]] = defaultdict(list)
        for evidence in self.of.values():
            if evidence.source.level == "batch":
                found[self.site_of(evidence.track)].append(evidence)
        return found

    @cached_property
    def _at_place(self) -> dict[tuple[str | None, str], list[Evidence]]:
        """The sources of each resource and level."""
        found: defaultdict[tuple[str | None, str], list[Evidence]] = defaultdict(list)
        for source, evidence in self.of.items():
            found[source[1:]].append(evidence)
        return found

    def peers(self, evidence: Evidence) -> tuple[str, ...]:
        """The other resources of its site whose batch records go on after its last day."""
        site = self.site_of(evidence.track)
        names = {
            each.source.resource
            for each in self._at_site.get(site, ())
            if not each.overdue and each.track.last_day > evidence.track.last_day
        }
        return (
            tuple(sorted(name for name in names if name not in (None, evidence.source.resource)))
            if site
            else ()
        )

    def successor(self, evidence: Evidence) -> Track | None:
        """Another source of the same resource and level that began when this one ended, and reports as much."""
        ended = evidence.track.last_day
        usual = mean_core_hours(evidence.track.core_seconds) or 0.0
        books_begin = min(track.first_day for track in self.history.tracks.values())
        for each in self._at_place[evidence.source[1:]]:
            begun = each.track.first_day
            near = abs((begun - ended).days) <= TAKEN_OVER_DAYS < (begun - books_begin).days
            if each is not evidence and near and not each.overdue:
                now = mean_core_hours(each.track.core_seconds) or 0.0
                if now >= TAKEN_OVER_PART * usual:
                    return each.track
        return None

    def missing(self, evidence: Evidence) -> Missing | None:
        """What is probably missing since its last day: by the payloads where they go on, else by its weekdays."""
        seconds, level = evidence.track.core_seconds, evidence.source.level
        if level in WITHOUT_HOURS:
            return None
        payloads = self._payloads.get(evidence.source.resource, {}) if level == "batch" else {}
        found = missing_by_payloads(seconds, payloads, self.until, evidence.away)
        return found or missing_by_weekday(seconds, self.until, evidence.away)

    def fall(self, evidence: Evidence) -> Fall | None:
        """The fall of a batch source behind the payloads at its resource; of several sources, the one that lost most has it."""
        beside = self.history.beside.get(evidence.source.resource or "")
        if beside is None or evidence.source.level != "batch":
            return None
        rivals = self._at_place[evidence.source[1:]]
        if any(each.overdue for each in rivals):
            return None
        if (
            max(rivals, key=lambda each: falls.lately_lost(each.track.core_seconds, self.until))
            is not evidence
        ):
            return None
        first = evidence.closed - (falls.REFERENCE_DAYS + falls.MOST_DAYS) * _DAY
        first = max(first, min(beside.batch), min(beside.payloads))
        return falls.find_fall(beside.batch, beside.payloads, first, evidence.closed, evidence.away)

    def has_fallen(self, evidence: Evidence) -> bool:
        """Whether its core hours fell lately, for whatever reason: then its machines are worth a look."""
        return (
            evidence.source.level == "batch"
            and falls.lately_lost(evidence.track.core_seconds, evidence.closed) > 0
        )

    def lost_machine(self, evidence: Evidence) -> LostMachine | None:
        """The machine behind it that fell silent while others go on; of several, the one with most core hours."""
        machines = self.history.machines.get(evidence.source, {})
        found = []
        for name, track in machines.items():
            rhythm = learn(track.days, evidence.away, self._history_days)
            before = [_sum_until(each, track.last_day) for each in machines.values()]
            share = sum(track.core_seconds.values()) / max(1, sum(before))
            if rhythm and share >= LEAST_MACHINE_PART and rhythm.is_overdue(evidence.closed, evidence.away):
                # Machines are counted in all grids, the source in the federation's.
                first = min(each.first_day for each in machines.values())
                own = _sum_until(evidence.track, track.last_day, first)
                in_grid = min(1.0, own / max(1, sum(before)))
                seconds = {day: round(amount * in_grid) for day, amount in track.core_seconds.items()}
                missing = missing_by_weekday(seconds, self.until, evidence.away)
                others = tuple(sorted(set(machines) - {name}))
                found.append(LostMachine(name, track.last_day, share, missing, others))
        return max(found, key=lambda lost: lost.share, default=None)


def _sum_until(track: Track, last: date, first: date = date.min) -> int:
    return sum(seconds for day, seconds in track.core_seconds.items() if first <= day <= last)


def _together(tracks: Iterable[Track]) -> Track:
    """One probe's payloads at all resources, as one source."""
    tracks = list(tracks)
    summed: defaultdict[date, int] = defaultdict(int)
    for track in tracks:
        for day, seconds in track.core_seconds.items():
            summed[day] += seconds
    only = tracks[0] if len(tracks) == 1 else None
    source = only.source if only else Source(tracks[0].source.probe, None, "payload")
    by_day = {day: summed[day] for day in sorted(summed)}
    return Track(source, only.site if only else None, min(track.first_day for track in tracks), by_day)
