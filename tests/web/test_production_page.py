"""The production page: the report's own numbers, week by week, with names that lead on and traces that open."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.model import Contact
from gridkeeper.monitoring.states import Silence, SourceState, State
from gridkeeper.queries.periods import Period
from gridkeeper.reports.registry import reports
from gridkeeper.reports.wording import whole
from gridkeeper.web import reporting
from gridkeeper.web.pages.steps import steps_of
from tests.collectors import Collector, collector
from tests.production_story import FEDERATION, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

ADDRESS = "ops@utah.example.org"
WITH_CONTACT = FEDERATION.replace(
    "owners: {utah: 100}}",
    f"owners: {{utah: 100}}, contacts: [{{name: Utah operations, email: {ADDRESS}}}]}}",
)
WEEK = "week=2017-01-31"
PRODUCTION = reports()["production"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("production") / "home"
    story(folder, WITH_CONTACT).books()
    made = collector(folder, federation=WITH_CONTACT)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture(scope="module")
def public(filled: Collector) -> TestClient:
    return filled.client()


def cells(page: str, heading: str, row: str) -> list[str]:
    """The cells of one row of the table under a heading, without marks."""
    table = page.split(f"<h2>{heading}</h2>", 1)[1].split("</table>", 1)[0]
    for line in re.findall(r"<tr[^>]*>(.*?)</tr>", table, flags=re.DOTALL):
        found = [re.sub(r"<[^>]+>|\s+", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, flags=re.DOTALL)]  # fmt: skip
        if found and found[0] == row:
            return found
    raise AssertionError(f"{row} is not under {heading}")


def test_the_page_says_what_the_report_says(public: TestClient) -> None:
    page, said = public.get(f"/production?{WEEK}").text, public.get(f"/production.json?{WEEK}").json()
    assert said["period"]["first"] == "2017-01-31"
    for use in [*said["vos"], said["total"] | {"name": "All"}]:
        row = cells(page, "VOs: core hours, changes, jobs", use["name"])
        assert row[1] == whole(use["core_hours"])
        assert row[6:10] == [whole(use[name]) for name in ("wall_hours", "jobs", "pilots", "payloads")]
    assert (
        said["total"]["core_hours"] == 7 * 80 + 7 * 2 + 4
    )  # cms, nova, and off-site; what names no grid stays out


def test_the_api_says_the_same_and_a_spreadsheet_gets_a_table(public: TestClient) -> None:
    said = public.get(f"/api/v1/production?{WEEK}")
    assert said.json() == public.get(f"/production.json?{WEEK}").json()
    assert public.get(f"/api/v1/production?{WEEK}", headers={"If-None-Match": said.headers["etag"]}).status_code == 304  # fmt: skip
    table = public.get(f"/api/v1/production?{WEEK}&format=csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = {row["vo"]: row for row in csv.DictReader(io.StringIO(table.text))}
    for use in [*said.json()["vos"], said.json()["total"] | {"name": "All"}]:
        assert float(rows[use["name"]]["core_hours"]) == use["core_hours"]
        assert rows[use["name"]]["efficiency"] == ("" if use["efficiency"] is None else str(use["efficiency"]))  # fmt: skip
    assert public.get("/api/v1/production?format=pdf").status_code == 400


@pytest.mark.parametrize(
    ("ending", "media_type", "begins"),
    [
        ("twiki", "text/plain; charset=utf-8", "---+ Production report"),
        ("md", "text/markdown; charset=utf-8", "# Production report"),
        ("html", "text/html; charset=utf-8", "<!doctype html>"),
        ("json", "application/json", "{"),
        ("csv", "text/csv; charset=utf-8", "vo,core_hours"),
    ],
)
def test_the_same_report_can_be_taken_away(
    public: TestClient, ending: str, media_type: str, begins: str
) -> None:
    answer = public.get(f"/production.{ending}?{WEEK}")
    assert answer.headers["content-type"] == media_type
    assert answer.text.startswith(begins)
    assert f'filename="production-2017-01-31-to-2017-02-06.{ending}"' in answer.headers["content-disposition"]


def test_no_other_ending_is_there(public: TestClient) -> None:
    assert public.get("/production.exe").status_code == 404


def test_without_a_period_it_is_the_last_full_week_that_the_books_know(public: TestClient) -> None:
    page = public.get("/production").text
    assert "<h1>Production report, 31 Jan – 6 Feb 2017</h1>" in page
    assert 'href="/production?week=2017-01-24" rel="prev"' in page
    assert "nothing after" in page
    assert '<option value="2017-01-31" selected>31 Jan – 6 Feb 2017</option>' in page
    assert '<option value="2017-01">January 2017</option>' in page


def test_every_week_leads_to_the_next(public: TestClient) -> None:
    page = public.get("/production?week=2017-01-26").text
    assert "24 Jan – 30 Jan 2017" in page
    assert 'href="/production?week=2017-01-17" rel="prev"' in page
    assert 'href="/production?week=2017-01-31" rel="next"' in page


def test_names_lead_to_their_pages_for_the_same_days(public: TestClient) -> None:
    page = public.get(f"/production?{WEEK}").text
    days = "?first=2017-01-31&amp;until=2017-02-07"
    for path in ("/vo/cms", "/site/Nebraska", "/experiment/fermilab/nova", "/resource/Utah-Kingspeak"):
        assert f'href="{path}{days}"' in page
    assert 'href="/sources"' in page
    assert 'href="/probe/' in page


def test_every_section_says_where_its_numbers_come_from(public: TestClient) -> None:
    page, said = public.get(f"/production?{WEEK}").text, public.get(f"/production.json?{WEEK}").json()
    told = set(re.findall(r"<dt>Section</dt><dd>([^<]+)</dd>", page))
    absent = {"figures", "pools"}  # the story has none of these, so the page has no such section
    assert told == set(said["traces"]) - absent
    trace = said["traces"]["vos"]
    versions = [f"{name.replace('_', ' ')} {number}" for name, number in trace["versions"].items()]
    assert versions
    for words in (*versions, *(trace[name] for name in ("query", "table", "count_level", "grid", "unit"))):
        assert words.replace("'", "&#39;") in page


@pytest.mark.parametrize("plot", ["wall-hours-by-day", "running-cores"])
def test_plots_have_stable_addresses_and_take_a_week(public: TestClient, plot: str) -> None:
    drawn = public.get(f"/plots/production/{plot}.svg?{WEEK}")
    assert drawn.text.startswith("<svg")
    assert "31 Jan" in drawn.text
    assert public.get(f"/plots/production/{plot}.png?{WEEK}").content.startswith(b"\x89PNG")
    assert "vega-lite" in json.loads(public.get(f"/plots/production/{plot}.json?{WEEK}").content)["$schema"]


@pytest.mark.parametrize("path", ["/production", "/production.twiki", "/api/v1/production", "/plots/production/running-cores.svg"])  # fmt: skip
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("week=last", "'last' is no day; write it as 2017-01-31"),
        ("month=2017-13", "'2017-13' is no month"),
        ("week=2017-01-31&month=2017-01", "give one of them"),
        ("first=2017-01-31", "a period needs both first and until"),
        ("first=2015-01-01&until=2017-01-01", "ask for at most 400"),
    ],
)
def test_a_bad_period_answers_with_a_sentence(public: TestClient, path: str, bad: str, says: str) -> None:
    answer = public.get(f"{path}?{bad}")
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_a_bad_week_answers_a_reader_with_a_page(public: TestClient) -> None:
    answer = public.get("/production?week=last", headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "is no day; write it as 2017-01-31" in answer.text


def test_it_is_made_once_for_everybody_who_asks(filled: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = [], type(PRODUCTION).make

    def counted(self: object, books: object, request: object) -> object:
        made.append(request)
        return make(self, books, request)  # type: ignore[arg-type]

    monkeypatch.setattr(type(PRODUCTION), "make", counted)
    for client in (filled.client(), filled.client(filled.token(role="viewer"))):
        for path in ("/production", "/production.twiki", "/api/v1/production", "/plots/production/running-cores.svg"):  # fmt: skip
            assert client.get(f"{path}?week=2017-01-17").status_code == 200
    assert len(made) == 1


def test_the_public_sees_no_user_and_no_address_and_who_is_known_sees_whom_to_ask(filled: Collector) -> None:
    known = filled.client(filled.token(role="viewer"))
    for path in ("/production", "/production.twiki", "/production.md", "/production.html", "/production.csv", "/api/v1/production"):  # fmt: skip
        told = filled.client().get(f"{path}?{WEEK}").text
        assert ADDRESS not in told
        assert not re.search(r"\b(alice|bob)\b", told)
        if not path.endswith("csv"):
            assert ADDRESS in known.get(f"{path}?{WEEK}").text
            assert "Utah operations" in told


def test_what_a_probe_says_in_its_own_words_is_not_for_the_public() -> None:
    told = SourceState(
        "slurm:alpha", "alpha", "batch", "Alpha", State.LATE, why=("its backlog grows", "cannot read /home/alice"),
        problem="cannot read /home/alice", ask=(Contact(name="Operations", email=ADDRESS),),
    )  # fmt: skip
    everything = Silence(datetime(2017, 2, 7, tzinfo=UTC), date(2017, 2, 7), True, (told,))
    (shown,) = reporting._for_the_public(everything).sources
    assert shown.why == ("its backlog grows",)
    assert shown.problem is None
    assert [(one.name, one.email) for one in shown.ask] == [("Operations", None)]


def test_no_page_needs_style_or_script_of_its_own(public: TestClient) -> None:
    for path in (f"/production?{WEEK}", "/site-vo?month=2017-01", "/trends?month=2017-01", "/reports"):
        answer = public.get(path)
        assert answer.status_code == 200
        assert " style=" not in answer.text
        assert "<style" not in answer.text
        assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_period_of_which_nothing_is_known_is_all_dashes(public: TestClient) -> None:
    page = public.get("/production?week=2015-06-02").text
    assert cells(page, "VOs: core hours, changes, jobs", "All")[1] == "–"
    assert public.get("/plots/production/wall-hours-by-day.svg?week=2015-06-02").status_code in (200, 404)


def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    made = collector(tmp_path / "home")
    for path in ("/production", "/site-vo", "/trends"):
        answer = made.client().get(path)
        assert answer.status_code == 200
        assert "There are no records" in answer.text
    for path in ("/api/v1/production", "/api/v1/site-vo", "/api/v1/trends", "/api/v1/schedules"):
        assert made.client().get(path).status_code == 200
    made.close()


def test_steps_stay_inside_the_days_that_are_known() -> None:
    known = Period(date(2017, 1, 10), date(2017, 2, 7))
    steps = steps_of(known, Period(date(2017, 1, 10), date(2017, 1, 17)), "tuesday")
    assert steps.before is None
    assert steps.after is not None
    assert steps.after.asked == {"week": "2017-01-17"}
    assert [one.asked["month"] for one in steps.months] == ["2017-02", "2017-01"]
    january = steps_of(known, Period(date(2017, 1, 1), date(2017, 2, 1)), "tuesday")
    assert january.after is not None
    assert january.after.asked == {"month": "2017-02"}
    assert steps_of(None, known, "tuesday").weeks == ()
