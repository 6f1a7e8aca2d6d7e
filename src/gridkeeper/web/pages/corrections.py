"""`/corrections` and `/correction/ID`: the rules in force and those that were, and what each changes; for viewers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.corrected import Preview, preview
from gridkeeper.summaries.corrections import keeping
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS, Corrections
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.summaries.corrections.keeping import Applied
    from gridkeeper.summaries.corrections.rules import Rule
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

MOST_LINES = 500


@dataclass(frozen=True)
class Shown:
    """A correction and all its turns in force, the newest first; what it does in words."""

    rule: Rule
    turns: tuple[Applied, ...]

    @property
    def is_in_force(self) -> bool:
        """Whether it counts now."""
        return self.turns[0].revoked_at is None

    @property
    def does(self) -> str:
        """What it does, in a few words."""
        return does(self.rule)


def does(rule: Rule) -> str:
    """What a rule does, in a few words: `sets processors`, `scales core_seconds by 1/2`, `leaves out`, `adds an estimate`."""
    if rule.scale is not None:
        return f"scales {rule.scale.measure} by {rule.scale.ratio}"
    if rule.set is not None:
        return f"sets {rule.set.column}"
    return "leaves records out" if rule.exclude else "adds an estimate"


def shown(services: Services) -> list[Shown]:
    """Every correction that is or was in force, those in force first. Raises: DatabaseUnavailable (retryable)."""
    turns: dict[str, list[Applied]] = {}
    for one in keeping.history(services.engine):
        turns.setdefault(one.filed.rule.id, []).insert(0, one)
    found = [Shown(of[0].filed.rule, tuple(of)) for of in turns.values()]
    return sorted(found, key=lambda one: (not one.is_in_force, one.rule.id))


def effect_of(services: Services, rule: Rule) -> Preview:
    """What a correction in force takes away when it is revoked; made once a version of the books."""

    def make(opened: Opened) -> Preview:
        now = opened.books.corrections
        others = tuple(one for one in now.rules if one.id != rule.id)
        without = Corrections(others, {**now.earlier, now.revision: now.rules}) if others else NO_CORRECTIONS
        return preview(opened.books, without)

    opened = services.reading.opened()
    if rule not in opened.books.corrections.rules:  # it was put in force a moment ago
        opened = services.reading.settle()
    return services.reading.kept(("correction", rule.content_hash), make, opened)


def router(services: Services) -> APIRouter:
    """The list, and a page for each correction."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/corrections")
    async def corrections(request: Request) -> Response:
        visitor = await visitor_of(services, request, "viewer")
        found = await run_in_threadpool(shown, services)
        return page(services, request, visitor, "corrections.html", found=found)

    @pages.get("/correction/{name}")
    async def correction(request: Request, name: str) -> Response:
        visitor = await visitor_of(services, request, "viewer")
        found = await run_in_threadpool(shown, services)
        one = next((each for each in found if each.rule.id == name), None)
        if one is None:
            raise Answered(404, f"there is no correction {name[:64]!r}; /corrections names those there are")
        effect: Preview | None = None
        if one.is_in_force:
            effect = await run_in_threadpool(effect_of, services, one.rule)
        values: dict[str, Any] = {"one": one, "effect": effect, "most": MOST_LINES, "does": does}
        return page(services, request, visitor, "correction.html", opened=services.reading.opened(), **values)

    return pages
