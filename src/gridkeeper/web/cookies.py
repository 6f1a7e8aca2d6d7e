"""The two cookies: one names a session, the other the browser that is about to log in; and the origin that forms come from."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gridkeeper.login_settings import is_loopback
from gridkeeper.trust.refusals import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from fastapi import Response
    from starlette.requests import Request

    from gridkeeper.settings import Server

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

NAME = "gridkeeper"
BROWSER_SECONDS = 600
SECRET_BYTES = 24
_FORGET = "gridkeeper_forgets_cookie"
_SECRET = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True)
class Cookies:
    """How this server's cookies are named and sent.

    is_secure: whether people come over https. Then the names begin with `__Host-`: a browser takes such a cookie from this
               host alone, and gives it to this host alone.
    """

    is_secure: bool

    @property
    def session(self) -> str:
        """The name of the session's cookie."""
        return f"__Host-{NAME}" if self.is_secure else NAME

    @property
    def browser(self) -> str:
        """The name of the cookie of a browser that is about to log in."""
        return f"{self.session}-login"

    def value(self, request: Request, name: str) -> str | None:
        """What a request has under a name; None where it has nothing, or several."""
        pairs = (
            pair.partition("=") for line in request.headers.getlist("cookie") for pair in line.split(";")
        )
        values = [value.strip() for key, _, value in pairs if key.strip() == name]
        return values[0] if len(values) == 1 else None

    def has(self, request: Request, name: str) -> bool:
        """Whether a request has anything under a name."""
        return any(
            pair.partition("=")[0].strip() == name
            for line in request.headers.getlist("cookie")
            for pair in line.split(";")
        )

    def browser_of(self, request: Request) -> str | None:
        """The secret of a browser that is about to log in; None where it has none."""
        value = self.value(request, self.browser)
        return value if value is not None and _SECRET.fullmatch(value) else None

    def give(self, response: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Give a browser a cookie; without `seconds` it forgets it when it ends."""
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self.is_secure, httponly=True, samesite="lax"
        )

    def forgotten(self, name: str) -> bytes:
        """The header's value that makes a browser forget a cookie."""
        secure = "; Secure" if self.is_secure else ""
        return f'{name}=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax{secure}'.encode()


def new_browser() -> str:
    """A secret for a browser that is about to log in."""
    return secrets.token_urlsafe(SECRET_BYTES)


def cookies_of(server: Server) -> Cookies:
    """The cookies of a server, as people reach it."""
    return Cookies((server.public_url or "").startswith("https:") or server.tls_certificate is not None)


def forget(request: Request, name: str) -> None:
    """Let the answer to this request take a cookie back, whatever the answer is."""
    request.scope.setdefault(_FORGET, set()).add(name)


def is_fit_for_secrets(request: Request, server: Server) -> bool:
    """Whether a token may be typed in: over https, or on this machine."""
    return cookies_of(server).is_secure or is_loopback(request.url.hostname or "")


def must_come_from_here(request: Request, server: Server) -> None:
    """Hold a request that changes something to having been made by a page of ours, as browsers say it.

    What says nothing of where it comes from is no browser of these years; the form key speaks for it, or nothing.
    Raises: NotAllowed (permanent).
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host", "")
    own = {server.public_url} if server.public_url else {f"http://{host}", f"https://{host}"}
    if site not in (None, "same-origin", "none"):
        raise NotAllowed(
            f"this was sent by a page of another site ({_shown(site)}); open the page here and send it again"
        )
    if origin is not None and origin not in own and (origin, site) != ("null", "same-origin"):
        where = f"{server.public_url} (server.public_url)" if server.public_url else f"{_shown(host)}"
        raise NotAllowed(
            f"this was sent by a page of {_shown(origin)}; forms are taken from {where} only: open the page there"
        )


def _shown(text: str) -> str:
    parts = urlsplit(text) if "://" in text else None
    return (parts.netloc if parts else text)[:100] or "another site"


class Forgetting:
    """Sends along that a browser may forget cookies that are good for nothing any more."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], cookies: Cookies) -> None:
        self._app, self._cookies = app, cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def answered(message: MutableMapping[str, Any]) -> None:
            names: set[str] = scope.get(_FORGET, set())
            if message["type"] == "http.response.start" and names:
                said = [value.split(b"=", 1)[0] for key, value in message["headers"] if key == b"set-cookie"]
                more = [
                    (b"set-cookie", self._cookies.forgotten(name))
                    for name in sorted(names)
                    if name.encode() not in said  # a new one was given meanwhile
                ]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self._app(scope, receive, answered)
