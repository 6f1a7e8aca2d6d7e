"""The Site-VO report: every format says the same numbers, and the spreadsheet opens as one expects."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from gridkeeper.queries.periods import Period, month_of
from gridkeeper.reports.contract import Request
from gridkeeper.reports.site_vo import REPORT
from gridkeeper.reports.site_vo_sheet import MOST_ON_PAPER
from tests.homes import InventedHome, Job, at

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.reports.site_vo_sheet import Content

JANUARY = month_of(date(2017, 1, 1))
AS_OF = datetime(2017, 2, 7, tzinfo=UTC)
FEDERATION = """
federation: {name: Sample & Co, grid: OSG}
vo_lists: {opportunistic: [osg, glow]}
resources:
  - {name: utah, site: "Utah <b>"}
  - {name: agis, site: AGLT2}
mapping:
  - {when: {account: cms}, vo: cms}
  - {when: {account: osg}, vo: osg}
  - {when: {account: glow}, vo: glow}
  - {when: {account: nobody}, grid: OSG}
"""
DECEMBER_JOBS = [
    Job(1, at("2016-12-10T12:00"), 7, account="glow"),
    Job(2, at("2016-12-31T12:00"), 10, account="osg"),
]
JANUARY_JOBS = [
    Job(3, at("2017-01-10T12:00"), 1 / 3, 7),
    Job(4, at("2017-01-31T23:59:59"), 2, 8, account="osg"),
    Job(5, at("2017-01-12T12:00"), 5, account="nobody"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> InventedHome:
    made = InventedHome(tmp_path_factory.mktemp("site-vo"), FEDERATION)
    made.slurm("utah", [*DECEMBER_JOBS, *JANUARY_JOBS])
    made.slurm("agis", [Job(1, at("2017-01-20T12:00"), 30)])
    return made


@pytest.fixture(scope="module")
def content(home: InventedHome) -> Content:
    return REPORT.make(home.books(), Request(JANUARY, AS_OF))


@pytest.fixture(scope="module")
def said(content: Content) -> Any:
    return json.loads(REPORT.render(content, "json"))


def workbook(content: Content, *, values: bool = True) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(REPORT.render(content, "xlsx")), data_only=values)


def table(content: Content) -> list[dict[str, Any]]:
    rows = list(workbook(content).worksheets[0].iter_rows(values_only=True))
    return [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]


def test_the_columns_are_those_of_the_matrix_of_2017(said: Any) -> None:
    assert said["columns"] == [
        "Site", "Total", "glow", "osg", "Opportunistic Total", "Percent Opportunistic", "Prev. Month Opp. Total",
        "Percentage Change Month-Month", "cms", "(unmapped)",
    ]  # fmt: skip
    assert [site["site"] for site in said["sites"]] == ["AGLT2", "Utah <b>"]


def test_every_figure_of_the_json_is_what_the_jobs_used(said: Any) -> None:
    aglt2, utah = said["sites"]
    assert aglt2["by_vo"] == {"cms": 30.0}
    assert aglt2["change_ratio"] is None
    assert utah["by_vo"] == {"osg": 16.0, "cms": 7 / 3, "(unmapped)": 5.0}
    assert utah["core_seconds"] == {
        "total": 84_000,
        "by_vo": {"cms": 8_400, "osg": 57_600, "(unmapped)": 18_000},
    }
    assert (utah["opportunistic_total"], utah["previous_opportunistic_total"]) == (16.0, 17.0)
    assert utah["change_ratio"] == pytest.approx(-1 / 17)
    assert said["total"]["total"] == (84_000 + 30 * 3600) / 3600
    assert said["previous_total"]["by_vo"] == {"glow": 7.0, "osg": 10.0, "cms": 0.0, "(unmapped)": 0.0}
    assert said["change_over_previous"]["by_vo"] == {"glow": -1.0, "osg": 0.6}
    assert said["trace"]["table"] == "usage_daily_end"
    assert said["invented"] is True


def test_the_spreadsheet_says_what_the_json_says(content: Content, said: Any) -> None:
    *sites, total, before, changes = table(content)
    for row, site in zip([*sites, total, before, changes], [*said["sites"], *(said[key] for key in ("total", "previous_total", "change_over_previous"))], strict=True):  # fmt: skip
        expected = {
            "Total": site["total"],
            "Opportunistic Total": site["opportunistic_total"],
            "Percent Opportunistic": site["opportunistic_ratio"],
            "Prev. Month Opp. Total": site["previous_opportunistic_total"],
            "Percentage Change Month-Month": site["change_ratio"],
        }
        for heading, value in expected.items():
            assert row[heading] == ("N/A" if value is None else pytest.approx(value, rel=1e-15))
        for vo in ("glow", "osg", "cms", "(unmapped)"):
            value = site["by_vo"].get(vo)
            assert row[vo] == (None if value is None else pytest.approx(value, rel=1e-15)) or row[vo] == "N/A"
    assert [row["Site"] for row in (total, before, changes)] == [
        "Total",
        "Prev. Month Total",
        "Percent Change over Prev. Month",
    ]


def test_sums_in_the_spreadsheet_are_formulas(content: Content) -> None:
    sheet = workbook(content, values=False).worksheets[0]
    assert sheet["B2"].value == "=SUM(I2:J2)+E2"
    assert sheet["E3"].value == "=SUM(C3:D3)"
    assert sheet["F3"].value == '=IF(N(B3)=0,"N/A",E3/B3)'
    assert sheet["I4"].value == "=SUM(I2:I3)"
    assert sheet["H4"].value == '=IF(N(G4)=0,"N/A",(E4-G4)/G4)'
    assert sheet["B6"].value == '=IF(N(B5)=0,"N/A",(B4-B5)/B5)'
    assert [sheet[name].value for name in ("F6", "G5", "G6", "H5", "H6")] == ["N/A"] * 5


def test_the_spreadsheet_is_ready_to_read_and_to_print(content: Content) -> None:
    book = workbook(content)
    sheet, about, covered = book.worksheets
    assert (sheet.title, about.title, covered.title) == ("Site-VO Jan 2017", "About", "Coverage")
    assert sheet.freeze_panes == "B2"
    assert (sheet["B2"].number_format, sheet["F2"].number_format) == ("#,##0", "0.0%")
    assert sheet.page_setup.orientation == "landscape"
    fits = sheet.sheet_properties.pageSetUpPr
    assert fits is not None
    assert fits.fitToPage
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (
        None,
        0,
    )  # one page wide is the default
    assert (sheet.print_title_rows, sheet.print_title_cols) == ("$1:$1", "$A:$A")
    assert book.properties.title == content.title
    told = {str(row[0]): str(row[1]) for row in about.iter_rows(min_row=3, max_col=2, values_only=True)}
    assert told["Sample"] == "All data of this report are invented."
    assert told["Count level"].startswith("batch")
    assert told["Grid"] == "OSG, without Local"
    assert "glow, osg" in told["Opportunistic"]
    assert "usage_daily_end" in told["Where from"]
    assert "2017-01-31" in told["Period"]


def test_the_same_content_gives_the_same_bytes(content: Content) -> None:
    assert all(REPORT.render(content, shape) == REPORT.render(content, shape) for shape in REPORT.formats)


def test_csv_has_percentages_as_percent_and_nothing_where_there_is_no_record(content: Content) -> None:
    rows = list(csv.DictReader(io.StringIO(REPORT.render(content, "csv").decode())))
    assert (rows[0]["osg"], rows[0]["Percentage Change Month-Month"]) == ("", "N/A")
    assert float(rows[1]["Percentage Change Month-Month"]) == pytest.approx(-100 / 17)
    assert float(rows[-1]["osg"]) == 60.0
    assert len(rows) == 5


def test_the_page_stands_alone_escapes_names_and_says_the_unit(content: Content) -> None:
    page = REPORT.render(content, "html").decode()
    assert "Utah &lt;b&gt;" in page
    assert "Utah <b>" not in page
    assert "Sample &amp; Co" in page
    assert "All data of this report are invented." in page
    assert "core hours" in page
    assert "src=" not in page
    assert "http" not in page


def test_a_first_month_has_nothing_to_compare_with_and_says_so(home: InventedHome) -> None:
    found = REPORT.make(home.books(), Request(month_of(date(2016, 12, 1)), AS_OF))
    said = json.loads(REPORT.render(found, "json"))
    assert said["previous_total"]["total"] is None
    assert said["sites"][0]["previous_opportunistic_total"] is None
    assert "no records of the period before" in said["about"]["Attention"]
    assert table(found)[-2]["Total"] == "N/A"
    assert b"no records of the period before" in REPORT.render(found, "html")


def test_a_week_is_compared_with_the_week_before(home: InventedHome) -> None:
    found = REPORT.make(home.books(), Request(Period(date(2017, 1, 8), date(2017, 1, 15)), AS_OF))
    assert "Prev. Period Opp. Total" in [column.heading for column in found.sheet.columns]
    assert workbook(found).worksheets[0].title == "Site-VO 2017-01-08 to 2017-01-1"


def test_an_empty_period_is_written_without_an_error(home: InventedHome) -> None:
    found = REPORT.make(home.books(), Request(month_of(date(2015, 1, 1)), AS_OF))
    assert all(REPORT.render(found, shape) for shape in REPORT.formats)
    assert [row["Total"] for row in table(found)] == ["N/A"] * 3


def test_on_paper_no_vo_is_lost_however_many_there_are(tmp_path: Path) -> None:
    names = [f"vo{number:02}" for number in range(40)]
    rules = "".join(f"  - {{when: {{account: {name}}}, vo: {name}}}\n" for name in names)
    home = InventedHome(tmp_path / "home", f"vo_lists: {{opportunistic: [vo00, vo01]}}\nmapping:\n{rules}")
    home.slurm(
        "utah", [Job(number, at("2017-01-10T12:00"), 1, account=name) for number, name in enumerate(names, 1)]
    )
    found = REPORT.make(home.books(), Request(JANUARY, AS_OF))
    sheets = found.sheet.on_paper
    assert [places[0] for places in sheets] == [0] * len(sheets), "the site stands first on each"
    assert [place for places in sheets for place in places[1:]] == list(range(1, len(found.sheet.columns)))
    assert max(map(len, sheets)) <= 1 + MOST_ON_PAPER
    page = REPORT.render(found, "html").decode()
    paper = page[page.index('<div class="paper">') :]
    assert all(f'<th scope="col">{name}</th>' in paper for name in names)
    assert f"sheet 1 of {len(sheets)}" in paper


def test_a_matrix_that_fits_is_printed_as_it_is(content: Content) -> None:
    assert len(content.sheet.on_paper) == 1
    assert b'<div class="paper">' not in REPORT.render(content, "html")
