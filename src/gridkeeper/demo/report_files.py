"""Which reports are made of the sample federation, of which days, and into which files."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from gridkeeper.demo.second_books import MISSING_SITE, SECOND_BOOKS, WRONG_SITE


class ReportFiles(NamedTuple):
    """One report: its name, its days [first, until), its files (by their endings the formats), and what it is."""

    report: str
    first: date
    until: date
    files: tuple[str, ...]
    says: str


_WEEK = (date(2017, 1, 31), date(2017, 2, 7))
_JANUARY = (date(2017, 1, 1), date(2017, 2, 1))


def _each(stem: str, *endings: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for ending in endings)


REPORT_FILES = (
    ReportFiles("production", *_WEEK, _each("week", "html", "twiki", "md", "csv", "json"), "what the production meeting asks of the week"),
    ReportFiles("plots", *_WEEK, (*_each("wall-hours-by-day", "png", "svg"), *_each("running-cores-by-hour", "png", "svg")), "the plots of the week"),
    ReportFiles("site-vo", *_JANUARY, _each("Site-VO_matrix-Jan_2017", "xlsx", "html", "csv", "json"), "the month's matrix of sites by VOs"),
    ReportFiles("trends", *_JANUARY, _each("trends-Jan_2017", "html", "md", "twiki", "csv", "json"), "the months side by side"),
    ReportFiles(
        "compare", *_JANUARY, _each("compare-Jan_2017", "html", "md", "csv", "json"),
        f"these books beside {SECOND_BOOKS}, in which {WRONG_SITE} has too few core hours and {MISSING_SITE} is missing",
    ),
)  # fmt: skip
