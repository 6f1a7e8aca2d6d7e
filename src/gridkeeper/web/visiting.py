"""Says who looks: by the session of a login, by a token that may read, or nobody in particular."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.trust.visitors import PUBLIC, Standing, Visitor
from gridkeeper.web.access import recognised

if TYPE_CHECKING:
    from starlette.requests import Request

    from gridkeeper.web.services import Services


async def visitor_of(services: Services, request: Request, least: Standing = "public") -> Visitor:
    """Say who looks.

    least:  the role that the page needs.
    Raises: NotAllowed (403, permanent), NotRecognised (401, permanent), DatabaseUnavailable (retryable).
    """
    visitor = PUBLIC
    if "authorization" in request.headers:
        sender = await recognised(services, request)
        if sender.role != "probe":
            visitor = Visitor(sender.name, sender.role, sender.address)
    if not visitor.may_act_as(least):
        raise NotAllowed(f"this needs the role {least}; log in, or ask an operator for it")
    return visitor
