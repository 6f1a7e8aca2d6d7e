"""`/sources`: every source with its state, those that need care first; since when, what is missing, why, and who to ask."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.monitoring.missing import INTERVAL_PART
from gridkeeper.monitoring.other_records import REPORTED, STORAGE
from gridkeeper.monitoring.states import CARE, NEEDS_CARE, SourceState, State
from gridkeeper.queries.things import registered
from gridkeeper.reports.silence_json import source_said
from gridkeeper.reports.silence_sentences import learnt_from, named
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import must_know, path_of, query
from gridkeeper.web.pages.downloads import harmless
from gridkeeper.web.pages.frame import answer, page
from gridkeeper.web.silence import all_sources, as_seen_by
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.datastructures import QueryParams

    from gridkeeper.federation.model import Registry
    from gridkeeper.monitoring.states import Silence
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.services import Services

CARE_WORD = "needs care"
PARAMETERS = ("state", "site", "text")
MOST_TEXT = 200
_NOTHING = SourceState(None, None, None, None, State.IDLE)  # for the names of the columns


@dataclass(frozen=True)
class Filter:
    """Which sources are asked for. state: one of the states, or `needs care`; text: a part of a resource, site or probe."""

    state: str | None = None
    site: str | None = None
    text: str | None = None

    def holds(self, one: SourceState) -> bool:
        """Whether a source is meant."""
        if self.state is not None and not (
            one.needs_care if self.state == CARE_WORD else one.state == self.state
        ):
            return False
        if self.site is not None and (one.site or "").lower() != self.site.lower():
            return False
        words = (one.resource, one.site, one.probe, one.part, *one.resources)
        return self.text is None or any(self.text.lower() in word.lower() for word in words if word)

    def query(self, **changes: str | None) -> str:
        """The question with changes, as an address has it."""
        return query({name: getattr(replace(self, **changes), name) for name in PARAMETERS})


def filter_of(asked: QueryParams, others: Sequence[str] = ()) -> Filter:
    """Read which sources are asked for. Raises: Answered (400) with a sentence that names the parameter."""
    must_know(asked, (*PARAMETERS, *others))
    told = {name: asked.get(name, "")[:MOST_TEXT] or None for name in PARAMETERS}
    states = [CARE_WORD, *(state.value for state in CARE)]
    if told["state"] is not None and told["state"] not in states:
        raise Answered(400, f"state: {told['state'][:64]!r} is none of {', '.join(states)}")
    return Filter(**told)


async def asked_by(
    services: Services, request: Request, others: Sequence[str] = ()
) -> tuple[Visitor, Filter, Silence]:
    """Who asks, for which sources, and all sources as far as the visitor may see them. Raises: Answered (400)."""
    visitor = await visitor_of(services, request)
    asked = filter_of(request.query_params, others)
    found = await run_in_threadpool(all_sources, services)
    return visitor, asked, as_seen_by(visitor, services.registry(), found)


def router(services: Services) -> APIRouter:
    """The page, and the same as CSV."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/sources")
    async def sources(request: Request) -> Response:
        visitor, asked, found = await asked_by(services, request, ("format",))
        chosen = [one for one in found.sources if asked.holds(one)]
        match request.query_params.get("format") or "html":
            case "csv":
                return as_csv(request, visitor, chosen)
            case "html":
                return _page(services, request, visitor, asked, found, chosen)
            case kind:
                raise Answered(400, f"format: {kind[:32]!r} is none of html, csv; JSON is at /api/v1/sources")

    return pages


def as_csv(request: Request, visitor: Visitor, chosen: Sequence[SourceState]) -> Response:
    """Sources as a file for a spreadsheet: the fields of the JSON, numbers unrounded."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\r\n")
    rows = [source_said(one) for one in chosen]
    names = list(source_said(_NOTHING))
    write.writerow(names)
    for row in rows:
        write.writerow([harmless(_cell(row[name])) for name in names])
    made = answer(request, visitor, text.getvalue().encode(), "text/csv; charset=utf-8")
    made.headers["Content-Disposition"] = 'attachment; filename="sources.csv"'
    return made


def _cell(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return "; ".join(
        f"{one['name']} <{one['email']}>" if isinstance(one, dict) and one.get("email")
        else str(one["name"]) if isinstance(one, dict) else str(one)
        for one in value
    )  # fmt: skip


def _page(
    services: Services, request: Request, visitor: Visitor, asked: Filter, found: Silence, chosen: Sequence[SourceState]
) -> Response:  # fmt: skip
    counted = replace(asked, state=None)
    counts = {
        state.value: sum(one.state is state for one in found.sources if counted.holds(one)) for state in CARE
    }
    return page(
        services, request, visitor, "sources.html", opened=services.reading.opened(), asked=asked, found=found, chosen=chosen,
        counts=counts, care=sum(counts[state.value] for state in NEEDS_CARE), care_word=CARE_WORD, named=named, path_of=path_of, page_of=pages_of(services.registry()), learnt_from=learnt_from,
        sites=sorted({one.site for one in found.sources if one.site}, key=str.lower), chance=f"{100 * INTERVAL_PART:.0f} %",
        any_heard=any(one.heard for one in chosen), any_missing=any(one.missing for one in chosen), slug=slug,
    )  # fmt: skip


def pages_of(registry: Registry) -> Callable[[SourceState, str], str | None]:
    """What says the page of a source's resource or site; None: only storage or sums of others have that name, and no page knows it."""
    known = {
        dimension: {name.lower() for name in registered(registry, dimension)}
        for dimension in ("resource", "site")
    }

    def page_of(one: SourceState, dimension: str) -> str | None:
        name: str | None = getattr(one, dimension)
        if not name or (one.level in (STORAGE, REPORTED) and name.lower() not in known[dimension]):
            return None
        return path_of(dimension, name)

    return page_of


def slug(state: str) -> str:
    """A state as a class of the style sheet."""
    return state.replace(" ", "-")
