"""`/api/v1/downtimes`: downtimes as the pages show them, page by page; and one, with its history and what of it arrives elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.web.downtimes import is_hers
from gridkeeper.web.errors import REFUSALS
from gridkeeper.web.pages.downtime import found, mapped, notes
from gridkeeper.web.pages.downtimes import STATES, asked_of
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.federation.downtimes.gathering import Told
    from gridkeeper.federation.downtimes.lints import Finding
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

MOST_AT_ONCE = 1000
PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}, "example": example}
    for name, words, example in (
        ("state", f"one of {', '.join(STATES)}", "current"),
        ("site", "only of this site or resource group", "Utah"),
        ("resource", "only where the name of a resource holds this", "kingspeak"),
        ("month", "only what covers some of this month (UTC)", "2026-11"),
    )
]  # fmt: skip


class AffectedSaid(BaseModel):
    """A resource that is down, or a host where the form has no such name."""

    entry: str | None = Field(description="the id of the entry, where it has one", examples=["469790101"])
    resource: str | None = Field(examples=["Utah-Kingspeak"])
    host: str | None = None
    services: list[str] = Field(description="nothing: the resource as a whole", examples=[["CE"]])


class FindingSaid(BaseModel):
    """One thing that is wrong with a downtime."""

    code: str = Field(examples=["downtime-short-notice"])
    severity: str = Field(examples=["warning"])
    message: str
    fix: str


class DowntimeSaid(BaseModel):
    """One downtime; class and severity are null for a line of federation.yaml, which says neither."""

    id: str = Field(examples=["3f2a91c0"])
    state: str = Field(description=f"one of {', '.join(STATES)}", examples=["current"])
    kept_in: str = Field(description="database, topology or federation.yaml", examples=["database"])
    declared_class: str | None = Field(examples=["SCHEDULED"])
    derived_class: str | None = Field(
        description="by the rule of 24 hours; null: nothing says when it was announced",
        examples=["UNSCHEDULED"],
    )
    severity: str | None = Field(examples=["Outage"])
    start: datetime
    until: datetime | None = Field(description="null: nobody knows the end")
    declared_start: str = Field(description="as it was written", examples=["Feb 20, 2017 08:00 -0500"])
    declared_until: str | None
    created: datetime | None = Field(description="when it was announced; null: nothing says")
    text: str = Field(examples=["new cooling"])
    resources: list[str] = Field(examples=[["Utah-Kingspeak"]])
    affected: list[AffectedSaid]
    findings: list[FindingSaid]


class DowntimesSaid(BaseModel):
    """A page of downtimes, in the order of their starts."""

    total: int = Field(examples=[1])
    offset: int = Field(examples=[0])
    downtimes: list[DowntimeSaid]


class PartSaid(BaseModel):
    """One (resource, service), and whether it reaches the other registry."""

    resource: str | None
    service: str
    arrives: bool
    type: str | None = Field(description="what it is called there", examples=["CE"])
    flavour: str | None = Field(examples=["HTCONDOR-CE"])
    endpoint: str | None = Field(examples=["ce.example.org:9619"])
    reason: str | None = Field(
        description="why not, or only in part", examples=["service-type-has-no-counterpart"]
    )
    sentence: str


class RevisionSaid(BaseModel):
    """One change."""

    number: int = Field(examples=[1])
    act: str = Field(examples=["announce"])
    at: datetime
    until: datetime | None = Field(description="the end from then on; null: open")
    reason: str
    who: str | None = Field(description="for operators and contacts of all that it concerns; null for others")


class OneSaid(DowntimeSaid):
    """One downtime with all that is known of it."""

    parts: list[PartSaid] = Field(
        description="of ours: at AGIS and CRIC; of one of theirs: among our resources"
    )
    notes: dict[str, list[str]] = Field(
        description="what readers there take otherwise than it was meant, by reason"
    )
    revisions: list[RevisionSaid] = Field(description="its history, where it is kept here")


def router(services: Services) -> APIRouter:
    """Both addresses."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get("/downtimes", response_model=DowntimesSaid, openapi_extra={"parameters": PARAMETERS})
    async def downtimes(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = 200,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    ) -> Response:
        """List downtimes: announced or imported here, in the registry's files, and in federation.yaml."""
        visitor = await visitor_of(services, request)
        asked = asked_of(request.query_params, ("limit", "offset"))

        def ask() -> tuple[list[Told], list[DowntimeSaid]]:
            board, moment = services.noticeboard.board(), services.now()
            chosen = asked.chosen(board, moment)
            return chosen, [
                DowntimeSaid(**_said(told, moment, board.findings(told)))
                for told in chosen[offset : offset + limit]
            ]

        chosen, shown = await run_in_threadpool(ask)
        said = DowntimesSaid(total=len(chosen), offset=offset, downtimes=shown)
        made = answer(request, visitor, said.model_dump_json().encode(), "application/json")
        if offset + limit < len(chosen):
            following = asked.query(limit=str(limit), offset=str(offset + limit))
            made.headers["Link"] = f'</api/v1/downtimes{following}>; rel="next"'
        return made

    @api.get("/downtimes/{name:path}", response_model=OneSaid)
    async def downtime(request: Request, name: str) -> Response:
        """Say all of one downtime, by its id or the id of one of its entries."""
        visitor = await visitor_of(services, request)
        said = await run_in_threadpool(_one, services, visitor, name)
        return answer(request, visitor, said.model_dump_json().encode(), "application/json")

    return api


def _said(told: Told, moment: datetime, findings: list[Finding]) -> dict[str, Any]:
    first, window = told.incident.first, told.incident.window
    return {
        "id": told.incident.id, "state": told.state(moment), "kept_in": told.where,
        "declared_class": first.declared_class.value if told.is_declared else None,
        "derived_class": first.derived_class.value if first.derived_class else None,
        "severity": first.severity.value if told.is_declared else None, "start": window.start.at, "until": window.until,
        "declared_start": window.start.text, "declared_until": window.end.text if window.end else None,
        "created": first.created.at if first.created else None, "text": first.description, "resources": list(told.incident.resources),
        "affected": [
            AffectedSaid(entry=row.id, resource=row.resource, host=row.host, services=[one.name for one in row.services])
            for row in told.incident.rows
        ],
        "findings": [
            FindingSaid(code=one.lint.value, severity=one.severity, message=one.message, fix=one.fix) for one in findings
        ],
    }  # fmt: skip


def _one(services: Services, visitor: Visitor, name: str) -> OneSaid:
    told, board = found(services, name), services.noticeboard.board()
    sent = mapped(told, board.files.directory)
    sees_who = is_hers(services, visitor, told.incident.resources)
    revisions = told.kept.revisions if told.kept else ()
    return OneSaid(
        **_said(told, services.now(), board.findings(told)),
        parts=[
            PartSaid(
                resource=part.resource, service=part.service, arrives=part.arrives is not None, type=part.arrives.said if part.arrives else None,
                flavour=part.arrives.flavour if part.arrives else None, endpoint=part.arrives.endpoint if part.arrives else None,
                reason=part.reason.value if part.reason else None, sentence=part.sentence,
            )
            for one in sent
            for part in one.parts
        ],
        notes=notes(sent),
        revisions=[
            RevisionSaid(
                number=one.number, act=one.act.value, at=one.at, until=one.rows[0].window.until, reason=one.reason,
                who=one.who if sees_who else None,
            )
            for one in revisions
        ],
    )  # fmt: skip
