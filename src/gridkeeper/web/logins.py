"""What both ways to log in share: where to go next, how often one may fail, the session that is opened, and who was refused."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING

from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper.trust import sessions
from gridkeeper.trust.addresses import read_address
from gridkeeper.trust.refused_logins import RefusedLogins
from gridkeeper.trust.tokens import hash_of
from gridkeeper.web.access import Pace, TooManyRequests
from gridkeeper.web.cookies import cookies_of, forget
from gridkeeper.web.metrics import REFUSED_LOGINS

if TYPE_CHECKING:
    from fastapi import Response
    from starlette.requests import Request

    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

AFTERWARDS = "/me"
MOST_PATH_CHARACTERS = 2000
# Printable ASCII but the space and the backslash, which browsers read as a slash; two slashes begin another host.
_LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
_NOT_AFTERWARDS = ("/login", "/logout")
_TOO_MANY_FAILURES = "more than {} failed logins in a minute (login.failures_per_minute); wait a minute"
_TOO_MANY_BEGUN = "more than {} logins were begun in a minute (login.begun_per_minute); wait a minute"


def local_path(text: str | None) -> str:
    """Where to go after a login: a path of this server, whatever was asked for."""
    if text is None or len(text) > MOST_PATH_CHARACTERS or not _LOCAL_PATH.fullmatch(text):
        return AFTERWARDS
    path = re.split(r"[?#]", text, maxsplit=1)[0]
    return AFTERWARDS if path in _NOT_AFTERWARDS or path.startswith("/login/") else text


def login_key(browser: str) -> str:
    """The form key of a browser that is about to log in: what only who has its cookie can say."""
    return hash_of(f"form {browser}")


class Logins:
    """Lets people in and counts who is not let in; one for a server's process."""

    def __init__(self, services: Services) -> None:
        login = services.settings.login
        self._services = services
        self.cookies = cookies_of(services.settings.server)
        self._failures = Pace(login.failures_per_minute, _TOO_MANY_FAILURES)
        self._begun = Pace(login.begun_per_minute, _TOO_MANY_BEGUN)
        self._refused = RefusedLogins(services.engine)

    def must_not_have_failed_too_often(self, address: str) -> None:
        """Raises: TooManyRequests (retryable)."""
        self._failures.must_have_some(_neighbourhood(address))

    def count_begun(self, address: str) -> None:
        """Count a login that leaves for the provider. Raises: TooManyRequests (retryable)."""
        self._begun.take(_neighbourhood(address))

    async def refuse(self, address: str, how: sessions.How, subject: str, because: str) -> None:
        """Count a login that failed; the audit hears of it. Raises: nothing, for the refusal itself is what is answered."""
        REFUSED_LOGINS.labels(how).inc()
        try:
            self._failures.take(_neighbourhood(address))
        except TooManyRequests as error:
            because = str(error)
        await run_in_threadpool(self._refused.count, address, subject, because, self._services.now())

    async def enter(
        self, request: Request, visitor: Visitor, origin: sessions.Origin, go_to: str
    ) -> Response:
        """Open a session and send the visitor on. The session that the browser had ends, and its cookie with it."""
        services, cookies = self._services, self.cookies
        had = cookies.value(request, cookies.session)
        opened = await run_in_threadpool(
            sessions.open_, services.engine, visitor, origin, services.settings.login, services.now(), had
        )
        response = RedirectResponse(local_path(go_to), 303, {"Cache-Control": "no-store"})
        cookies.give(response, cookies.session, opened.secret)
        forget(request, cookies.browser)
        return response


def _neighbourhood(address: str) -> str:
    """Whose failures are counted together: an address, or the network of an IPv6 address, of which one host has many."""
    read = read_address(address)
    return str(ip_network((read, 64), strict=False)) if isinstance(read, IPv6Address) else address
