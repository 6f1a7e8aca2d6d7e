"""`site-vo`: the month's matrix of sites by VOs in core hours, as a spreadsheet, CSV, JSON or a page."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import orjson

from gridkeeper.queries import site_vo
from gridkeeper.queries.grids import in_words
from gridkeeper.queries.usage import influence_in
from gridkeeper.reports import coverage_sentences as covering
from gridkeeper.reports.coverage_table import COLUMNS, Table, all_of, sites_of
from gridkeeper.reports.pages import no_page, page
from gridkeeper.reports.site_vo_sheet import Content, Sheet, Value, sheet_of
from gridkeeper.reports.site_vo_workbook import workbook
from gridkeeper.reports.sources import coverages_of
from gridkeeper.reports.wording import CORE_HOURS, NOT_AVAILABLE, footnotes, hours, invented, rough, trace_of

if TYPE_CHECKING:
    from gridkeeper.monitoring.coverage import Coverage
    from gridkeeper.queries.influence import Influence
    from gridkeeper.queries.site_vo import Matrix
    from gridkeeper.reports.contract import Request, Trace
    from gridkeeper.summaries.books import Books

UNIT = "core hours = wall seconds x processors ÷ 3600; added up in whole seconds, divided once"


class SiteVo:
    """The matrix of sites by VOs."""

    name = "site-vo"
    describes = "The matrix of sites by VOs in core hours, with the opportunistic share and the period before"
    formats: tuple[str, ...] = ("xlsx", "csv", "json", "html")

    def make(self, books: Books, request: Request) -> Content:
        """Gather all its numbers. Raises: UserMistake (permanent), LakeUnavailable (retryable)."""
        matrix = site_vo.matrix(books, request.period, request.source)
        federation = books.registry.federation
        influence = influence_in(books, matrix.scope, matrix.table)
        now, before = coverages_of(books, request, (matrix.period, matrix.before), "batch")
        sheet = sheet_of(matrix)
        covered = _covered(books, matrix, sheet, (now, before), influence)
        trace = trace_of(
            "queries.site_vo.matrix",
            matrix.table,
            UNIT,
            matrix.scope,
            in_words(books, matrix.scope, matrix.table),
            books.versions_of(matrix.scope.source),
            influence,
        )
        return Content(
            title=f"Site–VO matrix, {request.period.name}",
            federation=federation.name,
            invented=invented(books.registry),
            matrix=matrix,
            sheet=sheet,
            coverage=now,
            covered=covered,
            trace=trace,
            about=_about(matrix, trace, bool(books.registry.opportunistic)) | covered.about(now, "a site"),
            request=request,
        )

    def render(self, content: Any, shape: str) -> bytes:
        """Write it in one of its formats."""
        match shape:
            case "xlsx":
                return workbook(content)
            case "csv":
                return _csv(content)
            case "json":
                return _json(content)
            case _:
                return page("site_vo.html", content=content, most=most(content.matrix), link=no_page)


REPORT = SiteVo()


def _covered(
    books: Books, matrix: Matrix, sheet: Sheet, coverages: tuple[Coverage | None, ...], influence: Influence
) -> Table:
    """How well each site is covered, and all of them in both periods, by the names of their rows."""
    earlier = influence_in(books, replace(matrix.scope, period=matrix.before), matrix.table)
    total, previous, _ = sheet.foot
    return Table(
        "Site",
        sites_of(coverages[0], (row.name for row in matrix.rows), site_vo.NO_SITE, influence.estimated),
        (
            all_of(str(total[0]), coverages[0], influence.estimated),
            all_of(str(previous[0]), coverages[1], earlier.estimated),
        ),
    )


def _about(matrix: Matrix, trace: Trace, listed: bool) -> dict[str, str]:
    names = ", ".join(matrix.named_opportunistic)
    which = (
        "the federation's list of opportunistic VOs"
        if listed
        else "the VOs taken where the federation lists none"
    )
    about = {
        "Period": f"{matrix.period.name}: {matrix.period.first} to {matrix.period.last}, whole UTC days, the last one included",
        "Period before": f"{matrix.before.name}: {matrix.before.first} to {matrix.before.last}; sites and VOs with usage in only one of the two are shown, too",
        **footnotes(trace, matrix.scope),
        "Opportunistic": f"usage by the VOs {names}, at whatever site ({which})",
        "Changes": "(new - old) ÷ old; N/A where the old figure is 0 or nothing is known of the period before",
        "Empty cells": "no record of this VO at this site in the period",
    }
    if not matrix.all.now:
        about["Attention"] = "there are no records of this period"
    elif not matrix.all.before:
        about["Attention"] = f"there are no records of the period before ({matrix.before.name})"
    if matrix.payload_core_seconds:
        left_out = rough(matrix.payload_core_seconds / 3600)
        about["Not in the table"] = (
            f"{left_out} {CORE_HOURS} of payloads at resources whose own count level is payload"
        )
    return about


def _csv(content: Content) -> bytes:
    """Comma-separated, unrounded; percentages as percent; nothing where there is no record. The coverage stands at the end, as a ratio."""
    sheet = content.sheet
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(column.heading for column in sheet.columns), *COLUMNS])
    lines = [line.columns() for line in (*content.covered.lines[: len(sheet.rows)], *content.covered.foot)]
    lines.append(dict.fromkeys(COLUMNS))  # a change has no coverage
    for number, row in enumerate((*sheet.rows, *sheet.foot)):
        is_change = number == len(sheet.rows) + len(sheet.foot) - 1
        writer.writerow(
            [
                "" if value is None
                else value * 100 if isinstance(value, float) and (is_change or column.kind in ("ratio", "change"))
                else value
                for column, value in zip(sheet.columns, row, strict=True)
            ]
            + ["" if value is None else value for value in lines[number].values()]
        )  # fmt: skip
    return text.getvalue().encode()


def _said(content: Content, row: tuple[Value, ...]) -> dict[str, Any]:
    """A row's cells by what they are, for machines; None where not defined."""
    values = [None if value == NOT_AVAILABLE else value for value in row]
    by_vo = {
        column.vo: value
        for column, value in zip(content.sheet.columns, values, strict=True)
        if column.vo and value is not None
    }
    place = 2 + len(content.matrix.opportunistic)
    names = ("opportunistic_total", "opportunistic_ratio", "previous_opportunistic_total", "change_ratio")
    return {"total": values[1], **dict(zip(names, values[place : place + 4], strict=True)), "by_vo": by_vo}


def _json(content: Content) -> bytes:
    matrix = content.matrix
    columns = content.sheet.columns
    total, before, changes = content.sheet.foot
    covered_now, covered_before = content.covered.foot
    return orjson.dumps(
        {
            "report": SiteVo.name,
            "title": content.title,
            "federation": content.federation,
            "invented": content.invented is not None,
            "as_of": content.request.as_of,
            "period": {
                "name": matrix.period.name,
                "first": matrix.period.first,
                "until": matrix.period.until,
            },
            "previous": {
                "name": matrix.before.name,
                "first": matrix.before.first,
                "until": matrix.before.until,
            },
            "unit": CORE_HOURS,
            "source": matrix.scope.source,
            "opportunistic_vos": matrix.named_opportunistic,
            "columns": [column.heading for column in columns],
            "sites": [
                {
                    "site": row.name,
                    **_said(content, cells),
                    "core_seconds": {"total": row.total, "by_vo": row.now},
                    **line.as_json(),
                }
                for row, cells, line in zip(
                    matrix.rows, content.sheet.rows, content.covered.lines, strict=False
                )
            ],
            "total": _said(content, total)
            | {"core_seconds": {"total": matrix.all.total, "by_vo": matrix.all.now}}
            | covered_now.as_json(),
            "previous_total": _said(content, before)
            | {"core_seconds": {"total": matrix.all.before_total, "by_vo": matrix.all.before}}
            | covered_before.as_json(),
            "change_over_previous": _said(content, changes),
            "coverage": covering.said(content.coverage),
            "trace": asdict(content.trace),
            "about": content.about,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def most(matrix: Matrix) -> float:
    """The largest cell, which the shading of the page is measured by; in hours."""
    return max((hours(seconds) or 0 for row in matrix.rows for seconds in row.now.values()), default=0) or 1
