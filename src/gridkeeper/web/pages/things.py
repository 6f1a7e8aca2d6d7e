"""A page for each VO, experiment, site, resource, project and user: what it used, divided, day by day and month by month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.things import DIVIDED_BY, Kind, Thing, near, thing
from gridkeeper.reports import plots
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web.pages.asking import path_of, period_of, query
from gridkeeper.web.pages.frame import page
from gridkeeper.web.pages.plots import Ending, Theme, plot_answer
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.federation.model import Registry
    from gridkeeper.queries.periods import Period
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

KINDS: dict[str, str] = {
    "vo": "VO", "experiment": "Experiment", "site": "Site", "resource": "Resource", "project": "Project", "user": "User",
}  # fmt: skip
PLURALS = {
    "vo": "VOs", "experiment": "experiments", "site": "sites", "resource": "resources", "project": "projects", "user": "users",
    "queue": "queues", "outcome": "outcomes",
}  # fmt: skip


def router(services: Services) -> APIRouter:
    """One address a kind, and its plot."""
    pages = APIRouter(include_in_schema=False)
    for kind in ("vo", "site", "resource", "project", "user"):
        _of_kind(pages, services, kind)
    _experiments(pages, services)
    return pages


def _of_kind(pages: APIRouter, services: Services, kind: Any) -> None:
    @pages.get(f"/{kind}/{{name:path}}", name=kind)
    async def thing_page(
        request: Request, name: str, first: str | None = None, until: str | None = None
    ) -> Response:
        return await _page(services, request, kind, ((kind, name),), first, until)

    @pages.get(f"/plots/{kind}/core-hours.{{ending}}", name=f"plot of {kind}")
    async def thing_plot(
        request: Request, ending: Ending, name: str, first: str | None = None, until: str | None = None, theme: Theme = "light"
    ) -> Response:  # fmt: skip
        return await _plot(services, request, kind, ((kind, name),), first, until, ending, theme)


def _experiments(pages: APIRouter, services: Services) -> None:
    @pages.get("/experiment/{vo}/{name:path}", name="experiment")
    async def experiment(
        request: Request, vo: str, name: str, first: str | None = None, until: str | None = None
    ) -> Response:
        return await _page(services, request, "experiment", (("vo", vo), ("experiment", name)), first, until)

    @pages.get("/plots/experiment/core-hours.{ending}", name="plot of experiment")
    async def plot(
        request: Request, ending: Ending, vo: str, name: str, first: str | None = None, until: str | None = None, theme: Theme = "light"
    ) -> Response:  # fmt: skip
        where = (("vo", vo), ("experiment", name))
        return await _plot(services, request, "experiment", where, first, until, ending, theme)


async def _found(
    services: Services, request: Request, kind: Kind, where: tuple[tuple[str, str], ...], first: str | None, until: str | None
) -> tuple[Visitor, Thing]:  # fmt: skip
    visitor = await visitor_of(services, request)

    def ask() -> Thing:
        opened = services.reading.opened()
        return _thing(services, kind, where, _period(services, opened, first, until))

    if kind == "user" and not visitor.is_known:
        raise NotAllowed("who ran what is shown to who may see it; log in")
    found = await run_in_threadpool(ask)
    if kind == "user":
        vos = frozenset(str(row["vo"]) for row in found.by["vo"])
        if not visitor.sees_user(found.name, vos):
            raise NotAllowed(
                "a user's page is shown to the user, to contacts of the user's VO, and to operators"
            )
    return visitor, found


def _thing(
    services: Services, kind: Kind, where: tuple[tuple[str, str], ...], period: Period, opened: Opened | None = None
) -> Thing:  # fmt: skip
    lowered = tuple((dimension, name.lower()) for dimension, name in where)
    return services.reading.kept(
        ("thing", kind, lowered, period), lambda opened: thing(opened.books, kind, where, period), opened
    )


def _period(services: Services, opened: Opened, first: str | None, until: str | None) -> Period:
    week_start = services.registry().federation.week_start
    return period_of(opened, services.now(), week_start, first=first, until=until)


async def _page(
    services: Services, request: Request, kind: Kind, where: tuple[tuple[str, str], ...], first: str | None, until: str | None
) -> Response:  # fmt: skip
    visitor, found = await _found(services, request, kind, where, first, until)
    opened = services.reading.opened()
    if not found.known:
        close = await run_in_threadpool(near, opened.books, where[-1][0], where[-1][1])
        return page(
            services, request, visitor, "unknown.html", status=404, opened=opened, kind=KINDS[kind], name=where[-1][1],
            near=[(name, path_of(kind, name)) for name in close],
        )  # fmt: skip
    asked: dict[str, object] = {"first": found.period.first, "until": found.period.until}
    named = {dimension if dimension != kind else "name": name for dimension, name in where}
    return page(
        services, request, visitor, "thing.html", opened=opened, found=found, kind=KINDS[kind], plurals=PLURALS,
        plot_query=query({**named, **asked}), path_of=path_of, query=query, facts=_facts(services.registry(), found),
        where=[*where], crumbs=_crumbs(services.registry(), found),
    )  # fmt: skip


async def _plot(
    services: Services, request: Request, kind: Kind, where: tuple[tuple[str, str], ...], first: str | None, until: str | None,
    ending: Ending, theme: Theme,
) -> Response:  # fmt: skip
    visitor, found = await _found(services, request, kind, where, first, until)
    key = ("thing plot", kind, where, found.period)

    def make(opened: Opened) -> plots.Plot:
        return _drawn(_thing(services, kind, where, found.period, opened))

    return await plot_answer(services, request, visitor, key, make, ending, theme)


def _drawn(found: Thing) -> plots.Plot:
    by = DIVIDED_BY[found.kind][0]
    sums: dict[str, float] = {}
    for _, name, value in found.days:
        if name is not None:
            sums[name] = sums.get(name, 0.0) + (value or 0.0)
    order = sorted(sums, key=lambda name: (-sums[name], name))
    label = "VO" if by == "vo" else by
    title = f"Core hours a day of {found.name}, by {label}"
    subtitle = f"{found.period.name}, by the day (UTC) a job ended"
    return plots.stacked_by_day(
        "core-hours", title, subtitle, [(day, name, value or 0.0) for day, name, value in found.days], "core_hours",
        found.period, found.period, order, label,
    )  # fmt: skip


def _crumbs(registry: Registry, found: Thing) -> list[tuple[str, str | None]]:
    if found.kind == "experiment":
        vo = found.where[0][1]
        return [("VOs", None), (vo, path_of("vo", vo)), (found.name, None)]
    if found.kind == "resource":
        site = next((one.site for one in registry.resources if one.name.lower() == found.name.lower()), None)
        return [*([(site, path_of("site", site))] if site else []), (found.name, None)]
    return [(KINDS[found.kind], None), (found.name, None)]


def _facts(registry: Registry, found: Thing) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """What the registry says of a thing: (what, [(words, page)]); personal contacts are roles, as the registry has them."""
    name = found.name.lower()
    said: list[tuple[str, list[tuple[str, str | None]]]] = []
    if found.kind == "vo":
        vo = next((one for one in registry.vos if one.name.lower() == name), None)
        if vo is not None:
            said += [("Also called", [(alias, None) for alias in vo.aliases])]
            said += [("Home sites", [(site, path_of("site", site)) for site in vo.home_sites])]
            lists = [
                named
                for named, members in registry.vo_lists.items()
                if name in {one.lower() for one in members}
            ]
            said += [("Lists", [(one, None) for one in lists])]
            owned = [one for one in registry.resources if name in {owner.lower() for owner in one.owners}]
            said += [("Owns (a part of)", [(one.name, path_of("resource", one.name)) for one in owned])]
    if found.kind == "site":
        inside = [one for one in registry.resources if (one.site or one.name).lower() == name]
        said += [("Resources", [(one.name, path_of("resource", one.name)) for one in inside])]
        said += [("Facility", [(one, None) for one in dict.fromkeys(one.facility for one in inside) if one])]
    if found.kind == "resource":
        one = next((one for one in registry.resources if one.name.lower() == name), None)
        if one is not None:
            said += [("Site", [(one.site, path_of("site", one.site))] if one.site else [])]
            said += [("Also called", [(alias, None) for alias in (*one.aliases, *one.hosts)])]
            said += [("Probes", [(probe, path_of("probe", probe)) for probe in one.probes])]
            said += [
                ("Owners", [(f"{vo} {share:g} %", path_of("vo", vo)) for vo, share in one.owners.items()])
            ]
            levels = [
                f"{level.level} since {level.since}" if level.since.year > 1 else level.level
                for level in one.count_level
            ]
            said += [("Counts at", [(", ".join(levels), None)] if levels else [])]
    return [(what, words) for what, words in said if words]
