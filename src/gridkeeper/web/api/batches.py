"""`GET /api/v1/batches`: what was received and what became of it, page by page; for contacts of a resource, and for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.intake.receipts import MOST_AT_ONCE, STATES
from gridkeeper.web.api.documents import as_json
from gridkeeper.web.errors import REFUSALS
from gridkeeper.web.pages.batches import asked_of, page_of
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.probes import batch_said
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.web.services import Services

PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}, "example": example}
    for name, words, example in (
        ("state", f"one of {', '.join(STATES)}", "set-aside"),
        ("probe", "only of this probe", "slurm:kingspeak.example.edu"),
        ("resource", "only of this resource", "Utah-Kingspeak"),
        ("day", "only what was received on this day (UTC)", "2026-11-20"),
        ("before", "the id of a batch: read on behind it", "0f8fad5bd9cb469fa16570867728950e"),
    )
]  # fmt: skip


class BatchesSaid(BaseModel):
    """A page of batches, the newest first."""

    batches: list[dict[str, Any]] = Field(
        description="as /api/v1/batches/{batch}, with who sent each, and from where",
        examples=[[{"batch": "0f8fad5bd9cb469fa16570867728950e", "state": "loaded"}]],
    )
    before: str | None = Field(description="behind which the next page begins; null: this is the last page")


def router(services: Services) -> APIRouter:
    """The address."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get("/batches", response_model=BatchesSaid, openapi_extra={"parameters": PARAMETERS})
    async def batches(
        request: Request, limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE - 1)] = 100
    ) -> Response:
        """List batches: contacts of a site or resource see those of their own, operators all."""
        visitor = await visitor_of(services, request, "site-contact")
        asked = asked_of(visitor, services, request.query_params, ("before", "limit"))
        before = request.query_params.get("before", "").replace("\0", "") or None
        found = await run_in_threadpool(page_of, services, asked, before, limit)
        said = {"batches": [batch_said(one) for one in found.rows], "before": found.before}
        made = answer(request, visitor, as_json(said), "application/json")
        if found.before:
            following = f"/api/v1/batches{found.query(before=found.before, limit=str(limit))}"
            made.headers["Link"] = f'<{following}>; rel="next"'
        return made

    return api
