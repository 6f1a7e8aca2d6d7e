"""Months side by side at `/trends`: what each VO used, its ups and downs, told and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.site_vo import UNMAPPED
from gridkeeper.reports import plots
from gridkeeper.reports.wording import CORE_HOURS, hours
from gridkeeper.web.pages.asking import query
from gridkeeper.web.pages.frame import environment, page
from gridkeeper.web.pages.plots import Ending, Theme, plot_answer
from gridkeeper.web.pages.production import asked_by, file_answer, in_steps, links_of
from gridkeeper.web.pages.steps import asked_as
from gridkeeper.web.reporting import content_of

if TYPE_CHECKING:
    from gridkeeper.queries.trends import Trends
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.reporting import Asked
    from gridkeeper.web.services import Services

SHAPES = {"md": "markdown", "twiki": "twiki", "html": "html", "json": "json", "csv": "csv"}


def router(services: Services) -> APIRouter:
    """The page, its downloads, and its plot."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/trends")
    async def trends(request: Request) -> Response:
        visitor, asked = await asked_by(services, request, "trends")
        values = await run_in_threadpool(_shown, services, asked)
        return page(services, request, visitor, "trends_page.html", **values)

    @pages.get("/trends.{ending}")
    async def trends_file(request: Request, ending: str) -> Response:
        return await file_answer(services, request, "trends", ending, SHAPES)

    @pages.get("/plots/trends/core-hours-by-month.{ending}")
    async def plot(request: Request, ending: Ending, theme: Theme = "light") -> Response:
        visitor, asked = await asked_by(services, request, "trends")

        def make(opened: Opened) -> plots.Plot:
            return drawn(content_of(services, asked, opened).trends)

        return await plot_answer(services, request, visitor, ("trends", asked.period, asked.hour), make, ending, theme)  # fmt: skip

    return pages


def drawn(found: Trends) -> plots.Plot:
    """Core hours by VO, one bar a month; the VOs that used most in the newest month by name."""
    rows = [
        (f"{month.first:%b %Y}", None if trend.name == UNMAPPED else trend.name, hours(seconds) or 0.0)
        for trend in found.vos
        for month, seconds in zip(found.months, trend.core_seconds, strict=True)
    ]
    order = [trend.name for trend in found.vos if trend.name != UNMAPPED]
    labels = [f"{month.first:%b %Y}" for month in found.months]
    subtitle = f"{labels[0]} to {labels[-1]}, by the day (UTC) a job ended"
    return plots.stacked_in_order(
        "core-hours-by-month", "Core hours a month, by VO", subtitle, rows, labels, CORE_HOURS, order
    )


def _shown(services: Services, asked: Asked) -> dict[str, Any]:
    def body(opened: Opened) -> Markup:
        content = content_of(services, asked, opened)
        return Markup(
            environment().get_template("trends_figures.html").render(
                content=content, link=links_of(content.trends.month),
                asked=query(asked_as(asked.period, services.registry().federation.week_start)),
            )
        )  # fmt: skip

    opened = services.reading.opened()
    content = content_of(services, asked, opened)
    figures = services.reading.kept(("report page", asked), body, opened)
    return {"opened": opened, "content": content, "figures": figures, **in_steps(services, asked, opened)}
