"""Plots under stable addresses, as SVG, PNG and Vega-Lite, for pages here and for pages of others that embed them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from starlette.concurrency import run_in_threadpool

from gridkeeper.reports.plots import INK, Plot
from gridkeeper.web.pages.frame import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fastapi import Response
    from starlette.requests import Request

    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

Ending = Literal["svg", "png", "json"]
Theme = Literal["light", "dark"]
DARK_INK = "#e3e8ed"
_TYPES = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


async def plot_answer(
    services: Services,
    request: Request,
    visitor: Visitor,
    key: Hashable,
    make: Callable[[Opened], Plot],
    ending: Ending,
    theme: Theme = "light",
) -> Response:
    """A plot as the answer to a request; drawn once a version of the books.

    key: what the plot depends on beside the books. theme: the colour of its text, for SVG.
    """

    def drawn(opened: Opened) -> bytes:
        return written(services.reading.kept((key, "spec"), make, opened), ending, theme)

    body = await run_in_threadpool(services.reading.kept, (key, ending, theme), drawn)
    return answer(request, visitor, body, _TYPES[ending])


def written(plot: Plot, ending: Ending, theme: Theme) -> bytes:
    """A plot in one of its forms."""
    if ending == "json":
        return json.dumps(plot.spec | {"usermeta": {"ink": INK}}).encode()
    if ending == "png":
        return plot.png()
    drawn = plot.svg()
    return (drawn.replace(INK, DARK_INK) if theme == "dark" else drawn).encode()
