"""A downtime: one incident that concerns many resources and services, as declared, with what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from gridkeeper.errors import UnreadableInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gridkeeper.federation.downtimes.times import Stamp, Window

# What is announced so long before it begins is scheduled: the rule of WLCG, and of GOCDB.
NOTICE = timedelta(hours=24)


class Classification(StrEnum):
    """Whether it was planned."""

    SCHEDULED = "SCHEDULED"
    UNSCHEDULED = "UNSCHEDULED"


class Severity(StrEnum):
    """How bad it is, in OSG's words; AT_RISK is GOCDB's WARNING, which OSG does not have."""

    OUTAGE = "Outage"
    SEVERE = "Severe"
    INTERMITTENT = "Intermittent Outage"
    NO_OUTAGE = "No Significant Outage Expected"
    AT_RISK = "Warning"

    @property
    def rank(self) -> int:
        """The worst is the highest."""
        return {"Outage": 4, "Severe": 3, "Intermittent Outage": 2, "Warning": 1}.get(self.value, 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row was read: a file (or what was handed in), and its line."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Affected:
    """A service that is down. name: in OSG's words, or the document's where OSG has none for it.

    said:    the document's own type of service. flavour: what kind of it, as ARC-CE. host: where it answers.
    """

    name: str
    said: str | None = None
    flavour: str | None = None
    host: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a document, as declared.

    resource: by its registered name; None where the form has no such name. services: empty where none arrived.
    named:    the services that the document names without saying where they are (AGIS' `affected_services`).
    source:   the form (osg-yaml, osg-xml, gocdb, cric, ical, command); provider: who it says it has it from.
    created:  when it was announced; None where nothing says.
    hidden:   that it stands inside another one's item, so that readers which keep the last of equal keys lose it.
    """

    id: str | None
    resource: str | None
    services: tuple[Affected, ...]
    window: Window
    declared_class: Classification
    severity: Severity
    description: str
    created: Stamp | None = None
    source: str = "command"
    place: Place = field(default=Place("the command"), compare=False)
    site: str | None = None
    host: str | None = None
    named: tuple[str, ...] = ()
    provider: str | None = None
    url: str | None = None
    hidden: bool = False

    @property
    def notice(self) -> timedelta | None:
        """How long before its start it was announced; negative where afterwards; None where nothing says when."""
        return None if self.created is None else self.window.start.at - self.created.at

    @property
    def derived_class(self) -> Classification | None:
        """What it is by the rule of 24 hours, whatever was typed; None where nothing says when it was announced."""
        if self.notice is None:
            return None
        return Classification.SCHEDULED if self.notice >= NOTICE else Classification.UNSCHEDULED

    @property
    def ids(self) -> str:
        """Whose ids it has: those of OSG, which its renderings and AGIS carry on, of GOCDB, or of whoever wrote it."""
        if self.source in ("osg-yaml", "osg-xml", "command") or self.provider == "OIM":
            return "osg"
        return self.provider or self.source

    @property
    def label(self) -> str:
        """What names it in a sentence."""
        who = self.resource or self.host or self.site or "no resource"
        return f"{self.id} ({who})" if self.id else who


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happens, however many rows it was typed into; all of them share text, window, class and severity."""

    id: str
    rows: tuple[Row, ...]

    @property
    def first(self) -> Row:
        """The row that speaks for all."""
        return self.rows[0]

    @property
    def window(self) -> Window:
        """When."""
        return self.rows[0].window

    @property
    def resources(self) -> tuple[str, ...]:
        """Whom it concerns, by name, each once."""
        return tuple(dict.fromkeys(row.resource for row in self.rows if row.resource))

    @property
    def affected(self) -> tuple[tuple[str | None, str], ...]:
        """Every (resource, service); a resource without services is down as a whole."""
        return tuple(
            dict.fromkeys(
                (row.resource or row.host, service.name) for row in self.rows for service in row.services
            )
        )

    def state(self, moment: datetime) -> str:
        """Past, current or future, as seen at a moment."""
        if self.window.start.at > moment:
            return "future"
        return "current" if self.window.end is None or self.window.end.at > moment else "past"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry of which no row could be made, or only with a loss: where it stands, and what is wrong with it.

    lost: whether it is missing from the rows; else it was read, and this was noticed.
    """

    place: Place
    reason: str
    lost: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document holds: its rows, and what was refused or noticed."""

    rows: tuple[Row, ...]
    refused: tuple[Refusal, ...] = ()

    @staticmethod
    def joined(readings: Iterable[Reading]) -> Reading:
        """Several documents as one."""
        found = list(readings)
        return Reading(
            tuple(row for one in found for row in one.rows),
            tuple(bad for one in found for bad in one.refused),
        )


class UnreadableDowntimes(UnreadableInput):
    """A document is not of the form it should be, or of none that is known. Permanent."""


def incidents(rows: Sequence[Row]) -> list[Incident]:
    """Put together what was typed in several times: same document, text, window, class and severity.

    GOCDB and CRIC say themselves what belongs together, by their key. Returns: incidents in the order of their first rows.
    """
    found: dict[tuple[object, ...], list[Row]] = {}
    for number, row in enumerate(rows):
        key: tuple[object, ...]
        if row.source in ("gocdb", "cric", "ical"):
            key = (row.source, row.id or number, row.window, row.severity)
        else:
            end = row.window.end.at if row.window.end else None
            document = row.place.file if row.source == "osg-yaml" else row.site
            key = (
                document, row.description, row.window.start.at, end, row.declared_class, row.severity, row.source,
            )  # fmt: skip
        found.setdefault(key, []).append(row)
    return [Incident(_identity(group), tuple(group)) for group in found.values()]


def _identity(rows: Sequence[Row]) -> str:
    """What an incident that was read is called: by the first of its rows."""
    return rows[0].id or str(rows[0].place)
