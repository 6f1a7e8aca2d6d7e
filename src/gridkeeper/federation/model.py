"""`federation.yaml` as a model: VOs and their experiments, resources, lists, and the mapping."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.bounded_yaml import OutOfBounds, read_yaml
from gridkeeper.federation.factors import Benchmark, Benchmarks, Power, Powers
from gridkeeper.federation.names import clashes

if TYPE_CHECKING:
    from pathlib import Path

CountLevel = Literal["batch", "payload"]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LOCAL_GRID = "Local"
FILE_LIMIT_BYTES = 16 * 1024 * 1024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Federation(_Strict):
    """The federation itself.

    default_hepscore23, default_power: of resources and days that have no factor of their own; None: these have none.
    """

    name: str = "My federation"
    grid: str = "OSG"
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = (
        "monday"
    )
    default_hepscore23: Benchmark | None = None
    default_power: Power | None = None


class Experiment(_Strict):
    """An experiment (or subgroup) behind a VO; experiments may have experiments of their own."""

    name: str
    aliases: tuple[str, ...] = ()
    fqan: str | None = None
    home_sites: tuple[str, ...] = ()
    experiments: tuple[Experiment, ...] = ()


_SPAN = re.compile(r"([1-9][0-9]{0,3}) (day|week)s?")
LONGEST_SPAN_DAYS = 366


def _days(value: object) -> object:
    """`2 weeks` as 14 days."""
    fits = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if fits is None:
        raise ValueError(f"{value!r} is no number of days or weeks; write it as 10 days or 2 weeks")
    days = int(fits[1]) * (7 if fits[2] == "week" else 1)
    if days > LONGEST_SPAN_DAYS:
        raise ValueError(f"{value} is more than {LONGEST_SPAN_DAYS} days")
    return days


def _in_days(days: int | None) -> str | None:
    """As `_days` reads it again."""
    return None if days is None else f"{days} days"


class VO(Experiment):
    """A virtual organisation.

    experiments_period: over how many days up to the end of a report's period its experiments are told, too; None: no others.
    """

    experiments_period: Annotated[int | None, BeforeValidator(_days), PlainSerializer(_in_days)] = None


class LevelFrom(_Strict):
    """The count level of a resource from a day on."""

    since: date = Field(alias="from")
    level: CountLevel


def _levels(value: object) -> object:
    return [{"from": date.min, "level": value}] if isinstance(value, str) else value


class Contact(_Strict):
    """Who to ask about a resource or site: a role rather than a person."""

    name: str
    email: str | None = None


class Disabled(_Strict):
    """That a resource reports no more, and nobody should wonder. since: the first such day; None: not known."""

    since: date | None = None
    reason: str = ""


def _disabled(value: object) -> object:
    return {} if value is True else None if value is False else value


class NamedFrom(_Strict):
    """What another accounting system calls a resource or site from a day on."""

    since: date = Field(default=date.min, alias="from")
    name: str = Field(min_length=1)


def _names(value: object) -> object:
    return [{"name": value}] if isinstance(value, str) else value


AccountingNames = Annotated[tuple[NamedFrom, ...], BeforeValidator(_names)]


class Site(_Strict):
    """A site of which more is known than its name.

    accounting_name: what it is called in the WLCG's accounting, a name or several by date.
    groups:          names of groups of its resources, which pilots may report.
    """

    name: str
    contacts: tuple[Contact, ...] = ()
    accounting_name: AccountingNames = ()
    facility: str | None = None
    groups: tuple[str, ...] = ()


class Expected(_Strict):
    """A source that should report. resource: a name, or a pattern (`*`); probe: None for every probe of the resource."""

    resource: str
    probe: str | None = None
    since: date | None = None


_DATED = {"former", "valid_from", "valid_until", "shared_hosts"}
_OF_NO_SUM = {"contacts", "disabled", "separate_hosts", "gateways", "accounting_name", "benchmarks", "power", *_DATED}  # fmt: skip


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]


class Downtime(_Strict):
    """Announced downtime of a resource: [from, until), in UTC where no zone is given. until: None while it is open."""

    resource: str
    begin: Moment = Field(alias="from")
    until: Moment | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _has_time(self) -> Downtime:
        if self.until is not None and self.until <= self.begin:
            raise ValueError(f"the downtime of {self.resource} ends before it begins")
        return self


class Former(_Strict):
    """What a resource was on [from, until); what it does not say was as it is now."""

    since: date = Field(default=date.min, alias="from")
    until: date
    name: str | None = None
    site: str | None = None
    facility: str | None = None
    hosts: tuple[str, ...] | None = None
    owners: dict[str, float] | None = None


class FormerSite(_Strict):
    """A site, or a group of resources, as it was on [from, until): where a payload ran that named it on these days."""

    since: date = Field(default=date.min, alias="from")
    until: date
    name: str
    site: str
    facility: str | None = None

    @property
    def place(self) -> Site:
        """The site."""
        return Site(name=self.site, facility=self.facility)


class Resource(_Strict):
    """A machine that usage is booked on.

    count_level: which of its records count, by date; None: what its records are (batch unless only payloads are known).
    owners:      VO → percent owned.
    contacts:    who to ask; else those of its site.
    accounting_name: what it is called in the WLCG's accounting, a name or several by date; else as its site.
    hosts:       its machines' FQDNs: names of it, too, and what a probe there (`htcondor-ce:ce.example.org`) reports is its.
    separate_hosts: each host is a machine apart, so that downtime of one is not that of the others, nor of the resource.
    gateways:    those of its separate hosts by which jobs come: where all of them are down, the resource is; none: all hosts.
    benchmarks:  HEPScore23 or HS06 per core, by date. power: watts per core and carbon per kilowatt hour, by date.
    former:      what it was before, earliest first.
    valid_from:  the first day on which it is what it is now; None: since `former` ends, or always.
    valid_until: the day after the last one on which it is there; None: it is there still.
    shared_hosts: hosts that other resources have today, too: they name it only on days on which it had them alone.
    """

    name: str
    site: str | None = None
    facility: str | None = None
    aliases: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    separate_hosts: bool = False
    gateways: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    owners: dict[str, float] = {}
    count_level: Annotated[tuple[LevelFrom, ...], BeforeValidator(_levels)] = ()
    contacts: tuple[Contact, ...] = ()
    disabled: Annotated[Disabled | None, BeforeValidator(_disabled)] = None
    accounting_name: AccountingNames = ()
    benchmarks: Benchmarks = ()
    power: Powers = ()
    former: tuple[Former, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    shared_hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _was_one_thing_a_day(self) -> Resource:
        ends = [(one.since, one.until) for one in self.former]
        now = self.valid_from or max((until for _, until in ends), default=date.min)
        for (first, until), following in zip(ends, [*(first for first, _ in ends), now][1:], strict=True):
            if until <= first:
                raise ValueError(f"what {self.name} was from {first} on ends on {until}, before it begins")
            if until > following:
                raise ValueError(
                    f"what {self.name} was until {until} meets what it is from {following} on; order by time, without overlap"
                )
        if self.valid_until is not None and self.valid_until <= now:
            raise ValueError(f"{self.name} is valid until {self.valid_until}, and only from {now} on")
        return self

    @property
    def is_dated(self) -> bool:
        """Whether it is, or was, something for a time only."""
        return bool(self.former or self.shared_hosts) or (self.valid_from, self.valid_until) != (None, None)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of it, its own first."""
        return (self.name, *self.aliases, *self.hosts)


class When(_Strict):
    """What a record must say for a rule to fit; each value exact or a shell pattern (`group_atlas.*`)."""

    account: str | None = None
    queue: str | None = None
    unix_group: str | None = None
    fqan: str | None = None
    token_issuer: str | None = None
    token_subject: str | None = None
    accounting_group: str | None = None
    resource: str | None = None
    probe: str | None = None
    vo_reported: str | None = None


class Rule(_Strict):
    """One rule of the mapping."""

    when: When
    vo: str | None = None
    project: str | None = None
    grid: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if self.vo is None and self.project is None and self.grid is None:
            raise ValueError("a rule must name a vo, a project or a grid")
        if not self.when.model_fields_set:
            raise ValueError("a rule must say when it fits")
        return self


class Registry(_Strict):
    """All that a home knows of its federation."""

    federation: Federation = Federation()
    vos: tuple[VO, ...] = ()
    vo_lists: dict[str, tuple[str, ...]] = {}
    resources: tuple[Resource, ...] = ()
    mapping: tuple[Rule, ...] = ()
    sites: tuple[Site, ...] = ()
    expected: tuple[Expected, ...] = ()
    downtimes: tuple[Downtime, ...] = ()
    former_sites: tuple[FormerSite, ...] = ()
    former_resources: tuple[Resource, ...] = ()

    @model_validator(mode="after")
    def _names_mean_one_thing(self) -> Registry:
        for sentence in clashes(self):
            raise ValueError(sentence)
        return self

    @property
    def revision(self) -> int:
        """A number that changes whenever what summaries are made of does (63 bits of its hash)."""
        # A new downtime or contact changes no sum, so nothing is made anew for it; nor does what a report shows, nor a
        # factor, which sums are multiplied by when they are asked for (factors.revision).
        text = self.model_dump_json(
            exclude={
                "sites": True,
                "expected": True,
                "downtimes": True,
                "vos": {"__all__": {"experiments_period"}},
                "resources": {"__all__": _OF_NO_SUM},
                "federation": {"default_hepscore23", "default_power"},
                "former_sites": True,
                "former_resources": True,
            }
        )
        text += "".join(f"\n{site.name!r} {site.facility!r} {site.groups!r}" for site in self.known_places)
        # A registry that dates nothing has the number that it had before anything could be dated.
        text += "".join(
            f"\n{one.name!r} {one.model_dump_json(include=_DATED, exclude={'former': {'__all__': {'owners'}}})}"
            for one in (*self.resources, *self.former_resources)
            if one.is_dated
        )
        text += "".join(f"\n{one.model_dump_json()}" for one in self.former_sites)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    @property
    def known_places(self) -> tuple[Site, ...]:
        """The sites of which more is known than whom to ask: a pilot may name them, or a group of theirs."""
        return tuple(site for site in self.sites if site.facility or site.groups)

    @property
    def opportunistic(self) -> tuple[str, ...]:
        """The VOs of the list `opportunistic`, in lower case."""
        return tuple(name.lower() for name in self.vo_lists.get("opportunistic", ()))


def read_registry(path: Path) -> Registry:
    """Read `federation.yaml`; a home without one has an empty registry.

    Raises: BadConfiguration (permanent) that names the file, the place and what was expected.
    """
    if not path.exists():
        return Registry()
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            raise BadConfiguration(
                f"{path} has more than {FILE_LIMIT_BYTES:,} bytes; split it or look whether it is the right file"
            )
        content = read_yaml(path.read_text(encoding="utf-8-sig"))
    except OutOfBounds as error:
        raise BadConfiguration(f"{path}, {error}; look whether it is the right file") from error
    except yaml.YAMLError as error:
        raise BadConfiguration(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path} cannot be read: {error}") from error
    except ValueError as error:  # a day or a number that cannot be, such as 2017-13-45
        raise BadConfiguration(f"{path} holds a value that cannot be: {error}") from error
    try:
        return Registry.model_validate(content or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = " › ".join(str(part) for part in first["loc"]) or (
            "" if first["type"] == "value_error" else "the file"
        )
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise BadConfiguration(
            f"{path}: {f'{place}: ' if place else ''}{first['msg'].removeprefix('Value error, ')}{more}"
        ) from error
