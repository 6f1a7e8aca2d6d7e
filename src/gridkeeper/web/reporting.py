"""Reports as pages and the API give them: made once an hour and version of the books, without addresses for the public."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from gridkeeper.config import Home
from gridkeeper.errors import UserMistake
from gridkeeper.federation.downtimes.store import read_announced
from gridkeeper.monitoring.heard import read_heard
from gridkeeper.monitoring.pools import read_pool_hours
from gridkeeper.queries import figures
from gridkeeper.queries.known import days_known
from gridkeeper.queries.periods import Period, last_full_week, month_of
from gridkeeper.reports.contract import Request
from gridkeeper.reports.production import Content as ProductionContent
from gridkeeper.reports.registry import reports
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages.asking import period_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.monitoring.states import Silence, SourceState
    from gridkeeper.queries.usage import UsageSource
    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

MOST_DAYS = 400
TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "twiki": "text/plain; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Asked:
    """One report that somebody asks for.

    hour:     the hour of asking; ages and open hours are counted from a moment in it.
    sees_all: whether contacts' addresses and what probes said in their own words are in it.
    """

    report: str
    period: Period
    hour: datetime
    sees_all: bool


def asked_for(services: Services, visitor: Visitor, report: str, parameters: Mapping[str, str]) -> Asked:
    """The report that parameters ask for: `week`, `month`, or `first` and `until`; else the newest full week or month.

    Raises: Answered (400) with a sentence that names the parameter and how to write it; LakeUnavailable (retryable).
    """
    opened, moment = services.reading.opened(), services.now()
    week_start = services.registry().federation.week_start
    period = period_of(
        opened, moment, week_start,
        first=parameters.get("first"), until=parameters.get("until"), week=parameters.get("week"), month=parameters.get("month"),
        default=newest_period(services, opened, report),
    )  # fmt: skip
    if period.days > MOST_DAYS:
        raise Answered(
            400, f"first, until: {period.name} has {period.days:,} days; ask for at most {MOST_DAYS}"
        )
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return Asked(report, period, hour, visitor.is_known)


def newest_period(services: Services, opened: Opened, report: str) -> Period:
    """The last full week (production) or month (the others) that the books know; of reported sums always a month."""
    last = services.now().date()
    if opened.newest is not None:  # older books end with the day of their newest record
        last = min(last, opened.newest.astimezone(UTC).date() + timedelta(days=1))
    if source_of(opened) == "reported":
        known = known_days(services, opened)
        return month_of(known.last if known else last)
    if report == "production":
        return last_full_week(last, services.registry().federation.week_start)
    return month_of(last).before()


def source_of(opened: Opened) -> UsageSource:
    """Jobs; or reported sums, where the books hold nothing else."""
    only_reported = not opened.books.holds("usage_records") and opened.books.holds("usage_reported")
    return "reported" if only_reported else "jobs"


def known_days(services: Services, opened: Opened) -> Period | None:
    """From the first to the last day of which the books have records; None where they have none."""
    return services.reading.kept(
        "days known", lambda opened: days_known(opened.books, source_of(opened)), opened
    )


def content_of(services: Services, asked: Asked, opened: Opened | None = None) -> Any:
    """What a report says.

    opened: the books of the answer that this is a part of; else those that are open.
    Raises: Answered (400) where such a period cannot be asked; LakeUnavailable, DatabaseUnavailable (retryable).
    """

    def make(opened: Opened) -> Any:
        return reports()[asked.report].make(opened.books, _request(services, opened, asked))

    try:
        content = services.reading.kept(("report", asked.report, asked.period, asked.hour), make, opened)
    except UserMistake as error:
        raise Answered(400, str(error).replace("--", "")) from None
    if asked.sees_all or not isinstance(content, ProductionContent):
        return content
    return replace(content, sources=_for_the_public(content.sources))


def file_of(services: Services, asked: Asked, shape: str) -> bytes:
    """A report in one of its formats. Raises: as `content_of`."""

    def make(opened: Opened) -> bytes:
        return reports()[asked.report].render(content_of(services, asked, opened), shape)

    return services.reading.kept(("report file", asked, shape), make)


def _request(services: Services, opened: Opened, asked: Asked) -> Request:
    """What the report is asked for, with all that the home knows beside its records."""
    moment, period = services.now(), asked.period
    home = Home(services.home)
    over = datetime.combine(period.until, time(), UTC)
    return Request(
        period,
        moment,
        source_of(opened),
        tuple(figures.known(home.figures)),
        contacts=read_heard(services.engine, min(over, moment)),
        downtimes=read_announced(services.engine, moment),
        pool_samples=read_pool_hours(services.engine, period) if asked.report == "production" else (),
        history_days=services.settings.silence.history_days,
        coverage_floor=services.settings.coverage.floor,
    )


def _for_the_public(sources: Silence) -> Silence:
    """The same without addresses, and without what probes said in words of their own."""

    def told(one: SourceState) -> SourceState:
        ask = tuple(contact.model_copy(update={"email": None}) for contact in one.ask)
        return replace(one, ask=ask, problem=None, why=tuple(word for word in one.why if word != one.problem))

    return replace(sources, sources=tuple(told(one) for one in sources.sources))
