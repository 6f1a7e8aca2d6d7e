"""`/editions` and `/edition/N`: published reports, each with what it was made of, and its files as they were published."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.config import Home
from gridkeeper.database import reading
from gridkeeper.editions.edition import PLOT_PREFIX, REPORT_PREFIX, EditionDamaged
from gridkeeper.editions.restatement import UNEXPLAINED
from gridkeeper.editions.restating import restate
from gridkeeper.editions.storing import read
from gridkeeper.editions.tables import EDITIONS
from gridkeeper.editions.then import then_of
from gridkeeper.errors import UserMistake
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.frame import answer, page
from gridkeeper.web.pages.production import FILE_POLICY
from gridkeeper.web.pages.schedules import LEAST
from gridkeeper.web.reporting import TYPES
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gridkeeper.editions.restatement import Restatement
    from gridkeeper.editions.storing import Stored
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

MOST_DIGITS = 4
_PLOTS = {".svg": "image/svg+xml", ".png": "image/png"}


def published(services: Services) -> Sequence[Any]:
    """The register, the newest first. Raises: DatabaseUnavailable (retryable)."""
    with reading(services.engine) as connection:
        return connection.execute(sa.select(EDITIONS).order_by(EDITIONS.c.number.desc())).all()


def stored(services: Services, number: str) -> Stored | str:
    """An edition, held to its checksum; a sentence where it is damaged. Raises: Answered (404), DatabaseUnavailable (retryable)."""
    if not number.isascii() or not number.isdecimal() or len(number) > MOST_DIGITS:
        raise Answered(404, "an edition has a number; /editions names those there are")
    try:
        return read(services.engine, Home(services.home).editions, int(number))
    except EditionDamaged:
        return f"Edition {int(number)} is not what was published: a file of it changed or is missing. An operator restores it from a backup; its numbers are not to be trusted until then."
    except UserMistake as error:
        raise Answered(404, str(error).partition(" (`")[0]) from None


def restated(services: Services, one: Stored) -> Restatement:
    """An edition against today's books, made once a version of them. Raises: Answered (404), LakeUnavailable (retryable)."""
    if one.edition.source != "jobs":
        raise Answered(
            404, "an edition of sums that others reported has no records behind it, and cannot be restated"
        )

    def make(opened: Opened) -> Restatement:
        return restate(opened.books, then_of(one))

    try:
        return services.reading.kept(("restated", one.checksum), make)
    except UserMistake as error:
        raise Answered(404, str(error)) from None


def router(services: Services) -> APIRouter:
    """The list, a page for each edition, and its files."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/editions")
    async def editions(request: Request) -> Response:
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(published, services)
        return page(services, request, visitor, "editions.html", found=found)

    @pages.get("/edition/{number}")
    async def edition(request: Request, number: str) -> Response:
        visitor = await visitor_of(services, request)
        one = await run_in_threadpool(stored, services, number)
        if isinstance(one, str):
            return page(services, request, visitor, "edition_damaged.html", number=int(number), sentence=one)
        least = LEAST.get(one.edition.report, "public")
        plots = [name for name in sorted(one.files) if name.startswith(PLOT_PREFIX) and name.endswith(".svg")]
        return page(
            services, request, visitor, "edition.html", one=one.edition, checksum=one.checksum, plots=plots, least=least,
            may_have=visitor.may_act_as(least),
        )  # fmt: skip

    @pages.get("/edition/{number}/restated")
    async def restatement(request: Request, number: str) -> Response:
        visitor = await visitor_of(services, request)
        one = await run_in_threadpool(stored, services, number)
        if isinstance(one, str):
            raise Answered(404, one)
        found = await run_in_threadpool(restated, services, one)
        causes = [name for name in found.parts if name != UNEXPLAINED or found.parts[UNEXPLAINED]]
        return page(
            services, request, visitor, "restated.html", opened=services.reading.opened(), one=one.edition, found=found, causes=causes,
            unexplained=UNEXPLAINED,
        )  # fmt: skip

    @pages.get("/edition/{number}/{file}")
    async def file(request: Request, number: str, file: str) -> Response:
        visitor = await visitor_of(services, request)
        one = await run_in_threadpool(stored, services, number)
        if isinstance(one, str):
            raise Answered(404, one)
        shape = file.removeprefix(REPORT_PREFIX)
        is_plot = file.startswith(PLOT_PREFIX) and PurePath(file).suffix in _PLOTS
        is_report = file.startswith(REPORT_PREFIX) and shape in one.edition.formats
        if file not in one.files or not (is_plot or is_report):
            raise Answered(404, f"edition {int(number)} has no such file; its page names those it has")
        if not is_plot:
            await _may_have(services, request, visitor, one)
        return _file(request, visitor, one, file)

    return pages


async def _may_have(services: Services, request: Request, visitor: Visitor, one: Stored) -> None:
    """Refuse whoever may not have the files of an edition, and say which role it takes."""
    least = LEAST.get(one.edition.report, "public")
    if not visitor.may_act_as(least):
        await visitor_of(services, request, least)


def _file(request: Request, visitor: Visitor, one: Stored, file: str) -> Response:
    """A plot or a report as it was published."""
    if file.startswith(PLOT_PREFIX):
        made = answer(request, visitor, one.files[file], _PLOTS[PurePath(file).suffix])
    else:
        shape, days = file.removeprefix(REPORT_PREFIX), one.edition.period
        made = answer(request, visitor, one.files[file], TYPES[shape])
        name = f"edition-{one.edition.number}-{one.edition.report}-{days.first}-to-{days.last}.{shape}"
        made.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    made.headers["Content-Security-Policy"] = FILE_POLICY
    return made
