"""The production report in its formats: the minutes' layout, no bare hours, one file of HTML, a trace a section."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.queries.figures import Figure
from gridkeeper.reports.contract import Request
from gridkeeper.reports.production import REPORT, Content
from gridkeeper.reports.production_sentences import counted, moved, roughly
from gridkeeper.reports.wording import MINUS, UNKNOWN
from tests.homes import InventedHome, every_day
from tests.production_story import FEDERATION, MEETING, WEEK, story

if TYPE_CHECKING:
    from gridkeeper.summaries.books import Books

CASES = Path(__file__).parents[1] / "data" / "reports" / "production"
FIGURES = (
    Figure(
        source="Dashboard",
        vo="cms",
        measure="jobs",
        unit="jobs",
        first=WEEK.first,
        until=WEEK.until,
        value=2_000_000,
    ),
    Figure(
        source="A paper",
        measure="running_slots",
        unit="slots",
        first=WEEK.first,
        until=WEEK.until,
        value=61.5,
    ),
)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return story(tmp_path_factory.mktemp("story") / "home").books()


@pytest.fixture(scope="module")
def content(books: Books) -> Content:
    return REPORT.make(books, Request(WEEK, MEETING, figures=FIGURES))


@pytest.mark.parametrize("shape, ending", [("twiki", "twiki"), ("markdown", "md")])
def test_the_week_reads_as_expected(content: Content, shape: str, ending: str) -> None:
    assert REPORT.render(content, shape).decode() == (CASES / "week" / f"expected.{ending}").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("shape", ["twiki", "markdown"])
def test_no_number_of_hours_is_without_its_kind(content: Content, shape: str) -> None:
    text = REPORT.render(content, shape).decode()
    found = (match[0] for match in re.finditer(r"[0-9,.]+[KMG]? hours\b.{0,12}", text))
    lengths = re.compile(r"hours( are| long|\), counted)")  # how long something took, not usage
    assert [words for words in found if not lengths.search(words)] == []


@pytest.mark.parametrize("shape", REPORT.formats)
def test_invented_data_are_called_invented(content: Content, shape: str) -> None:
    text = REPORT.render(content, shape).decode()
    assert "Sample of three sites" in text
    assert ("All data of this report are invented." in text) or json.loads(text)["invented"] is True


def test_the_page_is_one_file_that_fetches_nothing(content: Content) -> None:
    page = REPORT.render(content, "html").decode()
    assert page.count("<svg ") == 2
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)|src=", page)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "prefers-color-scheme: dark" in page
    assert "currentColor" in page


def test_every_section_of_the_json_can_be_traced(content: Content) -> None:
    said = json.loads(REPORT.render(content, "json"))
    assert {
        "total",
        "vos",
        "experiments",
        "opportunistic",
        "movers",
        "unmapped",
        "silent",
        "figures",
        "running cores",
        "equal age",
    } <= set(said["traces"])
    for trace in said["traces"].values():
        assert all(trace[name] for name in ("query", "table", "unit", "attribution", "count_level", "grid"))
        assert trace["versions"]["load_seq"] > 0
    assert _vo(said, "cms")["core_hours"] == 560
    assert _vo(said, "cms")["change"]["ratio_at_equal_age"] == pytest.approx(0.4)
    assert said["figures"][0]["ratio_ours_to_theirs"] == pytest.approx(7 / 2_000_000)
    assert said["figures"][1]["ours"] is None
    assert said["silent"][0]["missing_core_hours"] == 18 * 600


def _vo(said: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(vo for vo in said["vos"] if vo["name"] == name)
    return found


@pytest.mark.parametrize("shape", REPORT.formats)
def test_an_empty_home_makes_a_report_without_numbers(tmp_path: Path, shape: str) -> None:
    content = REPORT.make(InventedHome(tmp_path / "home").books(), Request(WEEK, MEETING))
    text = REPORT.render(content, shape).decode()
    assert "NaN" not in text
    assert "None" not in text


def test_a_name_from_a_record_is_text_in_every_format(tmp_path: Path) -> None:
    evil = "<b>x|y</b>%TOC%"
    home = InventedHome(tmp_path / "home", 'mapping: [{when: {account: odd}, vo: "' + evil + '"}]')
    home.slurm("alpha", every_day("2017-01-31", "2017-02-03", number=1, account="odd"))
    content = REPORT.make(home.books(), Request(WEEK, MEETING))
    for shape in ("html", "twiki"):
        text = REPORT.render(content, shape).decode()
        assert "<b>x" not in text
    assert "%TOC%" not in REPORT.render(content, "twiki").decode().upper()


def test_the_plots_are_written_as_svg_and_png(content: Content) -> None:
    plots = content.plots()
    assert [plot.name for plot in plots] == ["wall-hours-by-day", "running-cores-by-hour"]
    for plot in plots:
        assert plot.svg().startswith("<svg ")
        assert plot.png().startswith(b"\x89PNG")
    assert "open: may still grow" in plots[1].svg()


def test_numbers_are_short_signed_and_counted() -> None:
    assert [roughly(None), roughly(1_600_000), roughly(12.4)] == [UNKNOWN, "1.60M", "12"]
    assert [moved(1_800_000.0), moved(-4_400.0), moved(0)] == ["+1.80M", f"{MINUS}4.40K", "0"]
    assert [counted(1, "site", "sites"), counted(28, "site", "sites")] == ["1 site", "28 sites"]


def test_experiments_in_a_period_of_their_own_say_which_in_every_format(tmp_path: Path) -> None:
    told = FEDERATION.replace("- name: fermilab", "- name: fermilab\n    experiments_period: 2 weeks")
    content = REPORT.make(story(tmp_path / "home", told).books(), Request(WEEK, MEETING))
    for shape in ("twiki", "markdown"):
        text = REPORT.render(content, shape).decode()
        assert (
            "31 Jan – 6 Feb 2017: Off-site, away from FNAL: 4 wall hours (22.2 % of its wall hours)" in text
        )
        assert "24 Jan – 6 Feb 2017 (2 weeks): Off-site, away from FNAL: 4 wall hours (12.5 %" in text
    page = REPORT.render(content, "html").decode()
    assert "<h2>Experiments of fermilab, 24 Jan – 6 Feb 2017 (2 weeks)</h2>" in page
    said = json.loads(REPORT.render(content, "json"))
    own = _vo(said, "fermilab")["experiments_period"]
    assert own["period"] == {"first": "2017-01-24", "until": "2017-02-07", "name": "24 Jan – 6 Feb 2017"}
    assert [(one["name"], one["wall_hours"]) for one in own["experiments"]] == [("nova", 31.0), ("des", 1.0)]
    assert _vo(said, "cms")["experiments_period"] is None
    assert said["traces"]["experiments in a period of their own"]["query"].endswith("experiments_of_period")
    assert "fermilab in 24 Jan" in said["about"]["Experiments' own period"]


def test_no_table_of_the_page_has_a_row_with_another_number_of_cells_than_its_head(content: Content) -> None:
    page = REPORT.render(content, "html").decode()
    for table in re.findall(r"<table.*?</table>", page, flags=re.DOTALL):
        head, *rows = [_width(row) for row in re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)]
        assert set(rows) <= {head}, table[:300]


def _width(row: str) -> int:
    return sum(int(span or 1) for span in re.findall(r"<t[hd](?=[ >])(?:[^>]*?colspan=\"(\d+)\")?", row))


def test_wide_tables_scroll_in_their_frame_and_are_whole_on_paper(content: Content) -> None:
    page = REPORT.render(content, "html").decode()
    assert "scroll sideways to see every column" in page
    paper = page[page.index("@media print") :]
    assert "size: A4 landscape" in paper
    assert "tfoot { display: table-row-group; }" in paper, "sums stand once, not on every page"
    assert "overflow: visible" in paper
