"""Says what a record's words mean: its resource, site, VO, experiment, project, grid and level. It never guesses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import translate
from typing import TYPE_CHECKING

from gridkeeper.federation.spells import Spells, by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gridkeeper.federation.model import Experiment, Registry, Resource, Rule, Site
    from gridkeeper.federation.spells import Found

# The columns of a usage record that decide; in this order they make the key that a record is mapped by.
WORDS = (
    "resource", "site_reported", "grid_reported", "resource_type", "host_description", "vo_reported", "fqan", "account", "queue",
    "unix_group", "accounting_group", "token_issuer", "token_subject", "project_reported", "probe",
)  # fmt: skip

# Those of them that decide in every federation; the others where a rule or a resource names them.
DECIDING = frozenset({
    "resource", "site_reported", "grid_reported", "resource_type", "host_description", "vo_reported", "fqan", "project_reported",
})  # fmt: skip

_NOT_A_NAME = frozenset({"", "unknown", "undefined", "none", "null", "n/a"})
_TRANSFERS = frozenset({"storage", "transfer"})


@dataclass(frozen=True)
class Meaning:
    """What a record's words mean; None where nothing says.

    level:      batch, payload, transfer or other: what the record is, whatever counts at its resource.
    grid:       Local where the record or a rule says so; None where nothing says.
    in_grid:    whether a report of the federation's grid counts it; at a resource that the registry does not
                know, nothing is left out.
    registered: whether the registry knows the resource.
    """

    resource: str | None
    site: str | None
    facility: str | None
    vo: str | None
    experiment: str | None
    project: str | None
    grid: str | None
    in_grid: bool
    registered: bool
    level: str


@dataclass(frozen=True)
class Match:
    """Which resource words name, and why.

    place:    where they say that it ran; None where they say nothing.
    resource: the registered resource that it is, as it was on the day; None where there is none.
    by, word: the word that decided (resource, probe, host_description), and what it says; None where none did.
    site:     the site that the place names, where it names no resource.
    first, until: the days [first, until) on which these words have this match; from date.min, and until date.max, always.
    """

    place: str | None
    resource: Resource | None
    by: str | None
    word: str | None
    site: Site | None = None
    first: date = date.min
    until: date = date.max

    @property
    def name(self) -> str | None:
        """The resource's name in the books: as registered, else as the words say."""
        return self.resource.name if self.resource else self.place


class Mapper:
    """Maps records by the home's registry; one answer per distinct combination of words, on each day.

    changes: the days from which on some words may mean something else, earliest first; none in most federations.
    """

    def __init__(self, registry: Registry) -> None:
        self._spells = Spells(registry)
        self._vos: dict[str, tuple[str, str | None]] = {}
        self._fqans: list[tuple[str, tuple[str, str | None]]] = []
        for vo in registry.vos:
            self._register(vo, vo.name, None)
        self._fqans.sort(key=lambda entry: -len(entry[0]))
        self._rules = [(_conditions(rule), rule) for rule in registry.mapping]
        self._grid = registry.federation.grid
        self.changes = self._spells.changes

    def _register(self, group: Experiment, vo: str, experiment: str | None) -> None:
        for name in (group.name, *group.aliases):
            self._vos.setdefault(name.lower(), (vo, experiment))
        if group.fqan:
            self._fqans.append((group.fqan.rstrip("/").lower(), (vo, experiment)))
        for part in group.experiments:
            self._register(part, vo, part.name)

    @property
    def words_of_rules(self) -> frozenset[str]:
        """The words that the registry's rules and resources look at."""
        named = {name for _, rule in self._rules for name in rule.when.model_fields_set}
        return frozenset(named | ({"probe"} if self._spells.probes or self._spells.hosts else set()))

    def meaning(self, words: dict[str, str | None], day: date | None = None) -> Meaning:
        """Say what these words (by the names of WORDS, None or "" where a record says nothing) mean on a day; None: today."""
        level = _level(words.get("resource_type"))
        match = self.match(words, day)
        place, known, resource = match.place, match.resource, match.name
        rule = self._rule(words | {"resource": resource})
        vo, experiment = self._vo(words, rule)
        grid = _name(words.get("grid_reported"))
        if grid is None and rule is not None:
            grid = rule.grid or (self._grid if rule.vo else None)
        return Meaning(
            resource=resource,
            site=(known.site or known.name)
            if known
            else match.site.name
            if match.site
            else place
            if level == "payload"
            else words.get("site_reported") or place,
            facility=known.facility if known else match.site.facility if match.site else None,
            vo=vo,
            experiment=experiment,
            project=_name(words.get("project_reported")) or (rule.project if rule else None),
            grid=grid,
            in_grid=known is None or (grid is not None and grid.lower() == self._grid.lower()),
            registered=known is not None,
            level=level,
        )

    def match(self, words: dict[str, str | None], day: date | None = None) -> Match:
        """Say which resource these words name on a day (None: today), and by which of them.

        What names none that is registered is never guessed.
        """
        level = _level(words.get("resource_type"))
        place = self._place(words, level)
        by = "host_description" if level == "payload" and _name(words.get("host_description")) else "resource"
        asked: list[Found[Resource] | Found[Site]] = []
        if place:
            named = self._spells.names.on(place.lower(), day)
            asked.append(named)
            if named.thing is not None:
                return _lasting(asked, Match(place, named.thing, by, place))
        probe = (words.get("probe") or "").lower()
        named = self._spells.probes.on(probe, day)
        asked.append(named)
        if named.thing is None and level != "payload" and ":" in probe:
            named = self._spells.hosts.on(probe.rpartition(":")[2], day)
            asked.append(named)
        if named.thing is not None:
            return _lasting(asked, Match(place, named.thing, "probe", probe))
        if place and level == "payload":
            site = self._spells.sites.on(place.lower(), day)
            asked.append(site)
            if site.thing is not None:
                return _lasting(asked, Match(place, None, by, place, site.thing))
        return _lasting(asked, Match(place, None, None, None))

    def _place(self, words: dict[str, str | None], level: str) -> str | None:
        """Where it ran: a payload where its pilot ran, all else on the machine that reports it."""
        described = _name(words.get("host_description"))
        if level == "payload" and described:
            return described
        return words.get("resource") or words.get("site_reported") or None

    def _vo(self, words: dict[str, str | None], rule: Rule | None) -> tuple[str | None, str | None]:
        """The VO and the experiment behind it: by the FQAN, the VO's name, else the mapping."""
        reported = _name(words.get("vo_reported"))
        fqan = (
            words.get("fqan") or (reported if reported and reported.startswith("/") else None) or ""
        ).lower()
        for prefix, found in self._fqans:
            if fqan == prefix or fqan.startswith(prefix + "/"):
                return found
        if reported:
            name = reported.strip("/").split("/", 1)[0] if reported.startswith("/") else reported
            return self._vos.get(name.lower(), (name.lower(), None))
        if rule and rule.vo:
            return self._vos.get(rule.vo.lower(), (rule.vo.lower(), None))
        return None, None

    def _rule(self, words: dict[str, str | None]) -> Rule | None:
        return next((rule for fits, rule in self._rules if fits(words)), None)


def _lasting(asked: Sequence[Found[Resource] | Found[Site]], match: Match) -> Match:
    """A match with its days: those on which all that was asked has the same answer."""
    first, until = max(one.first for one in asked), min(one.until for one in asked)
    return match if (first, until) == (date.min, date.max) else replace(match, first=first, until=until)


def _conditions(rule: Rule) -> Callable[[dict[str, str | None]], bool]:
    """Make the test of a rule: every condition fits; a pattern of an FQAN fits what lies below it, too."""
    tests: list[tuple[str, re.Pattern[str]]] = []
    for name in rule.when.model_fields_set:
        pattern = getattr(rule.when, name)
        if pattern is not None:
            patterns = (pattern, pattern.rstrip("/") + "/*") if name == "fqan" else (pattern,)
            tests.append((name, re.compile("|".join(translate(one) for one in patterns), re.IGNORECASE)))

    def fits(words: dict[str, str | None]) -> bool:
        return all(pattern.match(words.get(name) or "") for name, pattern in tests)

    return fits


def _level(resource_type: str | None) -> str:
    kind = (resource_type or "batch").lower()
    if kind in ("batch", "payload"):
        return kind
    return "transfer" if kind in _TRANSFERS else "batch" if kind in ("onevm", "awsvm") else "other"


def _name(text: str | None) -> str | None:
    return None if text is None or text.lower() in _NOT_A_NAME else text


def count_levels(registry: Registry) -> dict[str, list[tuple[date, str]]]:
    """The count level of each registered resource, by every name it had, from which day on, earliest first.

    `batch` where it says none.
    """
    return by_name(
        registry,
        lambda one: [(entry.since, entry.level) for entry in one.count_level] or [(date.min, "batch")],
    )
