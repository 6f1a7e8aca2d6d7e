"""`/api/v1/schedules`: which reports are made in time, how their runs went, and whether all are current."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.web.errors import REFUSALS
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.pages.schedules import shown
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.web.pages.schedules import ShownRun, ShownSchedule
    from gridkeeper.web.services import Services


class RunSaid(BaseModel):
    """One run; what went wrong and who has it in full are for operators, and null for others."""

    first: date = Field(description="the first day it is about", examples=["2017-01-31"])
    until: date = Field(description="the day after the last", examples=["2017-02-07"])
    state: str = Field(
        description="first-seen, waiting, running, done, given-up, not-made or waived", examples=["done"]
    )
    due_at: datetime
    late_at: datetime
    made_at: datetime | None
    delivered_at: datetime | None
    attempts: int = Field(examples=[1])
    recipients_served: int = Field(examples=[2])
    recipients: int = Field(examples=[2])
    files: list[str] = Field(
        description="addresses of the files that are here", examples=[["/schedule/weekly/weekly-2017-02-07.html"]]
    )  # fmt: skip
    problem: str | None
    outcomes: dict[str, str] | None = Field(description="recipient → state")


class ScheduleSaid(BaseModel):
    """One schedule and its runs, the newest first."""

    schedule: str = Field(examples=["weekly"])
    report: str = Field(examples=["production"])
    period: str = Field(examples=["week"])
    formats: list[str] = Field(examples=[["twiki", "html"]])
    next_due_at: datetime
    runs: list[RunSaid]


class SchedulesSaid(BaseModel):
    """All schedules, and whether all reports are current."""

    state: str = Field(description="current, due, late or none", examples=["current"])
    sentence: str
    schedules: list[ScheduleSaid]


def router(services: Services) -> APIRouter:
    """The one address."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get("/schedules", response_model=SchedulesSaid)
    async def schedules(request: Request) -> Response:
        """Say which reports are made in time, and how their runs went."""
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(shown, services, visitor)
        said = SchedulesSaid(
            state=found.badge.state, sentence=found.badge.sentence,
            schedules=[_schedule(one) for one in found.schedules],
        )  # fmt: skip
        return answer(request, visitor, said.model_dump_json().encode(), "application/json")

    return api


def _schedule(one: ShownSchedule) -> ScheduleSaid:
    schedule = one.schedule
    return ScheduleSaid(
        schedule=schedule.name, report=schedule.report, period=schedule.period, formats=list(schedule.formats),
        next_due_at=one.next_due_at, runs=[_run(run) for run in one.runs],
    )  # fmt: skip


def _run(one: ShownRun) -> RunSaid:
    run = one.run
    outcomes: dict[str, str] | None = None
    if one.recipients is not None:
        outcomes = {name: told.state for name, told in one.recipients.items()}
    facts: dict[str, Any] = {
        name: getattr(run, name) for name in ("state", "due_at", "made_at", "delivered_at", "attempts")
    }
    return RunSaid(
        first=run.period.first, until=run.period.until, late_at=one.late_at, recipients_served=one.delivered[0], recipients=one.delivered[1],
        files=[f"/schedule/{quote(run.schedule)}/{quote(name)}" for name in one.files], problem=one.problem, outcomes=outcomes, **facts,
    )  # fmt: skip
