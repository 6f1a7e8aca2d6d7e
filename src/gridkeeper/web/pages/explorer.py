"""The explorer at `/usage`: any measure by any dimensions; the address bar holds the whole question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gridkeeper.errors import UserMistake
from gridkeeper.queries import grids, known
from gridkeeper.queries.answering import DIMENSIONS
from gridkeeper.queries.measures import MEASURES
from gridkeeper.queries.usage import Usage, usage
from gridkeeper.reports import plots
from gridkeeper.trust.refusals import NotAllowed
from gridkeeper.web.errors import Answered
from gridkeeper.web.pages import downloads
from gridkeeper.web.pages.asking import path_of, recent
from gridkeeper.web.pages.frame import answer, page
from gridkeeper.web.pages.plots import Ending, Theme, plot_answer
from gridkeeper.web.pages.question import Question, may_ask, question_of
from gridkeeper.web.visiting import visitor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.trust.visitors import Visitor
    from gridkeeper.web.reading import Opened
    from gridkeeper.web.services import Services

MOST_ROWS_SHOWN = 500
MOST_BARS = 25
_TIMES = ("day", "week", "month")
Format = Literal["html", "csv", "json", "parquet", "xlsx"]


def answered(services: Services, question: Question, opened: Opened | None = None) -> Usage:
    """The answer to a question, made once a version of the books. Raises: Answered (400), LakeUnavailable (retryable)."""

    def make(opened: Opened) -> Usage:
        return usage(opened.books, question.by, question.measures, question.scope)

    try:
        return services.reading.kept(("usage", question.by, question.measures, question.scope), make, opened)
    except UserMistake as error:
        raise Answered(400, str(error).replace("--", "")) from None


def in_order(question: Question, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as the question sorts them; what is not known comes last, whichever way."""
    name = question.order.lstrip("-")
    there = [row for row in rows if row[name] is not None]
    there.sort(key=lambda row: row[name], reverse=question.order.startswith("-"))
    return there + [row for row in rows if row[name] is None]


def router(services: Services) -> APIRouter:
    """The page, its downloads, and its plot."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/usage")
    async def explorer(request: Request) -> Response:
        visitor, question = await asked_by(services, request)
        found = await run_in_threadpool(answered, services, question)
        rows = in_order(question, found.rows)[: question.limit]
        kind = request.query_params.get("format") or "html"
        if kind != "html":
            return await run_in_threadpool(downloaded, request, visitor, question, found, rows, kind)
        opened = services.reading.opened()
        about = await run_in_threadpool(_about, services, question, found)
        return page(
            services, request, visitor, "explorer.html", opened=opened, question=question, found=found, rows=rows[:MOST_ROWS_SHOWN], left=max(0, len(rows) - MOST_ROWS_SHOWN),
            dimensions=[name for name in DIMENSIONS if name != "user" or visitor.may_act_as("vo-contact") or visitor.users], measures=MEASURES,
            path_of=path_of, has_plot=bool(rows) and bool(question.by), about=about, measure_of=MEASURES.get,
        )  # fmt: skip

    @pages.get("/plots/usage.{ending}")
    async def plot(request: Request, ending: Ending, theme: Theme = "light") -> Response:
        visitor, question = await asked_by(services, request)

        def make(opened: Opened) -> plots.Plot:
            return drawn(question, answered(services, question, opened).rows)

        return await plot_answer(services, request, visitor, ("usage plot", question), make, ending, theme)

    return pages


async def asked_by(services: Services, request: Request) -> tuple[Visitor, Question]:
    """Who asks, and what. Raises: Answered (400), NotAllowed (403)."""
    visitor = await visitor_of(services, request)
    opened = await run_in_threadpool(services.reading.opened)
    question = question_of(request.query_params, recent(opened, services.now()))
    if not may_ask(visitor, question):
        raise NotAllowed(
            "who ran what is shown to operators, to contacts of a VO for `where=vo=...`, and to a user of himself; log in, or leave `user` out"
        )
    return visitor, question


def downloaded(
    request: Request,
    visitor: Visitor,
    question: Question,
    found: Usage,
    rows: Sequence[dict[str, Any]],
    kind: str,
) -> Response:
    """The answer as a file. Raises: Answered (400) for a format that there is not."""
    if kind not in downloads.FORMATS:
        raise Answered(400, f"format: {kind[:32]!r} is none of html, {', '.join(downloads.FORMATS)}")
    body, media_type = downloads.written(kind, found, rows)
    made = answer(request, visitor, body, media_type)
    name = f"usage-by-{'-'.join(question.by) or 'nothing'}"
    if question.scope.period:
        name += f"-{question.scope.period.first}-{question.scope.period.last}"
    made.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return made


def _about(services: Services, question: Question, found: Usage) -> dict[str, Any]:
    """What a reader must know of an answer, and why it is empty where it is."""
    books = services.reading.opened().books
    nothing = []
    if not found.rows:
        nothing = [
            f"No record has the {one.dimension} “{one.value}”."
            + (f" There are: {', '.join(one.nearest)}." if one.nearest else "")
            for one in known.unknown_values(books, question.scope, found.table)
        ]
        days = known.days_known(books, question.scope.source, table=found.table)
        if days is not None:
            nothing.append(f"There are records from {days.first} to {days.last}.")
    return {
        "grid": grids.in_words(books, question.scope, found.table),
        "left_out": [(one.grid or "no grid named", one.amount) for one in grids.left_out(books, question.scope, found.table)],
        "nothing": nothing,
    }  # fmt: skip


def drawn(question: Question, rows: Sequence[dict[str, Any]]) -> plots.Plot:
    """The plot of an answer, over time or of its first rows: the measure that it is sorted by, else its first one."""
    sorted_by = question.order.lstrip("-")
    measure = MEASURES[sorted_by if sorted_by in question.measures else question.measures[0]]
    name = measure.name
    title = (
        f"{measure.unit[:1].upper()}{measure.unit[1:]}"
        if measure.unit != "ratio"
        else name.replace("_", " ").capitalize()
    )
    period = question.scope.period
    where = ", ".join(f"{one} {value or 'not known'}" for one, value in question.scope.where)
    subtitle = "; ".join(filter(None, (period.name if period else "", where)))
    time = next((one for one in question.by if one in _TIMES), None)
    others = [one for one in question.by if one != time]
    cut = in_order(question, rows)[: question.limit] if question.limit else rows
    if time == "day" and others and period and measure.below is None:
        values = [(row["day"], _label(row, others), float(row[name] or 0)) for row in cut]
        sums: dict[str, float] = {}
        for _, label, value in values:
            sums[label] = sums.get(label, 0.0) + value
        order = sorted(sums, key=lambda label: (-sums[label], label))
        return plots.stacked_by_day(
            "usage",
            f"{title} a day, by {', '.join(others)}",
            subtitle,
            values,
            "value",
            period,
            period,
            order,
            ", ".join(others),
        )
    if time and not others:
        return plots.bars("usage", f"{title}, by {time}", subtitle, [(str(row[time]), row[name]) for row in in_time(cut, time)], measure.unit, width=860, height=280)  # fmt: skip
    most = min(MOST_BARS, question.limit or MOST_BARS)
    shown = in_order(question, rows)[:most]
    more = f"; the first {most} of {len(rows):,}" if len(rows) > most else ""
    labelled = [(_label(row, question.by), row[name]) for row in shown]
    return plots.ranks(
        "usage", f"{title}, by {', '.join(question.by)}", subtitle + more, labelled, measure.unit
    )


def in_time(rows: Sequence[dict[str, Any]], time: str) -> list[dict[str, Any]]:
    """The rows in the order of time."""
    return sorted(rows, key=lambda row: str(row[time]))


def _label(row: dict[str, Any], by: Sequence[str]) -> str:
    return " · ".join("not known" if row[one] is None else str(row[one]) for one in by)
