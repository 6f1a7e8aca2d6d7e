"""The trends: what the minutes of February 2017 said by hand comes out as sentences that name core hours."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.queries.periods import month_of, parse_month
from gridkeeper.queries.trends import Share, Trend, Trends
from gridkeeper.queries.usage import Scope
from gridkeeper.reports.contract import Request
from gridkeeper.reports.pages import markdown, twiki
from gridkeeper.reports.trend_sentences import sentences
from gridkeeper.reports.trends import REPORT
from gridkeeper.reports.wording import rough, signed, signed_percent, whole
from tests.homes import InventedHome, Job, at

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.reports.trends import Content

MONTHS = tuple(parse_month(text) for text in ("2016-11", "2016-12", "2017-01"))
AS_OF = datetime(2017, 2, 7, tzinfo=UTC)
SITES = (Share("Syracuse", 1_900_000 * 3600), Share("FNAL GPGrid", 1_300_000 * 3600))


def trend(name: str, *core_hours: float | None, top: tuple[Share, ...] = ()) -> Trend:
    return Trend(name, tuple(None if one is None else round(one * 3600) for one in core_hours), top, top)


def told(*vos: Trend, total: Trend, opportunistic: Trend | None = None) -> list[str]:
    together = opportunistic or trend("Opportunistic VOs", 0, 0, 0)
    return sentences(Trends(MONTHS, Scope(), "usage_daily_end", vos, total, together, ("osg",)))


def test_the_minutes_of_february_2017_come_out() -> None:
    story = told(
        trend("cms", 55e6, 59_020_369, 60_820_369),
        trend("atlas", 43e6, 47_094_289, 42_694_289),
        trend("osg", 8.26e6, 5.70e6, 8.27e6, top=SITES),
        trend("hcc", 14_740_000, 15_185_342, 13_215_342),
        total=trend("Total", 121e6, 127e6, 125e6),
        opportunistic=trend("Opportunistic VOs", 8.26e6, 5.70e6, 8.27e6),
    )
    assert (
        story[0]
        == "January 2017: 125M core hours in total, slightly down by 2.00M from 127M in December 2016 (\N{MINUS SIGN}1.6 %)."
    )
    assert (
        "VO atlas: 42.7M core hours, down by 4.40M from 47.1M in December 2016 (\N{MINUS SIGN}9.3 %), close to the 43.0M of November 2016."
        in story
    )
    assert any(line.startswith("VO cms: 60.8M core hours, up by 1.80M from 59.0M") for line in story)
    assert (
        "VO osg: 8.27M core hours, well up by 2.57M from 5.70M in December 2016 (+45.1 %), close to the 8.26M of November 2016."
        " Most of them at Syracuse again (1.90M), then FNAL GPGrid (1.30M)."
    ) in story
    assert story[-1].startswith("Opportunistic VOs (osg): 8.27M core hours, well up by 2.57M")


def test_sentences_never_say_hours_alone() -> None:
    story = told(
        trend("cms", 1, 2, 3),
        trend("osg", 5, 5, 5),
        trend("des", 9, 9, 8.9),
        total=trend("Total", 15, 16, 16.9),
    )
    assert all("core hours" in line for line in story)
    assert not any("hours" in line.replace("core hours", "") for line in story)


def test_the_sentences_add_up_to_the_total() -> None:
    small = [trend(f"vo{number}", 0, 1000, 1001) for number in range(4)]
    story = told(trend("cms", 0, 1e6, 2e6), *small, total=trend("Total", 0, 1_004_000, 2_004_004))
    assert "The other 4 VOs together: 4 core hours more than the month before." in story


def test_what_is_not_known_is_said_and_no_percentage_is_made_of_it() -> None:
    story = told(trend("cms", None, None, 5), total=trend("Total", None, None, 5))
    assert story == [
        "January 2017: 5 core hours in total; of December 2016 there are no records to compare with."
    ]
    assert told(total=trend("Total", 1, 2, None)) == [
        "There are no records of January 2017, so nothing can be said of its core hours."
    ]


def test_a_vo_that_is_new_grew_from_none() -> None:
    story = told(trend("lsst", 0, 0, 7), trend("cms", 9, 9, 9), total=trend("Total", 9, 9, 16))
    assert "VO lsst: 7 core hours, after none in December 2016." in story


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (125e6, "125M"),
        (60_820_369, "60.8M"),
        (8.27e6, "8.27M"),
        (380_000, "380K"),
        (999_700, "1.00M"),
        (512, "512"),
        (0.2, "<1"),
        (0, "0"),
    ],
)
def test_rough_numbers_have_three_digits(number: float, text: str) -> None:
    assert rough(number) == text


def test_numbers_that_are_not_known_are_a_dash() -> None:
    assert {whole(None), signed(None), signed_percent(None)} == {"\N{EN DASH}"}
    assert (signed(0), signed(-1234), signed_percent(0.0)) == ("0", "\N{MINUS SIGN}1,234", "0.0 %")


def test_names_become_nothing_else_in_markdown_and_twiki() -> None:
    assert markdown("MIT_CMS | *x* <b>") == r"MIT_CMS \| \*x\* \<b\>"
    assert twiki("FermiGrid") == "!FermiGrid"
    assert twiki("a|b <b> %TOC% [[x]] *bold*") == "a&#124;b &lt;b&gt; &#37;TOC% &#91;[x]] &#42;bold*"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    mapping = "mapping: [{when: {account: cms}, vo: 'c|ms'}, {when: {account: osg}, vo: <osg>}]\n"
    home = InventedHome(tmp_path_factory.mktemp("trends"), "federation: {name: Sample}\n" + mapping)
    home.slurm(
        "HalcC",
        [
            Job(1, at("2016-12-10T12:00"), 4),
            Job(2, at("2017-01-31T12:00"), 3),
            Job(3, at("2017-01-10T12:00"), account="osg"),
        ],
    )
    return REPORT.make(home.books(), Request(month_of(date(2017, 1, 1)), AS_OF))


def test_every_format_has_the_sentences_the_trace_and_says_that_it_is_invented(content: Content) -> None:
    for shape in ("markdown", "twiki", "html"):
        text = REPORT.render(content, shape).decode()
        assert "4 core hours in total" in text
        assert "All data of this report are invented." in text
        assert "usage_daily_end" in text
        assert "any (none of these resources is in federation.yaml)" in text
    said = json.loads(REPORT.render(content, "json"))
    assert said["sentences"] == list(content.story)
    assert said["months"] == ["2016-11", "2016-12", "2017-01"]
    assert said["total"]["core_hours"] == [None, 4.0, 4.0]
    assert said["trace"]["unit"].startswith("core hours")


def test_tables_keep_their_columns_whatever_a_vo_is_called(content: Content) -> None:
    lines = [line for line in REPORT.render(content, "twiki").decode().splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {8}
    lines = [
        line.replace(r"\|", "")
        for line in REPORT.render(content, "markdown").decode().splitlines()
        if line.startswith("|")
    ]
    assert {line.count("|") for line in lines} == {8}
    assert "&lt;osg&gt;" in REPORT.render(content, "html").decode()


def test_csv_has_a_line_for_each_vo_and_month(content: Content) -> None:
    rows = list(csv.DictReader(io.StringIO(REPORT.render(content, "csv").decode())))
    assert len(rows) == 3 * 3
    assert [row["core_hours"] for row in rows if row["vo"] == "Total"] == ["", "4.0", "4.0"]


def test_a_month_that_is_not_over_says_so(content: Content, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = InventedHome(tmp_path_factory.mktemp("early"))
    early = REPORT.make(home.books(), Request(month_of(date(2017, 1, 1)), datetime(2017, 1, 20, tzinfo=UTC)))
    assert "is not over" in early.about["Attention"]
    assert "Attention" not in content.about


def test_the_total_stands_out_and_not_the_line_above_it(tmp_path: Path) -> None:
    mapping = "mapping: [{when: {account: cms}, vo: cms}, {when: {account: osg}, vo: osg}]\n"
    home = InventedHome(tmp_path / "home", mapping)
    jobs = [Job(1, at("2017-01-10T12:00")), Job(2, at("2017-01-10T12:00"), account="osg")]
    home.slurm("alpha", jobs)
    page = REPORT.render(
        REPORT.make(home.books(), Request(month_of(date(2017, 1, 1)), AS_OF)), "html"
    ).decode()
    foot = page[page.index("<tfoot>") : page.index("</tfoot>")]
    assert re.findall(r'<tr( class="total")?><th scope="row">([^<]*)', foot) == [
        ("", "Opportunistic VOs"),
        (' class="total"', "Total"),
    ]
    assert "tfoot tr.total th, tfoot tr.total td { font-weight: 650; }" in page
