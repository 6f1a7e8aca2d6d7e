"""The display: its page, its plots under stable addresses, and its figures under the keys that others used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.collectors import Collector, collector
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

FEDERATION = "mapping: [{when: {account: cms}, vo: cms, grid: OSG}]\nvos: [{name: cms}]\nfederation: {name: Springfield <b>Grid</b>}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("display") / "home"
    InventedHome(folder, FEDERATION).slurm("alpha", every_day("2017-01-01", "2017-02-07", number=1, cores=2))
    made = collector(folder, federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture(scope="module")
def public(filled: Collector) -> TestClient:
    return filled.client()


def test_old_books_say_that_they_are_old_and_look_back_from_their_end(public: TestClient) -> None:
    page = public.get("/").text
    assert "These numbers are old: the newest record ended" in page
    assert "What it did until 2017-02-06 13:00 UTC" in page


def test_names_are_escaped(public: TestClient) -> None:
    page = public.get("/").text
    assert "Springfield &lt;b&gt;Grid" in page
    assert "<b>Grid" not in page


def test_figures_have_the_keys_of_the_old_display(public: TestClient) -> None:
    said = public.get("/api/v1/display").json()
    assert (said["jobs_hourly"], said["jobs_daily"], said["cpu_hours_daily"]) == (1, 30, 60.0)
    assert said["jobs_monthly"] == 31
    assert said["transfers_daily"] is None
    assert len(said["hours"]) == 24


@pytest.mark.parametrize(
    "path",
    ["/plots/display/jobs/hours", "/plots/display/core-hours/months", "/plots/display/wall-hours-by-vo"],
)
def test_plots_have_stable_addresses_in_three_forms(public: TestClient, path: str) -> None:
    assert public.get(f"{path}.svg").text.startswith("<svg")
    assert public.get(f"{path}.png").content.startswith(b"\x89PNG")
    assert "vega-lite" in json.loads(public.get(f"{path}.json").content)["$schema"]
    assert public.get(f"{path}.svg?theme=dark").text != public.get(f"{path}.svg").text


def test_what_was_seen_already_is_not_sent_again(public: TestClient) -> None:
    for path in ("/", "/api/v1/display", "/plots/display/jobs/days.svg"):
        tag = public.get(path).headers["etag"]
        assert public.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_no_page_runs_what_is_not_served_here(public: TestClient) -> None:
    policy = public.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    made = collector(tmp_path / "home")
    assert "There are no records yet" in made.client().get("/").text
    made.services.reading.close()
    made.close()


def test_who_reads_pages_is_refused_on_a_page_and_a_machine_in_json(public: TestClient) -> None:
    page = public.get("/nowhere", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "There is nothing here" in page.text
    assert "<header" in page.text
    assert public.get("/nowhere").json()["error"].startswith("there is no such address")
    assert public.get("/api/v1/nowhere", headers={"Accept": "text/html"}).json()["error"]


def test_a_page_that_needs_a_role_offers_the_way_in(public: TestClient) -> None:
    page = public.get("/user/bob", headers={"Accept": "text/html"})
    assert page.status_code == 403
    assert 'href="/login"' in page.text
