"""Published reports: listed, with what they were made of, and given out as they were published."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

import pytest

from gridkeeper import clock
from gridkeeper.editions.publishing import publish
from gridkeeper.editions.storing import place_of
from gridkeeper.queries.periods import Period
from gridkeeper.reports.contract import Request
from gridkeeper.reports.registry import reports
from tests.collectors import Collector, collector
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEEK = Period(date(2026, 11, 16), date(2026, 11, 23))


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    home = tmp_path_factory.mktemp("published") / "home"
    made = collector(
        home,
        federation="vos: [{name: cms}]\nresources: [{name: alpha, site: Springfield}]\nmapping: [{when: {account: cms}, vo: cms}]\n",
    )
    with made.client(made.token("alpha")) as client:
        assert (
            client.post("/api/v1/batches?format=sacct&resource=alpha", content=sacct(1, 2, 3)).status_code
            == 202
        )
    made.load()
    for name in ("production", "site-vo"):
        request = Request(WEEK, clock.now())
        publish(
            made.services.engine,
            made.place.home.editions,
            made.place.books(),
            reports()[name],
            request,
            "local carol",
            clock.now(),
        )
    yield made
    made.close()


def test_the_list_has_the_newest_first_and_names_nobody(gate: Collector) -> None:
    page = gate.browser().get("/editions").text
    assert page.index('href="/edition/2"') < page.index('href="/edition/1"')
    assert "carol" not in page
    assert "local carol" in gate.browser(gate.token(role="operator")).get("/editions").text


def test_an_edition_says_what_it_was_made_of(gate: Collector) -> None:
    page = gate.browser().get("/edition/2").text
    assert "up to number 1" in page
    assert "none was in force" in page
    assert 'href="/site-vo?first=2026-11-16&amp;until=2026-11-23"' in page


def test_a_file_is_byte_for_byte_what_was_published(gate: Collector) -> None:
    folder = place_of(gate.place.home.editions, 2)
    answer = gate.browser().get("/edition/2/report.csv")
    assert answer.content == (folder / "report.csv").read_bytes()
    assert "edition-2-site-vo-2026-11-16-to-2026-11-22.csv" in answer.headers["content-disposition"]


def test_a_production_report_names_whom_to_ask_and_is_for_viewers(gate: Collector) -> None:
    assert 'href="/edition/1/report.html"' not in gate.browser().get("/edition/1").text
    assert gate.browser().get("/edition/1/report.html").url.path == "/login"
    viewer = gate.browser(gate.token(role="viewer"))
    answer = viewer.get("/edition/1/report.html")
    assert answer.content == (place_of(gate.place.home.editions, 1) / "report.html").read_bytes()
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_its_plots_are_for_everybody(gate: Collector) -> None:
    folder = place_of(gate.place.home.editions, 1)
    plots = sorted(path.name for path in folder.glob("plot-*.svg"))
    assert plots
    page = gate.browser().get("/edition/1").text
    for name in plots:
        assert f'src="/edition/1/{name}"' in page
        answer = gate.browser().get(f"/edition/1/{name}")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.content == (folder / name).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/edition/3",
        "/edition/x",
        "/edition/99999",
        "/edition/1/registry.json",
        "/edition/1/SHA256",
        "/edition/1/..%2F..%2Fgridkeeper.toml",
    ],
)
def test_nothing_else_is_given_out(gate: Collector, path: str) -> None:
    assert gate.browser(gate.token(role="operator")).get(path).status_code == 404


def test_a_damaged_edition_is_called_so_and_gives_no_file(tmp_path: Path) -> None:
    made = collector(tmp_path / "home")
    request = Request(WEEK, clock.now())
    publish(
        made.services.engine,
        made.place.home.editions,
        made.place.books(),
        reports()["site-vo"],
        request,
        "local carol",
        clock.now(),
    )
    file = place_of(made.place.home.editions, 1) / "report.csv"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")
    assert "is not what was published" in made.browser().get("/edition/1").text
    assert made.browser().get("/edition/1/report.csv").status_code == 404
    made.close()


def test_what_changed_since_adds_up_to_today(gate: Collector) -> None:
    with gate.client(gate.token("alpha")) as client:
        assert client.post("/api/v1/batches?format=sacct&resource=alpha", content=sacct(7)).status_code == 202
    gate.load()
    gate.services.reading.settle()
    assert 'href="/edition/1/restated"' in gate.browser().get("/edition/1").text
    page = gate.browser().get("/edition/1/restated").text
    assert "1 came after it was published" in page
    assert "the same as then" in page
    assert "says the same as then" in page
    assert re.search(
        r"<th scope=\"row\">All</th><td>6</td><td>\+2</td><td>0</td><td>0</td><td>0</td><td>8</td>", page
    )
