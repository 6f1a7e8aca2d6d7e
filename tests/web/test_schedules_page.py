"""Reports on time: their schedules and runs, their files, and who may see whom they go to."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.queries.periods import Period
from gridkeeper.schedules import runs
from gridkeeper.schedules.due import Due
from gridkeeper.schedules.runs import Outcome
from gridkeeper.settings import Schedule
from tests.collectors import Collector, collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

BOARD, MEETING = "board@example.org", "meeting@example.org"
SETTINGS: dict[str, Any] = {
    "mail": {"host": "mail.example.org"},
    "schedule": [
        {"name": "weekly", "report": "production", "period": "week", "day": 2, "formats": ["twiki", "html"], "recipients": [BOARD, MEETING]},
        {"name": "matrix", "report": "site-vo", "period": "month", "day": 3, "formats": ["csv"]},
    ],
}  # fmt: skip
WEEKLY, MATRIX = (Schedule.model_validate(entry) for entry in SETTINGS["schedule"])
DUE = datetime(2017, 2, 7, 6, tzinfo=UTC)
MADE = datetime(2017, 2, 7, 6, 1, tzinfo=UTC)
PROBLEM = f"{MEETING} was refused (no such mailbox)"


def record(home: Collector, schedule: Schedule, files: list[str], **values: Any) -> None:
    """One run, as the scheduler records it."""
    due = Due(schedule, DUE, Period(date(2017, 1, 31), date(2017, 2, 7)))
    runs.write_down(home.services.engine, [(due, "waiting", None)], DUE)
    run = runs.find(home.services.engine, schedule.name, DUE)
    assert run is not None
    assert runs.claim(home.services.engine, run, "me", DUE) is not None
    runs.record(home.services.engine, run, "me", files=files, made_at=MADE, **values)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", SETTINGS)
    reports = tmp_path / "home" / "reports"
    (tmp_path / "secret.csv").write_text("not for you")
    (reports / "weekly-2017-02-07.html").write_text("<!doctype html><title>The week</title>")
    (reports / "matrix-2017-02-03.csv").write_text("Site,Total\n")
    (reports / "unrecorded.csv").write_text("nobody recorded me")
    (reports / "linked.csv").symlink_to(tmp_path / "secret.csv")
    outcomes = {BOARD: Outcome("delivered", MADE), MEETING: Outcome("refused", MADE, "no such mailbox")}
    record(
        made, WEEKLY, [str(reports / "weekly-2017-02-07.html"), str(reports / "gone.twiki")],
        state="given-up", recipients=outcomes, problem=PROBLEM,
    )  # fmt: skip
    files = ["matrix-2017-02-03.csv", "linked.csv", "../../secret.csv", "../gridkeeper.db"]
    record(made, MATRIX, [str(reports / file) for file in files], state="done", delivered_at=MADE)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture
def public(house: Collector) -> TestClient:
    return house.client()


def test_everybody_sees_what_is_due_made_and_late(public: TestClient) -> None:
    page = public.get("/reports").text
    assert 'src="/badges/reports.svg"' in page
    assert "Late: " in page
    for words in ('href="/schedule/weekly"', 'href="/schedule/matrix"', "given-up", "2017-02-07 06:00 UTC", "1 of 2"):  # fmt: skip
        assert words in page
    assert (
        'href="/production?first=2017-01-31&amp;until=2017-02-07"' in page
    )  # weeks of this home begin on monday
    one = public.get("/schedule/weekly").text
    assert "at 06:00 UTC on day 2 of the week" in one
    assert '<th scope="row"><a href="/production?' in one
    assert "2; who they are is shown to operators" in one


def test_recipients_and_problems_are_for_operators(house: Collector, public: TestClient) -> None:
    viewer, operator = (house.client(house.token(role=role)) for role in ("viewer", "operator"))
    for path in ("/reports", "/schedule/weekly", "/api/v1/schedules"):
        for client in (public, viewer):
            told = client.get(path).text
            assert BOARD not in told
            assert MEETING not in told
            assert "no such mailbox" not in told
    for path in ("/schedule/weekly", "/api/v1/schedules"):
        told = operator.get(path).text
        assert f"{BOARD}" in told
        assert PROBLEM in told


def test_made_files_can_be_had_under_the_names_that_runs_recorded(public: TestClient) -> None:
    assert 'href="/schedule/matrix/matrix-2017-02-03.csv"' in public.get("/schedule/matrix").text
    answer = public.get("/schedule/matrix/matrix-2017-02-03.csv")
    assert answer.text == "Site,Total\n"
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="matrix-2017-02-03.csv"'
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "file",
    [
        "unrecorded.csv",
        "linked.csv",
        "secret.csv",
        "gridkeeper.db",
        "..%2F..%2Fsecret.csv",
        "%2e%2e%2fgridkeeper.db",
        "..",
        "weekly-2017-02-07.html",
        "matrix-2017-02-03.csv%00",
    ],
)
def test_no_other_file_can_be_had(house: Collector, public: TestClient, file: str) -> None:
    for client in (public, house.client(house.token(role="operator"))):
        answer = client.get(f"/schedule/matrix/{file}")
        assert answer.status_code in (404, 307) or "<h1>" in answer.text
        assert "not for you" not in answer.text
        assert "nobody recorded me" not in answer.text


def test_a_production_reports_file_names_whom_to_ask_and_needs_a_login(
    house: Collector, public: TestClient
) -> None:
    refused = public.get("/schedule/weekly/weekly-2017-02-07.html")
    assert refused.status_code == 403
    assert "viewer" in refused.json()["error"]
    assert "log in for the files" in public.get("/schedule/weekly").text
    viewer = house.client(house.token(role="viewer"))
    assert "The week" in viewer.get("/schedule/weekly/weekly-2017-02-07.html").text
    assert viewer.get("/schedule/weekly/gone.twiki").status_code == 404


def test_the_api_says_the_same(public: TestClient) -> None:
    answer = public.get("/api/v1/schedules")
    said = answer.json()
    assert said["state"] == "late"
    weekly, matrix = said["schedules"]
    (run,) = weekly["runs"]
    assert (run["state"], run["recipients_served"], run["recipients"]) == ("given-up", 1, 2)
    assert (run["outcomes"], run["problem"], run["files"]) == (None, None, [])
    assert matrix["runs"][0]["files"] == ["/schedule/matrix/matrix-2017-02-03.csv"]
    again = public.get("/api/v1/schedules", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_schedule_that_is_not_there_is_not_found(public: TestClient) -> None:
    for path in ("/schedule/daily", "/schedule/daily/daily-2017-02-07.html"):
        assert public.get(path).status_code == 404


def test_where_nothing_is_scheduled_the_page_says_how(tmp_path: Path) -> None:
    made = collector(tmp_path / "home")
    page = made.client().get("/reports").text
    assert "An operator writes [[schedule]] in gridkeeper.toml" in page
    made.close()
