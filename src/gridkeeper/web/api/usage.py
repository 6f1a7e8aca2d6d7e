"""`/api/v1/usage`: the explorer's questions and answers as JSON, page by page; `/api/v1/names`: the values of a dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.answering import DIMENSIONS
from gridkeeper.queries.measures import MEASURES
from gridkeeper.queries.names import names_of
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.downloads import FORMATS, about
from gridkeeper.web.pages.explorer import answered, asked_by, downloaded, in_order
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.pages.question import MOST_ROWS
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

_WORDS = {
    "by": ("dimensions, with commas between them", "vo,month"),
    "measure": ("measures, with commas between them", "jobs,core_hours"),
    "first": ("the first day", "2017-01-01"),
    "until": ("the day after the last", "2017-02-01"),
    "where": ("a condition, dimension=value; may be repeated", "vo=cms"),
    "count_level": ("batch, payload or all-records; nothing: each resource's own", "batch"),
    "grid": ("a grid's name, or any; nothing: the federation's", "any"),
    "attribution": ("end or overlap", "end"),
    "source": ("jobs or reported", "jobs"),
    "sort": ("a column, with - before it for the greatest first", "-core_hours"),
    "format": ("csv, parquet or xlsx: all rows as a file", "csv"),
}
PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}, "example": example}
    for name, (words, example) in _WORDS.items()
]  # fmt: skip


_AS_FILES: dict[str, Any] = {
    "description": "An answer, or a page of it; a file of all rows where `format` asks for one.",
    "content": {
        kind: {"schema": {"type": "string", "format": "binary"}}
        for name, kind in FORMATS.items()
        if name != "json"
    },
}


class UsageSaid(BaseModel):
    """An answer, or a page of it."""

    total_rows: int = Field(examples=[2])
    offset: int = Field(examples=[0])
    rows: list[dict[str, Any]] = Field(
        description="dimensions by name, then measures by name, unrounded; null: not known",
        examples=[[{"vo": "cms", "month": "2017-01", "jobs": 23_890, "core_hours": 608_200.0}]],
    )
    units: dict[str, str] = Field(examples=[{"jobs": "jobs", "core_hours": "core hours"}])
    about: dict[str, Any] = Field(description="table, versions, statement, and what was counted")


class NamesSaid(BaseModel):
    """The values of a dimension."""

    dimension: str = Field(examples=["vo"])
    names: list[str | int | bool] = Field(examples=[["atlas", "cms"]])


def router(services: Services) -> APIRouter:
    """Both addresses."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get(
        "/usage",
        response_model=UsageSaid,
        responses={200: _AS_FILES},
        openapi_extra={"parameters": PARAMETERS},
    )
    async def usage(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    ) -> Response:
        """Answer a question about usage, as the explorer does."""
        visitor, question = await asked_by(services, request)
        found = await run_in_threadpool(answered, services, question)
        rows = in_order(question, found.rows)
        kind = request.query_params.get("format") or "json"
        if kind != "json":
            return await run_in_threadpool(downloaded, request, visitor, question, found, rows, kind)
        said = UsageSaid(
            total_rows=len(rows), offset=offset, rows=rows[offset : offset + limit],
            units={name: MEASURES[name].unit for name in question.measures}, about=about(found),
        )  # fmt: skip
        made = answer(request, visitor, said.model_dump_json().encode(), "application/json")
        if offset + limit < len(rows):
            following = f"/api/v1/usage{question.query(limit=None)}&limit={limit}&offset={offset + limit}"
            made.headers["Link"] = f'<{following}>; rel="next"'
        return made

    @api.get("/names/{dimension}", response_model=NamesSaid)
    async def names(request: Request, dimension: str) -> Response:
        """Say which values a dimension has, of any period, level and grid."""
        visitor = await visitor_of(services, request)
        said = NamesSaid(
            dimension=dimension,
            names=await run_in_threadpool(known_names, services, dimension, visitor.sees_people),
        )
        return answer(request, visitor, said.model_dump_json().encode(), "application/json")

    return api


def known_names(services: Services, dimension: str, sees_people: bool) -> list[Any]:
    """The values of a dimension, in order. Raises: Answered (404), NotAllowed (403)."""
    if dimension not in DIMENSIONS:
        raise Answered(404, f"there is no dimension {dimension[:64]!r}; there are: {', '.join(DIMENSIONS)}")
    if dimension == "user" and not sees_people:
        raise NotAllowed("the names of users are shown to operators only")

    def make(opened: Opened) -> list[Any]:
        return names_of(opened.books, dimension)

    return services.reading.kept(("names", dimension), make)
