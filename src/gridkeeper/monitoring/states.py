"""The states of sources: what each is called, and all that is said with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gridkeeper.monitoring.backlogs import UNTOLD

if TYPE_CHECKING:
    from datetime import date, datetime

    from gridkeeper.federation.model import Contact
    from gridkeeper.monitoring.backlogs import Backlog
    from gridkeeper.monitoring.missing import Missing


class State(StrEnum):
    """What a source does; in the order of how much care it needs."""

    SILENT = "silent"
    NEVER_SEEN = "never seen"
    LATE = "late"
    DOWNTIME = "in downtime"
    IDLE = "idle"
    REPORTING = "reporting"
    DISABLED = "disabled"


CARE = tuple(State)
NEEDS_CARE = (State.SILENT, State.NEVER_SEEN, State.LATE)


@dataclass(frozen=True)
class SourceState:
    """One source and its state.

    resource:            None where there is none or where `resources` names several.
    level:               batch, payload, transfer, storage (space measured) or reported (monthly sums); None where no record ever said.
    since:               when the state began, as far as it is known; None of sources that report.
    why:                 what speaks for the state, in words.
    last_day:            the UTC day that its last record ended on; last_record_at: the moment, where it was looked up.
    silent_days:         whole days since, that are over; without announced downtime.
    backlog:             what waited at its probe when that was last heard, in the probe's own units.
    usual_gap_days:      days without records that 95 % of its gaps do not exceed; None: too little is known.
    core_hours_a_day:    what it usually reports a day, in the federation's grid.
    core_hours_a_month:  what monthly sums usually say, in all grids; None of other levels.
    usual_delay_days:    days after a month's end that 9 of 10 of its monthly sums took to come; None: other levels, or too little is known.
    missing_months:      the first days of months of which sums should be here and are not, or ended before the month did.
    missing:             what is probably missing; None where nothing is, or it cannot be told.
    part:                the machine that is silent where others of the source go on; lost_share: the part that is missing.
    other_level_goes_on: records of the other level at the same resource came after its last day.
    probe_goes_on:       the same probe reported other resources after its last day.
    peers:               other batch sources of the site that go on.
    heard:               whether any word of its probe is known; else all is learnt from its records alone.
    ask:                 who to ask.
    """

    probe: str | None
    resource: str | None
    level: str | None
    site: str | None
    state: State
    since: datetime | None = None
    why: tuple[str, ...] = ()
    last_day: date | None = None
    last_record_at: datetime | None = None
    last_contact_at: datetime | None = None
    version: str | None = None
    backlog: Backlog = UNTOLD
    problem: str | None = None
    silent_days: int = 0
    usual_gap_days: int | None = None
    core_hours_a_day: float | None = None
    core_hours_a_month: float | None = None
    usual_delay_days: int | None = None
    missing_months: tuple[date, ...] = ()
    missing: Missing | None = None
    part: str | None = None
    lost_share: float | None = None
    other_level_goes_on: bool = False
    probe_goes_on: bool = False
    peers: tuple[str, ...] = ()
    heard: bool = False
    ask: tuple[Contact, ...] = ()
    resources: tuple[str, ...] = ()

    @property
    def needs_care(self) -> bool:
        """Whether somebody should look."""
        return self.state in NEEDS_CARE

    @property
    def is_partial(self) -> bool:
        """Whether only a part of it is silent."""
        return self.part is not None or self.lost_share is not None


@dataclass(frozen=True)
class Silence:
    """The states of all sources at one moment, those that need care first.

    moment:        the moment asked for (UTC).
    until:         days before it were judged.
    heard:         whether any probe was ever heard; else all is learnt from records alone.
    nothing_since: the newest day in the books, where nothing at all has come since and so all is judged as of then.
    """

    moment: datetime
    until: date
    heard: bool
    sources: tuple[SourceState, ...]
    nothing_since: date | None = None

    @property
    def silent(self) -> tuple[SourceState, ...]:
        """The silent ones, the most missing core hours first."""
        return self.of(State.SILENT)

    def of(self, *states: State) -> tuple[SourceState, ...]:
        """Those in one of these states."""
        return tuple(source for source in self.sources if source.state in states)

    @property
    def counts(self) -> dict[State, int]:
        """How many are in which state; states of none are left out."""
        counted = Counter(source.state for source in self.sources)
        return {state: counted[state] for state in CARE if counted[state]}


def in_order(source: SourceState) -> tuple[int, float, str, str, str]:
    """What needs care first; the most missing core hours first; then by name."""
    return (
        CARE.index(source.state),
        -(source.missing.core_hours if source.missing else 0.0),
        source.resource or "",
        source.probe or "",
        source.level or "",
    )
