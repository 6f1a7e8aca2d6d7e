"""The explorer: the address bar holds the whole question; every answer leads on, and can be taken away."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from typing import TYPE_CHECKING

import openpyxl
import pyarrow.parquet as pq
import pytest
from starlette.datastructures import QueryParams

from gridkeeper.queries.periods import Period, month_of, parse_day
from gridkeeper.trust.visitors import PUBLIC, Visitor
from gridkeeper.web.pages.question import may_ask, question_of
from tests.collectors import Collector, collector
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

FEDERATION = """
vos: [{name: cms}, {name: "=1+1"}]
resources: [{name: alpha, site: Springfield}, {name: beta, site: Shelbyville}]
mapping:
  - {when: {account: cms}, vo: cms, grid: OSG}
  - {when: {account: odd}, vo: "=1+1", grid: OSG}
"""
JANUARY = month_of(parse_day("2017-01-01"))
IN_JANUARY = "first=2017-01-01&until=2017-02-01"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("explorer") / "home"
    home = InventedHome(folder, FEDERATION)
    home.slurm("alpha", every_day("2017-01-01", "2017-02-01", number=1, cores=8))
    home.slurm("beta", every_day("2017-01-10", "2017-01-20", number=500, account="odd"))
    made = collector(folder, federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture(scope="module")
def public(filled: Collector) -> TestClient:
    return filled.client()


def asked(text: str, default: Period = JANUARY) -> list[tuple[str, str]]:
    return question_of(QueryParams(text), default).pairs()


def test_a_question_read_from_an_address_and_written_again_is_the_same() -> None:
    text = "by=site,day&measure=jobs&first=2017-01-01&until=2017-02-01&where=vo=cms&where=vo=&count_level=batch&grid=any&attribution=overlap&sort=-jobs"
    question = question_of(QueryParams(text), JANUARY)
    again = question_of(QueryParams(question.query()[1:]), JANUARY)
    assert again == question


def test_what_a_form_sends_is_the_same_question_as_lists_with_commas() -> None:
    assert asked("by=vo&by=site&measure=jobs&measure=core_hours&add=vo&is=cms") == asked(
        "by=vo,site&measure=jobs,core_hours&where=vo=cms"
    )


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("by=nosuch", "by: there is no 'nosuch'"),
        ("measure=nosuch", "measure: there is no 'nosuch'"),
        ("where=cms", "write it as vo=cms"),
        ("first=2017-01-01", "until"),
        ("first=2017-02-01&until=2017-01-01", "no day"),
        ("count_level=some", "count_level: 'some' is none of batch"),
        ("colour=red", "there is no parameter 'colour'"),
        ("by=day&source=reported", "whole months"),
        ("by=project,queue", "cannot be combined"),
    ],
)  # fmt: skip
def test_a_bad_question_is_told_by_name_and_remedy(public: TestClient, bad: str, says: str) -> None:
    answer = public.get(f"/usage?{bad}")
    assert answer.status_code == 400
    assert says in unescape(answer.text)


def test_a_table_leads_into_each_of_its_values(public: TestClient) -> None:
    page = public.get(f"/usage?by=vo&{IN_JANUARY}").text
    [inside] = [unescape(one) for one in re.findall(r'href="(/usage\?[^"]*where=vo=cms[^"]*)"', page)]
    deeper = public.get(inside).text
    assert "Usage by site" in deeper
    assert "Springfield" in deeper
    assert "Shelbyville" not in deeper.split("<tbody>")[1].split("</tbody>")[0]


def test_sorting_turns_and_is_said(public: TestClient) -> None:
    rising = public.get(f"/usage?by=site&measure=core_hours&sort=core_hours&{IN_JANUARY}").text
    assert rising.index("Shelbyville</a>") < rising.index("Springfield</a>")
    assert 'aria-sort="ascending"' in rising


def test_downloads_hold_the_same_numbers_unrounded(public: TestClient) -> None:
    where = f"/usage?by=site&measure=core_hours,jobs&{IN_JANUARY}"
    told = public.get(f"{where}&format=json").json()
    assert told == [
        {"site": "Springfield", "core_hours": 248.0, "jobs": 31},
        {"site": "Shelbyville", "core_hours": 10.0, "jobs": 10},
    ]
    table = pq.read_table(io.BytesIO(public.get(f"{where}&format=parquet").content))
    assert table.to_pylist() == told
    assert b"gridkeeper" in table.schema.metadata
    sheet = openpyxl.load_workbook(io.BytesIO(public.get(f"{where}&format=xlsx").content))["Usage"]
    assert [[cell.value for cell in row] for row in sheet.rows][1:] == [
        ["Springfield", 248, 31],
        ["Shelbyville", 10, 10],
    ]
    assert sheet.freeze_panes == "B2"


def test_a_name_is_no_formula_in_a_spreadsheet(public: TestClient) -> None:
    text = public.get(f"/usage?by=vo&measure=jobs&{IN_JANUARY}&format=csv").text
    assert ["'=1+1", "10"] in list(csv.reader(io.StringIO(text)))
    book = openpyxl.load_workbook(io.BytesIO(public.get(f"/usage?by=vo&{IN_JANUARY}&format=xlsx").content))
    assert "=1+1" in [cell.value for cell in book["Usage"]["A"]]
    assert all(cell.data_type == "s" for cell in book["Usage"]["A"])


def test_an_empty_answer_says_why(public: TestClient) -> None:
    page = public.get("/usage?by=vo&where=vo=csm").text
    assert "No record has the vo “csm”" in page
    assert "There are records from 2017-01-01" in page


def test_a_plot_of_each_kind_of_question(public: TestClient) -> None:
    for by in ("day", "day,vo", "month", "month,vo", "site", "vo,site"):
        assert public.get(f"/plots/usage.svg?by={by}&{IN_JANUARY}").text.startswith("<svg"), by


def test_the_public_asks_for_no_user(public: TestClient) -> None:
    for question in ("by=user", "by=vo&where=user=bob", "by=vo,user&where=vo=cms"):
        answer = public.get(f"/usage?{question}")
        assert answer.status_code == 403
        assert "slurm" not in answer.text
        assert public.get(f"/plots/usage.svg?{question}").status_code == 403


def test_a_contact_asks_for_users_of_her_vo_and_everybody_for_himself() -> None:
    def may(visitor: Visitor, text: str) -> bool:
        return may_ask(visitor, question_of(QueryParams(text), JANUARY))

    alice = Visitor("alice", "vo-contact", vos=frozenset({"cms"}))
    bob = Visitor("bob", "viewer", users=frozenset({"bob"}))
    carol = Visitor("carol", "operator")
    assert may(alice, "by=user&where=vo=cms")
    assert not may(alice, "by=user")
    assert not may(alice, "by=user&where=vo=cms&where=vo=atlas")
    assert not may(alice, "by=user&where=vo=")
    assert may(bob, "by=month&where=user=bob")
    assert not may(bob, "by=month&where=user=bob&where=user=alice")
    assert not may(bob, "by=user")
    assert may(carol, "by=user")
    assert not may(PUBLIC, "by=user&where=vo=cms")


def test_a_limit_cuts_page_and_downloads_after_the_sorting(public: TestClient) -> None:
    asked_for = f"/usage?by=day&measure=core_hours&{IN_JANUARY}&sort=-core_hours&limit=3"
    page = public.get(asked_for).text
    assert "The first 3 of 31 rows" in page
    assert page.count('<th scope="row"') == 3
    assert "limit=3" in re.findall(r'href="([^"]+format=csv)"', page)[0]
    rows = list(csv.reader(io.StringIO(public.get(f"{asked_for}&format=csv").text)))
    assert len(rows) == 4
    assert len(public.get(f"/plots/usage.json?{asked_for.partition('?')[2]}").json()["data"]["values"]) == 3


def test_a_limit_that_is_none_is_refused_in_a_sentence(public: TestClient) -> None:
    for limit in ("0", "-1", "ten", "10001", "9" * 30, "²"):
        answer = public.get("/usage", params={"limit": limit})
        assert answer.status_code == 400
        assert "write a whole number from 1 to 10,000" in answer.text
