"""The matrix and the trends carry the coverage of their numbers: in every format, by the same rules as the production report."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from gridkeeper.queries.periods import Period, month_of
from gridkeeper.reports.contract import Request
from gridkeeper.reports.production import REPORT as PRODUCTION
from gridkeeper.reports.site_vo import REPORT as MATRIX
from gridkeeper.reports.trends import REPORT as TRENDS
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.refreshing import refresh
from tests.homes import InventedHome, every_day
from tests.summaries.corrections.invented import having, rule

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.reports.site_vo_sheet import Content as Matrix
    from gridkeeper.reports.trends import Content as Trends

JANUARY = month_of(date(2017, 1, 1))
AS_OF = datetime(2017, 2, 7, tzinfo=UTC)
REQUEST = Request(JANUARY, AS_OF)
FEDERATION = """
federation: {name: Sample, grid: OSG}
vos: [{name: cms}, {name: osg}]
vo_lists: {opportunistic: [osg]}
resources:
  - {name: red, site: Nebraska, count_level: batch}
  - {name: ash, site: Utah, count_level: batch}
  - {name: elm, site: Elsewhere, count_level: batch}
mapping: [{when: {account: cms}, vo: cms, grid: OSG}, {when: {account: osg}, vo: osg, grid: OSG}]
expected: [{resource: elm, since: 2017-01-30}]
"""
ESTIMATE = rule(
    "lost", add={"vo": "osg", "resource": "ash", "level": "batch", "per_day": {"jobs": 1, "wall_seconds": 3600, "core_seconds": 7200}}
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> InventedHome:
    """Red reports every day; ash falls silent on 20 January; elm should report, and never did."""
    made = InventedHome(tmp_path_factory.mktemp("covered"), FEDERATION)
    made.slurm("red", every_day("2016-11-01", "2017-02-07", number=1, hours=2))
    made.slurm("ash", every_day("2016-11-01", "2017-01-20", number=1, hours=2, account="osg"))
    return made


@pytest.fixture(scope="module")
def books(home: InventedHome) -> Books:
    return home.books()


@pytest.fixture(scope="module")
def matrix(books: Books) -> Matrix:
    return MATRIX.make(books, REQUEST)


@pytest.fixture(scope="module")
def trends(books: Books) -> Trends:
    return TRENDS.make(books, REQUEST)


def said(report: Any, content: Any) -> Any:
    return json.loads(report.render(content, "json"))


def rows(report: Any, content: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report.render(content, "csv").decode())))


def test_a_site_says_which_of_its_source_days_came(matrix: Matrix) -> None:
    nebraska, utah = said(MATRIX, matrix)["sites"]
    assert nebraska["coverage"] == {
        "sources_expected": 1, "sources_reported": 1, "source_days_expected": 31, "source_days_present": 31, "source_days_announced": 0,
        "sources_without_known_rhythm": 0, "share": 1.0, "is_below_floor": False,
    }  # fmt: skip
    assert (utah["coverage"]["source_days_present"], utah["coverage"]["source_days_expected"]) == (19, 31)
    assert utah["coverage"]["is_below_floor"]
    assert utah["estimated_core_hours"] == 0.0


def test_the_totals_of_both_months_say_it_too_and_sources_without_a_row_count(matrix: Matrix) -> None:
    told = said(MATRIX, matrix)
    now, before = told["total"]["coverage"], told["previous_total"]["coverage"]
    assert (now["source_days_present"], now["source_days_expected"], now["sources_expected"]) == (50, 64, 3)
    assert (before["source_days_present"], before["source_days_expected"]) == (62, 62)
    assert told["coverage"]["total"] == now
    assert [line.name for line in matrix.covered.lines] == ["Nebraska", "Utah", "Elsewhere"]
    assert "coverage" not in told["change_over_previous"]


def test_it_is_the_production_reports_coverage(books: Books, matrix: Matrix, trends: Trends) -> None:
    production = said(PRODUCTION, PRODUCTION.make(books, REQUEST))["coverage"]
    assert said(MATRIX, matrix)["coverage"] == production
    *_, january = said(TRENDS, trends)["coverage"]
    assert {key: january[key] for key in production} == production


def test_the_floor_is_the_one_that_is_asked_for(books: Books) -> None:
    content = MATRIX.make(books, replace(REQUEST, coverage_floor=0.5))
    assert [line.name for line in content.covered.low] == ["Elsewhere"]


def test_scripts_find_it_in_columns_behind_those_that_were_there(matrix: Matrix, trends: Trends) -> None:
    nebraska, utah, total, before, change = rows(MATRIX, matrix)
    own = [
        "coverage",
        "sources_expected",
        "sources_reported",
        "coverage_is_below_floor",
        "estimated_core_hours",
    ]
    assert list(nebraska)[-5:] == own
    assert list(nebraska)[:-5] == [column.heading for column in matrix.sheet.columns]
    assert [nebraska[name] for name in own] == ["1.0", "1", "1", "False", "0.0"]
    assert (float(utah["coverage"]), utah["coverage_is_below_floor"]) == (19 / 31, "True")
    assert (float(total["coverage"]), before["coverage"]) == (50 / 64, "1.0")
    assert [change[name] for name in own] == [""] * 5
    by_name = {(row["vo"], row["month"]): row for row in rows(TRENDS, trends)}
    assert by_name["cms", "2017-01"]["coverage"] == "1.0"
    assert float(by_name["osg", "2017-01"]["coverage"]) == 19 / 31
    assert by_name["Total", "2017-01"]["coverage_is_below_floor"] == "True"
    assert by_name["Total", "2016-12"]["coverage_is_below_floor"] == "False"
    assert by_name["Opportunistic VOs", "2017-01"]["coverage"] == ""


def test_the_spreadsheet_marks_a_site_and_its_cell_stays_the_name(matrix: Matrix) -> None:
    book = openpyxl.load_workbook(io.BytesIO(MATRIX.render(matrix, "xlsx")), data_only=True)
    assert book.sheetnames == ["Site-VO Jan 2017", "About", "Coverage"]
    sheet, _, covered = book.worksheets
    assert [sheet.cell(row, 1).value for row in (2, 3, 4)] == ["Nebraska", "Utah", "Total"]
    assert [sheet.cell(row, 1).number_format for row in (2, 3, 4, 5)] == [
        "General",
        '@" †"',
        '@" †"',
        "General",
    ]
    note = sheet.cell(3, 1).comment
    assert note is not None
    assert (
        "19 of 31 expected source-days have records (61.3 %), less than 95.0 %; not covered: ash, batch (slurm:ash): 12 of 31 days"
        in note.text
    )
    assert sheet.cell(2, 1).comment is None
    head, *lines = covered.iter_rows(values_only=True)
    assert head[:4] == ("Site", "Coverage", "Mark", "Sources expected")
    told = {str(line[0]): dict(zip(map(str, head), line, strict=True)) for line in lines}
    assert told["Utah"]["Coverage"] == pytest.approx(19 / 31)
    assert (told["Utah"]["Mark"], told["Nebraska"]["Mark"]) == ("†", None)
    assert (told["Elsewhere"]["Source-days expected"], told["Elsewhere"]["Source-days with records"]) == (
        2,
        0,
    )
    assert told["Total"]["Sources reported"] == 2
    assert "† less than 95.0 % of the expected source-days have records" in told


def test_pages_and_texts_mark_it_with_a_footnote_that_says_why(matrix: Matrix, trends: Trends) -> None:
    page = MATRIX.render(matrix, "html").decode()
    assert 'Utah <span class="down">†</span></th>' in page
    assert "Nebraska <span" not in page
    assert '<p class="footnote">† Utah: 19 of 31 expected source-days have records (61.3 %)' in page
    assert "<h2>Coverage</h2>" in page
    assert "† marks a site of whose source-days less than 95.0 % have records" in page
    for shape, mark in (
        ("markdown", "Jan 2017 † |"),
        ("twiki", "*Jan 2017 †* |"),
        ("html", 'Jan 2017 <span class="down">†</span></th>'),
    ):
        text = TRENDS.render(trends, shape).decode()
        assert mark in text
        assert "† Jan 2017: 50 of 64 expected source-days have records (78.1 %)" in text
        assert "Dec 2016 †" not in text
    text = TRENDS.render(trends, "markdown").decode()
    assert "| Dec 2016 | 100.0 % | 2 of 2 | 62 of 62 | 0 | 0 | 0 |" in text
    assert "- Coverage: January 2017: 2 of 3 expected sources reported" in text


def test_a_gap_of_an_older_month_is_told_of_that_month(books: Books) -> None:
    content = TRENDS.make(books, Request(Period(date(2017, 1, 31), date(2017, 2, 7)), AS_OF))
    assert [line.name for line in content.covered.low] == ["Jan 2017"]


def test_what_corrections_estimate_stands_beside_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = InventedHome(tmp_path_factory.mktemp("estimated"), FEDERATION)
    made.slurm("red", every_day("2016-12-01", "2017-02-07", number=1))
    registry, corrections = made.books().registry, having(ESTIMATE)
    refresh(made.lake, registry, corrections=corrections)
    books = Books(made.lake, registry, corrections=corrections)
    matrix, trends = MATRIX.make(books, REQUEST), TRENDS.make(books, REQUEST)
    told = said(MATRIX, matrix)
    assert {site["site"]: site["estimated_core_hours"] for site in told["sites"]} == {
        "Nebraska": 0.0,
        "Utah": 62.0,
    }
    assert (told["total"]["estimated_core_hours"], told["previous_total"]["estimated_core_hours"]) == (
        62.0,
        0.0,
    )
    assert [month["estimated_core_hours"] for month in said(TRENDS, trends)["coverage"]] == [0.0, 0.0, 62.0]
    lines = {(row["vo"], row["month"]): row["estimated_core_hours"] for row in rows(TRENDS, trends)}
    for name in ("osg", "Opportunistic VOs", "Total"):
        assert lines[name, "2017-01"] == "62.0"
    assert lines["cms", "2017-01"] == "0.0"
    assert "| Jan 2017 | " in (text := TRENDS.render(trends, "markdown").decode())
    assert " 62 |" in text


def test_where_no_source_is_known_no_states_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("states were asked for")

    home = InventedHome(tmp_path / "home", FEDERATION.replace("expected:", "# expected:"))
    home.payloads("red", every_day("2017-01-01", "2017-02-01", number=1))
    monkeypatch.setattr("gridkeeper.reports.sources.source_states", asked)
    for report in (MATRIX, TRENDS):
        assert "nothing is known of any source" in report.make(home.books(), REQUEST).about["Coverage"]


def test_of_sums_that_others_reported_and_of_nothing_no_coverage_is_told(
    home: InventedHome, books: Books
) -> None:
    for report in (MATRIX, TRENDS):
        reported = report.make(books, replace(REQUEST, source="reported"))
        assert said(report, reported)["coverage"] is None
        assert "not told of sums that others reported" in reported.about["Coverage"]
        nothing = report.make(books, Request(month_of(date(2015, 1, 1)), AS_OF))
        assert "nothing is known of any source" in nothing.about["Coverage"]
        for content in (reported, nothing):
            assert not content.covered.is_told
            assert b"<h2>Coverage</h2>" not in report.render(content, "html")
            assert all(report.render(content, shape) for shape in report.formats)
    assert all(
        row["coverage"] == "" for row in rows(MATRIX, MATRIX.make(books, replace(REQUEST, source="reported")))
    )
