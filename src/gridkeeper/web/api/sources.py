"""`/api/v1/sources`: the state of every source, as `gridkeeper probes --json` tells it, and as CSV; `/api/v1/probes/NAME`: one probe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.monitoring.states import CARE
from gridkeeper.reports.silence_json import source_said, sources_said
from gridkeeper.web.api.documents import as_json
from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.pages.sources import CARE_WORD, as_csv, asked_by
from gridkeeper.web.probes import arrived, batch_said, probe_of
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.web.services import Services

_STATES = ", ".join((CARE_WORD, *(state.value for state in CARE)))
PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}, "example": example}
    for name, words, example in (
        ("state", f"one of {_STATES}", "silent"),
        ("site", "only of this site", "Utah"),
        ("text", "only where resource, site or probe holds this", "kingspeak"),
        ("format", "json or csv", "json"),
    )
]  # fmt: skip
_AS_CSV = {"content": {"text/csv": {"schema": {"type": "string"}}}}


class SourcesSaid(BaseModel):
    """The states of sources, those that need care first."""

    moment: str = Field(examples=["2017-02-07T00:00:00+00:00"])
    judged_until: str = Field(description="days before it were judged", examples=["2017-02-07"])
    nothing_since: str | None = Field(description="the newest day in the books, where nothing came since")
    any_probe_heard: bool
    interval: float = Field(description="the chance with which missing core hours lie in their interval")
    counts: dict[str, int] = Field(examples=[{"silent": 1, "reporting": 118}])
    sources: list[dict[str, Any]] = Field(
        description="as `gridkeeper probes --json` (docs/silence.md); `ask` for who is logged in, `problem` for contacts of the resource and operators",
        examples=[[{"resource": "Utah-Kingspeak", "probe": "slurm:kingspeak.example.edu", "level": "batch", "state": "silent"}]],
    )  # fmt: skip


class ProbeSaid(BaseModel):
    """One probe, as far as who asks may see it."""

    probe: str = Field(examples=["slurm:kingspeak.example.edu"])
    arrived: str = Field(
        description="whether its records arrived, in words",
        examples=["Yes: its newest record ended on 2017-02-06."],
    )
    sources: list[dict[str, Any]] = Field(description="as in /api/v1/sources")
    last_words: list[dict[str, Any]] = Field(
        description="what it last said, one a resource; `problem` and `address` for contacts of the resource and operators"
    )
    resources: list[str] = Field(description="for which it reports, by the registry")
    batches: list[dict[str, Any]] | None = Field(description="its last batches; null: not shown to who asks")
    refused: list[dict[str, Any]] | None = Field(
        description="its refusals by rule, state and format; null: not shown to who asks"
    )


def router(services: Services) -> APIRouter:
    """The address."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get(
        "/sources",
        response_model=SourcesSaid,
        responses={200: _AS_CSV},
        openapi_extra={"parameters": PARAMETERS},
    )
    async def sources(request: Request) -> Response:
        """Say what every source does, since when, why, and what is probably missing of it."""
        visitor, asked, found = await asked_by(services, request, ("format",))
        chosen = tuple(one for one in found.sources if asked.holds(one))
        kind = request.query_params.get("format") or "json"
        if kind == "csv":
            return as_csv(request, visitor, chosen)
        if kind != "json":
            raise Answered(400, f"format: {kind[:32]!r} is none of json, csv")
        said = sources_said(replace(found, sources=chosen), all_of_them=True)
        return answer(request, visitor, as_json(said), "application/json")

    @api.get("/probes/{name:path}", response_model=ProbeSaid)
    async def probe(request: Request, name: str) -> Response:
        """Say whether a probe's records arrived, what it does, what it last said, and its receipts."""
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(probe_of, services, visitor, name[:256])
        if not found.is_known:
            near = f"; near it are: {', '.join(found.near)}" if found.near else ""
            raise Answered(404, f"there is no probe {name[:256]!r}{near}")
        said = {
            "probe": found.name,
            "arrived": arrived(found),
            "sources": [source_said(one) for one in found.sources],
            "last_words": [
                {key: value for key, value in word.items() if key != "probe"} for word in found.words
            ],
            "resources": [one.name for one in found.resources],
            "batches": None if found.batches is None else [batch_said(one) for one in found.batches],
            "refused": None if found.refused is None else [vars(group) for group in found.refused],
        }
        return answer(request, visitor, as_json(said), "application/json")

    return api
