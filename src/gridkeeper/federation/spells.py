"""Which resource, or site, a word names on a day: names, hosts and places have their times."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from gridkeeper.federation.model import Registry, Resource, Site

Thing = TypeVar("Thing")
_OWN, _OTHER, _FORMER = range(3)


@dataclass(frozen=True)
class Spell:
    """What a resource was on [first, until): `resource` as it was then."""

    first: date
    until: date
    resource: Resource


def spells_of(resource: Resource) -> tuple[Spell, ...]:
    """All that a resource was, and is, earliest first. On days in none of them it was not there."""
    if not resource.is_dated:
        return (Spell(date.min, date.max, resource),)
    found = []
    for one in resource.former:
        said = {key: getattr(one, key) for key in ("name", "site", "facility", "hosts", "owners")}
        told = {key: value for key, value in said.items() if value is not None}
        was = resource.model_copy(update={**told, "shared_hosts": ()})
        found.append(Spell(one.since, one.until, was))
    now = resource.valid_from or (found[-1].until if found else date.min)
    return (*found, Spell(now, resource.valid_until or date.max, resource))


@dataclass(frozen=True)
class Claim(Generic[Thing]):
    """That a word names a thing on [first, until).

    rank: a lower one counts more. whose: the same for what is one thing. said: the same where it means the same in the books.
    """

    first: date
    until: date
    rank: int
    whose: Hashable
    said: Hashable
    thing: Thing


@dataclass(frozen=True)
class Found(Generic[Thing]):
    """What a word names on a day, and for how long it does: [first, until). thing: None where it names nothing, or several."""

    thing: Thing | None
    first: date
    until: date


class Words(Generic[Thing]):
    """What words name by date. Where several things claim a word with equal right on a day, it names none of them."""

    def __init__(self, claims: dict[str, list[Claim[Thing]]]) -> None:
        self._of = {word: _pieces(of_word) for word, of_word in claims.items()}

    def __bool__(self) -> bool:
        return bool(self._of)

    def on(self, word: str, day: date | None) -> Found[Thing]:
        """What a word (in small letters) names on a day; None: as of now."""
        starts, things = self._of.get(word, _NOTHING)
        place = len(starts) - 1 if day is None else bisect_right(starts, day) - 1
        until = starts[place + 1] if place + 1 < len(starts) else date.max
        return Found(things[place], starts[place], until)

    @property
    def changes(self) -> Iterator[date]:
        """The days on which some word begins to name another thing."""
        for starts, _ in self._of.values():
            yield from starts[1:]


_NOTHING: tuple[list[date], list[None]] = ([date.min], [None])


def _pieces(claims: list[Claim[Thing]]) -> tuple[list[date], list[Thing | None]]:
    """From which days on a word names what."""
    if len(claims) == 1 and (claims[0].first, claims[0].until) == (date.min, date.max):
        return [date.min], [claims[0].thing]
    starts: list[date] = []
    things: list[Thing | None] = []
    last: Hashable = None
    for day in sorted(
        {date.min} | {one.first for one in claims} | {one.until for one in claims} - {date.max}
    ):
        there = [one for one in claims if one.first <= day < one.until]
        best = [one for one in there if one.rank == min(each.rank for each in there)]
        is_one = len({one.whose for one in best}) == 1
        said = best[0].said if is_one else None
        if not things or said != last:
            starts.append(day)
            things.append(best[0].thing if is_one else None)
        last = said
    return starts, things


class Spells:
    """The names, probes and hosts of a registry's resources, and its sites, by date."""

    def __init__(self, registry: Registry) -> None:
        names: defaultdict[str, list[Claim[Resource]]] = defaultdict(list)
        probes: defaultdict[str, list[Claim[Resource]]] = defaultdict(list)
        hosts: defaultdict[str, list[Claim[Resource]]] = defaultdict(list)
        for whose, resource in enumerate((*registry.resources, *registry.former_resources)):
            earlier: set[str] = set()
            for one in spells_of(resource):
                was = one.resource

                def claim(rank: int, one: Spell = one, whose: int = whose) -> Claim[Resource]:
                    is_said = (whose, one.resource.name, one.resource.site, one.resource.facility)
                    return Claim(one.first, one.until, rank, whose, is_said, one.resource)

                own = was.name.lower()
                its_hosts = {host.lower() for host in (*was.hosts, *was.shared_hosts)}
                others = (its_hosts | {alias.lower() for alias in was.aliases}) - {own}
                names[own].append(claim(_OWN))
                for word in others:
                    names[word].append(claim(_OTHER))
                for word in earlier - others - {own}:  # some go on to say a name that is no more
                    names[word].append(claim(_FORMER))
                earlier.add(own)
                for word in its_hosts:
                    hosts[word].append(claim(_OWN))
                for word in {probe.lower() for probe in was.probes}:
                    probes[word].append(claim(_OWN))
        self.names, self.probes, self.hosts = Words(names), Words(probes), Words(hosts)
        self.sites = Words(_site_claims(registry))

    @property
    def changes(self) -> tuple[date, ...]:
        """The days on which what some word names begins to be another, earliest first."""
        found: set[date] = set()
        for words in (self.names, self.probes, self.hosts, self.sites):
            found.update(words.changes)
        return tuple(sorted(found))


def _site_claims(registry: Registry) -> dict[str, list[Claim[Site]]]:
    """Former sites and groups on their days, else those of today; of these a site's name before a group's."""
    claims: defaultdict[str, list[Claim[Site]]] = defaultdict(list)
    places = [(one.name, one.since, one.until, 0, one.place) for one in registry.former_sites]
    for site in registry.known_places:
        places.append((site.name, date.min, date.max, 1, site))
        places += [(name, date.min, date.max, 2, site) for name in site.groups]
    for name, first, until, rank, site in places:
        said = (site.name, site.facility)
        claims[name.lower()].append(Claim(first, until, rank, said, said, site))
    return claims


def bearers(registry: Registry) -> dict[str, tuple[Spell, ...]]:
    """Each name that stands in the books, with the resources that bore it, earliest first: all days are covered."""
    borne: defaultdict[str, list[Spell]] = defaultdict(list)
    for resource in (*registry.resources, *registry.former_resources):
        for one in spells_of(resource):
            borne[one.resource.name].append(one)
    return {name: tuple(_without_gaps(found)) for name, found in borne.items()}


def _without_gaps(found: Iterable[Spell]) -> Iterator[Spell]:
    """A job that ran over the day of a change stands under one name on the days around it, too."""
    ordered = sorted(found, key=lambda one: one.first)
    firsts = [date.min, *(one.first for one in ordered[1:])]
    for one, first, until in zip(ordered, firsts, [*firsts[1:], date.max], strict=True):
        if first < until:
            yield Spell(first, until, one.resource)


def by_name(
    registry: Registry, of: Callable[[Resource], Iterable[tuple[date, Thing]]]
) -> dict[str, list[tuple[date, Thing]]]:
    """What counts from which day on, earliest first, for each name that stands in the books.

    of: what resources say by date. Where several bore a name one after another, each has it for its time.
    """
    return {
        name: [
            entry
            for spell in spells
            for entry in _within(spell, sorted(of(spell.resource), key=lambda one: one[0]))
        ]
        for name, spells in bearers(registry).items()
    }


def owners_by_name(registry: Registry) -> dict[str, list[tuple[date, dict[str, float]]]]:
    """Who owned what bore a name, from which day on, earliest first: VO → percent."""
    return by_name(registry, lambda one: [(date.min, one.owners)])


def owner_changes(registry: Registry) -> tuple[date, ...]:
    """The days from which on somebody else owns something, earliest first."""
    return tuple(
        sorted(
            {
                day
                for entries in owners_by_name(registry).values()
                for (_, before), (day, after) in itertools.pairwise(entries)
                if before != after
            }
        )
    )


def _within(spell: Spell, entries: list[tuple[date, Thing]]) -> Iterator[tuple[date, Thing]]:
    ends = [*(since for since, _ in entries), date.max][1:]
    for (since, thing), until in zip(entries, ends, strict=bool(entries)):
        if max(since, spell.first) < min(until, spell.until):
            yield max(since, spell.first), thing
