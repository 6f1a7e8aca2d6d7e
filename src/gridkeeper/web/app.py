"""The application: the doors of the collector, what watchers ask, and what every request has (an id, a log line)."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper import __version__
from gridkeeper.errors import GridkeeperError
from gridkeeper.intake import loader_faults
from gridkeeper.intake.inbox import Refusal
from gridkeeper.schedules.badge import as_json, badge_of
from gridkeeper.schedules.badge_picture import as_png, as_svg
from gridkeeper.web import batches, cookies, errors, gratia, metrics
from gridkeeper.web.access import Pace
from gridkeeper.web.api import routes as api_routes
from gridkeeper.web.pages import frame, login, routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from gridkeeper.schedules.badge import Badge
    from gridkeeper.web.services import Services

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger("web")


def make_app(services: Services) -> FastAPI:
    """Make the collector's application."""
    app = FastAPI(
        title="Gridkeeper",
        version=__version__,
        summary="Takes usage records in; what was answered with OK or a receipt is in the books exactly once.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.pace = Pace(services.settings.intake.requests_per_minute)
    errors.install(app)
    app.state.error_page = frame.error_page(services)
    login.install(app, services)
    # As they are: what includes a router makes each of its addresses, and the types of its parameters, a second time.
    app.router.routes += [
        *gratia.router(services).routes,
        *batches.router(services).routes,
        *routes.routes(services),
        *api_routes.routes(services),
    ]
    _watching(app, services)
    _badges(app, services)
    app.add_middleware(cookies.Forgetting, cookies=cookies.cookies_of(services.settings.server))
    app.add_middleware(_Numbered)
    return app


def _watching(app: FastAPI, services: Services) -> None:
    @app.get("/healthz", tags=["watching"])
    async def health() -> dict[str, str]:
        """Say that the process lives."""
        return {"state": "alive"}

    @app.get("/readyz", tags=["watching"], responses={503: {"description": "not ready; the body says why"}})
    async def ready() -> JSONResponse:
        """Say whether batches are taken in now: for a load balancer. Warnings do not make it unready."""
        faults, warnings = await run_in_threadpool(_faults, services)
        said = {"ready": not faults, "faults": faults} | ({"warnings": warnings} if warnings else {})
        return JSONResponse(said, 503 if faults else 200)

    @app.get("/metrics", tags=["watching"], response_class=Response)
    async def prometheus() -> Response:
        """What Prometheus reads."""
        page = await run_in_threadpool(metrics.written, services)
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")


def _badges(app: FastAPI, services: Services) -> None:
    def current() -> Badge:
        return badge_of(
            services.engine, services.settings, services.registry().federation.week_start, services.now()
        )

    @app.get("/badges/reports.json", tags=["watching"])
    async def badge_json() -> Response:
        """Say whether the reports are current, and which are not."""
        return Response(as_json(await run_in_threadpool(current)), media_type="application/json")

    @app.get("/badges/reports.svg", tags=["watching"], response_class=Response)
    async def badge_svg() -> Response:
        """The same as a picture for other pages."""
        return Response(as_svg(await run_in_threadpool(current)), media_type="image/svg+xml")

    @app.get("/badges/reports.png", tags=["watching"], response_class=Response)
    async def badge_png() -> Response:
        """The same for pages that take no SVG."""
        picture = await run_in_threadpool(lambda: as_png(current()))
        return Response(picture, media_type="image/png")


def _faults(services: Services) -> tuple[dict[str, str], list[str]]:
    """What makes the collector unready, by its part; and what an operator should know beside."""
    found, warnings = {}, []
    try:
        services.inbox.must_have_room()
    except (Refusal, GridkeeperError) as error:
        found["inbox"] = str(error)
    for name, fault in services.faults.items():
        if (told := fault()) is not None:
            found[name] = told
    try:
        for of_loader in loader_faults.of_this_host(services.engine, services.now()):
            if of_loader.stops_all:
                found["loading"] = of_loader.sentence
            else:
                warnings.append(of_loader.sentence)
    except GridkeeperError as error:
        found["database"] = str(error)
    return found, warnings


class _Numbered:
    """Gives every request an id, and writes one line about it; never a header, a query or a body."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = uuid.uuid4().hex[:16]
        began = time.perf_counter()
        status = 500
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=number)

        async def answered(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status in _ENDING:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
                said = {name for name, _ in message["headers"]}
                more = (header for header in _HEADERS if header[0] not in said)
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode()), *more]
            await send(message)

        try:
            if _has_two_lengths(scope):
                await JSONResponse(_TWO_LENGTHS, 400, {"Connection": "close"})(scope, receive, answered)
            else:
                await self._app(scope, receive, answered)
        finally:
            seconds = time.perf_counter() - began
            route = scope.get("route")
            path = getattr(route, "path", "other")
            metrics.ANSWER_SECONDS.labels(path).observe(seconds)
            client = scope.get("client") or ("",)
            log.info(
                "answered",
                method=scope["method"],
                path=path,
                status=status,
                ms=round(seconds * 1000, 1),
                peer=client[0],
            )


def _has_two_lengths(scope: Scope) -> bool:
    """Whether two who read the request could see its end in different places (request smuggling)."""
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names and b"transfer-encoding" in names


_TWO_LENGTHS = {"error": "a request has Content-Length or Transfer-Encoding, never both"}
_ENDING = (408, 413)  # the rest of the body is not waited for
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)
