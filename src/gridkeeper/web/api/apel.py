"""`/api/v1/apel/2017-01`: a month's feed for APEL, to be fetched; and how it differs from what was sent last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.exports.apel_feed import Feed, as_dict, made, note_pull
from gridkeeper.exports.apel_groups import month_told
from gridkeeper.feed_settings import Dialect
from gridkeeper.queries.periods import parse_month
from gridkeeper.web.api.documents import as_json
from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.visiting import address_of, visitor_of

if TYPE_CHECKING:
    from gridkeeper.exports.apel_groups import MonthTold
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

Dialected = Annotated[Dialect | None, Query(description="else that of the settings", examples=["v0.4"])]
_AS_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All messages, those of summaries first, one after another; each begins with its header.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class FeedSaid(BaseModel):
    """A month's feed in numbers, and how it differs from what was sent last."""

    month: str = Field(examples=["2017-01"])
    dialect: str = Field(examples=["v0.4"])
    source: str = Field(description="jobs or reported", examples=["jobs"])
    groups: int = Field(examples=[295])
    totals: dict[str, int] = Field(examples=[{"jobs": 10_580_842, "wall_s": 108_843_447_210}])
    messages: list[dict[str, Any]] = Field(description="name, kind, records and bytes of each")
    checksum: str = Field(description="SHA-256 of all messages, one after the other")
    notes: list[str]
    versions: dict[str, int]
    difference: dict[str, Any] = Field(
        description="groups new, changed, gone and the same; sums by site and VO"
    )


def router(services: Services) -> APIRouter:
    """Both addresses."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get("/apel/{month}", response_class=Response, responses=_AS_TEXT)
    async def feed(request: Request, month: str, dialect: Dialected = None) -> Response:
        """Fetch a month's feed: for operators, since it may name users. What is fetched is written down and audited."""
        visitor = await visitor_of(services, request, "operator")
        found = await run_in_threadpool(_feed, services, month, dialect)
        body = b"".join(message.text for message in found.messages)
        made_answer = answer(request, visitor, body, "text/plain; charset=us-ascii")
        if made_answer.status_code == 200:
            address = address_of(services, request)
            await run_in_threadpool(note_pull, services.engine, found, visitor.name, services.now(), address)
        return made_answer

    @api.get("/apel/{month}/difference", response_model=FeedSaid)
    async def difference(request: Request, month: str, dialect: Dialected = None) -> Response:
        """Say how a month's feed differs from what was sent last: for operators. Nothing is written down."""
        visitor = await visitor_of(services, request, "operator")
        found = await run_in_threadpool(_feed, services, month, dialect)
        return answer(request, visitor, as_json(as_dict(found)), "application/json")

    return api


def _feed(services: Services, name: str, dialect: Dialect | None) -> Feed:
    """Make a month's feed of the books as they are open. Raises: Answered (404) where there is nothing to tell."""
    settings = services.settings.apel
    month, chosen = parse_month(name), dialect or settings.dialect

    def make(opened: Opened) -> MonthTold:
        has_jobs = opened.books.holds("usage_records") or not opened.books.holds("usage_reported")
        return month_told(opened.books, settings, month, "jobs" if has_jobs else "reported", chosen)

    told = services.reading.kept(("apel", month, chosen), make)
    found = made(services.engine, told, chosen, services.now())
    if not found.groups:
        raise Answered(
            404, f"nothing is known of {month.name} of {', '.join(settings.vos)}, and nothing was sent"
        )
    return found
