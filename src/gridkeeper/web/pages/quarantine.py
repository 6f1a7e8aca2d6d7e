"""`/quarantine`: what was refused, by rule; each rule's texts, to be read again or discarded; and what became of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper.intake import browsing, quarantine
from gridkeeper.records.rules import MEANING, REMEDY, Rule
from gridkeeper.web import deciding
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import must_know, path_of, query
from gridkeeper.web.pages.forms import form_of
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import QueryParams

    from gridkeeper.intake.quarantine import Choice
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.pages.forms import Form
    from gridkeeper.web.services import Services

A_PAGE = 50
STATES = (quarantine.OPEN, quarantine.RETRIED, quarantine.DISCARDED)
EVERY = "all"
FILTERS = ("rule", "probe", "resource", "state")
SHOWN_CHARACTERS = 4000


def asked_of(asked: QueryParams, known: Sequence[str]) -> dict[str, str | None]:
    """Read which refusals are asked for. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, known)
    told = {name: asked.get(name, "")[:256].replace("\0", "") or None for name in known}
    state = told.get("state")
    if state is not None and state not in (*STATES, EVERY):
        raise Answered(400, f"state: {state[:64]!r} is none of {', '.join((*STATES, EVERY))}")
    return told


def chosen(services: Services, visitor: Visitor, told: dict[str, str | None]) -> Choice:
    """The choice that such a question means. Raises: Answered (400)."""
    state = told.get("state") or quarantine.OPEN
    named = told.get("id")
    return deciding.choice_of(
        services, visitor, rule=told.get("rule"), ids=(named,) if named else (), probe=told.get("probe"),
        resource=told.get("resource"), state=None if state == EVERY else state,
    )  # fmt: skip


def router(services: Services) -> APIRouter:
    """The pages, and the two forms."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/quarantine")
    async def every_rule(request: Request) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        told = asked_of(request.query_params, FILTERS)
        found = await run_in_threadpool(quarantine.groups, services.engine, chosen(services, visitor, told))
        return page(
            services, request, visitor, "quarantine.html", opened=services.reading.opened(), told=told, groups=found, path_of=path_of, query=query,
            meaning=MEANING, states=(*STATES, EVERY), rules=sorted(Rule), link=_link,
        )  # fmt: skip

    _forms(pages, services)

    @pages.get("/quarantine/done/{number:int}")
    async def done(request: Request, number: int) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        found = await run_in_threadpool(deciding.outcome, services, visitor, min(number, 2**62))
        if found is None:
            raise Answered(404, "nothing of that number was decided, or it was somebody else's decision")
        return page(
            services, request, visitor, "decided.html", opened=services.reading.opened(), found=found, most=deciding.MOST_AT_ONCE, query=query,
        )  # fmt: skip

    @pages.get("/quarantine/{rule}")
    async def one_rule(request: Request, rule: str) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        if rule not in set(Rule):
            raise Answered(404, f"there is no rule {rule[:64]!r}; there are: {', '.join(Rule)}")
        told = asked_of(request.query_params, ("probe", "resource", "state", "id", "after")) | {"rule": rule}
        return await _rule_page(services, request, visitor, told)

    return pages


async def _rule_page(
    services: Services, request: Request, visitor: Visitor, told: dict[str, str | None]
) -> Response:
    choice = chosen(services, visitor, told)
    rows = await run_in_threadpool(browsing.some, services.engine, choice, told["after"], A_PAGE + 1)
    count = await run_in_threadpool(browsing.count, services.engine, choice)
    rule = Rule(str(told["rule"]))
    return page(
        services, request, visitor, "quarantine_rule.html", opened=services.reading.opened(), told=told, rule=rule.value, meaning=MEANING[rule], remedy=REMEDY[rule],
        rows=[_shown(row) for row in rows[:A_PAGE]], count=count, more=rows[A_PAGE - 1]["id"] if len(rows) > A_PAGE else None, path_of=path_of, query=query,
        states=(*STATES, EVERY), most=deciding.MOST_AT_ONCE, shown=SHOWN_CHARACTERS, is_open=(told["state"] or quarantine.OPEN) == quarantine.OPEN,
    )  # fmt: skip


def _forms(pages: APIRouter, services: Services) -> None:
    @pages.post("/quarantine/retry")
    async def retry(request: Request) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        form = await form_of(request, visitor)
        choice, after = _meant(services, visitor, form)
        found = await run_in_threadpool(deciding.retry, services, visitor, choice, after)
        return RedirectResponse(f"/quarantine/done/{found.id}", 303)

    @pages.post("/quarantine/discard")
    async def discard(request: Request) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        form = await form_of(request, visitor)
        choice, after = _meant(services, visitor, form)
        reason = form.one("reason", "")
        found = await run_in_threadpool(deciding.discard, services, visitor, choice, reason, after)
        return RedirectResponse(f"/quarantine/done/{found.id}", 303)


def _meant(services: Services, visitor: Visitor, form: Form) -> tuple[Choice, str | None]:
    """What a form means: the texts it names, or, where it says `every`, all of its rule."""
    ids = tuple(form.all("id"))
    every = form.one("every", "") == "yes"
    if every == bool(ids):
        raise Answered(400, "the form names no refusal; mark those that are meant, or use the button for all")
    rule = form.one("rule", "") or None
    if every and rule is None:
        raise Answered(400, "rule: nothing is done to the whole quarantine at once; name a rule")
    choice = deciding.choice_of(
        services, visitor, rule=rule, ids=ids, probe=form.one("probe", "") or None, resource=form.one("resource", "") or None,
    )  # fmt: skip
    return choice, form.one("after", "") or None


def _link(group: quarantine.Group) -> str:
    """The page of a group's texts."""
    asked = {
        "probe": group.probe,
        "resource": group.resource,
        "state": None if group.state == quarantine.OPEN else group.state,
    }
    return f"/quarantine/{group.rule}{query(asked)}"


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its text as text; what is no UTF-8 stands as escapes."""
    text, context = (row[name].decode("utf-8", "backslashreplace") for name in ("text", "context"))
    return row | {
        "text": text,
        "context": context,
        "cut": len(text) > SHOWN_CHARACTERS or row["text_bytes"] > len(row["text"]),
    }
