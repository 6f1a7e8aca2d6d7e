"""What waits at probes, in the unit in which each says it; and since when it grows."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.monitoring.chances import quantile
from gridkeeper.monitoring.rhythm import USUAL_PART

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

GROWTH_HOURS = 12
LEAST_GROWTH_HOURS = 4
# So much above what is usual is growth. A probe of ours makes at most one batch each five minutes, and sends it in the same
# round: a few that wait hour after hour are no chance. Gratia's probes make their records and jobs one by one.
LEAST_GROWTH = {"batches": 3, "records": 100, "jobs": 100}
_SINGULAR = {"batches": "batch", "records": "record", "jobs": "job"}


@dataclass(frozen=True)
class Backlog:
    """What waits at a probe; None where it does not say. The units are never added up.

    batches: texts in the outbox of a probe of ours.
    records: record files of a Gratia probe.
    jobs:    jobs of which a Gratia probe has made no record yet, as it estimates.
    """

    batches: int | None = None
    records: int | None = None
    jobs: int | None = None

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return any(astuple(self))

    @property
    def is_told(self) -> bool:
        """Whether the probe says anything of it."""
        return any(amount is not None for amount in astuple(self))

    @property
    def words(self) -> str:
        """`12 batches`, `1 record and 40 jobs`, `nothing`."""
        amounts = {unit: getattr(self, unit) for unit in LEAST_GROWTH if getattr(self, unit)}
        named = [f"{amount:,} {unit if amount > 1 else _SINGULAR[unit]}" for unit, amount in amounts.items()]
        return " and ".join(named) or "nothing"

    @property
    def sentence(self) -> str:
        """`12 batches wait at its probe`."""
        return f"{self.words} {'waits' if sum(filter(None, astuple(self))) <= 1 else 'wait'} at its probe"


UNTOLD = Backlog()


def grows_since(hours: Sequence[tuple[datetime, Backlog]], moment: datetime) -> datetime | None:
    """The hour from which a backlog grew, in any of its units; None where it does not grow."""
    found = [_grows_since(hours, unit, moment) for unit in LEAST_GROWTH]
    return min(filter(None, found), default=None)


def _grows_since(hours: Sequence[tuple[datetime, Backlog]], unit: str, moment: datetime) -> datetime | None:
    """The same in one unit: above what is usual, and above all of its first third ever since."""
    told = [(hour, amount) for hour, each in hours if (amount := getattr(each, unit)) is not None]
    recent = [(hour, most) for hour, most in told if moment - hour <= timedelta(hours=GROWTH_HOURS)]
    before = [most for hour, most in told if moment - hour > timedelta(hours=GROWTH_HOURS)]
    if len(recent) < LEAST_GROWTH_HOURS:
        return None
    third = max(1, len(recent) // 3)
    first, last = [most for _, most in recent[:third]], [most for _, most in recent[-third:]]
    usual = quantile(before, USUAL_PART) if before else 0
    grows = min(last) > max(first) and min(last) >= usual + LEAST_GROWTH[unit]
    return recent[0][0] if grows else None
