"""The native door: raw text of any format comes in as a batch; its receipt, and what became of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from gridkeeper.formats.registry import formats
from gridkeeper.intake import contacts
from gridkeeper.intake.inbox import Arrival, Clash, Receipt
from gridkeeper.intake.loader import AUTO
from gridkeeper.probes.contract import HEARTBEAT_BYTES, MOST_NAME_CHARACTERS, MOST_SAMPLES
from gridkeeper.web import receiving
from gridkeeper.web.access import recognised
from gridkeeper.web.errors import REFUSALS, Answered, told
from gridkeeper.web.metrics import RECEIVED_BATCHES, RECEIVED_BYTES

if TYPE_CHECKING:
    from gridkeeper.intake.inbox import Upload
    from gridkeeper.web.services import Services

ENCODINGS = ("identity", "gzip", "zstd")
WITHOUT_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in a text
Name = Annotated[str | None, Query(max_length=256, min_length=1, pattern=WITHOUT_NUL)]
_CLASH: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "the key is that of another batch of this sender; the sentence says in what they differ",
        "content": {"application/json": {"example": {"error": Clash("0f8f", ("body",)).sentence}}},
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ReceiptSaid(BaseModel):
    """What a sender gets when its bytes are on disk."""

    batch: str = Field(examples=["0f8fad5bd9cb469fa16570867728950e"])
    sha256: str = Field(description="of the body as it was sent")
    bytes: int


class BatchSaid(BaseModel):
    """What became of a batch."""

    batch: str
    state: Literal["waiting", "loaded", "set-aside", "discarded"]
    received_at: datetime
    finished_at: datetime | None
    format: str
    resource: str | None
    probe: str | None
    bytes: int
    sha256: str
    result: dict[str, Any] | None = Field(
        description="read, loaded, duplicates, revised, rejected, skipped, rules; problem: why it was set aside"
    )


class SampleSaid(BaseModel):
    """Running or pending work of one account or VO."""

    model_config = ConfigDict(extra="forbid")
    state: Literal["running", "pending"]
    jobs: int = Field(ge=0, le=10**9)
    cores: int = Field(ge=0, le=10**10)
    account: str | None = Field(default=None, max_length=MOST_NAME_CHARACTERS, pattern=WITHOUT_NUL)
    vo: str | None = Field(default=None, max_length=MOST_NAME_CHARACTERS, pattern=WITHOUT_NUL)


class Heartbeat(BaseModel):
    """What a probe says of itself, jobs or no jobs."""

    model_config = ConfigDict(extra="ignore")
    probe: str = Field(min_length=1, max_length=256, pattern=WITHOUT_NUL)
    resource: str = Field(min_length=1, max_length=256, pattern=WITHOUT_NUL)
    version: str | None = Field(default=None, max_length=64, pattern=WITHOUT_NUL)
    at: AwareDatetime | None = None
    backlog_batches: int | None = Field(default=None, ge=0, le=2**53)
    backlog_bytes: int | None = Field(default=None, ge=0, le=2**53)
    oldest_waiting_at: AwareDatetime | None = None
    newest_record_at: AwareDatetime | None = None
    problem: str | None = Field(default=None, max_length=2000, pattern=WITHOUT_NUL)
    samples: list[SampleSaid] = Field(default=[], max_length=MOST_SAMPLES)


def _heartbeat_body() -> dict[str, Any]:
    schema = Heartbeat.model_json_schema()
    schema["properties"]["samples"]["items"] = schema.pop("$defs")["SampleSaid"]
    example = {
        "probe": "slurm:ce.example.org",
        "resource": "Utah-Kingspeak",
        "backlog_batches": 0,
        "samples": [{"state": "running", "jobs": 12, "cores": 96, "vo": "cms"}],
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


def router(services: Services) -> APIRouter:
    """The addresses that probes of ours use."""
    api = APIRouter(prefix="/api/v1", tags=["intake"], responses=REFUSALS)

    @api.post(
        "/batches",
        status_code=202,
        response_model=ReceiptSaid,
        responses={200: {"model": ReceiptSaid}, **_CLASH},
        openapi_extra=_BODY,
    )
    async def send_batch(
        request: Request,
        format: Annotated[str, Query(max_length=64, description="a format's name, or auto")],  # noqa: A002 (its name on the wire)
        resource: Name = None,
        probe: Name = None,
        vo: Name = None,
        idempotency_key: Annotated[
            str | None, Header(max_length=256, min_length=1, pattern=WITHOUT_NUL)
        ] = None,
    ) -> JSONResponse:
        """Take a batch of raw text; answered when it is on disk. Sent again under the same key, it is the same batch.

        Another batch under the same key is refused with 409.
        """
        sender = await recognised(services, request)
        if format != AUTO and format not in formats():
            raise Answered(
                400, f"there is no format {format[:64]!r}; there are: auto, {', '.join(formats())}"
            )
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ENCODINGS:
            raise Answered(
                415, f"Content-Encoding {encoding[:32]!r} is not understood; send {', '.join(ENCODINGS)}"
            )
        await run_in_threadpool(services.must_send_for, sender, resource, probe)
        binding = services.binding(sender, services.now())
        arrival = Arrival(
            "native",
            format,
            encoding,
            sender.name,
            sender.address,
            resource,
            probe,
            vo,
            binding,
            idempotency_key,
        )
        upload = await run_in_threadpool(services.inbox.open_upload, arrival)
        receipt = await _received(services, request, upload)
        if not receipt.repeated:
            RECEIVED_BATCHES.labels("native").inc()
            RECEIVED_BYTES.labels("native").inc(receipt.bytes)
        said = {"batch": receipt.batch, "sha256": receipt.sha256, "bytes": receipt.bytes}
        return JSONResponse(said, 200 if receipt.repeated else 202)

    _batch_words(api, services)
    _probe_words(api, services)
    return api


async def _received(services: Services, request: Request, upload: Upload) -> Receipt:
    try:
        held: bytes | None = None
        async for part in receiving.parts(
            request, services.settings.intake.body_bytes, services.settings.intake.idle_seconds
        ):
            if held is not None:
                await asyncio.wrap_future(services.inbox.add_part(upload, held))
            held = part
        receipt = await asyncio.wrap_future(services.inbox.finish(upload, held or b""))
    except BaseException:
        if upload.parts:
            services.inbox.abandon(upload)
        raise
    if isinstance(receipt, Clash):
        raise Answered(409, receipt.sentence, "clash")
    if not isinstance(receipt, Receipt):
        raise TypeError("the inbox answered with something else than a receipt")
    return receipt


def _batch_words(api: APIRouter, services: Services) -> None:
    @api.get("/batches/{batch}", response_model=BatchSaid)
    async def batch_state(request: Request, batch: str) -> JSONResponse:
        """Say what became of a batch: to who sent it, and to who reads here (viewers, operators, admins)."""
        sender = await recognised(services, request)
        found = await run_in_threadpool(services.inbox.batch, batch[:64])
        if found is None or (found["sender"] != sender.name and not sender.may_act_as("viewer")):
            raise Answered(404, "there is no such batch, or it is somebody else's")
        said = {name: found[name] for name in BatchSaid.model_fields if name != "batch"} | {
            "batch": found["id"]
        }
        return JSONResponse(BatchSaid.model_validate(said).model_dump(mode="json"))


_TOO_LONG_A_BEAT = (
    f"a heartbeat has at most {HEARTBEAT_BYTES:,} bytes (HEARTBEAT_BYTES) and {MOST_SAMPLES:,} samples; "
    "leave the samples out rather than the heartbeat"
)


def _probe_words(api: APIRouter, services: Services) -> None:
    limits = services.settings.intake

    @api.post("/heartbeats", status_code=202, openapi_extra=_heartbeat_body())
    async def heartbeat(request: Request) -> JSONResponse:
        """Note that a probe is alive, how far behind it is, and what runs and waits in its pool."""
        sender = await recognised(services, request)
        try:
            body = await receiving.whole(request, HEARTBEAT_BYTES, limits.idle_seconds)
        except receiving.BodyTooLarge:
            raise Answered(413, _TOO_LONG_A_BEAT, "heartbeat_bytes") from None
        try:
            beat = Heartbeat.model_validate(json.loads(body))
        except ValidationError as error:
            raise Answered(422, told(error)) from None
        except (ValueError, RecursionError):
            raise Answered(400, "a heartbeat is one JSON object") from None
        await run_in_threadpool(services.must_send_for, sender, beat.resource, beat.probe)
        await run_in_threadpool(
            contacts.note, services.engine, [_contact(beat, sender.address, services.now())]
        )
        return JSONResponse({"noted": True}, 202)

    @api.get("/clock")
    async def clock() -> dict[str, str]:
        """Say what time it is here, for a probe that doubts its own clock."""
        return {"now": services.now().astimezone(UTC).isoformat()}


def _contact(beat: Heartbeat, address: str, moment: datetime) -> contacts.Contact:
    facts = {
        "address": address,
        "version": beat.version,
        "reported_at": beat.at,
        "backlog_batches": beat.backlog_batches,
        "backlog_bytes": beat.backlog_bytes,
        "oldest_waiting_at": beat.oldest_waiting_at,
        "newest_record_at": beat.newest_record_at,
        "problem": beat.problem,
    }
    samples = tuple(
        contacts.Sample(sample.state, sample.jobs, sample.cores, sample.account or "", sample.vo or "")
        for sample in beat.samples
    )
    return contacts.Contact(beat.probe, beat.resource, "heartbeat", moment, facts, samples)
