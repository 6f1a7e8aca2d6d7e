"""How requests are refused: a status and a sentence, as JSON; never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gridkeeper.database import DatabaseUnavailable
from gridkeeper.errors import BadConfiguration, GridkeeperError
from gridkeeper.intake.inbox import Refusal as InboxRefusal
from gridkeeper.trust.refusals import Refusal as TrustRefusal
from gridkeeper.web import receiving
from gridkeeper.web.metrics import REFUSED_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import FastAPI
    from pydantic import ValidationError
    from starlette.requests import Request
    from starlette.responses import Response

    ErrorPage = Callable[[Request, int, str, Mapping[str, str]], Response]

log = structlog.get_logger("web")
RETRY_AFTER_S = 30
OF_THE_HOME = "a file of the collector's home says what cannot be; its log, and `gridkeeper federation check` there, say which and where"
# What every address may answer, for the document of the interface.
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "content": {"application/json": {"example": {"error": meaning}}}}
    for status, meaning in (
        (400, "the request cannot be understood; the sentence says why"),
        (401, "nobody can say who asks"),
        (403, "who asks may not do this; the sentence says why"),
        (404, "there is no such thing"),
        (405, "this address is there, but not for this method; Allow says for which"),
        (408, "the sender was too slow; nothing was kept"),
        (413, "larger than a named limit; send it in parts"),
        (415, "an encoding that is not understood"),
        (422, "a parameter is not as described"),
        (429, "more requests in a minute than allowed"),
        (503, "not now; Retry-After says when"),
    )
}


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


def _answer(request: Request, status: int, sentence: str, reason: str, **headers: str | None) -> Response:
    """A refusal: as a page for who reads pages, else as JSON."""
    REFUSED_REQUESTS.labels(reason).inc()
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    page: ErrorPage | None = getattr(request.app.state, "error_page", None)
    if page is not None and reads_pages(request):
        return page(request, status, sentence, named)
    return JSONResponse({"error": sentence}, status, named)


def reads_pages(request: Request) -> bool:
    """Whether who asks is a person at a browser, at an address that is a page's."""
    is_for_machines = request.url.path.startswith(
        (
            "/api/",
            "/gratia-servlets/",
            "/badges/",
            "/plots/",
            "/metrics",
            "/healthz",
            "/readyz",
            "/rg",
            "/vosummary/",
            "/miscproject/",
        )
    )
    return not is_for_machines and "text/html" in request.headers.get("accept", "")


def _said(error: HTTPException, allowed: str | None) -> str:
    if error.status_code == 404:
        return "there is no such address here; /api/v1/openapi.json names those there are"
    if error.status_code == 405:
        return f"this address is for {allowed or 'other methods'} only"
    return str(error.detail)


def install(app: FastAPI) -> None:
    """Let an application answer every refusal in the same way."""

    @app.exception_handler(Answered)
    async def answered(request: Request, error: Answered) -> Response:
        return _answer(request, error.status, str(error), error.reason)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        """What the framework itself refuses; the address is not repeated, for it may hold a secret."""
        allowed = (error.headers or {}).get("Allow")
        return _answer(request, error.status_code, _said(error, allowed), "address", Allow=allowed)

    @app.exception_handler(TrustRefusal)
    async def trust(request: Request, error: TrustRefusal) -> Response:
        later = None if error.permanent else str(RETRY_AFTER_S)
        return _answer(
            request, error.status, str(error), "trust", WWW_Authenticate=error.challenge, Retry_After=later
        )

    @app.exception_handler(InboxRefusal)
    async def inbox(request: Request, error: InboxRefusal) -> Response:
        return _answer(request, 503, str(error), "inbox", Retry_After=str(error.retry_after_s))

    @app.exception_handler(DatabaseUnavailable)
    async def database(request: Request, error: DatabaseUnavailable) -> Response:
        return _answer(request, 503, str(error), "database", Retry_After=str(RETRY_AFTER_S))

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> Response:
        return _answer(request, 422, told(error), "request")

    @app.exception_handler(BadConfiguration)
    async def configuration(request: Request, error: BadConfiguration) -> Response:
        """No fault of who asks, and the sentence names paths of this machine: it is for who reads the log."""
        log.warning("a file of the home says what cannot be", path=request.url.path, reason=str(error))
        return _answer(request, 503, OF_THE_HOME, "home", Retry_After=str(RETRY_AFTER_S))

    @app.exception_handler(GridkeeperError)
    async def ours(request: Request, error: GridkeeperError) -> Response:
        if error.permanent:
            return _answer(request, 400, str(error), "request")
        return _answer(request, 503, str(error), "lake", Retry_After=str(RETRY_AFTER_S))

    @app.exception_handler(receiving.BodyTooLarge)
    async def too_large(request: Request, __: receiving.BodyTooLarge) -> Response:
        return _answer(
            request,
            413,
            "the body is larger than allowed (intake.body_bytes); send it in parts",
            "body_bytes",
        )

    @app.exception_handler(receiving.SenderTooSlow)
    async def too_slow(request: Request, __: receiving.SenderTooSlow) -> Response:
        return _answer(request, 408, "the sender was too slow; nothing of the batch was kept", "slow")

    @app.exception_handler(receiving.SenderGone)
    async def gone(request: Request, __: receiving.SenderGone) -> Response:
        return _answer(request, 400, "the sender broke off; nothing of the batch was kept", "broken_off")
