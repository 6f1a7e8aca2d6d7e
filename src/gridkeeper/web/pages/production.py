"""The production report at `/production`, week by week: every name leads to its page, every section says where it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.site_vo import NO_SITE, UNMAPPED
from gridkeeper.reports import coverage_sentences as covering
from gridkeeper.reports import production_sentences as say
from gridkeeper.reports import silence_sentences as care
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import path_of, query
from gridkeeper.web.pages.frame import answer, environment, page
from gridkeeper.web.pages.plots import Ending, Theme, plot_answer
from gridkeeper.web.pages.steps import asked_as, steps_of
from gridkeeper.web.reporting import TYPES, Asked, asked_for, content_of, file_of, known_days
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gridkeeper.queries.periods import Period
    from gridkeeper.reports.plots import Plot
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

Drawn = Literal["wall-hours-by-day", "running-cores"]
# What each plot is called in the report's files.
PLOTS: dict[str, str] = {"wall-hours-by-day": "wall-hours-by-day", "running-cores": "running-cores-by-hour"}
SHAPES = {"twiki": "twiki", "md": "markdown", "html": "html", "json": "json", "csv": "csv"}
# A report's file has its style in itself, and is shown where it came from alone.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"


def router(services: Services) -> APIRouter:
    """The page, its downloads, and its plots."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/production")
    async def production(request: Request) -> Response:
        visitor, asked = await asked_by(services, request, "production")
        values = await run_in_threadpool(_shown, services, asked)
        return page(services, request, visitor, "production.html", **values)

    @pages.get("/production.{ending}")
    async def production_file(request: Request, ending: str) -> Response:
        return await file_answer(services, request, "production", ending, SHAPES)

    @pages.get("/plots/production/{drawn}.{ending}")
    async def plot(request: Request, drawn: Drawn, ending: Ending, theme: Theme = "light") -> Response:
        visitor, asked = await asked_by(services, request, "production")

        def make(opened: Opened) -> Plot:
            found: dict[str, Plot] = {one.name: one for one in content_of(services, asked, opened).plots()}
            if PLOTS[drawn] not in found:
                raise Answered(404, f"there is nothing to draw of {asked.period.name}")
            return found[PLOTS[drawn]]

        return await plot_answer(services, request, visitor, ("production", drawn, asked.period, asked.hour), make, ending, theme)  # fmt: skip

    return pages


async def asked_by(services: Services, request: Request, report: str) -> tuple[Visitor, Asked]:
    """Who asks, and for which report of which period. Raises: Answered (400), LakeUnavailable (retryable)."""
    visitor = await visitor_of(services, request)
    return visitor, await run_in_threadpool(asked_for, services, visitor, report, request.query_params)


async def file_answer(
    services: Services, request: Request, report: str, ending: str, shapes: Mapping[str, str]
) -> Response:
    """A report as a file to take away. shapes: ending → format of the report. Raises: Answered (400, 404)."""
    if ending not in shapes:
        raise Answered(404, f"{report} has no ending {ending[:20]!r}; it has {', '.join(shapes)}")
    visitor, asked = await asked_by(services, request, report)
    body = await run_in_threadpool(file_of, services, asked, shapes[ending])
    made = answer(request, visitor, body, TYPES[shapes[ending]])
    made.headers["Content-Security-Policy"] = FILE_POLICY
    made.headers["Content-Disposition"] = f'attachment; filename="{file_name(asked, ending)}"'
    return made


def file_name(asked: Asked, ending: str) -> str:
    """`production-2017-01-31-to-2017-02-06.twiki`; a month's is `site-vo-2017-01.xlsx`."""
    period = asked.period
    days = f"{period.first:%Y-%m}" if period.is_month else f"{period.first}-to-{period.last}"
    return f"{asked.report}-{days}.{ending}"


def links_of(period: Period) -> Callable[..., str | None]:
    """Where names lead: to the pages of things, for the same days."""
    days = query({"first": period.first, "until": period.until})

    def link(kind: str, name: str, vo: str | None = None) -> str | None:
        if name in (UNMAPPED, NO_SITE):
            return None
        if kind == "experiment" and vo is not None:
            return f"/experiment/{quote(vo, safe='')}/{quote(name, safe='')}{days}"
        path = path_of(kind, name)
        return path if path is None or kind == "probe" else path + days

    return link


def in_steps(services: Services, asked: Asked, opened: Opened) -> dict[str, Any]:
    """What the heads of the pages of reports say: the period as addresses ask for it, and where to go from it."""
    week_start = services.registry().federation.week_start
    known = known_days(services, opened)
    return {
        "asked": query(asked_as(asked.period, week_start)), "period": asked.period, "known": known, "query": query,
        "steps": steps_of(known, asked.period, week_start),
    }  # fmt: skip


def _shown(services: Services, asked: Asked) -> dict[str, Any]:
    """What the page is filled with; all that takes time is made once a version of the books."""

    def body(opened: Opened) -> Markup:
        content = content_of(services, asked, opened)
        drawn = {one.name for one in content.plots()}
        filled = environment().get_template("production_figures.html").render(
            content=content, found=content.found, say=say, care=care, covering=covering, link=links_of(asked.period), on_page=True,
            asked=query(asked_as(asked.period, services.registry().federation.week_start)),
            drawn=[path for path, name in PLOTS.items() if name in drawn],
        )  # fmt: skip
        return Markup(filled)

    opened = services.reading.opened()
    content = content_of(services, asked, opened)
    figures = services.reading.kept(("report page", asked), body, opened)
    return {"opened": opened, "content": content, "figures": figures, **in_steps(services, asked, opened)}
