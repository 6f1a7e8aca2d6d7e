"""`trends`: months side by side, each VO's ups and downs and top sites, told in sentences and as tables."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.queries import trends as query
from gridkeeper.queries.grids import in_words
from gridkeeper.queries.site_vo import change
from gridkeeper.queries.usage import influence_in
from gridkeeper.reports.pages import no_page, page
from gridkeeper.reports.trend_sentences import sentences
from gridkeeper.reports.wording import CORE_HOURS, footnotes, hours, invented, trace_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gridkeeper.queries.trends import Trend
    from gridkeeper.reports.contract import Request, Trace
    from gridkeeper.summaries.books import Books

UNIT = "core hours = wall seconds x processors ÷ 3600; added up in whole seconds, divided once"
_TEMPLATES = {"markdown": "trends.md", "twiki": "trends.twiki", "html": "trends.html"}


@dataclass(frozen=True)
class Content:
    """All that the report says.

    story: sentences. about: keyword → sentence on what the numbers are.
    """

    title: str
    federation: str
    invented: str | None
    trends: query.Trends
    story: tuple[str, ...]
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
            trace=trace,
            about=_about(found, trace, request),
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
    writer.writerow(["vo", "month", "core_hours", "change_core_hours", "change_ratio", "core_seconds"])
    for trend in (*content.rows, *content.foot):
        for place, month in enumerate(content.trends.months):
            old = trend.core_seconds[place - 1] if place else None
            values = (
                hours(trend.core_seconds[place]), hours(trend.change_at(place)),
                change(old, trend.core_seconds[place]), trend.core_seconds[place],
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
            "trace": asdict(content.trace),
            "about": content.about,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def _said(trend: Trend) -> dict[str, Any]:
    return {
        "name": trend.name,
        "core_hours": [hours(seconds) for seconds in trend.core_seconds],
        "core_seconds": trend.core_seconds,
        "change_core_hours": hours(trend.change),
        "change_ratio": trend.change_ratio,
        "top_sites": [{"site": share.site, "core_hours": hours(share.core_seconds)} for share in trend.top],
    }
