"""Reports on time at `/reports` and `/schedule/NAME`: what is due, made, delivered and late, and the files that were made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.config import Home
from gridkeeper.schedules import runs
from gridkeeper.schedules.badge import badge_of
from gridkeeper.schedules.due import late_at, next_due
from gridkeeper.schedules.printing import ENDINGS
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import query
from gridkeeper.web.pages.frame import answer, page
from gridkeeper.web.pages.production import FILE_POLICY
from gridkeeper.web.pages.steps import asked_as
from gridkeeper.web.reporting import TYPES
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gridkeeper.schedules.badge import Badge
    from gridkeeper.schedules.runs import Run
    from gridkeeper.settings import Schedule
    from gridkeeper.trust.visitors import Standing, Visitor
    from gridkeeper.web.services import Services

MOST_RUNS, MOST_LATEST = 500, 20
# What a production report that was made for its recipients says of sources names whom to ask, with addresses.
LEAST: dict[str, Standing] = {"production": "viewer"}
_SHAPES = {ending: shape for shape, ending in ENDINGS.items()}


@dataclass(frozen=True)
class ShownRun:
    """A run as a visitor may see it.

    late_at:    from when on it is called late.
    files:      the names of those that can be had here, and that the visitor may have.
    recipients: who has it; nothing for who is no operator. delivered: to how many of how many.
    problem:    what went wrong, in full; nothing for who is no operator.
    report:     the address of the same report, made anew.
    """

    run: Run
    late_at: datetime
    files: tuple[str, ...]
    recipients: dict[str, runs.Outcome] | None
    delivered: tuple[int, int]
    problem: str | None
    report: str


@dataclass(frozen=True)
class ShownSchedule:
    """A schedule, when it is due next, and its runs, the newest first."""

    schedule: Schedule
    next_due_at: datetime
    runs: tuple[ShownRun, ...]

    @property
    def newest(self) -> ShownRun | None:
        """Its newest run."""
        return self.runs[0] if self.runs else None


@dataclass(frozen=True)
class Shown:
    """All schedules, and whether all reports are current."""

    badge: Badge
    schedules: tuple[ShownSchedule, ...]

    @property
    def latest(self) -> list[tuple[ShownSchedule, ShownRun]]:
        """The newest runs of all schedules."""
        found = [(schedule, run) for schedule in self.schedules for run in schedule.runs]
        return sorted(found, key=lambda one: (one[1].run.due_at, one[1].run.schedule), reverse=True)[
            :MOST_LATEST
        ]


def shown(services: Services, visitor: Visitor, name: str | None = None) -> Shown:
    """What a visitor may see of all schedules, or of one. Raises: Answered (404), DatabaseUnavailable (retryable)."""
    schedules = [one for one in services.settings.schedule if name in (None, one.name)]
    if name is not None and not schedules:
        raise Answered(404, f"there is no schedule {name[:64]!r}; /reports names those there are")
    moment, week_start = services.now(), services.registry().federation.week_start
    badge = badge_of(services.engine, services.settings, week_start, moment)
    return Shown(
        badge,
        tuple(
            ShownSchedule(
                schedule,
                next_due(schedule, moment),
                tuple(_run(services, visitor, schedule, run) for run in _runs(services, schedule)),
            )
            for schedule in schedules
        ),
    )


def made_file(services: Services, name: str, wanted: str) -> tuple[Schedule, bytes]:
    """A file that a run of a schedule recorded, read from the home's reports.

    Returns: the schedule, and the file's content.
    Raises:  Answered (404) for every other name, wherever it may lead; DatabaseUnavailable (retryable).
    """
    schedule = next((one for one in services.settings.schedule if one.name == name), None)
    recorded = [] if schedule is None else [file for run in _runs(services, schedule) for file in run.files]
    path = next((path for file in recorded if (path := _here(services, file)) and path.name == wanted), None)
    if schedule is None or path is None:
        raise Answered(404, "no run made such a file, or it is not in the home's reports any more")
    try:
        return schedule, path.read_bytes()
    except OSError:
        raise Answered(404, "the file is not in the home's reports any more") from None


def _runs(services: Services, schedule: Schedule) -> list[Run]:
    return runs.history(services.engine, [schedule.name], MOST_RUNS)


def _here(services: Services, file: str) -> Path | None:
    """The file where it lies in the home's reports, links followed; else nothing."""
    folder = Home(services.home).reports.resolve()
    path = Path(file).resolve()
    return path if path.is_relative_to(folder) and path.is_file() else None


def _run(services: Services, visitor: Visitor, schedule: Schedule, run: Run) -> ShownRun:
    may_have = visitor.may_act_as(LEAST.get(schedule.report, "public"))
    week_start = services.registry().federation.week_start
    served = [run.recipients.get(one) for one in schedule.recipients]
    return ShownRun(
        run,
        late_at(schedule, run.due_at),
        tuple(Path(file).name for file in run.files if may_have and _here(services, file)),
        run.recipients if visitor.sees_people else None,
        (sum(1 for one in served if one is not None and one.state == "delivered"), len(served)),
        run.problem if visitor.sees_people else None,
        f"/{schedule.report}{query(asked_as(run.period, week_start))}",
    )


def router(services: Services) -> APIRouter:
    """The pages and the files."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/reports")
    async def reports(request: Request) -> Response:
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(shown, services, visitor)
        return page(services, request, visitor, "reports.html", found=found, least=LEAST)

    @pages.get("/schedule/{name}")
    async def schedule(request: Request, name: str) -> Response:
        visitor = await visitor_of(services, request)
        found = await run_in_threadpool(shown, services, visitor, name)
        (one,) = found.schedules
        values: dict[str, Any] = {"one": one, "owed": _owed(found.badge, name), "least": LEAST}
        return page(services, request, visitor, "schedule.html", **values)

    @pages.get("/schedule/{name}/{file}")
    async def file(request: Request, name: str, file: str) -> Response:
        visitor = await visitor_of(services, request)
        of, body = await run_in_threadpool(made_file, services, name, file)
        least = LEAST.get(of.report, "public")
        if not visitor.may_act_as(least):
            await visitor_of(services, request, least)  # refuses, and says which role it takes
        made = answer(request, visitor, body, TYPES[_SHAPES[Path(file).suffix]])
        made.headers["Content-Security-Policy"] = FILE_POLICY
        made.headers["Content-Disposition"] = f'attachment; filename="{file}"'
        return made

    return pages


def _owed(badge: Badge, name: str) -> Sequence[Any]:
    return [one for one in badge.owed if one.schedule == name]
