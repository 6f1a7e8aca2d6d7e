"""`trends`: months side by side, each VO's ups and downs and top sites, told in sentences and as tables."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.queries import trends as query
from gridkeeper.queries.grids import in_words
from gridkeeper.queries.site_vo import UNMAPPED, change
from gridkeeper.queries.usage import influence_in
from gridkeeper.reports import coverage_sentences as covering
from gridkeeper.reports.coverage_table import COLUMNS, Line, Table, all_of, core_hours_of
from gridkeeper.reports.pages import no_page, page
from gridkeeper.reports.sources import coverages_of
from gridkeeper.reports.trend_sentences import sentences
from gridkeeper.reports.wording import CORE_HOURS, footnotes, hours, invented, trace_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gridkeeper.monitoring.coverage import Coverage
    from gridkeeper.queries.influence import Estimated
    from gridkeeper.queries.periods import Period
    from gridkeeper.queries.trends import Trend
    from gridkeeper.reports.contract import Request, Trace
    from gridkeeper.summaries.books import Books

UNIT = "core hours = wall seconds x processors ÷ 3600; added up in whole seconds, divided once"
_TEMPLATES = {"markdown": "trends.md", "twiki": "trends.twiki", "html": "trends.html"}


@dataclass(frozen=True)
class Content:
    """All that the report says.

    story: sentences. about: keyword → sentence on what the numbers are.
    coverages: of each month, how well the sources covered its numbers; None of sums that others reported.
    estimated: of each month, what of it corrections estimate. covered: both as a line for each month.
    """

    title: str
    federation: str
    invented: str | None
    trends: query.Trends
    story: tuple[str, ...]
    coverages: tuple[Coverage | None, ...]
    estimated: tuple[tuple[Estimated, ...], ...]
    covered: Table
    trace: Trace
    about: Mapping[str, str]
    request: Request

    @property
    def as_of(self) -> datetime:
        """The moment of asking (UTC)."""
        return self.request.as_of

    @property
    def rows(self) -> tuple[Trend, ...]:
        """The lines of the table: every VO."""
        return self.trends.vos

    @property
    def foot(self) -> tuple[Trend, ...]:
        """The lines below: the opportunistic VOs together where there are any, and the total."""
        together = (self.trends.opportunistic,) if any(self.trends.opportunistic.core_seconds) else ()
        return (*together, self.trends.total)

    def line(self, trend: Trend, place: int) -> Line:
        """How well a line of the table is covered in the month at `place`; of several VOs together that is not told."""
        coverage, estimated = self.coverages[place], self.estimated[place]
        if trend is self.trends.total:
            return all_of(trend.name, coverage, estimated)
        if trend is self.trends.opportunistic:
            those = [one for one in estimated if (one.vo or "").lower() in self.trends.named_opportunistic]
            return Line(trend.name, coverage, None, core_hours_of(those))
        vo = None if trend.name == UNMAPPED else trend.name
        covered = coverage.by_vo.get(vo) if coverage is not None else None
        return Line(trend.name, coverage, covered, core_hours_of(one for one in estimated if one.vo == vo))


class TrendsReport:
    """Months side by side."""

    name = "trends"
    describes = (
        "Three to six months side by side: each VO's core hours, ups and downs, top sites, told in sentences"
    )
    formats: tuple[str, ...] = ("markdown", "twiki", "html", "json", "csv")

    def make(self, books: Books, request: Request) -> Content:
        """Gather all its numbers. Raises: UserMistake (permanent), LakeUnavailable (retryable)."""
        found = query.trends(books, request.period, request.source)
        federation = books.registry.federation
        coverages = coverages_of(books, request, found.months, "batch")
        estimated = tuple(
            influence_in(books, replace(found.scope, period=month), found.table).estimated
            for month in found.months
        )
        months = zip(found.months, coverages, estimated, strict=True)
        covered = Table("Month", tuple(all_of(called(month), one, more) for month, one, more in months))
        trace = trace_of(
            "queries.trends.trends",
            found.table,
            UNIT,
            found.scope,
            in_words(books, found.scope, found.table),
            books.versions_of(found.scope.source),
            influence_in(books, found.scope, found.table),
        )
        return Content(
            title=f"Trends up to {found.month.name}",
            federation=federation.name,
            invented=invented(books.registry),
            trends=found,
            story=tuple(sentences(found)),
            coverages=coverages,
            estimated=estimated,
            covered=covered,
            trace=trace,
            about=_about(found, trace, request) | _of_coverage(found, coverages[-1], covered),
            request=request,
        )

    def render(self, content: Any, shape: str) -> bytes:
        """Write it in one of its formats."""
        if shape == "json":
            return _json(content)
        if shape == "csv":
            return _csv(content)
        return page(_TEMPLATES[shape], content=content, link=no_page, plots=())


REPORT = TrendsReport()


def called(month: Period) -> str:
    """`Jan 2017`, as the heads of the tables call a month."""
    return f"{month.first:%b %Y}"


def _of_coverage(found: query.Trends, newest: Coverage | None, covered: Table) -> dict[str, str]:
    """How well the newest month is covered, in words."""
    about = covered.about(newest, "a month")
    if newest is not None and newest.total.expected_days:
        about["Coverage"] = f"{found.month.name}: {about['Coverage']}"
    return about


def _about(found: query.Trends, trace: Trace, request: Request) -> dict[str, str]:
    about = {
        "Months": f"{found.months[0].name} to {found.month.name}, whole UTC days, the last day of each month included",
        **footnotes(trace, found.scope),
        "Opportunistic": f"usage by the VOs {', '.join(found.named_opportunistic)}, at whatever site",
        "Changes": "against the month before; (new - old) ÷ old, a dash where the old figure is 0 or not known",
    }
    if request.as_of.date() < found.month.until:
        about["Attention"] = (
            f"{found.month.name} is not over on {request.as_of:%Y-%m-%d}; its figures are those so far"
        )
    empty = [
        month.name
        for month, seconds in zip(found.months, found.total.core_seconds, strict=True)
        if seconds is None
    ]
    if empty:
        about["Nothing known"] = f"of {', '.join(empty)} there are no records; a dash is not 0"
    return about


def _csv(content: Content) -> bytes:
    """One line per VO and month, unrounded; nothing where not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["vo", "month", "core_hours", "change_core_hours", "change_ratio", "core_seconds", *COLUMNS]
    )
    for trend in (*content.rows, *content.foot):
        for place, month in enumerate(content.trends.months):
            old = trend.core_seconds[place - 1] if place else None
            values = (
                hours(trend.core_seconds[place]), hours(trend.change_at(place)),
                change(old, trend.core_seconds[place]), trend.core_seconds[place], *content.line(trend, place).columns().values(),
            )  # fmt: skip
            writer.writerow(
                [trend.name, f"{month.first:%Y-%m}", *("" if value is None else value for value in values)]
            )
    return text.getvalue().encode()


def _json(content: Content) -> bytes:
    found = content.trends
    return orjson.dumps(
        {
            "report": TrendsReport.name,
            "title": content.title,
            "federation": content.federation,
            "invented": content.invented is not None,
            "as_of": content.request.as_of,
            "months": [f"{month.first:%Y-%m}" for month in found.months],
            "unit": CORE_HOURS,
            "source": found.scope.source,
            "opportunistic_vos": found.named_opportunistic,
            "sentences": content.story,
            "vos": [_said(trend) for trend in found.vos],
            "opportunistic": _said(found.opportunistic),
            "total": _said(found.total),
            "coverage": _coverage_said(content),
            "trace": asdict(content.trace),
            "about": content.about,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def _coverage_said(content: Content) -> list[dict[str, Any]] | None:
    """Of each month, oldest first; null of sums that others reported."""
    months = zip(content.trends.months, content.coverages, content.covered.lines, strict=True)
    told = [
        {"month": f"{month.first:%Y-%m}", "estimated_core_hours": line.estimated, **said}
        for month, coverage, line in months
        if (said := covering.said(coverage)) is not None
    ]
    return told or None


def _said(trend: Trend) -> dict[str, Any]:
    return {
        "name": trend.name,
        "core_hours": [hours(seconds) for seconds in trend.core_seconds],
        "core_seconds": trend.core_seconds,
        "change_core_hours": hours(trend.change),
        "change_ratio": trend.change_ratio,
        "top_sites": [{"site": share.site, "core_hours": hours(share.core_seconds)} for share in trend.top],
    }
