"""`/api/v1/quarantine`: what was refused, by rule and text by text; and to read it again, or to discard it, with a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from gridkeeper.intake import browsing, quarantine
from gridkeeper.records.rules import MEANING, REMEDY, Rule
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web import deciding, receiving
from gridkeeper.web.api.documents import as_json
from gridkeeper.web.batches import WITHOUT_NUL
from gridkeeper.web.errors import REFUSALS, Answered, told
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.pages.quarantine import EVERY, FILTERS, STATES, asked_of, chosen
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

BODY_BYTES = 256 * 1024
MOST_TEXTS = 500
Text = Annotated[str | None, Field(max_length=256, pattern=WITHOUT_NUL)]
_WORDS = {
    "rule": ("only under this rule", "end_before_start"),
    "probe": ("only of this probe", "slurm:kingspeak.example.edu"),
    "resource": ("only of this resource", "Utah-Kingspeak"),
    "state": (f"one of {', '.join((*STATES, EVERY))}; nothing: open", "open"),
    "after": ("the id of a text: read on behind it", "5f0c6f0de0a94bd7a4e0f2c1"),
}
_BUSY: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "another decision is at work; try again in a minute",
        "content": {
            "application/json": {"example": {"error": "other refusals are being read again just now"}}
        },
    }
}


def _parameters(*names: str) -> dict[str, Any]:
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": _WORDS[name][0], "schema": {"type": "string"}, "example": _WORDS[name][1]}
            for name in names
        ]
    }  # fmt: skip


class Meant(BaseModel):
    """Which open refusals are meant: by their ids, or all of a rule."""

    model_config = ConfigDict(extra="forbid")
    rule: Text = Field(default=None, examples=["end_before_start"])
    ids: list[Annotated[str, Field(max_length=64, pattern=WITHOUT_NUL)]] = Field(
        default=[], max_length=deciding.MOST_AT_ONCE, description="whole ids"
    )
    probe: Text = None
    resource: Text = None
    after: Text = Field(default=None, description="of an earlier answer, to go on behind it")


Asked = TypeVar("Asked", bound=Meant)


class MeantForGood(Meant):
    """The same, and why they are discarded."""

    reason: str = Field(
        max_length=deciding.MOST_REASON_CHARACTERS, pattern=WITHOUT_NUL, examples=["a disk test of carol's"]
    )


class GroupsSaid(BaseModel):
    """What was refused, by rule, format, probe and resource, the latest first."""

    groups: list[dict[str, Any]] = Field(
        examples=[
            [{"rule": "end_before_start", "probe": "slurm:kingspeak.example.edu", "texts": 3, "count": 3}]
        ]
    )


class TextsSaid(BaseModel):
    """Texts that were refused under a rule, the oldest first."""

    rule: str
    meaning: str
    remedy: str
    count: int = Field(description="of all pages")
    texts: list[dict[str, Any]] = Field(description="place, reason, and the text as it was received")
    after: str | None = Field(description="behind which the next page begins; null: this is the last page")


class DecidedSaid(BaseModel):
    """What became of a decision."""

    audit: int = Field(description="the number of its entry in the audit")
    act: str
    told: dict[str, Any] = Field(
        description="texts taken up; loaded, refused, handed_back, incomplete, told_only, failed; or discarded; left: open ones behind `after`"
    )
    sentences: list[str]


def router(services: Services) -> APIRouter:
    """Its addresses."""
    api = APIRouter(prefix="/api/v1/quarantine", tags=["quarantine"], responses=REFUSALS)

    @api.get("", response_model=GroupsSaid, openapi_extra=_parameters(*FILTERS))
    async def groups(request: Request) -> Response:
        """Say what was refused: contacts of a site or resource see their own, operators all."""
        visitor = await visitor_of(services, request, "site-contact")
        asked = asked_of(request.query_params, FILTERS)
        found = await run_in_threadpool(quarantine.groups, services.engine, chosen(services, visitor, asked))
        return answer(
            request, visitor, as_json({"groups": [vars(group) for group in found]}), "application/json"
        )

    @api.get("/{rule}", response_model=TextsSaid, openapi_extra=_parameters(*FILTERS[1:], "after"))
    async def texts(
        request: Request, rule: str, limit: Annotated[int, Query(ge=1, le=MOST_TEXTS)] = 100
    ) -> Response:
        """List the texts that were refused under a rule: contacts see those of their own resources, operators all."""
        visitor = await visitor_of(services, request, "site-contact")
        if rule not in set(Rule):
            raise Answered(404, f"there is no rule {rule[:64]!r}; there are: {', '.join(Rule)}")
        asked = asked_of(request.query_params, (*FILTERS[1:], "after", "limit")) | {"rule": rule}
        choice = chosen(services, visitor, asked)
        rows = await run_in_threadpool(browsing.some, services.engine, choice, asked["after"], limit + 1)
        said = {
            "rule": rule,
            "meaning": MEANING[Rule(rule)],
            "remedy": REMEDY[Rule(rule)],
            "count": await run_in_threadpool(browsing.count, services.engine, choice),
            "texts": [_said(row) for row in rows[:limit]],
            "after": rows[limit - 1]["id"] if len(rows) > limit else None,
        }
        return answer(request, visitor, as_json(said), "application/json")

    _decisions(api, services)
    return api


def _decisions(api: APIRouter, services: Services) -> None:
    @api.post("/retry", response_model=DecidedSaid, responses=_BUSY, openapi_extra=_body(Meant))
    async def retry(request: Request) -> Response:
        """Read open refusals again, at most 1,000 at once: contacts their own, operators all."""
        visitor, meant = await _asked(services, request, Meant)
        choice = _choice(services, visitor, meant)
        found = await run_in_threadpool(deciding.retry, services, visitor, choice, meant.after)
        return _decided(request, visitor, found)

    @api.post("/discard", response_model=DecidedSaid, responses=_BUSY, openapi_extra=_body(MeantForGood))
    async def discard(request: Request) -> Response:
        """Discard open refusals for good, with a reason, at most 1,000 at once: contacts their own, operators all."""
        visitor, meant = await _asked(services, request, MeantForGood)
        choice = _choice(services, visitor, meant)
        found = await run_in_threadpool(
            deciding.discard, services, visitor, choice, meant.reason, meant.after
        )
        return _decided(request, visitor, found)


def _body(model: type[BaseModel]) -> dict[str, Any]:
    example = {"rule": "end_before_start", "probe": "slurm:kingspeak.example.edu"}
    if "reason" in model.model_fields:
        example["reason"] = "a disk test of carol's"
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": model.model_json_schema(), "example": example}},
        }
    }


async def _asked(services: Services, request: Request, model: type[Asked]) -> tuple[Visitor, Asked]:
    visitor = await visitor_of(services, request, "site-contact")
    if visitor.session is not None:  # a page of somebody else's could make a browser send it
        raise NotAllowed(
            "the API changes things for who sends a token in the Authorization header; in a browser use the page /quarantine"
        )
    try:
        body = await receiving.whole(request, BODY_BYTES, services.settings.intake.idle_seconds)
    except receiving.BodyTooLarge:
        raise Answered(413, f"a decision has at most {BODY_BYTES:,} bytes (BODY_BYTES)") from None
    try:
        return visitor, model.model_validate_json(body)
    except ValidationError as error:
        raise Answered(422, told(error)) from None


def _choice(services: Services, visitor: Visitor, meant: Meant) -> quarantine.Choice:
    if meant.rule is None and not meant.ids:
        raise Answered(400, "rule, ids: nothing is done to the whole quarantine at once; name a rule or ids")
    return deciding.choice_of(
        services, visitor, rule=meant.rule, ids=tuple(meant.ids), probe=meant.probe, resource=meant.resource
    )


def _decided(request: Request, visitor: Visitor, found: deciding.Outcome) -> Response:
    said = {"audit": found.id, "act": found.act, "told": found.told, "sentences": list(found.sentences)}
    return answer(request, visitor, as_json(said), "application/json")


_TOLD = (
    "id", "state", "rule", "format", "probe", "said_by", "resource", "vo", "source", "line", "reason", "text_bytes", "first_seen", "last_seen", "times",
    "batch", "closed_at", "closed_by", "closed_because",
)  # fmt: skip


def _said(row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: row[name].decode("utf-8", "backslashreplace") for name in ("context", "text")}
    return {name: row[name] for name in _TOLD} | texts
