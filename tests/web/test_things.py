"""The pages of VOs, experiments, sites, resources, projects and users: what they used, and who may see whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.trust.visitors import Visitor
from tests.collectors import Collector, collector
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient

FEDERATION = """
vos:
  - {name: fermilab, aliases: [fnal], experiments: [{name: nova}], home_sites: [Batavia]}
  - {name: Phys/Ünit}
resources:
  - {name: alpha, site: Batavia, owners: {fermilab: 60}, probes: ["slurm:alpha"]}
  - {name: beta, site: "Saint Mary's"}
mapping:
  - {when: {account: nova}, vo: nova, grid: OSG, project: mixing}
  - {when: {account: unit}, vo: Phys/Ünit, grid: OSG}
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("things") / "home"
    home = InventedHome(folder, FEDERATION)
    home.slurm("alpha", every_day("2017-01-01", "2017-02-07", number=1, cores=4, account="nova"))
    home.slurm("beta", every_day("2017-02-01", "2017-02-07", number=500, account="unit"))
    made = collector(folder, federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


@pytest.fixture(scope="module")
def public(filled: Collector) -> TestClient:
    return filled.client()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/vo/fermilab", ["VO fermilab", 'href="/site/Batavia"', 'href="/experiment/fermilab/nova"', "120", "Also called"]),
        ("/vo/FERMILAB", ["VO fermilab"]),
        ("/vo/Phys%2F%C3%9Cnit", ["VO Phys/Ünit", "/site/Saint%20Mary%27s"]),
        ("/experiment/fermilab/nova", ["Experiment nova", "Batavia"]),
        ("/site/Batavia", ["Site Batavia", 'href="/vo/fermilab"', 'href="/resource/alpha"']),
        ("/resource/alpha", ["Resource alpha", "fermilab 60 %", "slurm:alpha"]),
        ("/project/mixing", ["Project mixing", "Batavia"]),
    ],
)  # fmt: skip
def test_each_thing_has_a_page_that_leads_on(public: TestClient, path: str, says: list[str]) -> None:
    answer = public.get(path)
    assert answer.status_code == 200
    for words in says:
        assert words in answer.text


def test_a_period_is_in_the_address_and_its_days_add_up(public: TestClient) -> None:
    page = public.get("/vo/fermilab?first=2017-01-01&until=2017-01-11").text
    assert "1 Jan – 10 Jan 2017" in page
    assert "<td>40</td>" in page  # ten days of four core hours


def test_a_thing_without_usage_in_the_period_says_so_and_shows_its_months(public: TestClient) -> None:
    page = public.get("/vo/fermilab?first=2016-01-01&until=2016-01-11").text
    assert "Nothing ran in 1 Jan – 10 Jan 2016." in page
    assert "2017-01" in page


def test_what_is_not_known_is_not_found_and_near_names_are_offered(public: TestClient) -> None:
    answer = public.get("/vo/fermilap")
    assert answer.status_code == 404
    assert 'href="/vo/fermilab"' in answer.text


@pytest.mark.parametrize(
    "bad", ["first=yesterday&until=2017-01-01", "first=2017-01-01", "first=2017-01-02&until=2017-01-01"]
)
def test_a_bad_period_is_told(public: TestClient, bad: str) -> None:
    answer = public.get(f"/vo/fermilab?{bad}")
    assert answer.status_code == 400
    assert "period" in answer.text or "no day" in answer.text


def test_plots_of_things_have_addresses(public: TestClient) -> None:
    drawn = public.get("/plots/vo/core-hours.svg?name=fermilab&first=2017-01-01&until=2017-01-11")
    assert drawn.text.startswith("<svg")
    assert "Batavia" in drawn.text


def test_the_public_sees_no_user(public: TestClient) -> None:
    answer = public.get("/user/bob")
    assert answer.status_code == 403
    assert "slurm" not in answer.text
    for path in ("/vo/fermilab", "/site/Batavia", "/resource/alpha", "/project/mixing", "/"):
        assert "bob" not in public.get(path).text


def test_an_operator_sees_users_and_a_viewer_does_not(filled: Collector) -> None:
    carol, alice = (filled.client(filled.token(role=role)) for role in ("operator", "viewer"))
    assert "User bob" in carol.get("/user/bob").text
    assert alice.get("/user/bob").status_code == 403


def test_a_contact_sees_users_of_her_own_vo_alone_and_everybody_himself() -> None:
    contact = Visitor("alice", "vo-contact", vos=frozenset({"fermilab"}))
    assert contact.sees_user("bob", frozenset({"fermilab"}))
    assert not contact.sees_user("bob", frozenset({"fermilab", "cms"}))
    assert not contact.sees_user("bob", frozenset())
    assert Visitor("bob", "viewer", users=frozenset({"bob"})).sees_user("Bob")
    assert not Visitor("bob", "viewer", users=frozenset({"bob"})).sees_user("alice")
