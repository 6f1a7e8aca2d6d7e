"""The registry's page: counts, findings with file, line and remedy, and no person's name for who may not see people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.web import errors
from tests.collectors import collector
from tests.federation import invented_topology
from tests.federation.topology import invented_lists

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collectors import Collector

# Two resources at one host, a service that is none, and one id with two names.
GROUP = invented_topology.GROUP.replace(
    "FQDN: se.springfield.example.org", "FQDN: ce.springfield.example.org"
).replace("WebDAV: {Description: Files}", "Dreams: {Description: Files}").replace(
    "ContactLists: {}", "ContactLists: {Security Contact: {Primary: {Name: Mallory, ID: a11ce}}}"
)  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collector]:
    invented_topology.write(tmp_path / "home", SPR=GROUP)
    made = collector(tmp_path / "home")
    yield made
    made.services.reading.close()
    made.close()


def test_everybody_sees_how_much_there_is_and_what_is_wrong(house: Collector) -> None:
    page = house.client().get("/registry").text
    assert "<span>resources</span><b>2</b>" in page
    for words in (
        "shared-fqdn", "ce.springfield.example.org is the FQDN of 2 resources", "give each resource a host of its own", "unknown-service",
        "topology/Springfield University/Springfield/SPR.yaml", 'href="/resource/Springfield-CE"', 'href="/site/Springfield"',
    ):  # fmt: skip
        assert words in page


def test_sites_of_gocdb_are_shown_as_what_usage_is_booked_on(tmp_path: Path) -> None:
    invented_topology.put(tmp_path, {**invented_lists.GOCDB, "gocdb/more.xml": "<results><SITE"})
    made = collector(tmp_path)
    page = made.client().get("/registry").text
    assert "<span>resources</span><b>4</b>" in page
    assert 'href="/resource/EX-ALPHA"' in page
    assert "not-xml" in page
    directory = made.services.noticeboard.files().directory
    assert [one.name for one in directory.at("ex-beta")] == ["ce.beta.example.org", "EX-BETA"]
    made.services.reading.close()
    made.close()


def test_findings_are_chosen_by_severity_and_code(house: Collector) -> None:
    client = house.client()
    page = client.get("/registry?severity=error&code=unknown-service").text
    assert "Dreams" in page
    assert "is the FQDN of" not in page
    assert "No finding is like that." in client.get("/registry?code=nothing").text
    for query in ("severity=grave", "kind=error", "offset=-1"):
        assert client.get(f"/registry?{query}").status_code == 400


def test_names_of_people_are_for_operators(house: Collector) -> None:
    operator = house.client(house.token(role="operator"))
    for path in ("/registry", "/api/v1/registry/findings"):
        assert "Mallory" in operator.get(path).text
        for client in (house.client(), house.client(house.token(role="viewer"))):
            told = client.get(path).text
            assert "contact-two-names" in told
            assert "shown to operators" in told
            assert "Mallory" not in told
            assert "Alice" not in told


def test_the_api_says_the_same_page_by_page(house: Collector) -> None:
    answer = house.client().get("/api/v1/registry/findings?limit=1&severity=error")
    said = answer.json()
    assert said["counts"]["resources"] == 2
    assert said["total"] > 1
    assert answer.headers["link"] == '</api/v1/registry/findings?severity=error&limit=1&offset=1>; rel="next"'
    (one,) = said["findings"]
    assert set(one) == {"code", "severity", "file", "line", "message", "fix"}
    again = house.client().get(
        "/api/v1/registry/findings?limit=1&severity=error", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


def test_a_home_of_federation_yaml_alone_says_so(tmp_path: Path) -> None:
    made = collector(tmp_path / "home", federation="resources: [{name: alpha, site: Alpha}]\n")
    page = made.client().get("/registry").text
    assert "This home has federation.yaml alone, with 1 resources" in page
    assert "Nothing is wrong with the registry&#39;s files." in page
    assert 'href="/resource/alpha"' in page
    assert "Nothing is wrong with" in made.client().get("/registry?severity=error").text
    made.close()


def test_where_the_collectors_own_files_cannot_be_nobody_is_told_its_paths(tmp_path: Path) -> None:
    made = collector(tmp_path / "home", federation="resources: [{name: alpha, site: Alpha}]\n")
    assert made.client().get("/registry").status_code == 200
    made.place.home.federation.write_text("resources: [{nam: alpha}]\n", encoding="utf-8")
    answer = made.client().get("/api/v1/registry/findings")
    assert (answer.status_code, answer.json()) == (503, {"error": errors.OF_THE_HOME})
    assert answer.headers["retry-after"] == str(errors.RETRY_AFTER_S)
    assert made.client().get("/resource/alpha").status_code == 200
    made.close()
