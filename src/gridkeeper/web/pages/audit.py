"""`/audit`: what changed anything, who did it, when and from where; the newest first; for operators. And the same as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.queries.periods import parse_day
from gridkeeper.trust import audit
from gridkeeper.web.api.documents import as_json
from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.asking import must_know, query
from gridkeeper.web.pages.frame import answer, page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from gridkeeper.web.services import Services

A_PAGE = 100
MOST_ENTRIES = 500
FILTERS = ("who", "act", "since", "before")
_LARGEST_ID = 2**62
_WORDS = {
    "who": ("only what this one did, exactly", "local alice"),
    "act": ("an act, or its noun for all acts of it", "quarantine.retry"),
    "since": ("only from this day on (UTC)", "2026-11-01"),
    "before": ("only entries with a smaller id: the next page", "1200"),
}


@dataclass(frozen=True)
class Asked:
    """Which entries are asked for; None: whatever."""

    who: str | None
    act: str | None
    since: datetime | None
    before: int | None

    def query(self, before: int | None = None) -> str:
        """The question, from another place on."""
        since = f"{self.since:%Y-%m-%d}" if self.since else None
        return query({"who": self.who, "act": self.act, "since": since, "before": before})


class EntriesSaid(BaseModel):
    """A page of the audit, the newest first."""

    entries: list[dict[str, Any]] = Field(
        examples=[[{"id": 7, "who": "local alice", "act": "token.create", "subject": "token 3f2a9c81"}]]
    )
    before: int | None = Field(description="for the next page; null: this is the last page")


def asked_of(asked: QueryParams, others: tuple[str, ...] = ()) -> Asked:
    """Read which entries are asked for. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, (*FILTERS, *others))
    told = {name: asked.get(name, "")[:256].replace("\0", "") or None for name in FILTERS}
    try:
        since = datetime.combine(parse_day(told["since"]), time(), UTC) if told["since"] else None
    except UserMistake as error:
        raise Answered(400, f"since: {error}") from None
    before = told["before"]
    if before is not None and not (before.isascii() and before.isdecimal() and 0 < int(before) < _LARGEST_ID):
        raise Answered(400, f"before: {before[:64]!r} is no number of an entry")
    return Asked(told["who"], told["act"], since, int(before) if before else None)


def entries(services: Services, asked: Asked, limit: int) -> tuple[list[audit.Entry], int | None]:
    """A page of entries, and before which the next one begins. Blocks. Raises: DatabaseUnavailable (retryable)."""
    with reading(services.engine) as connection:
        found = audit.entries(
            connection, who=asked.who, act=asked.act, since=asked.since, before=asked.before, limit=limit + 1
        )
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def router(services: Services) -> APIRouter:
    """The page."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/audit")
    async def the_audit(request: Request) -> Response:
        visitor = await visitor_of(services, request, "operator")
        asked = asked_of(request.query_params)
        found, before = await run_in_threadpool(entries, services, asked, A_PAGE)
        return page(services, request, visitor, "audit.html", asked=asked, entries=found, before=before)

    return pages


def api(services: Services) -> APIRouter:
    """The same as JSON."""
    made = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)
    parameters = [
        {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}, "example": example}
        for name, (words, example) in _WORDS.items()
    ]  # fmt: skip

    @made.get("/audit", response_model=EntriesSaid, openapi_extra={"parameters": parameters})
    async def the_audit(
        request: Request, limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = A_PAGE
    ) -> Response:
        """List what changed anything, who did it, when and from where: for operators."""
        visitor = await visitor_of(services, request, "operator")
        asked = asked_of(request.query_params, ("limit",))
        found, before = await run_in_threadpool(entries, services, asked, limit)
        said = {"entries": [vars(entry) for entry in found], "before": before}
        return answer(request, visitor, as_json(said), "application/json")

    return made
