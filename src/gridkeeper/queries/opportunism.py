"""Opportunistic and off-site use: by who owns the resource, by a list of VOs, and by a VO's home sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.federation.spells import owners_by_name
from gridkeeper.queries.ledger import Sums, added, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.federation.model import Experiment, Registry
    from gridkeeper.queries.ledger import Entry


@dataclass(frozen=True)
class Part:
    """A part of a whole, and its share in jobs and in hours; None where the whole is nothing."""

    part: Sums
    whole: Sums

    def share(self, measure: str) -> float | None:
        """The part's share of `jobs`, `wall_seconds` or `core_seconds`."""
        whole: int = getattr(self.whole, measure)
        return getattr(self.part, measure) / whole if whole else None


@dataclass(frozen=True)
class Opportunistic:
    """Opportunistic use of one VO, or of all.

    by_owner:      on resources that name owners, none of which is the VO.
    owner_unknown: on resources of which the registry names no owner; neither owned nor opportunistic.
    by_list:       by VOs of the list `opportunistic`, wherever; None where the registry has no such list.
    """

    by_owner: Part
    owner_unknown: Part
    by_list: Part | None


class Ownership:
    """Who owns what, by the registry, with names compared whatever their case."""

    def __init__(self, registry: Registry) -> None:
        self._names = {
            name.lower(): vo.name.lower() for vo in registry.vos for name in (vo.name, *vo.aliases)
        }
        self._owners = {
            name: [
                (since, frozenset(self._vo(owner) for owner, percent in owners.items() if percent > 0))
                for since, owners in entries
            ]
            for name, entries in owners_by_name(registry).items()
        }
        self._list = frozenset(self._vo(name) for name in registry.opportunistic)

    def _vo(self, name: str) -> str:
        return self._names.get(name.lower(), name.lower())

    def is_opportunistic(self, entry: Entry) -> bool | None:
        """Whether a VO ran where others own and it does not; None where no owner is known, or no VO."""
        entries = self._owners.get(entry.resource or "", ())
        owners = next(
            (who for since, who in reversed(entries) if entry.day is None or since <= entry.day), None
        )
        return None if not owners or entry.vo is None else self._vo(entry.vo) not in owners

    @property
    def has_list(self) -> bool:
        """Whether the registry names opportunistic VOs."""
        return bool(self._list)

    def is_listed(self, vo: str | None) -> bool:
        """Whether the VO is on the list `opportunistic`."""
        return vo is not None and self._vo(vo) in self._list


def opportunistic(ownership: Ownership, entries: Iterable[Entry]) -> Opportunistic:
    """Divide usage by ownership and by the list."""
    entries = list(entries)
    whole = total(entries)
    by_owner = added(entries, ownership.is_opportunistic)
    listed = added(entries, lambda entry: ownership.is_listed(entry.vo))
    return Opportunistic(
        Part(by_owner.get(True, Sums()), whole),
        Part(by_owner.get(None, Sums()), whole),
        Part(listed.get(True, Sums()), whole) if ownership.has_list else None,
    )


@dataclass(frozen=True)
class OffSite:
    """Use away from home: the part, and on how many sites. home_sites: where home is."""

    home_sites: tuple[str, ...]
    part: Part
    sites: int


def off_site(home_sites: tuple[str, ...], entries: Iterable[Entry]) -> OffSite | None:
    """What ran at none of the home sites; None where the registry names none. What has no site is in neither part nor whole."""
    if not home_sites:
        return None
    entries = [entry for entry in entries if entry.site is not None]
    homes = {name.lower() for name in home_sites}
    away = [entry for entry in entries if (entry.site or "").lower() not in homes]
    return OffSite(home_sites, Part(total(away), total(entries)), sites_of(away))


def sites_of(entries: Iterable[Entry]) -> int:
    """On how many sites something ran."""
    return len({entry.site for entry in entries if entry.site is not None})


def homes_of(registry: Registry) -> dict[tuple[str, str | None], tuple[str, ...]]:
    """The home sites of each VO and experiment: its own, else those of the group that it belongs to."""
    found: dict[tuple[str, str | None], tuple[str, ...]] = {}

    def walk(vo: str, group: Experiment, name: str | None, inherited: tuple[str, ...]) -> None:
        found[vo, name] = homes = group.home_sites or inherited
        for part in group.experiments:
            walk(vo, part, part.name, homes)

    for vo in registry.vos:
        walk(vo.name, vo, None, ())
    return found
