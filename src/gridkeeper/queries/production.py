"""The production meeting's figures of one period: the federation, its VOs and their experiments, and what to look into."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from gridkeeper.queries.ages import Early, late_part
from gridkeeper.queries.beside import Beside, beside, ours_of
from gridkeeper.queries.changes import Change, Movers, change_of, movers
from gridkeeper.queries.ledger import NOTHING_KNOWN, Entry, Ledger, Sums, added, ledger, levels_of, total
from gridkeeper.queries.opportunism import (
    OffSite,
    Opportunistic,
    Ownership,
    Part,
    homes_of,
    off_site,
    opportunistic,
    sites_of,
)
from gridkeeper.queries.periods import Period
from gridkeeper.queries.running import Lengths, Running, job_lengths, known_from, running, running_hours
from gridkeeper.queries.unmapped import Unmapped, unmapped_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.figures import Figure
    from gridkeeper.queries.ledger import Tables
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books

TOP_SITES = 3
TOP_SITES_OF_ALL = 10


@dataclass(frozen=True)
class SiteUse:
    """What was used at one site; None where nothing says which."""

    site: str | None
    sums: Sums


@dataclass(frozen=True)
class Group:
    """An experiment of a VO (None: usage that names none). off_site: None where no home site is known."""

    name: str | None
    sums: Sums
    sites: int
    off_site: OffSite | None


@dataclass(frozen=True)
class OwnPeriod:
    """A VO's experiments in a period of the VO's own, most wall hours first, then by name.

    off_site: of the whole VO; None where no home site is known.
    """

    period: Period
    sums: Sums
    sites: int
    off_site: OffSite | None
    experiments: tuple[Group, ...]


@dataclass(frozen=True)
class VOUse:
    """One VO, or all together.

    sums, sites:      NOTHING_KNOWN and None of a period of which there are no records: unknown is not 0.
    pilots, payloads: two views of the same cores, never added; None where the source does not tell.
    running:          None where the source does not tell.
    own_period:       its experiments in a period of its own, where the registry gives it one.
    """

    name: str
    sums: Sums
    pilots: int | None
    payloads: int | None
    sites: int | None
    top_sites: tuple[SiteUse, ...]
    change: Change
    running: Running | None
    opportunistic: Opportunistic
    off_site: OffSite | None
    experiments: tuple[Group, ...]
    own_period: OwnPeriod | None = None


@dataclass(frozen=True)
class Production:
    """All figures of the report.

    early:   what of the period before came late; None where that is not known.
    by_level: the core hours of the whole by the level that they were counted at.
    """

    period: Period
    previous: Period
    as_of: datetime
    ledger: Ledger
    total: VOUse
    vos: tuple[VOUse, ...]
    lengths: Lengths | None
    early: Early | None
    movers: tuple[Movers, ...]
    unmapped: tuple[Unmapped, ...]
    figures: tuple[Beside, ...]
    by_level: dict[str, Sums]

    @property
    def unmapped_total(self) -> Sums:
        """All usage that no rule maps to a VO."""
        return sum((one.sums for one in self.unmapped), Sums())


def production(
    books: Books,
    period: Period,
    as_of: datetime,
    figures: Sequence[Figure] = (),
    source: UsageSource = "jobs",
    tables: Tables | None = None,
) -> Production:
    """Gather everything that the production meeting asks about `period`.

    as_of:   the moment of asking (UTC); open hours and equal age are counted from it.
    figures: of any period; those of exactly `period` are shown.
    tables:  what `levels_of` gave, where several questions share it.
    Reads:   summaries; of the records only a bounded sample (job lengths) and what of the period before came late.
    Units:   whole sums inside; hours where a name says so.
    Raises:  UserMistake (permanent), LakeUnavailable (retryable).
    """
    tables = levels_of(books) if tables is None else tables
    kept = ledger(books, period, source, tables)
    told = source == "jobs"
    early = late_part(books, period, as_of, kept.previous, tables) if told else None
    lengths = job_lengths(books, period, as_of, tables) if told else None
    hours = running_hours(books, period, tables) if told else None
    maker = _Maker(books.registry, kept, early, lengths, hours, _known_since(books, kept) if told else None)
    own = _own_periods(books, period, tables) if told else {}
    everything = maker.all_vos()
    # Of a period without records nothing is known of any VO either: not that it stood still.
    names = kept.vos if kept.is_known else []
    vos = tuple(replace(maker.vo(name), own_period=own.get(name)) for name in names)
    return Production(
        period, kept.previous, as_of, kept, everything, vos, lengths, early, movers(kept), unmapped_usage(books, period, source, tables),
        _beside(everything, vos, [figure for figure in figures if (figure.first, figure.until) == (period.first, period.until)]),
        added(kept.now, lambda entry: entry.level),
    )  # fmt: skip


def _known_since(books: Books, kept: Ledger) -> datetime | None:
    """The moment before which nothing is known of the period; None where there are records of the time before it."""
    if not kept.is_known:
        return datetime.combine(kept.period.until, time(), UTC)
    return None if kept.before else known_from(books)


def experiments_of_period(
    books: Books, vos: Iterable[str], period: Period, tables: Tables | None = None
) -> dict[str, OwnPeriod]:
    """The experiments of some VOs in a period of their own.

    Reads:   as `ledger` does, for all these VOs together.
    Returns: VO → its experiments; VOs whose usage names no experiment are not in it.
    Raises:  LakeUnavailable (retryable).
    """
    entries = ledger(books, period, "jobs", tables).now
    homes = homes_of(books.registry)
    found = {}
    for vo in vos:
        own = [entry for entry in entries if entry.vo == vo]
        if divided := groups(books.registry, vo, own):
            away = off_site(homes.get((vo, None), ()), own)
            found[vo] = OwnPeriod(period, total(own), sites_of(own), away, divided)
    return found


def _own_periods(books: Books, period: Period, tables: Tables) -> dict[str, OwnPeriod]:
    """Of each VO that the registry gives a period of its own, unless that is the report's; VOs with the same are asked together."""
    by_days: defaultdict[int, list[str]] = defaultdict(list)
    for vo in books.registry.vos:
        if vo.experiments_period not in (None, period.days):
            by_days[vo.experiments_period].append(vo.name)
    found: dict[str, OwnPeriod] = {}
    for days, vos in by_days.items():
        own = Period(period.until - timedelta(days=days), period.until)
        found |= experiments_of_period(books, vos, own, tables)
    return found


def groups(registry: Registry, vo: str, entries: Sequence[Entry]) -> tuple[Group, ...]:
    """Divide a VO's usage by experiment; nothing where the usage names no experiment at all."""
    homes = homes_of(registry)
    names = {entry.experiment for entry in entries}
    if names <= {None}:
        return ()
    found = []
    for name in names:
        part = [entry for entry in entries if entry.experiment == name]
        found.append(Group(name, total(part), sites_of(part), off_site(homes.get((vo, name), ()), part)))
    return tuple(sorted(found, key=lambda group: (-group.sums.wall_seconds, group.name or "")))


class _Maker:
    """Makes the section of each VO out of what was gathered once for all."""

    def __init__(
        self,
        registry: Registry,
        kept: Ledger,
        early: Early | None,
        lengths: Lengths | None,
        hours: dict[str | None, dict[datetime, int]] | None,
        since: datetime | None,
    ) -> None:
        self._registry, self._ledger, self._early, self._lengths, self._hours = (
            registry,
            kept,
            early,
            lengths,
            hours,
        )
        self._since = since
        self._ownership = Ownership(registry)
        self._homes = homes_of(registry)

    def all_vos(self) -> VOUse:
        kept = self._ledger
        summed: dict[datetime, int] = {}
        for by_hour in (self._hours or {}).values():
            for hour, seconds in by_hour.items():
                summed[hour] = summed.get(hour, 0) + seconds
        cores = (
            running(
                summed,
                kept.period,
                self._lengths.closed_until(None, all_vos=True),
                self._lengths.overall,
                self._since,
            )
            if self._lengths
            else None
        )
        change = change_of(kept, self._early, all_vos=True)
        if not kept.is_known:
            nothing = Part(NOTHING_KNOWN, NOTHING_KNOWN)
            unknown = Opportunistic(nothing, nothing, nothing if self._ownership.has_list else None)
            return VOUse("", NOTHING_KNOWN, None, None, None, (), change, cores, unknown, None, ())
        return VOUse(
            "", total(kept.now), _sum(kept.pilots), _sum(kept.payloads), sites_of(kept.now), _top_sites(kept.now, TOP_SITES_OF_ALL),
            change, cores, opportunistic(self._ownership, kept.now), None, (),
        )  # fmt: skip

    def vo(self, name: str) -> VOUse:
        kept, lengths = self._ledger, self._lengths
        entries = [entry for entry in kept.now if entry.vo == name]
        cores = (
            running(
                (self._hours or {}).get(name, {}),
                kept.period,
                lengths.closed_until(name),
                lengths.by_vo.get(name, lengths.overall),
                self._since,
            )
            if lengths
            else None
        )
        return VOUse(
            name, total(entries),
            None if kept.pilots is None else kept.pilots.get(name, 0), None if kept.payloads is None else kept.payloads.get(name, 0),
            sites_of(entries), _top_sites(entries, TOP_SITES), change_of(kept, self._early, name), cores,
            opportunistic(self._ownership, entries), off_site(self._homes.get((name, None), ()), entries),
            groups(self._registry, name, entries),
        )  # fmt: skip


def _sum(by_vo: dict[str | None, int] | None) -> int | None:
    return None if by_vo is None else sum(by_vo.values())


def _top_sites(entries: Sequence[Entry], most: int) -> tuple[SiteUse, ...]:
    by_site = added(entries, lambda entry: entry.site)
    ordered = sorted(by_site.items(), key=lambda found: (-found[1].core_seconds, found[0] or ""))
    return tuple(SiteUse(site, sums) for site, sums in ordered[:most])


def _beside(everything: VOUse, vos: Sequence[VOUse], figures: Sequence[Figure]) -> tuple[Beside, ...]:
    ours = {None: ours_of(_values(everything))} | {vo.name.lower(): ours_of(_values(vo)) for vo in vos}
    return beside(figures, ours)


def _values(vo: VOUse) -> dict[str, float | None]:
    part = vo.opportunistic.by_owner.part
    return {
        "jobs": vo.sums.jobs, "pilots": vo.pilots, "payloads": vo.payloads, "wall_hours": vo.sums.wall_hours, "core_hours": vo.sums.core_hours,
        "efficiency": vo.sums.efficiency, "efficiency_1core": vo.sums.efficiency_1core, "running_cores": vo.running.mean if vo.running else None,
        "sites": vo.sites, "opportunistic_jobs": part.jobs, "opportunistic_wall_hours": part.wall_hours, "opportunistic_core_hours": part.core_hours,
    }  # fmt: skip
