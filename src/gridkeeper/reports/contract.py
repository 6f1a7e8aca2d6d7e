"""What a report is: asked for a period, made of answers, written in several formats, every number traceable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gridkeeper.monitoring.coverage import FLOOR
from gridkeeper.monitoring.rhythm import HISTORY_DAYS

if TYPE_CHECKING:
    from datetime import datetime

    from gridkeeper.federation.model import Downtime
    from gridkeeper.monitoring.heard import Heard
    from gridkeeper.monitoring.pools import PoolHour
    from gridkeeper.queries.figures import Figure
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.summaries.books import Books


@dataclass(frozen=True)
class Request:
    """What a report is asked for.

    period:       the days it is about.
    as_of:        the moment of asking (UTC); ages and "open" hours are counted from it.
    source:       jobs, or sums that others reported.
    figures:      all external figures of the home; the report picks those of its periods.
    contacts:     what probes said of themselves; nothing in a home that is loaded by hand.
    pool_samples: what they saw in their pools; the report picks the hours of its period.
    downtimes:    what was announced or imported here, beside those of the registry.
    history_days: from so many days the rhythm of a source is learnt.
    coverage_floor: a figure of which a smaller part of the expected source-days has records is marked.
    """

    period: Period
    as_of: datetime
    source: UsageSource = "jobs"
    figures: tuple[Figure, ...] = ()
    contacts: tuple[Heard, ...] = ()
    pool_samples: tuple[PoolHour, ...] = ()
    downtimes: tuple[Downtime, ...] = ()
    history_days: int = HISTORY_DAYS
    coverage_floor: float = FLOOR


@dataclass(frozen=True)
class Trace:
    """Where a number comes from: the question's name, the table, what was counted, in which unit, at which versions.

    corrections: those in force that touch its period; estimated: what of it they estimate, as JSON has it.
    """

    query: str
    table: str
    unit: str
    attribution: str
    count_level: str
    grid: str
    versions: dict[str, int]
    corrections: tuple[str, ...] = ()
    estimated: tuple[dict[str, Any], ...] = ()


class Report(Protocol):
    """One report. Its module calls the one instance REPORT."""

    name: str
    describes: str
    formats: tuple[str, ...]

    def make(self, books: Books, request: Request) -> Any:
        """Gather all its numbers. Raises: UserMistake (permanent), LakeUnavailable (retryable)."""

    def render(self, content: Any, shape: str) -> bytes:
        """Write what `make` gathered in one of `formats`."""
