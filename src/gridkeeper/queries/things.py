"""What pages about one thing say: a VO, an experiment, a site, a resource, a project or a user, in one period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gridkeeper.federation.near_names import nearest
from gridkeeper.queries.names import names_of
from gridkeeper.queries.usage import Scope, Usage, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.periods import Period
    from gridkeeper.summaries.books import Books

Kind = Literal["vo", "experiment", "site", "resource", "project", "user"]
MEASURES = ("jobs", "wall_hours", "core_hours", "efficiency", "failed_jobs", "failed_core_hours")
# What each kind is divided by, in tables: the first of them in the plot, too.
DIVIDED_BY: dict[str, tuple[str, ...]] = {
    "vo": ("site", "experiment"),
    "experiment": ("site",),
    "site": ("vo", "resource"),
    "resource": ("vo", "queue", "outcome"),
    "project": ("site", "vo"),
    "user": ("site", "project", "vo"),
}


@dataclass(frozen=True)
class Thing:
    """A thing and what it used in a period.

    name:   as the books or the registry write it. where: the conditions that choose it.
    total:  its measures; by: dimension → rows, most core hours first; days: (day, name, core hours) by the first dimension.
    months: its measures month by month, all that are known.
    known:  whether the registry or the books know it at all.
    """

    kind: str
    name: str
    where: tuple[tuple[str, str], ...]
    period: Period
    total: dict[str, Any]
    by: dict[str, list[dict[str, Any]]]
    days: list[tuple[Any, str | None, float]]
    months: list[dict[str, Any]]
    known: bool
    asked: Usage


def thing(books: Books, kind: Kind, where: Sequence[tuple[str, str]], period: Period) -> Thing:
    """Say what one thing used in `period`.

    where:  (dimension, name), the last of them its own; names without case.
    Reads:  `usage_daily_brief`, or `usage_daily_users` for projects and users; each resource's own level, the federation's grid.
    Units:  jobs; wall, core hours.
    Raises: LakeUnavailable (retryable).
    """
    where = tuple(where)
    scope = Scope(period, where=where)
    own = where[-1][0]
    total = usage(books, (), MEASURES, scope)
    by = {}
    for name in DIVIDED_BY[kind]:
        rows = usage(books, (name,), MEASURES, scope).rows
        by[name] = sorted(rows, key=lambda row: (-(row["core_hours"] or 0), str(row[name])))
    first = DIVIDED_BY[kind][0]
    days = usage(books, ("day", first), ("core_hours",), scope).rows
    months = usage(books, ("month", own), MEASURES, Scope(None, where=where)).rows
    written = next((str(row[own]) for row in reversed(months)), None) or _written(
        books.registry, own, where[-1][1]
    )
    return Thing(
        kind, written or where[-1][1], where, period, total.rows[0], by,
        [(row["day"], row[first], row["core_hours"]) for row in days], months, written is not None, total,
    )  # fmt: skip


def _written(registry: Registry, dimension: str, name: str) -> str | None:
    """How the registry writes a name; None where it does not know it."""
    return next((known for known in registered(registry, dimension) if known.lower() == name.lower()), None)


def registered(registry: Registry, dimension: str) -> list[str]:
    """The names of a dimension that the registry knows."""
    if dimension == "vo":
        return [vo.name for vo in registry.vos]
    if dimension == "experiment":
        return [part.name for vo in registry.vos for part in _all_parts(vo)]
    if dimension == "site":
        sites = [site.name for site in registry.sites] + [one.site or one.name for one in registry.resources]
        return list(dict.fromkeys(sites))
    if dimension == "resource":
        return [one.name for one in registry.resources]
    return []


def _all_parts(group: Any) -> list[Any]:
    return [part for own in group.experiments for part in (own, *_all_parts(own))]


def near(books: Books, dimension: str, name: str) -> list[str]:
    """The known names closest to one that is not known: of the registry and of the books."""
    used = () if dimension in ("user", "project") else names_of(books, dimension)
    known = {*registered(books.registry, dimension), *used}
    return nearest(name, map(str, known))
