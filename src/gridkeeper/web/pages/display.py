"""The display at `/`: what the federation did in the last 24 hours, 30 days and 12 months, for who looks in passing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.daily import daily_wall_hours
from gridkeeper.queries.display import DAYS, EXCLUSIONS, Count, Display, display, total
from gridkeeper.queries.ledger import levels_of
from gridkeeper.reports import plots, wording
from gridkeeper.web.pages.asking import recent, shown_until
from gridkeeper.web.pages.frame import page
from gridkeeper.web.pages.plots import Ending, Theme, plot_answer
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from datetime import datetime

    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

Window = Literal["hours", "days", "months"]
Measure = Literal["jobs", "core-hours", "transfers", "bytes"]


class _Shown(NamedTuple):
    """A window as people call it, how a bar is labelled, and its measure's title."""

    words: str
    label: str


WINDOWS: dict[str, _Shown] = {
    "hours": _Shown("last 24 complete hours", "%H:%M"),
    "days": _Shown("last 30 complete days", "%-d %b"),
    "months": _Shown("last 12 complete months", "%b %y"),
}
MEASURES: dict[str, tuple[str, str]] = {
    "jobs": ("Jobs", "jobs"),
    "core-hours": ("Core hours", "core hours"),
    "transfers": ("Transfers", "transfers"),
    "bytes": ("Bytes moved", "bytes"),
}


def asked(services: Services, opened: Opened | None = None) -> Display:
    """The display's figures, made once an hour and version of the books, for the page and each of its plots.

    opened: the books that a plot is drawn for; see Reading.kept. Raises: LakeUnavailable (retryable).
    """
    hour = services.now().replace(minute=0, second=0, microsecond=0)

    def make(opened: Opened) -> Display:
        return display(opened.books, shown_until(opened, services.now()))

    return services.reading.kept(("display", hour), make, opened)


def value_of(count: Count, measure: str) -> float | None:
    """One of MEASURES of a count."""
    return {
        "jobs": count.jobs, "core-hours": count.core_hours, "transfers": count.transfers, "bytes": count.bytes,
    }[measure]  # fmt: skip


def router(services: Services) -> APIRouter:
    """The display, and its plots under stable addresses."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/")
    async def display_page(request: Request, window: Window = "days") -> Response:
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(asked, services)
        opened = services.reading.opened()
        return page(
            services, request, visitor, "display.html", opened=opened, found=found, window=window, windows=WINDOWS, total=total,
            measures=MEASURES, exclusions=EXCLUSIONS, said=wording, has_transfers=total(found.months).transfers is not None,
        )  # fmt: skip

    @pages.get("/plots/display/{measure}/{window}.{ending}")
    async def bars(
        request: Request, measure: Measure, window: Window, ending: Ending, theme: Theme = "light"
    ) -> Response:
        visitor = await visitor_of(services, request)
        hour = services.now().replace(minute=0, second=0, microsecond=0)

        def make(opened: Opened) -> plots.Plot:
            return _bars(asked(services, opened), measure, window)

        return await plot_answer(
            services, request, visitor, ("display", measure, window, hour), make, ending, theme
        )

    @pages.get("/plots/display/wall-hours-by-vo.{ending}")
    async def by_vo(request: Request, ending: Ending, theme: Theme = "light") -> Response:
        visitor = await visitor_of(services, request)
        day = services.now().date()
        return await plot_answer(
            services, request, visitor, ("wall hours by vo", day), lambda opened: _by_vo(opened, services.now()), ending, theme
        )  # fmt: skip

    return pages


def _bars(found: Display, measure: str, window: str) -> plots.Plot:
    title, unit = MEASURES[measure]
    words, label = WINDOWS[window]
    counts: tuple[Count, ...] = getattr(found, window)
    rows = [(f"{count.begins:{label}}", value_of(count, measure)) for count in counts]
    each = {"hours": "an hour", "days": "a day", "months": "a month"}[window]
    subtitle = f"{words} until {found.until:%-d %b %Y %H:%M} UTC"
    return plots.bars(f"{measure}-{window}", f"{title} {each}", subtitle, rows, unit)


def _by_vo(opened: Opened, moment: datetime) -> plots.Plot:
    shown = recent(opened, moment, DAYS)
    days = daily_wall_hours(opened.books, shown, levels_of(opened.books))
    sums: dict[str, float] = {}
    for use in days:
        if use.vo is not None:
            sums[use.vo] = sums.get(use.vo, 0.0) + use.wall_hours
    return plots.wall_hours_by_day(days, shown, shown, sorted(sums, key=lambda vo: (-sums[vo], vo)))
