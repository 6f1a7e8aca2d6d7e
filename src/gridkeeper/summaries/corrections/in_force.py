"""The set of corrections in force at one moment, and what another set asks of summaries that were made with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gridkeeper.summaries.corrections.applying import of_records
from gridkeeper.summaries.corrections.rules import revision_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from gridkeeper.summaries.corrections.rules import Rule

CORRECTIONS_POSITION = (
    "corrections"  # what a summary's commit says of the set that it was made with: its revision
)


@dataclass(frozen=True)
class Corrections:
    """Rules in force, in their order.

    earlier: the sets that were in force before, by their revision, for finding what changed since a summary was made.
    """

    rules: tuple[Rule, ...] = ()
    earlier: Mapping[int, tuple[Rule, ...]] = field(default_factory=dict)

    @cached_property
    def revision(self) -> int:
        """A number that names the set (63 bits of its hash); 0 where no correction is in force."""
        return revision_of(self.rules)

    @property
    def estimates(self) -> list[Rule]:
        """Those that add usage which no record tells of."""
        return [rule for rule in self.rules if rule.add is not None]

    def of_records(self, days: Iterable[date]) -> list[Rule]:
        """Those that may change a record which runs or ends on one of these days."""
        first = min(days)
        # A job that runs on these days may end on a later one.
        return [rule for rule in of_records(self.rules) if rule.period.until > first]

    def touching(self, first: date | None, until: date | None) -> list[Rule]:
        """Those with a day in common with [first, until); None: without that bound."""
        return [rule for rule in self.rules if rule.period.meets(first, until)]

    def changed_since(self, revision: int) -> list[Rule] | None:
        """The rules by which this set and the one of `revision` differ; None where that set is not known any more.

        Where rules that stay stand in another order, they are among them: of two that meet, another may count now.
        """
        if revision == self.revision:
            return []
        before = self.earlier.get(revision, None if revision else ())
        if before is None:
            return None
        ours, theirs = ({rule.content_hash: rule for rule in rules} for rules in (self.rules, before))
        changed = [rule for name, rule in (ours | theirs).items() if (name in ours) != (name in theirs)]
        stay = [name for name in ours if name in theirs]
        if stay != [name for name in theirs if name in ours]:
            changed += [ours[name] for name in stay]
        return changed


NO_CORRECTIONS = Corrections()
