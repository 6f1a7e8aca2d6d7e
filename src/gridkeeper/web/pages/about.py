"""What the numbers are: each measure with its unit, and what is counted at which level, in which grid, when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from gridkeeper.queries.measures import MEASURES
from gridkeeper.web.pages.frame import page
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.web.services import Services


def router(services: Services) -> APIRouter:
    """The page `/about`."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/about")
    async def about(request: Request) -> Response:
        visitor = await visitor_of(services, request)
        grid = services.registry().federation.grid
        return page(services, request, visitor, "about.html", measures=MEASURES.values(), grid=grid)

    return pages
