"""The Site–VO matrix as a heat map, and months side by side: the numbers of the spreadsheet, names that lead on."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import openpyxl
import pytest

from gridkeeper.reports.wording import whole
from gridkeeper.web.pages.matrix import SHADES, shade_of
from tests.collectors import Collector, collector
from tests.production_story import FEDERATION, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

JANUARY = "month=2017-01"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("matrix") / "home"
    story(folder).books()
    made = collector(folder, federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture(scope="module")
def public(filled: Collector) -> TestClient:
    return filled.client()


def rows_of(page: str) -> list[list[str]]:
    """The cells of the page's first table, row by row, without marks."""
    table = page.split("<table>", 1)[1].split("</table>", 1)[0]
    return [
        [re.sub(r"<[^>]+>|†", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, flags=re.DOTALL)]
        for line in re.findall(r"<tr[^>]*>(.*?)</tr>", table, flags=re.DOTALL)
    ]  # fmt: skip


def test_the_page_has_the_spreadsheets_totals(public: TestClient) -> None:
    rows = rows_of(public.get(f"/site-vo?{JANUARY}").text)
    answer = public.get(f"/site-vo.xlsx?{JANUARY}")
    assert (
        answer.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    )
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content), data_only=True).worksheets[0]
    said = public.get(f"/api/v1/site-vo?{JANUARY}").json()
    (head,) = [row for row in sheet.iter_rows(values_only=True) if row[:2] == ("Site", "Total")]
    assert rows[0] == list(head) == said["columns"]
    by_name = {row[0]: row for row in rows}
    assert by_name["Total"][1] == whole(said["total"]["total"])
    for site in said["sites"]:
        assert by_name[site["site"]][1] == whole(site["total"])
        for vo, hours in site["by_vo"].items():
            assert by_name[site["site"]][rows[0].index(vo)] == whole(hours)
    taken = {row["Site"]: row for row in csv.DictReader(io.StringIO(public.get(f"/site-vo.csv?{JANUARY}").text))}  # fmt: skip
    for name in ("Total", "Nebraska", "Utah", "FNAL"):
        assert whole(float(taken[name]["Total"])) == by_name[name][1]
    assert said["total"]["total"] == sum(site["total"] for site in said["sites"])


def test_the_greatest_cell_is_darkest_and_a_tenth_is_two_shades_lighter() -> None:
    assert [shade_of(value, 1000) for value in (1000, 999, 317, 316, 100, 1, 0.0001)] == [8, 8, 8, 7, 6, 2, 1]
    assert shade_of(0, 1000) == shade_of(1, 0) == 1
    assert all(1 <= shade_of(10.0**power, 1e9) <= SHADES for power in range(-9, 10))


def test_cells_are_shaded_by_classes_and_names_lead_on(public: TestClient) -> None:
    page = public.get(f"/site-vo?{JANUARY}").text
    assert 'class="heat-8"' in page
    assert 'href="/vo/cms?first=2017-01-01&amp;until=2017-02-01"' in page
    assert 'href="/site/Nebraska?first=2017-01-01&amp;until=2017-02-01"' in page
    assert 'href="/site-vo?month=2017-02" rel="next"' in page
    assert "queries.site_vo.matrix" in page


def test_the_pages_mark_what_is_badly_covered_and_say_why(public: TestClient) -> None:
    page, said = public.get(f"/site-vo?{JANUARY}").text, public.get(f"/api/v1/site-vo?{JANUARY}").json()
    low = [site["site"] for site in said["sites"] if site["coverage"]["is_below_floor"]]
    assert low == ["Utah"]
    assert re.search(
        r'<th scope="row" title="† Utah: [^"]+"><a href="[^"]+">Utah</a> <span class="down">†</span></th>',
        page,
    )
    assert '<p class="footnote">† Utah: ' in page
    assert "<h2>Coverage</h2>" in page
    page, said = public.get(f"/trends?{JANUARY}").text, public.get(f"/api/v1/trends?{JANUARY}").json()
    assert [month["month"] for month in said["coverage"]] == said["months"]
    assert said["coverage"][-1]["total"]["is_below_floor"] == ('Jan 2017 <span class="down">†</span>' in page)
    assert "<h2>Coverage</h2>" in page


def test_without_a_month_it_is_the_last_full_one(public: TestClient) -> None:
    assert "<h1>Site–VO matrix, January 2017</h1>" in public.get("/site-vo").text
    assert "<h1>Trends up to January 2017</h1>" in public.get("/trends").text


def test_a_bad_month_answers_with_a_sentence(public: TestClient) -> None:
    for path in ("/site-vo", "/trends", "/site-vo.csv", "/api/v1/trends"):
        answer = public.get(f"{path}?month=January")
        assert answer.status_code == 400
        assert "'January' is no month; write it as 2017-01" in answer.json()["error"]


def test_trends_say_what_the_report_says(public: TestClient) -> None:
    page, said = public.get(f"/trends?{JANUARY}").text, public.get(f"/api/v1/trends?{JANUARY}").json()
    by_name = {row[0]: row for row in rows_of(page)}
    for trend in [*said["vos"], said["total"]]:
        assert by_name[trend["name"]][1:4] == [whole(hours) for hours in trend["core_hours"]]
    assert said["total"]["core_hours"][:2] == [None, None]  # of months without records a dash, not 0
    assert 'href="/vo/cms?first=2017-01-01&amp;until=2017-02-01"' in page
    table = public.get(f"/api/v1/trends?{JANUARY}&format=csv").text
    assert table == public.get(f"/trends.csv?{JANUARY}").text
    for sentence in said["sentences"]:
        assert sentence in page


def test_trends_are_drawn(public: TestClient) -> None:
    drawn = public.get(f"/plots/trends/core-hours-by-month.svg?{JANUARY}").text
    assert drawn.startswith("<svg")
    for words in ("Nov 2016", "Jan 2017", "cms", "osg"):
        assert words in drawn


@pytest.mark.parametrize("path", ["/trends.md", "/trends.twiki", "/trends.html", "/site-vo.html"])
def test_the_same_can_be_taken_away(public: TestClient, path: str) -> None:
    answer = public.get(f"{path}?{JANUARY}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "cms" in answer.text


def test_nobodys_name_is_in_any_of_it(public: TestClient) -> None:
    for path in ("/site-vo", "/trends", "/api/v1/site-vo", "/api/v1/trends", "/trends.md", "/site-vo.csv"):
        assert not re.search(r"\b(alice|bob)\b", public.get(f"{path}?{JANUARY}").text)
