"""`/probe/NAME`: whether its records arrived, what it does, what it last said, its receipts, and what of it was refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.monitoring.backlogs import Backlog
from gridkeeper.monitoring.pools import PoolHour, read_pool_hours
from gridkeeper.queries.periods import Period
from gridkeeper.reports.pool_plot import pool_by_hour
from gridkeeper.reports.silence_sentences import named
from gridkeeper.web.pages.asking import path_of, query
from gridkeeper.web.pages.frame import page
from gridkeeper.web.pages.plots import Ending, Theme, plot_answer
from gridkeeper.web.pages.sources import pages_of, slug
from gridkeeper.web.probes import arrived, probe_of
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.reports.plots import Plot
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

POOL_DAYS = 7


def router(services: Services) -> APIRouter:
    """The page, and the plot of the probe's pool."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/probe/{name:path}")
    async def probe(request: Request, name: str) -> Response:
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(probe_of, services, visitor, name[:256])
        opened = services.reading.opened()
        if not found.is_known:
            return page(
                services, request, visitor, "unknown.html", status=404, opened=opened, kind="Probe", name=name[:256],
                near=[(one, path_of("probe", one)) for one in found.near],
            )  # fmt: skip
        hours = await run_in_threadpool(_hours, services, found.name)
        return page(
            services, request, visitor, "probe.html", opened=opened, found=found, arrived=arrived(found), path_of=path_of, page_of=pages_of(services.registry()), query=query, named=named, slug=slug,
            waiting=[_waiting(word) for word in found.words], has_pool=bool(hours), plot_query=query({"name": found.name}), pool_days=POOL_DAYS,
        )  # fmt: skip

    @pages.get("/plots/probe/pool.{ending}")
    async def plot(request: Request, ending: Ending, name: str, theme: Theme = "light") -> Response:
        visitor = await visitor_of(services, request)
        minute = services.now().replace(second=0, microsecond=0)

        def make(_: Opened) -> Plot:
            return pool_by_hour(name, _period(services), _hours(services, name))

        return await plot_answer(
            services, request, visitor, ("pool", name[:256], minute), make, ending, theme
        )

    return pages


def _period(services: Services) -> Period:
    today = services.now().date()
    return Period(today - timedelta(days=POOL_DAYS - 1), today + timedelta(days=1))


def _hours(services: Services, name: str) -> tuple[PoolHour, ...]:
    return read_pool_hours(services.engine, _period(services), name)


def _waiting(word: dict[str, int | None]) -> str | None:
    told = Backlog(word["backlog_batches"], word["backlog_records"], word["backlog_jobs"])
    return told.words if told.is_told else None
