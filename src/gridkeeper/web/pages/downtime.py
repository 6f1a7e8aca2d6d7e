"""`/downtime/ID`: one downtime with its history and what of it reaches the other side; and the forms that announce, extend and cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.announcing import MOST_DESCRIPTION_CHARACTERS, OPEN, Wish
from gridkeeper.federation.downtimes.mapper import Mapped, to_cric, to_osg
from gridkeeper.federation.downtimes.model import Classification, Severity
from gridkeeper.federation.downtimes.words import Consumer, theirs
from gridkeeper.web import downtimes
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import path_of, query
from gridkeeper.web.pages.downtimes import MEANS, address_of
from gridkeeper.web.pages.forms import form_of
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gridkeeper.federation.downtimes.directory import Directory, Machine
    from gridkeeper.federation.downtimes.gathering import Told
    from gridkeeper.federation.downtimes.revising import Kept
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.pages.forms import Form
    from gridkeeper.web.services import Services

FIELDS = ("start", "until", "description", "severity", "declared")
MOST_TEXT = 256


def router(services: Services) -> APIRouter:
    """The page of a downtime, the form for a new one, and what the forms do."""
    pages = APIRouter(include_in_schema=False)
    _announcing(pages, services)

    @pages.post("/downtime/{name}/extend")
    async def extend(request: Request, name: str) -> Response:
        def change(visitor: Visitor, form: Form) -> Kept:
            until = OPEN if form.one("open", "") == "yes" else form.one("until", "")
            return downtimes.extend(services, visitor, name, until, form.one("reason", ""))

        return await _changed(services, request, name, change)

    @pages.post("/downtime/{name}/cancel")
    async def cancel(request: Request, name: str) -> Response:
        def change(visitor: Visitor, form: Form) -> Kept:
            return downtimes.cancel(services, visitor, name, form.one("reason", ""))

        return await _changed(services, request, name, change)

    @pages.get("/downtime/{name:path}")
    async def downtime(request: Request, name: str) -> Response:
        visitor = await visitor_of(services, request)
        return await run_in_threadpool(_page, services, request, visitor, name)

    return pages


async def _changed(
    services: Services, request: Request, name: str, change: Callable[[Visitor, Form], Kept]
) -> Response:
    """Change a downtime as a form says, and show it; where that cannot be, show it with the sentence."""
    visitor = await visitor_of(services, request, "site-contact")
    form = await form_of(request, visitor)
    try:
        kept = await run_in_threadpool(change, visitor, form)
    except UserMistake as error:
        return await run_in_threadpool(_page, services, request, visitor, name, str(error))
    return RedirectResponse(f"/downtime/{kept.id}", 303)


def found(services: Services, name: str) -> Told:
    """The downtime of a name. Blocks. Raises: Answered (404), DatabaseUnavailable (retryable)."""
    told = services.noticeboard.board().named(name[:1024])
    if told is None:
        raise Answered(404, f"there is no downtime {name[:64]!r}; /downtimes lists those there are")
    return told


def mapped(told: Told, directory: Directory) -> list[Mapped]:
    """What of a downtime is what on the other side: of ours at AGIS and CRIC, of one of theirs among our resources."""
    made: list[Mapped] = []
    for row in told.incident.rows:
        made += [to_cric(row, directory)] if row.resource else to_osg(row, directory)
    return made


def notes(found: list[Mapped]) -> dict[str, list[str]]:
    """What the other side takes otherwise than it was meant, by reason; each sentence once."""
    told: dict[str, list[str]] = {}
    for one in found:
        for note in one.notes:
            sentences = told.setdefault(note.reason.value, [])
            if note.sentence not in sentences:
                sentences.append(note.sentence)
    return told


def _page(
    services: Services, request: Request, visitor: Visitor, name: str, problem: str | None = None
) -> Response:
    told, board, moment = found(services, name), services.noticeboard.board(), services.now()
    sent = mapped(told, board.files.directory)
    first = told.incident.first
    return page(
        services, request, visitor, "downtime.html", status=400 if problem else 200, told=told, state=told.state(moment), means=MEANS,
        findings=board.findings(told), mapped=sent, notes=notes(sent), problem=problem, address=address_of(told), path_of=path_of,
        acts={str(one).upper(): theirs(first.severity, one) for one in Consumer}, may_change=downtimes.may_change(services, visitor, told),
        sees_who=downtimes.is_hers(services, visitor, told.incident.resources), most_reason=downtimes.MOST_REASON_CHARACTERS,
        until_field=_field(told), resource_known={one.name for one in services.registry().resources},
    )  # fmt: skip


def _field(told: Told) -> str:
    until = told.incident.window.until
    return "" if until is None else f"{until:%Y-%m-%dT%H:%M}"


def _announcing(pages: APIRouter, services: Services) -> None:
    @pages.get("/downtimes/announce")
    async def form_page(request: Request, resource: str = "", site: str = "") -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        said = {"resource": resource[:MOST_TEXT].strip(), "site": site[:MOST_TEXT].strip()}
        return await run_in_threadpool(_form_page, services, request, visitor, said)

    @pages.post("/downtimes/announce")
    async def announce(request: Request) -> Response:
        visitor = await visitor_of(services, request, "site-contact")
        form = await form_of(request, visitor)
        said: dict[str, Any] = {
            name: form.one(name, "") for name in (*FIELDS, "resource", "site", "open", "services")
        }
        said["service"] = form.all("service")
        try:
            wish = _wish(said)
            kept = await run_in_threadpool(downtimes.announce, services, visitor, wish)
        except UserMistake as error:
            return await run_in_threadpool(_form_page, services, request, visitor, said, str(error))
        return RedirectResponse(f"/downtime/{kept.id}", 303)


def _wish(said: Mapping[str, Any]) -> Wish:
    """What the form says. Raises: UserMistake where it offers services and none is chosen: none would mean all."""
    if said["services"] == "chosen" and not said["service"]:
        raise UserMistake("no service is chosen; choose those that are down")
    return Wish(
        until=OPEN if said["open"] == "yes" else said["until"], description=said["description"].replace("\r\n", "\n"),
        resources=(said["resource"],) if said["resource"] else (), site=said["site"] or None, services=tuple(said["service"]),
        start=said["start"], severity=said["severity"] or Severity.OUTAGE.value, declared=said["declared"],
    )  # fmt: skip


def _form_page(
    services: Services, request: Request, visitor: Visitor, said: dict[str, Any], problem: str | None = None
) -> Response:
    own = downtimes.own_machines(services, visitor)
    machines: list[Machine] = []
    if problem is None and (said["resource"] or said["site"]):
        machines, problem = _meant(services, own, said)
    elif said["resource"] or said["site"]:
        machines, _ = _meant(services, own, said)
    known = sorted({name for one in machines for name in one.services or ()})
    values = dict.fromkeys((*FIELDS, "open"), "") | {"service": known} | said
    return page(
        services, request, visitor, "announce.html", status=400 if problem else 200, own=own, places=_places(own), machines=machines,
        services_known=known, said=values, problem=problem, severities=[one.value for one in Severity], classes=[one.value for one in Classification],
        most=MOST_DESCRIPTION_CHARACTERS, query=query, path_of=path_of,
    )  # fmt: skip


def _meant(
    services: Services, own: list[Machine], said: Mapping[str, Any]
) -> tuple[list[Machine], str | None]:
    """The resources that the first step names, or why they cannot be announced."""
    directory = services.noticeboard.files().directory
    try:
        if said["site"] and said["resource"]:
            raise UserMistake("name a resource or a site, not both")
        if said["site"]:
            machines = list(directory.must_have_site(said["site"]))
        else:
            machines = [directory.must_have(said["resource"], ())]
    except UserMistake as error:
        return [], str(error)
    names = {one.name for one in own}
    others = [one.name for one in machines if one.name not in names]
    if others:
        return (
            [],
            f"you do not speak for {', '.join(others[:5])}; its contacts or an operator may announce that",
        )
    return machines, None


def _places(own: list[Machine]) -> list[str]:
    """Sites and resource groups of which something is one's own; whether all of it is, is said when one is chosen."""
    return sorted({place for one in own for place in (one.site, one.group) if place}, key=str.lower)
