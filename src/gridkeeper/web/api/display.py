"""`/api/v1/display`: the display's figures under the keys that OSG Display used, and hour by hour, day by day."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from gridkeeper.queries.display import EXCLUSIONS, total
from gridkeeper.web.errors import REFUSALS
from gridkeeper.web.pages.display import asked
from gridkeeper.web.pages.frame import answer
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from gridkeeper.queries.display import Count
    from gridkeeper.web.services import Services

MIB = 1024 * 1024


class CountSaid(BaseModel):
    """One hour, day or month; null where no record is that old."""

    begins: str = Field(examples=["2017-02-06T13:00:00+00:00"])
    jobs: int | None
    core_hours: float | None
    transfers: int | None
    bytes: int | None


class DisplaySaid(BaseModel):
    """The sums of the last 24 complete hours (`_hourly`), 30 days (`_daily`) and 12 months (`_monthly`), and their parts."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"jobs_hourly": 40_512, "cpu_hours_hourly": 163_441.5, "time": 1_486_425_600}
        }
    )
    time: int = Field(description="until when, in seconds since 1970")
    until: datetime
    num_sites: int
    num_ces: int
    num_ses: None = Field(description="not known here")
    jobs_hourly: int | None
    jobs_daily: int | None
    jobs_monthly: int | None
    cpu_hours_hourly: float | None = Field(description="core hours")
    cpu_hours_daily: float | None = Field(description="core hours")
    cpu_hours_monthly: float | None = Field(description="core hours")
    transfers_hourly: int | None
    transfers_daily: int | None
    transfers_monthly: int | None
    transfer_volume_mb_hourly: float | None = Field(description="bytes ÷ 1024²")
    transfer_volume_mb_daily: float | None = Field(description="bytes ÷ 1024²")
    transfer_volume_mb_monthly: float | None = Field(description="bytes ÷ 1024²")
    counted: str
    newest_record_ended: datetime | None
    hours: list[CountSaid]
    days: list[CountSaid]
    months: list[CountSaid]


def router(services: Services) -> APIRouter:
    """The one address."""
    api = APIRouter(prefix="/api/v1", tags=["reading"], responses=REFUSALS)

    @api.get("/display", response_model=DisplaySaid)
    async def display(request: Request) -> Response:
        """Say what the federation did lately."""
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(asked, services)
        facts: dict[str, Any] = {
            "time": int(found.until.timestamp()), "until": found.until, "num_sites": found.sites, "num_ces": found.ces, "num_ses": None,
            "counted": EXCLUSIONS, "newest_record_ended": services.reading.opened().newest,
        }  # fmt: skip
        for word, name in (("hourly", "hours"), ("daily", "days"), ("monthly", "months")):
            counts: tuple[Count, ...] = getattr(found, name)
            sums = total(counts)
            facts |= {
                f"jobs_{word}": sums.jobs, f"cpu_hours_{word}": sums.core_hours, f"transfers_{word}": sums.transfers,
                f"transfer_volume_mb_{word}": None if sums.bytes is None else sums.bytes / MIB,
                name: [_said(count) for count in counts],
            }  # fmt: skip
        body = DisplaySaid.model_validate(facts).model_dump_json().encode()
        return answer(request, visitor, body, "application/json")

    return api


def _said(count: Count) -> CountSaid:
    return CountSaid(
        begins=count.begins.isoformat(), jobs=count.jobs, core_hours=count.core_hours, transfers=count.transfers, bytes=count.bytes
    )  # fmt: skip
