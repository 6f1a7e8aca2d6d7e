"""Writes all reports of `gridkeeper demo` in all their formats, and a page that shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from gridkeeper.cli.compare import opened
from gridkeeper.cli.report import ENDINGS
from gridkeeper.demo.report_files import REPORT_FILES
from gridkeeper.queries import figures
from gridkeeper.queries.periods import Period
from gridkeeper.reports.compare import DEFAULT_TOLERANCE
from gridkeeper.reports.compare import REPORT as COMPARISON
from gridkeeper.reports.contract import Request
from gridkeeper.reports.production import REPORT as PRODUCTION
from gridkeeper.reports.registry import reports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gridkeeper.cli.wiring import Wired
    from gridkeeper.demo.report_files import ReportFiles
    from gridkeeper.summaries.books import Books

MEETING = datetime(2017, 2, 7, 21, tzinfo=UTC)
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.55 system-ui,sans-serif;margin:2.5rem auto;max-width:58rem;padding:0 1rem}"
    "h2{font-size:1.1rem;margin:1.8rem 0 .2rem}p{margin:.2rem 0}ul{margin:.3rem 0}img{max-width:100%;height:auto;margin-top:.6rem;border-radius:4px}"
)


def write_reports(place: Wired, books: Books, second: Path, folder: Path) -> list[Path]:
    """Write every report in every format, and a page that names them. second: the books of the second accounting.

    Returns: the files in the order of REPORT_FILES, the page last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = tuple(figures.known(place.home.figures))
    made: list[Path] = []
    for wanted in REPORT_FILES:
        period = Period(wanted.first, wanted.until)
        request = Request(period, MEETING, "jobs", known)
        written = _writer(wanted, place, books, request, second)
        for name in wanted.files:
            path = folder / name
            path.write_bytes(written(path))
            made.append(path)
    index = folder / "index.html"
    index.write_text(_page(), encoding="utf-8")
    return [*made, index]


def _writer(
    wanted: ReportFiles, place: Wired, books: Books, request: Request, second: Path
) -> Callable[[Path], bytes]:
    """Make one report, and say how its files are filled."""
    if wanted.report == "plots":
        plots = {plot.name: plot for plot in PRODUCTION.make(books, request).plots()}
        return lambda path: (
            plots[path.stem].png() if path.suffix == ".png" else plots[path.stem].svg().encode()
        )
    if wanted.report == COMPARISON.name:
        with opened(f"{place.home.path}:jobs", str(second)) as ((_, left, source), right):
            sides = ("sample", left, source), right
            compared = COMPARISON.make_of(*sides, request.period, DEFAULT_TOLERANCE, MEETING)
        return lambda path: COMPARISON.render(compared, ENDINGS[path.suffix])
    report = reports()[wanted.report]
    content = report.make(books, request)
    return lambda path: report.render(content, ENDINGS[path.suffix])


def _page() -> str:
    parts = []
    for one in REPORT_FILES:
        links = "".join(f'<li><a href="{escape(file)}">{escape(file)}</a></li>' for file in one.files)
        shown = "".join(
            f'<img src="{escape(file)}" alt="{escape(file)}">' for file in one.files if file.endswith(".png")
        )
        parts.append(f"<h2>{escape(one.report)}</h2><p>{escape(one.says)}</p><ul>{links}</ul>{shown}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Sample reports</title><style>{_STYLE}</style><h1>Reports of the sample federation</h1><p>All data are invented.</p>{''.join(parts)}</html>\n"
    )
