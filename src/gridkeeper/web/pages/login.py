"""`/login` with a token, and `/logout`; and the way there for who comes to a page that needs a login."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper.trust import people, sessions
from gridkeeper.trust.refusals import CannotTell, NotAllowed, Refusal, shown
from gridkeeper.web.access import TooManyRequests
from gridkeeper.web.cookies import (
    BROWSER_SECONDS,
    forget,
    is_fit_for_secrets,
    must_come_from_here,
    new_browser,
)
from gridkeeper.web.errors import RETRY_AFTER_S, reads_pages
from gridkeeper.web.logins import Logins, local_path, login_key
from gridkeeper.web.pages import login_oidc
from gridkeeper.web.pages.forms import form_of, must_carry, read_form
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import LoginNeeded, address_of, by_token, visitor_of

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gridkeeper.trust.senders import Sender
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

_PUBLIC_PART = re.compile(r"gk_([0-9a-f]{8})_.*", re.DOTALL)


def install(app: FastAPI, services: Services) -> None:
    """Let an application lead browsers to the login where a page needs one."""
    app.state.server = services.settings.server

    @app.exception_handler(LoginNeeded)
    async def needed(request: Request, error: LoginNeeded) -> Response:
        if request.method == "GET" and reads_pages(request):
            return RedirectResponse(f"/login?next={quote(_asked(request), safe='/')}", 303)
        answer: Response = await app.exception_handlers[Refusal](request, error)  # type: ignore[misc]
        return answer


def _asked(request: Request) -> str:
    """The path and question of a request as they came."""
    path, question = request.scope.get("raw_path", b"/"), request.scope["query_string"]
    return local_path((path + (b"?" + question if question else b"")).decode("latin-1"))


class Entrance:
    """The page of the login, as often as it is shown."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.logins = Logins(services)

    async def show(self, request: Request, go_to: str, refusal: Refusal | None = None) -> Response:
        """The page; with a refusal, what was wrong, and its status. The browser gets a secret, which its form must echo."""
        services, cookies = self.services, self.logins.cookies
        visitor = await visitor_of(services, request)
        browser = cookies.browser_of(request) or new_browser()
        response = page(
            services, request, visitor, "login.html", status=refusal.status if refusal else 200,
            go_to=go_to, key=login_key(browser), problem=str(refusal) if refusal else "", oidc=services.settings.login.oidc,
            fit=is_fit_for_secrets(request, services.settings.server),
        )  # fmt: skip
        # Nothing of it may be kept: it holds the key of one browser.
        response.headers["Cache-Control"] = "no-store"
        if refusal is not None and not refusal.permanent:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        cookies.give(response, cookies.browser, browser, BROWSER_SECONDS)
        return response


def router(services: Services) -> APIRouter:
    """The addresses of logging in by token, and out. Raises: BadConfiguration (permanent) where login.people cannot be."""
    people.check(services.settings.login)
    pages = APIRouter(include_in_schema=False)
    entrance = Entrance(services)

    @pages.get("/login")
    async def show(request: Request, next: str | None = None) -> Response:  # noqa: A002
        return await entrance.show(request, local_path(next))

    @pages.post("/login")
    async def by_own_token(request: Request) -> Response:
        return await _log_in(entrance, request)

    @pages.post("/logout")
    async def out(request: Request) -> Response:
        return await _log_out(entrance, request)

    pages.routes += login_oidc.router(services, entrance).routes
    return pages


async def _log_in(entrance: Entrance, request: Request) -> Response:
    services, logins = entrance.services, entrance.logins
    address = address_of(services, request)
    go_to = local_path(None)
    try:
        must_come_from_here(request, services.settings.server)
        _must_be_fit(request, services)
        form = await read_form(request)
        go_to = local_path(form.one("next", ""))
        browser = logins.cookies.browser_of(request)
        must_carry(form, None if browser is None else login_key(browser))
        logins.must_not_have_failed_too_often(address)
    except (NotAllowed, TooManyRequests) as error:
        return await entrance.show(request, go_to, error)
    token = form.one("token", "").strip()
    try:
        sender = await run_in_threadpool(services.door.recognise_own, token, address)
        visitor = _reader(sender)
    except Refusal as error:
        if not isinstance(error, CannotTell):
            await logins.refuse(address, "token", _named(token), str(error))
        return await entrance.show(request, go_to, error)
    identity = _PUBLIC_PART.sub(r"\1", token)
    until = await run_in_threadpool(sessions.end_of_token, services.engine, identity)
    return await logins.enter(request, visitor, sessions.Origin("token", identity, until=until), go_to)


def _must_be_fit(request: Request, services: Services) -> None:
    if not is_fit_for_secrets(request, services.settings.server):
        raise NotAllowed(
            "a token typed in here would travel in the open; the operator puts https before this server "
            "and says its address in server.public_url"
        )


def _reader(sender: Sender) -> Visitor:
    visitor = by_token(sender)
    if visitor is None:
        raise NotAllowed(
            f"{sender.name} is for sending (role probe) and reads nothing; ask an operator for a token with another role"
        )
    return visitor


def _named(token: str) -> str:
    """A token as the audit may name it: its public part, or that it has none."""
    match = _PUBLIC_PART.fullmatch(token)
    return f"token {shown(match[1])}" if match else "a token"


async def _log_out(entrance: Entrance, request: Request) -> Response:
    services = entrance.services
    visitor = await visitor_of(services, request)
    if visitor.session is not None:
        await form_of(request, visitor)
        await run_in_threadpool(
            sessions.close, services.engine, visitor, [visitor.session], "logged out", services.now()
        )
    forget(request, entrance.logins.cookies.session)
    return RedirectResponse("/", 303, {"Cache-Control": "no-store"})
