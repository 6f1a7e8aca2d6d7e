"""Compares the downtimes of two sides, entry by entry, and gives a reason for each difference; every entry of both is accounted for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes.directory import Directory
from gridkeeper.federation.downtimes.mapper import Reason, candidates, to_cric, warnings
from gridkeeper.federation.downtimes.words import SERVICES, Consumer, theirs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gridkeeper.federation.downtimes.directory import Machine
    from gridkeeper.federation.downtimes.model import Row

TWO_WORDS = frozenset(
    {"cric", "gocdb"}
)  # forms that know OUTAGE and WARNING, hosts and no names of resources
SAME, DIFFERS = "same", "differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which both sides differ, or that is taken wrongly although both say it.

    what: `downtime`, `service`, `start`, `end`, `class`, `severity`, `description`, `created`, or `notice` for what both say.
    """

    id: str | None
    resource: str | None
    what: str
    ours: str | None
    theirs: str | None
    reason: Reason
    sentence: str


@dataclass(frozen=True)
class Reconciliation:
    """Two sides compared.

    ours, theirs: how many entries each has. of_ours, of_theirs: what became of them, by outcome; they add up to those.
    parts:        what became of each (resource, service) of those of ours that are there, too: `arrived`, or why not.
    """

    ours: int
    theirs: int
    of_ours: dict[str, int]
    of_theirs: dict[str, int]
    parts: dict[str, int]
    differences: tuple[Difference, ...] = field(default=())


def reconcile(
    ours: Sequence[Row], others: Sequence[Row], directory: Directory | None = None, consumer: Consumer = Consumer.ATLAS
) -> Reconciliation:  # fmt: skip
    """Compare ours with theirs.

    directory: what is where on our side; without it, fewer reasons are found, and no host is matched.
    """
    work = _Work(ours, others, directory or Directory(()), consumer)
    return work.done()


class _Work:
    def __init__(
        self, ours: Sequence[Row], others: Sequence[Row], directory: Directory, consumer: Consumer
    ) -> None:
        self._ours, self._others = ours, others
        self._directory, self._consumer = directory, consumer
        self._differences: list[Difference] = []
        self._parts: Counter[str] = Counter()
        self._by_id: dict[str, list[Row]] = {}
        for row in others:
            if row.id is not None:
                self._by_id.setdefault(row.id, []).append(row)
        ends = [row.window.end.at for row in others if row.window.end is not None]
        self._first_end: datetime | None = min(ends, default=None)
        made = [row.created.at for row in others if row.created is not None]
        self._last_made: datetime | None = max(made, default=None)
        self._classes = {row.declared_class for row in others}
        self._met: set[int] = set()

    def done(self) -> Reconciliation:
        of_ours = Counter(self._one(row) for row in self._ours)
        of_theirs: Counter[str] = Counter()
        for row in self._others:
            of_theirs["matched" if id(row) in self._met else self._alone(row)] += 1
        return Reconciliation(
            len(self._ours), len(self._others), dict(of_ours), dict(of_theirs), dict(self._parts), tuple(self._differences)
        )  # fmt: skip

    def _one(self, row: Row) -> str:
        """What became of one of ours."""
        found = self._counterparts(row)
        if not found:
            reason, sentence = self._why_missing(row)
            self._note(row, "downtime", row.label, None, reason, sentence)
            return reason.value
        self._met |= {id(other) for other in found}
        before = len(self._differences)
        self._compare(row, found[0])
        self._services(row, found)
        changed = len(self._differences) > before
        told: dict[Reason, str] = {}
        if found[0].source in TWO_WORDS and row.source not in TWO_WORDS:
            told[Reason.NAME_LOST] = (
                f"theirs has no name of a resource; {row.resource} is known there only by the hosts of its services"
            )
        for note in (*warnings(row), *warnings(found[0])):
            told.setdefault(note.reason, note.sentence)
        for reason, sentence in told.items():
            self._note(row, "notice", None, None, reason, sentence)
        return DIFFERS if changed else SAME

    def _counterparts(self, row: Row) -> list[Row]:
        """Those of theirs that are this one: by its id, else by resource or host, and window."""
        named = self._by_id.get(row.id or "", [])
        if named:
            of_resource = [other for other in named if other.resource == row.resource]
            return of_resource or [other for other in named if other.resource is None or row.resource is None]
        if row.hidden:
            return []
        machine = self._directory.named(row.resource)
        return [
            other
            for other in self._others
            if id(other) not in self._met and self._is_like(row, machine, other)
        ]

    def _is_like(self, row: Row, machine: Machine | None, other: Row) -> bool:
        if row.window.start.at != other.window.start.at:
            return False
        if row.id and other.id and row.ids == other.ids:
            return False  # each has its own id in the same list of ids
        if row.resource and other.resource:
            return row.resource.lower() == other.resource.lower()
        hosts = {host.lower() for host in machine.hosts} if machine else {(row.host or "").lower()} - {""}
        there = {(service.host or "").lower() for service in other.services} | {(other.host or "").lower()}
        return bool(hosts & there) and other.source != "osg-yaml"

    def _compare(self, row: Row, other: Row) -> None:
        pairs = [("start", row.window.start, other.window.start), ("end", row.window.end, other.window.end)]
        for what, mine, their in pairs:
            if (mine and mine.at) != (their and their.at):
                if what == "end" and row.window.is_open and other.window.is_open:
                    continue
                said = [stamp.text if stamp else None for stamp in (mine, their)]
                self._note(
                    row,
                    what,
                    said[0],
                    said[1],
                    Reason.CHANGED,
                    f"the {what} is {said[0]} in ours, and {said[1]} in theirs",
                )
        if row.declared_class != other.declared_class:
            mine_, their_ = row.declared_class.value, other.declared_class.value
            self._note(
                row, "class", mine_, their_, Reason.CHANGED, f"it is {mine_} in ours, and {their_} in theirs"
            )
        self._compare_severity(row, other)
        if " ".join(row.description.split()) != " ".join(other.description.split()):
            self._note(
                row,
                "description",
                row.description,
                other.description,
                Reason.CHANGED,
                "the text is another one in theirs",
            )

    def _compare_severity(self, row: Row, other: Row) -> None:
        mine, their = row.severity.value, other.severity.value
        if other.source not in TWO_WORDS or row.source in TWO_WORDS:
            if row.severity != other.severity and not {row.source, other.source} & TWO_WORDS:
                self._note(
                    row,
                    "severity",
                    mine,
                    their,
                    Reason.CHANGED,
                    f"it is {mine} in ours, and {their} in theirs",
                )
            return
        expected, said = theirs(row.severity, self._consumer), theirs(other.severity, self._consumer)
        if said != expected:
            self._note(
                row,
                "severity",
                mine,
                said,
                Reason.CHANGED,
                f"{mine} should be {expected} there, and is {said}",
            )
        elif row.severity.name != said:
            self._note(row, "severity", mine, said, Reason.SEVERITY_COARSER, f"{mine} is only {said} there")

    def _services(self, row: Row, found: Sequence[Row]) -> None:
        """Account for each service of ours: arrived there, or not, and why."""
        machine = self._directory.named(row.resource)
        hosts = {host.lower() for host in machine.hosts} if machine else set()
        by_host = any(other.source in TWO_WORDS for other in found)
        there = [service for other in found for service in other.services]
        for service in row.services:
            arrived = any(
                each.name == service.name and (not by_host or (each.host or "").lower() in hosts | {(service.host or "").lower()})
                for each in there
            )  # fmt: skip
            if arrived:
                self._parts["arrived"] += 1
                continue
            reason, sentence = self._why_lost(row, service.name, found)
            self._parts[reason.value] += 1
            self._note(row, "service", service.name, None, reason, sentence)

    def _why_lost(self, row: Row, name: str, found: Sequence[Row]) -> tuple[Reason, str]:
        machine = self._directory.named(row.resource)
        if machine is not None and machine.services is not None and name not in machine.services:
            has = ", ".join(machine.services) or "none"
            return (
                Reason.SERVICE_GONE,
                f"{row.resource} does not have {name} (it has {has}), so theirs left it out",
            )
        if not any(other.services for other in found):
            return Reason.NO_SERVICES, self._nothing_listed(name, found[0])
        if found[0].source in TWO_WORDS:
            kind = SERVICES.get(name)
            if kind is None or (found[0].source == "cric" and kind.kind is None):
                return Reason.NO_COUNTERPART, f"their registry has no type for {name}"
            hosts = ", ".join(machine.hosts) if machine and machine.hosts else "its host"
            return Reason.UNKNOWN_ENDPOINT, f"theirs lists services, but no {name} at {hosts}"
        return Reason.UNEXPLAINED, f"theirs lists services, but no {name}, and nothing says why"

    def _nothing_listed(self, name: str, other: Row) -> str:
        named = f"it names {', '.join(other.named)}, and " if other.named else "it "
        could = candidates(other.site, name, self._directory)
        told = (
            f"; {len(could)} resources at {other.site} have {name} ({', '.join(could)}), so it can only be none or all"
            if could
            else ""
        )
        return f"theirs lists no service: {named}has none with an endpoint, so nobody acts on it{told}"

    def _why_missing(self, row: Row) -> tuple[Reason, str]:
        """Why theirs does not have one of ours; the first reason that holds."""
        if row.hidden:
            return Reason.HIDDEN, "it stands inside another one's item, where readers keep the last one only"
        machine = self._directory.named(row.resource)
        if self._directory.machines and row.resource and machine is None:
            return Reason.UNKNOWN_RESOURCE, f"the registry has no resource {row.resource}"
        over = (
            row.window.end is not None and self._first_end is not None and row.window.end.at < self._first_end
        )
        if over:
            return (
                Reason.OVER,
                "it was over before the first of theirs ended: theirs holds only what is not over",
            )
        if not row.services:
            return Reason.NO_SERVICES, "it names no service"
        if machine is not None and machine.services is not None:
            gone = [service.name for service in row.services if service.name not in machine.services]
            if len(gone) == len(row.services):
                has = ", ".join(machine.services) or "none"
                return (
                    Reason.SERVICE_GONE,
                    f"{row.resource} has none of {', '.join(gone)} any more (it has {has}), and theirs leaves it out",
                )
        if row.window.is_empty:
            return Reason.EMPTY, "it covers no time"
        if self._to_hosts and machine is not None:
            mapped = to_cric(row, self._directory, self._consumer)
            if mapped.sent is None:
                return mapped.parts[0].reason or Reason.UNEXPLAINED, mapped.parts[0].sentence
        if row.declared_class not in self._classes and self._classes:
            return Reason.LEFT_OUT, f"theirs holds none that is {row.declared_class}"
        if row.created is not None and self._last_made is not None and row.created.at > self._last_made:
            return Reason.NEWER, "it was announced after the newest of theirs"
        return Reason.UNEXPLAINED, "nothing here says why theirs does not have it"

    @property
    def _to_hosts(self) -> bool:
        return any(other.source in TWO_WORDS for other in self._others)

    def _alone(self, other: Row) -> str:
        """Why ours does not have one of theirs."""
        ours_only_osg = all(row.source in ("osg-yaml", "osg-xml", "command") for row in self._ours)
        if ours_only_osg and other.provider is not None and other.provider != "OIM":
            reason, sentence = Reason.OTHER_PROVIDER, f"theirs has it from {other.provider}, not from ours"
        else:
            reason, sentence = (
                Reason.UNEXPLAINED,
                "ours does not have it (any more): cancel it there, or announce it here",
            )
        self._note(other, "downtime", None, other.label, reason, sentence)
        return reason.value

    def _note(
        self, row: Row, what: str, mine: str | None, their: str | None, reason: Reason, sentence: str
    ) -> None:
        who = row.resource or row.host or row.site
        self._differences.append(Difference(row.id, who, what, mine, their, reason, sentence))


def by_reason(differences: Sequence[Difference]) -> Iterator[tuple[str, str, int]]:
    """How many differences of each kind there are: (what, reason, count), most first."""
    told = Counter((each.what, each.reason.value) for each in differences)
    for (what, reason), count in sorted(told.items(), key=lambda each: (-each[1], each[0])):
        yield what, reason, count
