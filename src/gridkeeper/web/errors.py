"""How requests are refused: a status and a sentence, as JSON; never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gridkeeper.database import DatabaseUnavailable
from gridkeeper.intake.inbox import Refusal as InboxRefusal
from gridkeeper.trust.refusals import Refusal as TrustRefusal
from gridkeeper.web import receiving
from gridkeeper.web.metrics import REFUSED_REQUESTS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import ValidationError
    from starlette.requests import Request

RETRY_AFTER_S = 30


class Answered(Exception):
    """A request is refused with this status and sentence; `reason` counts it in the metrics."""

    def __init__(self, status: int, sentence: str, reason: str = "request") -> None:
        super().__init__(sentence)
        self.status, self.reason = status, reason


def told(error: ValidationError | RequestValidationError) -> str:
    """All faults of a body or of parameters in one sentence."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
        for fault in error.errors()[:10]
    )


def _answer(status: int, sentence: str, reason: str, **headers: str | None) -> JSONResponse:
    REFUSED_REQUESTS.labels(reason).inc()
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    return JSONResponse({"error": sentence}, status, named)


def _said(error: HTTPException, allowed: str | None) -> str:
    if error.status_code == 404:
        return "there is no such address here; /api/v1/openapi.json names those there are"
    if error.status_code == 405:
        return f"this address is for {allowed or 'other methods'} only"
    return str(error.detail)


def install(app: FastAPI) -> None:
    """Let an application answer every refusal in the same way."""

    @app.exception_handler(Answered)
    async def answered(_: Request, error: Answered) -> JSONResponse:
        return _answer(error.status, str(error), error.reason)

    @app.exception_handler(HTTPException)
    async def framework(_: Request, error: HTTPException) -> JSONResponse:
        """What the framework itself refuses; the address is not repeated, for it may hold a secret."""
        allowed = (error.headers or {}).get("Allow")
        return _answer(error.status_code, _said(error, allowed), "address", Allow=allowed)

    @app.exception_handler(TrustRefusal)
    async def trust(_: Request, error: TrustRefusal) -> JSONResponse:
        later = None if error.permanent else str(RETRY_AFTER_S)
        return _answer(error.status, str(error), "trust", WWW_Authenticate=error.challenge, Retry_After=later)

    @app.exception_handler(InboxRefusal)
    async def inbox(_: Request, error: InboxRefusal) -> JSONResponse:
        return _answer(503, str(error), "inbox", Retry_After=str(error.retry_after_s))

    @app.exception_handler(DatabaseUnavailable)
    async def database(_: Request, error: DatabaseUnavailable) -> JSONResponse:
        return _answer(503, str(error), "database", Retry_After=str(RETRY_AFTER_S))

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(422, told(error), "request")

    @app.exception_handler(receiving.BodyTooLarge)
    async def too_large(_: Request, __: receiving.BodyTooLarge) -> JSONResponse:
        return _answer(
            413, "the body is larger than allowed (intake.body_bytes); send it in parts", "body_bytes"
        )

    @app.exception_handler(receiving.SenderTooSlow)
    async def too_slow(_: Request, __: receiving.SenderTooSlow) -> JSONResponse:
        return _answer(408, "the sender was too slow; nothing of the batch was kept", "slow")

    @app.exception_handler(receiving.SenderGone)
    async def gone(_: Request, __: receiving.SenderGone) -> JSONResponse:
        return _answer(400, "the sender broke off; nothing of the batch was kept", "broken_off")
