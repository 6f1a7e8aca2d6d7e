"""`/downtimes`: what is down now, what will be, and what was, by month; as a list, and as a calendar of one month."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.lints import Lint
from gridkeeper.queries.periods import Period, month_of, parse_month
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import must_know, offset_of, path_of, query
from gridkeeper.web.pages.calendar_grid import Day, all_long, covers, in_order_of_weekdays, weeks
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from starlette.datastructures import QueryParams

    from gridkeeper.federation.downtimes.gathering import Told
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.noticeboard import Board
    from gridkeeper.web.services import Services

PARAMETERS = ("state", "site", "resource", "month")
STATES = ("current", "future", "past", "cancelled")
MEANS = {"current": "down now", "future": "coming", "past": "over", "cancelled": "called off"}
A_PAGE = 50
MOST_TEXT = 200
WORDS = {
    Lint.SHORT_NOTICE: "called SCHEDULED at short notice",
    Lint.BACKDATED: "announced after it began",
    Lint.EMPTY: "covers no time",
    Lint.FAR_END: "an end years away",
    Lint.ZONE_SIGN: "a time zone of the other side of the world",
    Lint.OVERLAP: "overlaps another",
    Lint.OVERLAP_DIFFERS: "overlaps another that says otherwise",
    Lint.NO_SERVICE_LEFT: "names no service that is there",
    Lint.SERVICE_GONE: "names a service that is gone",
    Lint.UNKNOWN_RESOURCE: "of an unknown resource",
    Lint.NO_ID: "without an id",
    Lint.HIDDEN: "stands inside another one",
}


@dataclass(frozen=True)
class Asked:
    """Which downtimes are asked for; None: whatever. site: a site or resource group; resource: a part of a name; month: as `2026-11`."""

    state: str | None = None
    site: str | None = None
    resource: str | None = None
    month: Period | None = None

    def query(self, **changes: str | int | None) -> str:
        """The question with changes, as an address has it."""
        told = {
            "state": self.state,
            "site": self.site,
            "resource": self.resource,
            "month": month_text(self.month),
        }
        return query({**told, **changes})

    def chosen(self, board: Board, moment: datetime) -> list[Told]:
        """Those that are meant, in the order of their starts."""
        at = {one.name.lower() for one in board.files.directory.at(self.site)} if self.site else set()
        return [told for told in board.all if self._holds(told, at, moment)]

    def _holds(self, told: Told, at: set[str], moment: datetime) -> bool:
        if self.state is not None and told.state(moment) != self.state:
            return False
        if self.month is not None and not covers(told.incident.window, self.month):
            return False
        names = {name.lower() for name in told.whom}
        if self.site is not None and not names & (at | {self.site.lower()}):
            sites = {(row.site or "").lower() for row in told.incident.rows}
            if self.site.lower() not in sites:
                return False
        return self.resource is None or any(self.resource.lower() in name for name in names)


def month_text(month: Period | None) -> str | None:
    """A month as an address has it."""
    return None if month is None else f"{month.first:%Y-%m}"


def asked_of(asked: QueryParams, others: Sequence[str] = ()) -> Asked:
    """Read which downtimes are asked for. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, (*PARAMETERS, *others))
    told = {name: asked.get(name, "")[:MOST_TEXT].replace("\0", "").strip() or None for name in PARAMETERS}
    if told["state"] is not None and told["state"] not in STATES:
        raise Answered(400, f"state: {told['state'][:64]!r} is none of {', '.join(STATES)}")
    try:
        month = parse_month(told["month"]) if told["month"] else None
    except UserMistake as error:
        raise Answered(400, f"month: {error}") from None
    return Asked(told["state"], told["site"], told["resource"], month)


def address_of(told: Told) -> str:
    """The page of a downtime."""
    return f"/downtime/{quote(told.incident.id, safe='')}"


def wrong_in_words(board: Board, told: Told) -> list[str]:
    """What is wrong with a downtime, in few words, each once."""
    return list(dict.fromkeys(WORDS[one.lint] for one in board.findings(told)))


def router(services: Services) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/downtimes")
    async def downtimes(request: Request) -> Response:
        visitor = await visitor_of(services, request)
        asked = asked_of(request.query_params, ("offset",))
        offset = offset_of(request.query_params)
        return await run_in_threadpool(_page, services, request, visitor, asked, offset)

    return pages


def _page(services: Services, request: Request, visitor: Visitor, asked: Asked, offset: int) -> Response:
    board, moment = services.noticeboard.board(), services.now()
    week_start = services.registry().federation.week_start
    others = replace(asked, state=None).chosen(board, moment)
    states = Counter(told.state(moment) for told in others)
    chosen = [told for told in others if asked.state in (None, told.state(moment))]
    grid: list[list[Day]] = []
    lasting: list[Told] = []
    if asked.month is not None:
        lasting = all_long(asked.month, chosen)
        others = [told for told in chosen if told not in lasting]
        grid = weeks(asked.month, week_start, others, moment.date())
    sections, left = _sections(chosen, asked, moment, offset)
    return page(
        services, request, visitor, "downtimes.html", board=board, asked=asked, found=chosen, states={name: states[name] for name in STATES},
        means=MEANS, sections=sections, left=left, offset=offset, a_page=A_PAGE, grid=grid, lasting=lasting, weekdays=in_order_of_weekdays(week_start), moment=moment,
        address_of=address_of, wrong=wrong_in_words, path_of=path_of, query=query, this_month=month_text(month_of(moment.date())),
        before=_beside(asked.month, -1), after=_beside(asked.month, 1), years=_years(board) if asked.month is None else [],
        may_announce=visitor.may_act_as("site-contact"), resource_known={one.name for one in services.registry().resources},
    )  # fmt: skip


def _sections(
    chosen: Sequence[Told], asked: Asked, moment: datetime, offset: int
) -> tuple[list[tuple[str, list[Told]]], int]:
    """What is listed under which heading, and how many past ones are left behind them."""
    if asked.month is not None:
        return [(f"Downtimes of {asked.month.name}", list(chosen))] if chosen else [], 0
    by_state = {name: [told for told in chosen if told.state(moment) == name] for name in STATES}
    over = sorted(
        (*by_state["past"], *by_state["cancelled"]),
        key=lambda told: (told.incident.window.start.at, told.incident.id),
        reverse=True,
    )
    sections = [] if offset else [("Down now", by_state["current"]), ("Coming", by_state["future"])]
    for month, those in groupby(over[offset : offset + A_PAGE], key=_month_of_start):
        sections.append((f"Past: {month}", list(those)))
    return [(name, those) for name, those in sections if those], max(0, len(over) - offset - A_PAGE)


def _month_of_start(told: Told) -> str:
    return f"{told.incident.window.start.at:%B %Y}"


def _beside(month: Period | None, step: int) -> Period | None:
    """The month before or after; None where it lies beyond the years that can be asked for."""
    if month is None:
        return None
    other = month.before() if step < 0 else month_of(month.until)
    try:
        return parse_month(f"{other.first:%Y-%m}")
    except UserMistake:
        return None


def _years(board: Board) -> list[tuple[str, list[tuple[str, int]]]]:
    """Years with their months and how many begin in each, the newest first; beyond the years that can be asked for, none."""
    told: Iterable[tuple[str, int]] = (
        (name, count) for name, count in board.months().items() if _can_be_asked(name)
    )
    return [
        (year, [(name, count) for name, count in months])
        for year, months in groupby(told, key=lambda one: one[0][:4])
    ]


def _can_be_asked(month: str) -> bool:
    try:
        parse_month(month)
    except UserMistake:
        return False
    return True
