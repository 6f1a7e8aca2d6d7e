"""`/api/v1/registry/findings`: how much the registry holds and what is wrong with it, as `gridkeeper federation check --json` tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.web.errors import REFUSALS
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.pages.registry import SEVERITIES, asked_of, findings_for
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.web.services import Services

MOST_AT_ONCE = 5000
PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}, "example": example}
    for name, words, example in (
        ("severity", f"one of {', '.join(SEVERITIES)}", "error"),
        ("code", "only of this code", "shared-fqdn"),
    )
]  # fmt: skip


class FaultSaid(BaseModel):
    """One thing that is wrong with the registry; what may name a person is told to operators only."""

    code: str = Field(examples=["shared-fqdn"])
    severity: str = Field(examples=["error"])
    file: str = Field(examples=["topology/University of Utah/Utah/Utah.yaml"])
    line: int = Field(description="0: the whole file", examples=[12])
    message: str
    fix: str


class FindingsSaid(BaseModel):
    """How much the registry holds, and a page of what is wrong with it, in the order of files and lines."""

    counts: dict[str, int] = Field(examples=[{"facilities": 229, "sites": 420, "resources": 1104}])
    total: int = Field(examples=[1])
    offset: int = Field(examples=[0])
    findings: list[FaultSaid]


def router(services: Services) -> APIRouter:
    """The address."""
    api = APIRouter(prefix="/api/v1/registry", tags=["reading"], responses=REFUSALS)

    @api.get("/findings", response_model=FindingsSaid, openapi_extra={"parameters": PARAMETERS})
    async def findings(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 1000,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    ) -> Response:
        """Say how much the registry holds, and what is wrong with its files."""
        visitor = await visitor_of(services, request)
        asked = asked_of(request.query_params, ("limit", "offset"))

        def ask() -> tuple[dict[str, int], list[Fault]]:
            files = services.noticeboard.files()
            return files.counts, [one for one in findings_for(visitor, files) if asked.holds(one)]

        counts, chosen = await run_in_threadpool(ask)
        said = FindingsSaid(
            counts=counts, total=len(chosen), offset=offset,
            findings=[
                FaultSaid(code=one.code, severity=one.severity, file=one.file, line=one.line, message=one.message, fix=one.fix)
                for one in chosen[offset : offset + limit]
            ],
        )  # fmt: skip
        made = answer(request, visitor, said.model_dump_json().encode(), "application/json")
        if offset + limit < len(chosen):
            following = asked.query(limit=limit, offset=offset + limit)
            made.headers["Link"] = f'</api/v1/registry/findings{following}>; rel="next"'
        return made

    return api
