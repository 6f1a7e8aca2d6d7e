"""`/me`: who one is here, what one may see, and where else one is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper.trust import sessions
from gridkeeper.web.cookies import cookies_of, forget
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.forms import form_of
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

OTHERS = "others"


def router(services: Services) -> APIRouter:
    """The page, and the form that ends sessions."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/me")
    async def me(request: Request) -> Response:
        visitor = await visitor_of(services, request, "viewer")
        open_: list[sessions.Session] = []
        until = None
        if visitor.session is not None:
            login = services.settings.login
            open_ = await run_in_threadpool(
                sessions.list_of, services.engine, visitor.session, login, services.now()
            )
            mine = next((each for each in open_ if each.id == visitor.session), None)
            if mine is not None and mine.how == "token":
                until = await run_in_threadpool(sessions.end_of_token, services.engine, mine.subject)
        return page(
            services, request, visitor, "me.html", sees=what_it_sees(visitor), sessions=open_, until=until, others=OTHERS
        )  # fmt: skip

    @pages.post("/me/sessions")
    async def end(request: Request) -> Response:
        visitor = await visitor_of(services, request, "viewer")
        form = await form_of(request, visitor)
        return await _end(services, request, visitor, form.one("session"))

    return pages


async def _end(services: Services, request: Request, visitor: Visitor, wanted: str) -> Response:
    if visitor.session is None:
        raise Answered(
            400, "this request came by a token and without a session; tokens are revoked by an operator"
        )
    login, moment = services.settings.login, services.now()
    mine = await run_in_threadpool(sessions.list_of, services.engine, visitor.session, login, moment)
    ids = [each.id for each in mine if each.id != visitor.session] if wanted == OTHERS else [wanted]
    ended = await run_in_threadpool(
        sessions.close, services.engine, visitor, ids, "ended by its owner", moment
    )
    if not ended and wanted != OTHERS:
        raise Answered(404, "there is no such session of yours; it may have ended by itself")
    if visitor.session not in ids:
        return RedirectResponse("/me", 303, {"Cache-Control": "no-store"})
    forget(request, cookies_of(services.settings.server).session)
    return RedirectResponse("/login", 303, {"Cache-Control": "no-store"})


def what_it_sees(visitor: Visitor) -> list[str]:
    """What a visitor sees beyond the public, a sentence each."""
    if visitor.sees_people:
        return ["Everything, with the names of users. What pages offer to change, you may change."]
    said = []
    if visitor.role == "site-contact":
        said += [
            f"What was sent, refused and left to do at the {kind} {_listed(names)}."
            for kind, names in (("sites", visitor.sites), ("resources", visitor.resources))
            if names
        ]
    if visitor.role == "vo-contact":
        said.append(f"The users of the VOs {_listed(visitor.vos)}, by name.")
    if visitor.users:
        said.append(f"The jobs that run in the name {_listed(visitor.users)}.")
    return said or ["What is public; no names of users."]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
