"""The Site–VO matrix at `/site-vo` as a heat map: the spreadsheet's sums, each site and VO leading to its page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from gridkeeper.reports.site_vo import most
from gridkeeper.web.pages.asking import query
from gridkeeper.web.pages.frame import environment, page
from gridkeeper.web.pages.production import asked_by, file_answer, in_steps, links_of
from gridkeeper.web.reporting import content_of

if TYPE_CHECKING:
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.reporting import Asked
    from gridkeeper.web.services import Services

SHAPES = {"xlsx": "xlsx", "csv": "csv", "json": "json", "html": "html"}
SHADES = 8
_A_DECADE = 2  # so many shades


def shade_of(value: float, greatest: float) -> int:
    """How dark a cell is, 1 to SHADES: each shade is √10 times the one below it, the darkest ends with the greatest cell."""
    if value <= 0 or greatest <= 0:
        return 1
    return max(1, SHADES - math.floor(_A_DECADE * math.log10(max(1.0, greatest / value))))


def router(services: Services) -> APIRouter:
    """The page and its downloads."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/site-vo")
    async def matrix(request: Request) -> Response:
        visitor, asked = await asked_by(services, request, "site-vo")
        values = await run_in_threadpool(_shown, services, asked)
        return page(services, request, visitor, "matrix.html", **values)

    @pages.get("/site-vo.{ending}")
    async def matrix_file(request: Request, ending: str) -> Response:
        return await file_answer(services, request, "site-vo", ending, SHAPES)

    return pages


def _shown(services: Services, asked: Asked) -> dict[str, Any]:
    def body(opened: Opened) -> Markup:
        content = content_of(services, asked, opened)
        greatest = most(content.matrix)
        return Markup(
            environment().get_template("matrix_cells.html").render(
                content=content, link=links_of(asked.period), shade_of=lambda value: shade_of(value, greatest)
            )
        )  # fmt: skip

    opened = services.reading.opened()
    content = content_of(services, asked, opened)
    greatest = most(content.matrix)
    return {
        "opened": opened, "content": content, "cells": services.reading.kept(("report page", asked), body, opened),
        "shades": [(shade, greatest / math.sqrt(10) ** (SHADES - shade)) for shade in range(1, SHADES + 1)],
        "days": query({"first": asked.period.first, "until": asked.period.until}), **in_steps(services, asked, opened),
    }  # fmt: skip
