"""Makes a downtime of what a person types: which resources and services, from when until when, how bad; or says what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes import words
from gridkeeper.federation.downtimes.model import Affected, Classification, Row, Severity
from gridkeeper.federation.downtimes.times import OPEN_FROM, Stamp, Window, typed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.federation.downtimes.directory import Directory, Machine

OPEN = "open"
MOST_DESCRIPTION_CHARACTERS = 4000


@dataclass(frozen=True)
class Wish:
    """What a person types.

    resources, site: one of both; of a site all resources, or all of a resource group. services: nothing: all that each has.
    start: nothing: now. until: a time, or `open`. declared: a class; nothing: by the rule of 24 hours.
    """

    until: str
    description: str
    resources: tuple[str, ...] = ()
    site: str | None = None
    services: tuple[str, ...] = ()
    start: str = ""
    severity: str = Severity.OUTAGE.value
    declared: str = ""


def chosen(directory: Directory, wish: Wish) -> list[tuple[Machine, list[str]]]:
    """The resources that are meant, each with the services of it that are down; of a site those that have them.

    Raises: UserMistake (permanent) where nothing is named, or something that the registry does not have.
    """
    if bool(wish.resources) == (wish.site is not None):
        raise UserMistake("name what is down: resources, or one site")
    if wish.site is None:
        machines = [directory.must_have(name, wish.services) for name in wish.resources]
        return [(machine, list(wish.services or machine.services or ())) for machine in machines]
    found = directory.must_have_site(wish.site)
    known = {name for machine in found for name in machine.services or ()}
    for service in wish.services:
        if service not in known:
            has = ", ".join(sorted(known)) or "none that the registry names"
            raise UserMistake(f"no resource of {wish.site} has the service {service!r}; they have {has}")
    told = [
        (machine, [name for name in machine.services or () if not wish.services or name in wish.services])
        for machine in found
    ]
    return [(machine, names) for machine, names in told if names or not wish.services]


def end_of(text: str) -> Stamp | None:
    """Read an end; None for `open`. Raises: UserMistake (permanent), also for a year that only stands for "nobody knows"."""
    if text.strip().lower() == OPEN:
        return None
    if not text.strip():
        raise UserMistake(f"no end is named; write one, or `{OPEN}` where nobody knows it yet")
    stamp = typed(text)
    if stamp.at >= OPEN_FROM:
        raise UserMistake(f"nobody means the end {text}; write `{OPEN}` where it is not known")
    return stamp


def drafted(directory: Directory, wish: Wish, now: datetime) -> list[Row]:
    """The rows of the downtime, as announced now, without ids. Raises: UserMistake (permanent) with what is wrong."""
    if not wish.description.strip():
        raise UserMistake("no description; say what is done, and what users notice")
    if len(wish.description) > MOST_DESCRIPTION_CHARACTERS:
        raise UserMistake(
            f"the description has more than {MOST_DESCRIPTION_CHARACTERS:,} characters; say the rest elsewhere, and link to it"
        )
    machines = chosen(directory, wish)
    minute = now.replace(second=0, microsecond=0)  # forms have no seconds
    made = Stamp(minute, minute.isoformat(), 0)
    window = Window(typed(wish.start) if wish.start.strip() else made, end_of(wish.until))
    if window.is_empty:
        raise UserMistake(
            f"the end {wish.until} is not after the start {window.start.text}; it would cover no time"
        )
    draft = Row(
        None, None, (), window, Classification.SCHEDULED, words.severity(wish.severity), wish.description.strip(), made,
        provider="OIM",
    )  # fmt: skip
    derived = draft.derived_class or Classification.UNSCHEDULED
    declared = words.classification(wish.declared) if wish.declared else derived
    return [
        replace(
            draft, resource=machine.name, services=tuple(map(Affected, names)), site=machine.group or machine.site, declared_class=declared
        )
        for machine, names in machines
    ]  # fmt: skip


def concerned(directory: Directory, wish: Wish) -> Sequence[str]:
    """The names of the resources that are meant. Raises: as `chosen`."""
    return [machine.name for machine, _ in chosen(directory, wish)]
