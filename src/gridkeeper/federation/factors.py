"""Factors of resources by date: HEPScore23 per core, and what a core hour costs in carbon. No factor is no value, never 0.

Factors are decimals as people write them; sums of whole seconds are multiplied by them as whole millionths, so that
nothing is rounded before the one division at the end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gridkeeper.federation.spells import by_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.federation.model import Registry, Resource

MILLIONTHS = 1_000_000
# HS06 and HEPScore23 are one scale by design: HEPScore23 was scaled so that machines known by HS06 keep their figure.
HEPSCORE23_PER_HS06 = 1

Benchmark = Annotated[Decimal, Field(gt=0, le=10_000, decimal_places=6)]
Amount = Annotated[Decimal, Field(gt=0, le=10_000, decimal_places=3)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BenchmarkFrom(_Strict):
    """What one core of a resource is worth from a day on, as HEPScore23 or HS06. Where both are given, HEPScore23 counts."""

    since: date = Field(default=date.min, alias="from")
    hepscore23: Benchmark | None = None
    hs06: Benchmark | None = None

    @model_validator(mode="after")
    def _says_a_factor(self) -> BenchmarkFrom:
        if self.hepscore23 is None and self.hs06 is None:
            raise ValueError("a benchmark needs a value; write hepscore23 or hs06 beside from")
        return self

    @property
    def millionths(self) -> int:
        """HEPScore23 per core, in millionths."""
        value = self.hepscore23 if self.hepscore23 is not None else self.hs06
        assert value is not None
        return int(value * (MILLIONTHS if self.hepscore23 is not None else MILLIONTHS * HEPSCORE23_PER_HS06))


class Power(_Strict):
    """What a core hour costs: the power of one core, cooling included, and the carbon of a kilowatt hour."""

    gco2e_per_kwh: Amount
    watts_per_core: Amount

    @property
    def millionths(self) -> int:
        """Watts per core x grams of CO2e per kilowatt hour, in millionths."""
        return int(self.gco2e_per_kwh * self.watts_per_core * MILLIONTHS)


class PowerFrom(Power):
    """The same of a resource from a day on."""

    since: date = Field(default=date.min, alias="from")


_Dated = TypeVar("_Dated", BenchmarkFrom, PowerFrom)


def _each_day_once(entries: tuple[_Dated, ...]) -> tuple[_Dated, ...]:
    days = [entry.since for entry in entries]
    if twice := sorted({day for day in days if days.count(day) > 1}):
        when = "from the beginning" if twice[0] == date.min else f"from {twice[0]}"
        raise ValueError(f"two factors count {when} on; keep one of them")
    return entries


Benchmarks = Annotated[tuple[BenchmarkFrom, ...], AfterValidator(_each_day_once)]
Powers = Annotated[tuple[PowerFrom, ...], AfterValidator(_each_day_once)]


@dataclass(frozen=True)
class Span:
    """A resource's factor on [first, until), in millionths."""

    resource: str
    first: date
    until: date
    millionths: int


@dataclass(frozen=True)
class Factors:
    """One kind of factor of all resources. default: of resources and days that have none of their own; None: there is none."""

    spans: tuple[Span, ...]
    default: int | None

    def on(self, resource: str | None, day: date) -> tuple[int | None, bool]:
        """The factor of a resource on a day in millionths (None: there is none), and whether it is the default."""
        for span in self._of_resource.get(resource or "", ()):
            if span.first <= day < span.until:
                return span.millionths, False
        return self.default, self.default is not None

    @cached_property
    def _of_resource(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.resource, []).append(span)
        return found


def benchmarks(registry: Registry) -> Factors:
    """HEPScore23 per core."""
    default = registry.federation.default_hepscore23
    return Factors(
        _spans(registry, lambda one: [(each.since, each.millionths) for each in one.benchmarks]),
        None if default is None else int(default * MILLIONTHS),
    )


def powers(registry: Registry) -> Factors:
    """Watts per core x grams of CO2e per kilowatt hour."""
    default = registry.federation.default_power
    return Factors(
        _spans(registry, lambda one: [(each.since, each.millionths) for each in one.power]),
        None if default is None else default.millionths,
    )


def revision(registry: Registry) -> int:
    """A number that changes whenever a factor does (63 bits of a hash); sums of seconds do not depend on it."""
    text = repr((benchmarks(registry), powers(registry)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _spans(registry: Registry, of: Callable[[Resource], list[tuple[date, int]]]) -> tuple[Span, ...]:
    found: list[Span] = []
    for name, ordered in by_name(registry, of).items():
        ends = [*(since for since, _ in ordered), date.max][1:]
        found += [
            Span(name, since, until, millionths)
            for (since, millionths), until in zip(ordered, ends, strict=True)
        ]
    return tuple(found)
