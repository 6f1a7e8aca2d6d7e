"""`/api/v1/production`, `/site-vo` and `/trends`: the reports as the pages show them, as JSON and for spreadsheets."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.web.errors import REFUSALS, Answered
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.pages.production import asked_by
from gridkeeper.web.reporting import TYPES, file_of

if TYPE_CHECKING:
    from gridkeeper.web.services import Services

Week = Annotated[str | None, Query(description="any day of a week, as 2017-01-31", examples=["2017-01-31"])]
Month = Annotated[str | None, Query(description="a month, as 2017-01", examples=["2017-01"])]
First = Annotated[str | None, Query(description="the first day of any period", examples=["2017-01-01"])]
Until = Annotated[str | None, Query(description="the day after its last", examples=["2017-02-01"])]
Format = Annotated[
    str | None, Query(alias="format", description="json, or csv for spreadsheets", examples=["csv"])
]
_AS_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report; with `format=csv` its table.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


class _Said(BaseModel):
    """What all reports say of themselves; numbers are unrounded, with the unit in the name; null is not known."""

    model_config = ConfigDict(extra="allow")
    title: str
    federation: str = Field(examples=["Sample Grid"])
    invented: bool = Field(description="whether the data are invented, those of a sample federation")
    as_of: datetime = Field(description="the moment of asking; ages are counted from it")
    source: Literal["jobs", "reported"]
    about: dict[str, str] = Field(
        description="what a reader must know of the numbers",
        examples=[{"Attribution": "end: the whole job counts on the UTC day it ended"}],
    )


class PeriodSaid(BaseModel):
    """Whole UTC days; `until` is the day after the last."""

    first: date = Field(examples=["2017-01-31"])
    until: date = Field(examples=["2017-02-07"])
    name: str = Field(examples=["31 Jan – 6 Feb 2017"])


class UseSaid(BaseModel):
    """One VO, or all (`name` is null), with its changes, running cores, sites and experiments."""

    model_config = ConfigDict(extra="allow")
    name: str | None = Field(examples=["cms"])
    jobs: int | None = Field(examples=[2571])
    wall_hours: float | None = Field(examples=[8870.25])
    core_hours: float | None = Field(examples=[54_132.5])
    efficiency: float | None = Field(
        description="CPU hours ÷ core hours, where CPU was measured", examples=[0.68]
    )
    pilots: int | None
    payloads: int | None
    sites: int | None
    change: dict[str, float | None]


class ProductionSaid(_Said):
    """The production report of a period."""

    report: Literal["production"]
    period: PeriodSaid
    previous: PeriodSaid
    total: UseSaid
    vos: list[UseSaid]
    movers: list[dict[str, Any]]
    unmapped: list[dict[str, Any]]
    sources: dict[str, Any] | None = Field(
        description="states of sources; addresses and probes' own words only for who is known"
    )
    pools: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    traces: dict[str, dict[str, Any]] = Field(
        description="section → query, table, versions, level, grid, unit"
    )


class MatrixSaid(_Said):
    """The Site–VO matrix of a period and the one before it."""

    report: Literal["site-vo"]
    period: PeriodSaid
    previous: PeriodSaid
    unit: str = Field(examples=["core hours"])
    opportunistic_vos: list[str]
    columns: list[str]
    sites: list[dict[str, Any]] = Field(
        examples=[[{"site": "Nebraska", "total": 608_200.0, "by_vo": {"cms": 608_200.0}}]]
    )
    total: dict[str, Any]
    previous_total: dict[str, Any]
    change_over_previous: dict[str, Any]
    coverage: dict[str, Any] | None = Field(
        description="how well the sources covered the numbers: floor, total, VOs, sites, what is missing; each site and total has its own, too"
    )
    trace: dict[str, Any]


class TrendSaid(BaseModel):
    """One VO over the months."""

    model_config = ConfigDict(extra="allow")
    name: str = Field(examples=["osg"])
    core_hours: list[float | None] = Field(
        description="one for each month, oldest first", examples=[[8_260_000.0, 8_270_000.5]]
    )
    change_core_hours: float | None
    change_ratio: float | None


class TrendsSaid(_Said):
    """Months side by side."""

    report: Literal["trends"]
    months: list[str] = Field(examples=[["2016-11", "2016-12", "2017-01"]])
    unit: str = Field(examples=["core hours"])
    sentences: list[str]
    vos: list[TrendSaid]
    opportunistic: TrendSaid
    total: TrendSaid
    coverage: list[dict[str, Any]] | None = Field(
        description="of each month, oldest first, how well the sources covered its numbers, and what is estimated"
    )
    trace: dict[str, Any]


def router(services: Services) -> APIRouter:
    """The three addresses."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get("/production", response_model=ProductionSaid, responses=_AS_CSV)
    async def production(
        request: Request, week: Week = None, month: Month = None, first: First = None, until: Until = None, shape: Format = None
    ) -> Response:  # fmt: skip
        """The production report of a week, a month or any period; without one, of the last full week of the books."""
        return await _answered(services, request, "production", shape)

    @api.get("/site-vo", response_model=MatrixSaid, responses=_AS_CSV)
    async def matrix(
        request: Request, week: Week = None, month: Month = None, first: First = None, until: Until = None, shape: Format = None
    ) -> Response:  # fmt: skip
        """The matrix of sites by VOs in core hours; without a period, of the last full month of the books."""
        return await _answered(services, request, "site-vo", shape)

    @api.get("/trends", response_model=TrendsSaid, responses=_AS_CSV)
    async def trends(
        request: Request, week: Week = None, month: Month = None, first: First = None, until: Until = None, shape: Format = None
    ) -> Response:  # fmt: skip
        """Three to six months side by side, up to the one that is over with the period asked for."""
        return await _answered(services, request, "trends", shape)

    return api


async def _answered(services: Services, request: Request, report: str, shape: str | None) -> Response:
    shape = shape or "json"
    if shape not in ("json", "csv"):
        raise Answered(400, f"format: {shape[:32]!r} is none of json, csv")
    visitor, asked = await asked_by(services, request, report)
    body = await run_in_threadpool(file_of, services, asked, shape)
    return answer(request, visitor, body, TYPES[shape])
