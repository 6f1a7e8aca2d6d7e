"""Says who looks: by the session of a login, by a token that may read, or nobody in particular."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from gridkeeper.database import DatabaseUnavailable
from gridkeeper.trust import people, sessions
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.trust.visitors import PUBLIC, Standing, Visitor
from gridkeeper.web.access import recognised
from gridkeeper.web.cookies import cookies_of, forget

if TYPE_CHECKING:
    from starlette.requests import Request

    from gridkeeper.trust.senders import Sender
    from gridkeeper.web.services import Services


class LoginNeeded(NotAllowed):
    """Nobody is logged in, and the page needs somebody. 403; a browser is led to the login instead. Permanent."""


async def visitor_of(services: Services, request: Request, least: Standing = "public") -> Visitor:
    """Say who looks: by the session's cookie, else by a token, else the public.

    A cookie that is not good is taken back and counts as none.
    least:  the role that the page needs.
    Raises: NotAllowed (403, permanent), NotRecognised (401, permanent), DatabaseUnavailable (retryable).
    """
    visitor = await _by_session(services, request, least)
    if visitor is None and "authorization" in request.headers:
        visitor = by_token(await recognised(services, request))
    visitor = request.state.visitor = visitor or PUBLIC  # also for the page that a refusal is shown on
    if visitor.may_act_as(least):
        return visitor
    if not visitor.is_known:
        raise LoginNeeded(f"this needs the role {least}; log in, or ask an operator for it")
    raise NotAllowed(
        f"this needs the role {least}, and {visitor.short_name} has the role {visitor.role}; ask an operator for it"
    )


def by_token(sender: Sender) -> Visitor | None:
    """The visitor that a recognised sender is; None: it sends, and reads nothing."""
    if sender.role == "probe":
        return None
    return Visitor(
        sender.name, sender.role, sender.address, sender.sites, sender.resources or frozenset(), sender.vos, sender.users
    )  # fmt: skip


def address_of(services: Services, request: Request) -> str:
    """Where a request comes from, as far as listed proxies can be believed."""
    return services.door.address_of(request.headers.raw, request.client.host if request.client else "")


async def _by_session(services: Services, request: Request, least: Standing) -> Visitor | None:
    cookies = cookies_of(services.settings.server)
    if not cookies.has(request, cookies.session):
        return None
    secret, login = cookies.value(request, cookies.session), services.settings.login
    visitor = None
    if secret is not None:
        address, rules, moment = address_of(services, request), people.fingerprint(login), services.now()
        try:
            visitor = await run_in_threadpool(
                sessions.find, services.engine, secret, address, login, rules, moment
            )
        except DatabaseUnavailable:
            if least != "public":
                raise
            return None  # what everybody may see is shown even so; the cookie may be good, and stays
    if visitor is None:
        forget(request, cookies.session)
    else:
        structlog.contextvars.bind_contextvars(session=visitor.session)
    return visitor
