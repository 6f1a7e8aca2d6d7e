"""What changed against the period before: as known today and at equal age; and who moved most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.queries.ledger import Sums, added
from gridkeeper.units import hours

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.queries.ages import Early
    from gridkeeper.queries.ledger import Entry, Ledger

MOST_MOVERS = 5


@dataclass(frozen=True)
class Change:
    """Core hours now and before, in whole core seconds.

    now:                 None where there are no records of the period.
    before_at_equal_age: what was known of the period before when it was as old as this one is now; None where
                         that cannot be known, or nothing was.
    """

    now: int | None
    before: int
    before_at_equal_age: int | None

    @property
    def core_hours(self) -> float | None:
        """How many core hours more (or fewer) than before, as known today; None where nothing is known of now."""
        return None if self.now is None else (self.now - self.before) / 3600

    @property
    def ratio(self) -> float | None:
        """The change as a part of what was before, as known today; None where that was nothing."""
        return (self.now - self.before) / self.before if self.before and self.now is not None else None

    @property
    def ratio_at_equal_age(self) -> float | None:
        """The same at equal age; None where it is not known."""
        return (
            (self.now - self.before_at_equal_age) / self.before_at_equal_age
            if self.before_at_equal_age and self.now is not None
            else None
        )


@dataclass(frozen=True)
class Mover:
    """One VO, site or pair of both, and its core hours now and before."""

    name: tuple[str | None, ...]
    now: float
    before: float

    @property
    def difference(self) -> float:
        """Core hours now less core hours before."""
        return self.now - self.before


@dataclass(frozen=True)
class Movers:
    """The largest ups and downs by one key, largest first."""

    by: tuple[str, ...]
    ups: tuple[Mover, ...]
    downs: tuple[Mover, ...]


def change_of(ledger: Ledger, early: Early | None, vo: str | None = None, *, all_vos: bool = False) -> Change:
    """The change of one VO (None: what no rule maps), or of all VOs together."""
    now, before = (
        sum(entry.sums.core_seconds for entry in entries if all_vos or entry.vo == vo)
        for entries in (ledger.now, ledger.before)
    )
    known = now if ledger.is_known else None
    if early is None:
        return Change(known, before, None)
    late = sum(early.core_seconds.values()) if all_vos else early.core_seconds.get(vo, 0)
    return Change(known, before, before - late)


def movers(ledger: Ledger) -> tuple[Movers, ...]:
    """The largest ups and downs in core hours against the period before: by VO, by site, by site and VO.

    Returns: nobody where nothing at all is known of the period, or of the one before.
    Units:   core hours, as known today. What has no VO or no site is a group of its own (None).
    """
    keys: tuple[tuple[tuple[str, ...], Callable[[Entry], tuple[str | None, ...]]], ...] = (
        (("vo",), lambda entry: (entry.vo,)),
        (("site",), lambda entry: (entry.site,)),
        (("site", "vo"), lambda entry: (entry.site, entry.vo)),
    )
    if not ledger.before or not ledger.is_known:
        return tuple(Movers(by, (), ()) for by, _ in keys)
    return tuple(_movers(ledger, by, key) for by, key in keys)


def _movers(ledger: Ledger, by: tuple[str, ...], key: Callable[[Entry], tuple[str | None, ...]]) -> Movers:
    now, before = added(ledger.now, key), added(ledger.before, key)
    moved = [
        (now.get(name, Sums()).core_seconds - before.get(name, Sums()).core_seconds, name)
        for name in {*now, *before}
    ]
    moved.sort(key=lambda entry: (-abs(entry[0]), [part or "" for part in entry[1]]))
    made = [
        (
            difference,
            Mover(
                name,
                hours(now.get(name, Sums()).core_seconds) or 0.0,
                hours(before.get(name, Sums()).core_seconds) or 0.0,
            ),
        )
        for difference, name in moved
    ]
    ups = tuple(mover for difference, mover in made if difference > 0)[:MOST_MOVERS]
    downs = tuple(mover for difference, mover in made if difference < 0)[:MOST_MOVERS]
    return Movers(by, ups, downs)
