"""What pages need beside their text, all of it served here: one style sheet, one script, and the charts' library."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import import_module, resources

from fastapi import APIRouter, Response

from gridkeeper.web.errors import Answered

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
OWN = ("gridkeeper.css", "gridkeeper.js", "icon.svg")
CHARTS = "charts.js"
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def content(name: str) -> bytes:
    """One asset. Raises: KeyError for any other name."""
    if name == CHARTS:
        bundle: str = import_module("vl_convert").javascript_bundle()
        return bundle.encode()
    if name not in OWN:
        raise KeyError(name)
    return resources.files("gridkeeper.web").joinpath("static", name).read_bytes()


@cache
def path(name: str) -> str:
    """The address of an asset, with its content's name in it, so that it may be kept for ever."""
    tag = "vega" if name == CHARTS else hashlib.blake2b(content(name), digest_size=6).hexdigest()
    return f"/static/{tag}/{name}"


def router() -> APIRouter:
    """The addresses of assets."""
    served = APIRouter(include_in_schema=False)

    @served.get("/static/{tag}/{name}")
    def asset(tag: str, name: str) -> Response:
        try:
            body = content(name)
        except KeyError:
            raise Answered(404, "there is no such asset") from None
        kept = FOR_EVER if f"/static/{tag}/{name}" == path(name) else "no-cache"
        kind = _TYPES[name[name.rindex(".") :]]
        return Response(body, headers={"Cache-Control": kept}, media_type=kind)

    return served
