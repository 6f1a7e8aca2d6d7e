"""`/batches` and `/batch/ID`: what was received and what became of it; for contacts of a resource, and for operators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.errors import UserMistake
from gridkeeper.intake import receipts
from gridkeeper.queries.periods import parse_day
from gridkeeper.records.rules import REMEDY, Rule
from gridkeeper.web.belonging import owned_by
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import must_know, path_of, query
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import QueryParams

    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

A_PAGE = 50
PARAMETERS = ("state", "probe", "resource", "day")
MOST_REFUSALS = 100


@dataclass(frozen=True)
class Page:
    """A page of batches. before: the batch that the next page begins after; None: there is no next page."""

    asked: receipts.Asked
    rows: list[dict[str, Any]]
    before: str | None

    def query(self, **changes: str | None) -> str:
        """The question with changes, as an address has it."""
        return query({name: getattr(self.asked, name) for name in PARAMETERS} | changes)


def asked_of(
    visitor: Visitor, services: Services, asked: QueryParams, others: tuple[str, ...]
) -> receipts.Asked:
    """Read which batches are asked for. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, (*PARAMETERS, *others))
    told = {name: asked.get(name, "")[:256].replace("\0", "") or None for name in PARAMETERS}
    if told["state"] is not None and told["state"] not in receipts.STATES:
        raise Answered(400, f"state: {told['state'][:64]!r} is none of {', '.join(receipts.STATES)}")
    try:
        day = parse_day(told["day"]) if told["day"] else None
    except UserMistake as error:
        raise Answered(400, f"day: {error}") from None
    return receipts.Asked(
        told["state"], told["probe"], told["resource"], day, owned_by(visitor, services.registry())
    )


def page_of(services: Services, asked: receipts.Asked, before: str | None, limit: int) -> Page:
    """One page of batches. Blocks. Raises: UserMistake (permanent), DatabaseUnavailable (retryable)."""
    rows = receipts.batches(services.engine, asked, before=before, limit=limit + 1)
    return Page(asked, rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)


def router(services: Services) -> APIRouter:
    """The list, and a page for each batch."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/batches")
    async def batches(request: Request) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        asked = asked_of(visitor, services, request.query_params, ("before",))
        before = request.query_params.get("before") or None
        found = await run_in_threadpool(page_of, services, asked, before, A_PAGE)
        counts = await run_in_threadpool(receipts.counts, services.engine, replace(asked, state=None))
        return page(
            services, request, visitor, "batches.html", opened=services.reading.opened(), found=found, asked=asked, counts=counts, begun=before is not None, path_of=path_of,
        )  # fmt: skip

    @pages.get("/batch/{name}")
    async def batch(request: Request, name: str) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        owned = owned_by(visitor, services.registry())
        found = await run_in_threadpool(receipts.batch, services.engine, name[:64].replace("\0", ""), owned)
        if found is None:
            raise Answered(
                404,
                "there is no such batch, or it is somebody else's; loaded batches are forgotten after a time",
            )
        refused = await run_in_threadpool(receipts.refusals_of, services.engine, found, owned, MOST_REFUSALS)
        return page(
            services, request, visitor, "batch.html", opened=services.reading.opened(), found=found, refused=refused, most=MOST_REFUSALS, path_of=path_of,
            remedy_of=remedy_of, query=query, became=became_of(found["result"] or {}),
        )  # fmt: skip

    return pages


def became_of(result: Mapping[str, Any]) -> str:
    """What became of the records of a loaded batch, in a sentence that adds up; what did not happen is not said."""
    read = int(result.get("read") or 0)
    if not read:
        return "It held no record."
    parts = {
        "new in the books": result.get("loaded"),
        "there already": result.get("duplicates"),
        "in the place of an earlier content": result.get("revised"),
        "refused": result.get("rejected"),
        "rightly no record": sum((result.get("skipped") or {}).values()),
    }
    told = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    return f"{read:,} {'record was' if read == 1 else 'records were'} read: {told}."


def remedy_of(rule: str) -> str:
    """What to do where a rule was broken; nothing for rules of older versions."""
    return REMEDY.get(Rule(rule), "") if rule in set(Rule) else ""
