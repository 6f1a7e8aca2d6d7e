"""Finds what is wrong with announced downtimes: short notice, no time covered, ends that nobody meant, wrong zones, overlaps, lost services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes.model import NOTICE, Classification
from gridkeeper.federation.downtimes.words import our_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gridkeeper.federation.downtimes.directory import Directory
    from gridkeeper.federation.downtimes.model import Row
    from gridkeeper.federation.downtimes.times import Stamp

FAR = datetime(2030, 1, 1, tzinfo=UTC)
MINUTES_PER_DEGREE = 4.0
# How far a legal zone may be from the sun's, in minutes: no place on land is further away than this, summer time included.
MOST_FROM_THE_SUN = 4 * 60


class Lint(StrEnum):
    """What can be wrong."""

    SHORT_NOTICE = "downtime-short-notice"
    BACKDATED = "downtime-backdated"
    EMPTY = "downtime-covers-no-time"
    FAR_END = "downtime-far-end"
    ZONE_SIGN = "downtime-zone-sign"
    OVERLAP = "downtime-overlap"
    OVERLAP_DIFFERS = "downtime-overlap-differs"
    NO_SERVICE_LEFT = "downtime-no-service-left"
    SERVICE_GONE = "downtime-service-gone"
    UNKNOWN_RESOURCE = "downtime-unknown-resource"
    NO_ID = "downtime-no-id"
    HIDDEN = "downtime-hidden"


FIX = {
    Lint.SHORT_NOTICE: "call it UNSCHEDULED, or announce it 24 hours ahead",
    Lint.BACKDATED: "announce what breaks when it breaks; nobody could act on this one before it began",
    Lint.EMPTY: "write the end that was meant: from start to end there is no time",
    Lint.FAR_END: "leave no made-up year: take the resource out of service in its file, or give an end and extend it",
    Lint.ZONE_SIGN: "turn the sign of the zone around, or write the times in UTC (+0000)",
    Lint.OVERLAP: "let one downtime end where the next begins, or make one of both",
    Lint.OVERLAP_DIFFERS: "say one class and one severity for the time that both cover; readers take whichever they meet first",
    Lint.NO_SERVICE_LEFT: "name services that the resource has; a rendering leaves this downtime out without a word",
    Lint.SERVICE_GONE: "take out the services that the resource does not have; a rendering leaves them out without a word",
    Lint.UNKNOWN_RESOURCE: "mend the name of the resource, or remove the downtime with it",
    Lint.NO_ID: "give it an id, so that others can tell it from the next",
    Lint.HIDDEN: "begin it with `- Class:` at the left; inside another item, most readers lose it",
}
ERRORS = frozenset(
    {Lint.EMPTY, Lint.ZONE_SIGN, Lint.NO_SERVICE_LEFT, Lint.UNKNOWN_RESOURCE, Lint.HIDDEN, Lint.NO_ID}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a downtime. other: the downtime that it collides with."""

    lint: Lint
    row: Row
    message: str
    other: Row | None = None

    @property
    def fix(self) -> str:
        """What to do."""
        return FIX[self.lint]

    @property
    def severity(self) -> str:
        """`error` where a part of it is lost or wrong for whoever reads it; else `warning`."""
        return "error" if self.lint in ERRORS else "warning"


def lint(rows: Sequence[Row], directory: Directory | None = None) -> list[Finding]:
    """Judge downtimes. directory: what is where; None: nothing is said of zones and services.

    Returns: findings in the order of the rows, then overlaps, each pair once.
    """
    found = [
        finding for row in rows for finding in (*_alone(row), *(_placed(row, directory) if directory else ()))
    ]
    return [*found, *overlaps(rows)]


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many of each, all lints named."""
    told = dict.fromkeys((each.value for each in Lint), 0)
    for finding in findings:
        told[finding.lint] += 1
    return told


def _alone(row: Row) -> Iterator[Finding]:
    window = row.window
    if row.id is None:
        yield Finding(Lint.NO_ID, row, f"the downtime of {row.label} has no id")
    if row.hidden:
        yield Finding(Lint.HIDDEN, row, f"the downtime {row.label} stands inside another one's item")
    if window.is_empty:
        length = (
            "ends when it begins"
            if window.end and window.end.at == window.start.at
            else "ends before it begins"
        )
        yield Finding(
            Lint.EMPTY, row, f"the downtime {row.label} {length}, {window.start.text}: it covers no time"
        )
    if window.end is not None and window.end.at >= FAR:
        told = ", which means that nobody knows when" if window.is_open else ""
        yield Finding(Lint.FAR_END, row, f"the downtime {row.label} ends {window.end.text}{told}")
    notice = row.notice
    if notice is None:
        return
    hours = notice.total_seconds() / 3600
    if row.declared_class is Classification.SCHEDULED and notice < NOTICE:
        when = (
            f"{hours:.1f} hours before it began" if hours >= 0 else f"{-hours:.1f} hours after it had begun"
        )
        yield Finding(
            Lint.SHORT_NOTICE, row, f"the downtime {row.label} is SCHEDULED, and was announced {when}"
        )
    if hours < 0:
        yield Finding(
            Lint.BACKDATED,
            row,
            f"the downtime {row.label} was announced {-hours:.1f} hours after it had begun",
        )


def _placed(row: Row, directory: Directory) -> Iterator[Finding]:
    if row.resource is None:
        return
    machine = directory.named(row.resource)
    if machine is None:
        yield Finding(
            Lint.UNKNOWN_RESOURCE,
            row,
            f"the downtime {row.label} is of a resource that the registry does not have",
        )
        return
    wrong = wrong_zones(row, machine.longitude)
    if wrong:
        told = " and ".join(stamp.text for stamp in wrong)
        yield Finding(
            Lint.ZONE_SIGN, row,
            f"the downtime {row.label} is written in a zone of the other side of the world than {machine.site}: {told}",
        )  # fmt: skip
    if machine.services is None:
        return
    gone = [service.name for service in row.services if our_name(service, machine.services) is None]
    left = len(row.services) - len(gone)
    if gone or not row.services:
        has = ", ".join(machine.services) or "none"
        what = (
            f"{', '.join(gone)}, which {row.resource} does not have (it has {has})" if gone else "no service"
        )
        lost = Lint.SERVICE_GONE if left else Lint.NO_SERVICE_LEFT
        yield Finding(lost, row, f"the downtime {row.label} names {what}")


def wrong_zones(row: Row, longitude: float | None) -> list[Stamp]:
    """The times of which the declared zone cannot be the place's, and would be with the other sign.

    A zone of UTC says nothing of a place; other zones lie within MOST_FROM_THE_SUN of what the sun says there.
    """
    stamps = (row.window.start, row.window.end)
    return [stamp for stamp in stamps if stamp is not None and _is_turned(stamp.offset_minutes, longitude)]


def _is_turned(offset: int | None, longitude: float | None) -> bool:
    if not offset or longitude is None:
        return False
    sun = longitude * MINUTES_PER_DEGREE
    return abs(offset - sun) > MOST_FROM_THE_SUN and abs(-offset - sun) <= MOST_FROM_THE_SUN


def overlaps(rows: Sequence[Row]) -> list[Finding]:
    """Pairs of downtimes that share a resource, a service and time, each pair once, in order of time."""
    return [
        Finding(
            Lint.OVERLAP if same else Lint.OVERLAP_DIFFERS, later,
            f"the downtimes {earlier.label} and {later.label} both cover {later.window.start.text}"
            + ("" if same else f", as {_kind(earlier)} and as {_kind(later)}"),
            earlier,
        )
        for earlier, later, same in overlapping(rows)
    ]  # fmt: skip


def overlapping(rows: Sequence[Row], *, neighbours: bool = False) -> list[tuple[Row, Row, bool]]:
    """The pairs (earlier, later, whether class and severity are the same).

    neighbours: only each with the one that begins next on the same service, which tells three of one stretch twice, not thrice.
    """
    by_service: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if not row.window.is_empty:
            for name in dict.fromkeys(service.name for service in row.services):
                by_service.setdefault(((row.resource or row.host or "").lower(), name), []).append(row)
    pairs: dict[tuple[int, int], tuple[Row, Row, bool]] = {}
    for (resource, _), of_service in by_service.items():
        if not resource:
            continue
        of_service.sort(
            key=lambda row: (
                row.window.start.at,
                row.window.end.at if row.window.end else datetime.max.replace(tzinfo=UTC),
            )
        )
        for number, earlier in enumerate(of_service):
            for later in of_service[number + 1 : number + 2 if neighbours else None]:
                if earlier.window.end is not None and later.window.start.at >= earlier.window.end.at:
                    break
                same = (earlier.declared_class, earlier.severity) == (later.declared_class, later.severity)
                pairs.setdefault((id(earlier), id(later)), (earlier, later, same))
    return list(pairs.values())


def _kind(row: Row) -> str:
    return f"{row.declared_class} {row.severity}"
