"""Puts the registry's past beside its present: what `gridkeeper federation history --write` kept in the home."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.factors import BenchmarkFrom
from gridkeeper.federation.model import Former, FormerSite, NamedFrom, Registry, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST_PER_MACHINE = 200  # a factor from here on is of a whole machine, or in another unit, and none of a core


class PastPeriod(BaseModel):
    """What a name was on [from, until)."""

    model_config = ConfigDict(frozen=True)

    since: date | None = Field(alias="from")
    until: date | None
    group: str
    site: str
    facility: str
    hosts: tuple[str, ...] = ()
    owners: dict[str, float] = {}
    accounting_name: str | None = None
    apel_normal_factor: float | None = None


class _Career(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    formerly: str | None
    periods: tuple[PastPeriod, ...] = Field(min_length=1)


class Past(BaseModel):
    """What the history told of each name."""

    model_config = ConfigDict(frozen=True)

    resources: tuple[_Career, ...] = ()


_Step = tuple[str, PastPeriod]  # a name, and what it was for a time


def read_past(path: Path) -> Past:
    """Read what was kept; nothing where there is no file. Raises: BadConfiguration (permanent)."""
    try:
        return Past.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Past()
    except OSError as error:
        raise BadConfiguration(f"{path} cannot be read: {error.strerror}; let this user read it") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = " › ".join(map(str, first["loc"]))
        raise BadConfiguration(
            f"{path}: {place}: {first['msg']}; make it anew with gridkeeper federation history --write"
        ) from error


def dated(own: Registry, both: Registry, past: Past, shared: dict[str, tuple[str, ...]]) -> Registry:
    """The registry with its past. own: what federation.yaml says, which counts on all days.

    shared: name in small letters → hosts that it has in common with others today.
    """
    if not past.resources:
        return both
    careers = _Careers(past)
    ours = {one.name.lower(): one.model_fields_set for one in own.resources}
    reserved = frozenset(name.lower() for one in own.resources for name in one.names)
    resources = [
        one
        if one.is_dated
        else _with_past(
            one,
            careers.steps(one.name),
            ours.get(one.name.lower(), set()),
            shared.get(one.name.lower(), ()),
            reserved,
        )
        for one in both.resources
    ]
    present = {one.name.lower() for one in both.resources} | reserved
    gone = [
        _gone(steps, reserved)
        for one in past.resources
        if one.name.lower() not in present and (steps := careers.steps(one.name))
    ]
    return both.model_copy(
        update={
            "resources": tuple(resources),
            "former_resources": (*both.former_resources, *gone),
            "former_sites": (*both.former_sites, *_former_sites(both, past)),
        }
    )


class _Careers:
    """What each name was, and before it the names that the same resource had before."""

    def __init__(self, past: Past) -> None:
        self._of = {one.name.lower(): one for one in past.resources}
        # Until when what a name was belongs to the name that came after it.
        self._handed_on: dict[str, date] = {}
        for one in past.resources:
            since = one.periods[0].since
            if one.formerly and since is not None:
                key = one.formerly.lower()
                self._handed_on[key] = max(since, self._handed_on.get(key, since))

    def steps(self, name: str) -> list[_Step]:
        """What a name was, and what it had been called before, earliest first."""
        career = self._of.get(name.lower())
        if career is None:
            return []
        taken = self._handed_on.get(name.lower(), date.min)
        steps = [(career.name, one) for one in career.periods if one.until is None or one.until > taken]
        seen = {career.name}
        while steps and career.formerly and career.periods[0] is steps[0][1]:
            before = career.periods[0].since
            former = self._of.get(career.formerly.lower())
            if (
                before is None
                or former is None
                or former.name in seen
                or self._handed_on[career.formerly.lower()] != before
            ):
                break
            seen.add(former.name)
            steps = [
                *(
                    (former.name, one)
                    for one in former.periods
                    if one.until is not None and one.until <= before
                ),
                *steps,
            ]
            career = former
        return steps


def _with_past(
    now: Resource, steps: list[_Step], said: set[str], shared: tuple[str, ...], reserved: frozenset[str]
) -> Resource:
    """A resource of today with what it was; what federation.yaml says of it (`said`) and calls it counts on all days."""
    if not steps:
        return now.model_copy(update={"shared_hosts": shared}) if shared else now
    is_open = steps[-1][1].until is None
    *earlier, last = steps if is_open else [*steps, (now.name, None)]
    former = [
        _former(now.name if name.lower() in reserved else name, period, said, reserved)
        for name, period in earlier
        if period is not None
    ]
    valid_from = last[1].since if last[1] is not None else None
    as_now = Former.model_construct(
        name=now.name,
        site=now.site,
        facility=now.facility,
        hosts=tuple(sorted({*now.hosts, *shared} - {now.name.lower()})),
        owners=now.owners,
    )
    while former and valid_from == former[-1].until and _same(former[-1], as_now):
        valid_from = former.pop().since
    update: dict[str, Any] = {
        "former": tuple(former),
        "valid_from": None if valid_from == date.min else valid_from,
        "shared_hosts": shared,
    }
    if "accounting_name" not in said:
        update["accounting_name"] = tuple(_names(steps)) or now.accounting_name
    if "benchmarks" not in said:
        update["benchmarks"] = tuple(_benchmarks(steps)) or now.benchmarks
    return now.model_copy(update=update)


def _same(former: Former, now: Former) -> bool:
    """Whether a former state is that of today, where it says anything."""
    return all(
        getattr(former, key) in (None, getattr(now, key))
        for key in ("name", "site", "facility", "hosts", "owners")
    )


def _former(name: str, period: PastPeriod, said: set[str], reserved: frozenset[str]) -> Former:
    hosts = tuple(sorted({host.lower() for host in period.hosts} - {name.lower()} - reserved))
    facts = {"site": period.site, "facility": period.facility, "hosts": hosts, "owners": period.owners}
    told = {key: value for key, value in facts.items() if key not in said}
    dates = {"from": period.since or date.min, "until": period.until or date.max}
    return Former.model_validate({"name": name, **told, **dates})


def _gone(steps: list[_Step], reserved: frozenset[str]) -> Resource:
    """A resource that the registry has no more."""
    former = tuple(_former(called, period, set(), reserved) for called, period in steps[:-1])
    called, last = steps[-1]
    facts = _former(called, last, set(), reserved)
    return Resource(
        name=called, site=last.site, facility=last.facility, hosts=facts.hosts or (), owners=last.owners,
        former=former, valid_from=last.since, valid_until=last.until,
        accounting_name=tuple(_names(steps)), benchmarks=tuple(_benchmarks(steps)),
    )  # fmt: skip


def _names(steps: list[_Step]) -> Iterator[NamedFrom]:
    known = None
    for _, period in steps:
        if period.accounting_name and period.accounting_name != known:
            known = period.accounting_name
            yield NamedFrom.model_validate({"from": period.since or date.min, "name": known})


def _benchmarks(steps: list[_Step]) -> Iterator[BenchmarkFrom]:
    known = None
    for _, period in steps:
        factor = period.apel_normal_factor
        if factor is not None and 0 < factor < LEAST_PER_MACHINE and factor != known:
            known = factor
            yield BenchmarkFrom.model_validate(
                {"from": period.since or date.min, "hs06": Decimal(f"{factor:.6f}")}
            )


def _former_sites(both: Registry, past: Past) -> Iterator[FormerSite]:
    """Sites and groups on days on which today's registry says otherwise of them, or nothing."""
    today = {group.lower(): (site.name, site.facility) for site in both.known_places for group in site.groups}
    today |= {site.name.lower(): (site.name, site.facility) for site in both.known_places}
    told: dict[tuple[str, str, str], list[tuple[date, date]]] = {}
    for career in past.resources:
        for one in career.periods:
            for name in {one.group, one.site}:
                if today.get(name.lower()) != (one.site, one.facility):
                    days = (one.since or date.min, one.until or date.max)
                    told.setdefault((name, one.site, one.facility), []).append(days)
    for (name, site, facility), spans in told.items():
        for first, until in _joined(sorted(spans)):
            yield FormerSite.model_validate(
                {"name": name, "site": site, "facility": facility, "from": first, "until": until}
            )


def _joined(spans: list[tuple[date, date]]) -> Iterator[tuple[date, date]]:
    first, until = spans[0]
    for begin, end in spans[1:]:
        if begin > until:
            yield first, until
            first, until = begin, end
        until = max(until, end)
    yield first, until
