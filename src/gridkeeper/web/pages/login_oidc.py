"""`/login/oidc`: to the provider and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper.trust import attempts, people, sessions
from gridkeeper.trust.provider import Provider
from gridkeeper.trust.refusals import CannotTell, NotAllowed, Refusal, shown
from gridkeeper.web.access import TooManyRequests
from gridkeeper.web.cookies import BROWSER_SECONDS, new_browser
from gridkeeper.web.errors import Answered
from gridkeeper.web.logins import local_path
from gridkeeper.web.visiting import address_of

if TYPE_CHECKING:
    from gridkeeper.login_settings import Oidc
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.pages.login import Entrance
    from gridkeeper.web.services import Services

CALLBACK = "/login/oidc/callback"
MOST_CHARACTERS = 4096  # of a code or a state
MOST_AT_THE_PROVIDER = 4  # so many threads wait for it at once; senders of records need the others


def router(services: Services, entrance: Entrance) -> APIRouter:
    """The way out and the way back; nothing where the settings name no provider. Raises: BadConfiguration (permanent)."""
    pages = APIRouter(include_in_schema=False)
    oidc = services.settings.login.oidc
    if oidc is None:
        return pages
    flow = _Flow(services, entrance, oidc)

    @pages.get("/login/oidc")
    async def leave(request: Request, next: str | None = None) -> Response:  # noqa: A002
        return await flow.leave(request, local_path(next))

    @pages.get(CALLBACK)
    async def come_back(request: Request) -> Response:
        return await flow.come_back(request)

    return pages


class _Flow:
    def __init__(self, services: Services, entrance: Entrance, oidc: Oidc) -> None:
        self._services, self._entrance, self._oidc = services, entrance, oidc
        self._provider = Provider(oidc, lambda: services.now())
        self._seats = asyncio.Semaphore(MOST_AT_THE_PROVIDER)
        self._redirect_uri = f"{services.settings.server.public_url}{CALLBACK}"

    async def leave(self, request: Request, go_to: str) -> Response:
        logins = self._entrance.logins
        browser = logins.cookies.browser_of(request) or new_browser()
        try:
            logins.count_begun(address_of(self._services, request))
            async with self._seats:
                address = await run_in_threadpool(self._begun, browser, go_to)
        except (TooManyRequests, CannotTell) as error:
            return await self._entrance.show(request, go_to, error)
        response = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
        logins.cookies.give(response, logins.cookies.browser, browser, BROWSER_SECONDS)
        return response

    def _begun(self, browser: str, go_to: str) -> str:
        state, attempt = attempts.begin(self._services.engine, browser, go_to, self._services.now())
        return self._provider.address_for(attempt, state, self._redirect_uri)

    async def come_back(self, request: Request) -> Response:
        services, logins = self._services, self._entrance.logins
        address = address_of(services, request)
        go_to, subject = local_path(None), f"oidc {self._oidc.issuer}"
        try:
            logins.must_not_have_failed_too_often(address)
            async with self._seats:
                attempt = await run_in_threadpool(self._taken, request)
                go_to = attempt.go_to
                code = self._code(request)
                claims = await run_in_threadpool(self._provider.claims, code, attempt, self._redirect_uri)
            subject = f"oidc {claims['sub']}"
            visitor: Visitor = people.visitor_of(claims, services.settings.login, self._oidc, address)
        except Refusal as error:
            if not isinstance(error, CannotTell | TooManyRequests):
                await logins.refuse(address, "oidc", subject, str(error))
            return await self._entrance.show(request, go_to, error)
        rules = people.fingerprint(services.settings.login)
        origin = sessions.Origin("oidc", f"{self._oidc.issuer} {claims['sub']}", rules)
        return await logins.enter(request, visitor, origin, go_to)

    def _taken(self, request: Request) -> attempts.Attempt:
        """The login that this browser began. Raises: NotAllowed (permanent), CannotTell (retryable)."""
        state, browser = _one(request, "state"), self._entrance.logins.cookies.browser_of(request)
        attempt = None
        if state is not None and browser is not None:
            self._provider.must_have_answered(_one(request, "iss"))
            attempt = attempts.take(self._services.engine, browser, state, self._services.now())
        if attempt is None:
            raise NotAllowed(
                "this is not the answer to a login that this browser began within ten minutes, or it came before; log in again"
            )
        return attempt

    def _code(self, request: Request) -> str:
        code, fault = _one(request, "code"), _one(request, "error")
        if fault is not None:
            said = _one(request, "error_description")
            raise NotAllowed(
                f"{self._oidc.name} did not let you in: {shown(fault, 60)}{f' ({shown(said)})' if said else ''}"
            )
        if code is None:
            raise NotAllowed(f"{self._oidc.name} sent you back without a code; log in again")
        return code


def _one(request: Request, name: str) -> str | None:
    """A parameter that is there once. Raises: Answered (400) where it is there twice or too long."""
    values = request.query_params.getlist(name)
    if len(values) > 1 or any(len(value) > MOST_CHARACTERS for value in values):
        raise Answered(
            400, f"the parameter {name} must be there once, with at most {MOST_CHARACTERS:,} characters"
        )
    return values[0] if values else None
