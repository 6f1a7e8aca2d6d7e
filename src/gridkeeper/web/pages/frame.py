"""What every page has: its template filled and escaped, the way round, the age of the books, and its answer's headers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from gridkeeper import __version__
from gridkeeper.reports import wording
from gridkeeper.trust.visitors import PUBLIC
from gridkeeper.web.pages import assets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from starlette.requests import Request

    from gridkeeper.trust.visitors import Standing, Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

STALE_AFTER = timedelta(hours=6)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class Way:
    """One way of the navigation. least: the role that sees it."""

    name: str
    path: str
    least: Standing = "public"


WAYS = (
    Way("Display", "/"),
    Way("Production", "/production"),
    Way("Usage", "/usage"),
    Way("Matrix", "/site-vo"),
    Way("Trends", "/trends"),
    Way("Sources", "/sources"),
    Way("Downtimes", "/downtimes"),
    Way("Registry", "/registry"),
    Way("Reports", "/reports"),
    Way("Editions", "/editions"),
    Way("Corrections", "/corrections", "viewer"),
    Way("Quarantine", "/quarantine", "site-contact"),
    Way("Batches", "/batches", "site-contact"),
    Way("Audit", "/audit", "operator"),
)


def page(
    services: Services, request: Request, visitor: Visitor, template: str, *, status: int = 200, **values: Any
) -> Response:
    """Fill a template as the answer to a request.

    values: what the template names; `opened` (reading.Opened) among them lets the page say how old its numbers are.
    Returns: the page with its tag; 304 without a body where the visitor has it already.
    """
    opened: Opened | None = values.get("opened")
    ways = [way for way in WAYS if _shows(way, visitor)]
    body = (
        environment()
        .get_template(template)
        .render(
            version=__version__, ways=ways, here=request.url.path, visitor=visitor, age=age_of(opened, services.now()),
            federation=services.registry().federation.name, invented=wording.invented(services.registry()), assets=assets, **{"opened": opened, **values},
        )
        .encode()
    )  # fmt: skip
    return answer(request, visitor, body, "text/html; charset=utf-8", status)


def error_page(services: Services) -> Callable[[Request, int, str, Mapping[str, str]], Response]:
    """What refuses a request as a page: what is wrong and where to go on, in the pages' frame."""

    def made(request: Request, status: int, sentence: str, headers: Mapping[str, str]) -> Response:
        visitor: Visitor = getattr(request.state, "visitor", PUBLIC)
        said = page(
            services, request, visitor, "error.html", status=status, sentence=sentence, heading=_HEADINGS.get(status, "That did not work"),
            may_log_in=status in (401, 403) and not visitor.is_known,
        )  # fmt: skip
        said.headers.update(headers)
        return said

    return made


_HEADINGS = {
    400: "That cannot be asked so",
    401: "Who are you?",
    403: "Not for everybody",
    404: "There is nothing here",
    422: "That cannot be asked so",
    429: "Too fast",
    503: "Not now",
}


def answer(request: Request, visitor: Visitor, body: bytes, media_type: str, status: int = 200) -> Response:
    """An answer with a tag of its content, kept by nobody for anybody else."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache" if visitor.is_known else "no-cache",
        "Vary": "Cookie, Authorization, Accept",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "same-origin",  # without any, browsers would not say either whose page sends a form
    }
    if status == 200 and tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, media_type)


def _shows(way: Way, visitor: Visitor) -> bool:
    return visitor.may_act_as(way.least)


@dataclass(frozen=True)
class Age:
    """How old the newest data are, in plain words; `is_stale`: older than STALE_AFTER."""

    words: str
    is_stale: bool


def age_of(opened: Opened | None, moment: datetime) -> Age | None:
    """Say how old the books' newest record is. None where no books were asked."""
    if opened is None:
        return None
    if opened.newest is None:
        return Age("there are no records yet", True)
    passed = moment - opened.newest
    return Age(f"the newest record ended {in_words(passed)} ago", passed > STALE_AFTER)


def in_words(passed: timedelta) -> str:
    """`3 minutes`, `2 hours`, `5 days`, `9 years`: the greatest unit of which there are two, else the next."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, size in (
        ("years", 31_557_600),
        ("months", 2_629_800),
        ("days", 86_400),
        ("hours", 3600),
        ("minutes", 60),
    ):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit}"
    return "a minute" if seconds >= 60 else f"{seconds} seconds"


@cache
def environment() -> Environment:
    """The templates of the pages, and the bodies of reports, which are the same in their files; every value is escaped."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("gridkeeper.web"), PackageLoader("gridkeeper.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (
        wording.whole, wording.signed, wording.rough, wording.percent, wording.signed_percent, wording.ratio,
    ):  # fmt: skip
        made.filters[filter_.__name__] = filter_
    made.filters |= {"core_hours": wording.hours, "moment": _moment, "day": _day}
    return made


def _moment(value: datetime | None) -> str:
    return wording.UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def _day(value: Any) -> str:
    return wording.UNKNOWN if value is None else f"{value:%Y-%m-%d}"
