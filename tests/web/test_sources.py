"""Which sources report, and whether a probe's records arrived: what each visitor is shown, as page, JSON and CSV."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper import clock
from gridkeeper.intake import contacts
from tests.collectors import Collector, collector
from tests.homes import InventedHome, every_day
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEDERATION = """
resources:
  - {name: Utah-Kingspeak, site: Utah, probes: ["slurm:kingspeak"], contacts: [{name: Utah operations, email: ops@utah.example.org}]}
  - {name: Tusker, site: Nebraska, probes: ["slurm:tusker"], contacts: [{name: Nebraska operations}]}
  - {name: Sandhills, site: Nebraska, probes: ["slurm:sandhills"]}
  - {name: Lamar, site: Colorado}
expected: [{resource: Lamar}]
mapping:
  - {when: {account: cms}, vo: cms, grid: OSG}
"""
PROBLEM = "the outbox of alice is full"
KINGSPEAK = "slurm:kingspeak"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder: Path = tmp_path_factory.mktemp("sources") / "home"
    today = clock.now().date()
    home = InventedHome(folder, FEDERATION)
    first = f"{today - timedelta(days=80)}"
    home.slurm("kingspeak", every_day(first, f"{today - timedelta(days=20)}", number=1, cores=4), clock.now())
    home.slurm("tusker", every_day(first, f"{today}", number=500), clock.now())
    home.slurm("sandhills", every_day(first, f"{today}", number=900), clock.now())
    made = collector(folder, federation=FEDERATION)
    facts = {"problem": PROBLEM, "address": "198.51.100.7", "version": "0.1.0", "backlog_batches": 12,
             "oldest_waiting_at": made.services.now() - timedelta(days=3)}  # fmt: skip
    beat = contacts.Contact("slurm:sandhills", "Sandhills", "heartbeat", made.services.now(), facts,
                            (contacts.Sample("running", 3, 24, "", "cms"),))  # fmt: skip
    contacts.note(made.services.engine, [beat])
    yield made
    made.services.reading.close()
    made.close()


def alice(gate: Collector) -> str:
    return gate.token(role="site-contact", sites=("Utah",))


def bob(gate: Collector) -> str:
    return gate.token(role="site-contact", sites=("Nebraska",))


def test_those_that_need_care_come_first_with_what_is_missing_and_why(gate: Collector) -> None:
    page = gate.client().get("/sources").text
    assert page.index(">Utah-Kingspeak<") < page.index(">Tusker<")
    assert 'class="state silent"' in page
    assert 'class="state never-seen"' in page
    assert "with 80 % chance" in page
    assert 'href="/probe/slurm%3Akingspeak"' in page
    assert 'href="/site/Utah"' in page
    said = gate.client().get("/api/v1/sources").json()
    assert said["counts"]["silent"] == 1
    (silent,) = [one for one in said["sources"] if one["state"] == "silent"]
    assert silent["missing_core_hours_low"] < silent["missing_core_hours"] < silent["missing_core_hours_high"]
    assert silent["why"]


@pytest.mark.parametrize(
    ("asked", "resources"),
    [
        ("state=silent", {"Utah-Kingspeak"}),
        ("state=needs+care", {"Utah-Kingspeak", "Lamar", "Sandhills"}),
        ("site=nebraska", {"Tusker", "Sandhills"}),
        ("text=KINGS", {"Utah-Kingspeak"}),
        ("site=Utah&state=reporting", set()),
    ],
)
def test_the_address_holds_which_sources_are_shown(gate: Collector, asked: str, resources: set[str]) -> None:
    client = gate.client()
    assert {one["resource"] for one in client.get(f"/api/v1/sources?{asked}").json()["sources"]} == resources
    rows = list(csv.DictReader(io.StringIO(client.get(f"/sources?{asked}&format=csv").text)))
    assert {row["resource"] for row in rows} == resources
    page = client.get(f"/sources?{asked}").text
    for name in ("Utah-Kingspeak", "Tusker", "Sandhills", "Lamar"):
        assert (f'href="/resource/{name}"' in page) is (name in resources)


@pytest.mark.parametrize("bad", ["state=asleep", "sites=Utah", "format=parquet"])
def test_a_question_that_cannot_be_asked_is_told(gate: Collector, bad: str) -> None:
    for path in ("/sources", "/api/v1/sources"):
        answer = gate.client().get(f"{path}?{bad}")
        assert answer.status_code == 400
        assert bad.partition("=")[0] in answer.json()["error"]


def test_who_to_ask_is_told_to_whoever_is_logged_in(gate: Collector) -> None:
    assert "Utah operations" not in gate.client().get("/sources").text
    assert "Utah operations" not in gate.client().get("/sources?format=csv").text
    assert all(not one["ask"] for one in gate.client().get("/api/v1/sources").json()["sources"])
    carol = gate.client(gate.token(role="viewer"))
    assert "mailto:ops@utah.example.org" in carol.get("/sources").text
    assert "Utah operations <ops@utah.example.org>" in carol.get("/sources?format=csv").text


def test_what_a_probe_says_is_wrong_is_for_its_contacts_and_operators(gate: Collector) -> None:
    paths = (
        "/sources", "/sources?format=csv", "/api/v1/sources", "/probe/slurm:sandhills", "/api/v1/probes/slurm:sandhills",
    )  # fmt: skip
    for token in (None, gate.token(role="viewer"), alice(gate)):
        for path in paths:
            said = gate.client(token).get(path).text
            assert PROBLEM not in said
            assert "198.51.100.7" not in said
            assert "late" in said
    for token in (bob(gate), gate.token(role="operator")):
        assert PROBLEM in gate.client(token).get("/api/v1/sources").text
        for path in paths[-2:]:
            said = gate.client(token).get(path).text
            assert PROBLEM in said
            assert "198.51.100.7" in said


def test_a_probes_page_says_first_whether_its_records_arrived(gate: Collector) -> None:
    public = gate.client()
    assert (
        '<p class="answer">Not lately: its newest record ended on'
        in public.get("/probe/slurm:kingspeak").text
    )
    assert '<p class="answer">Yes: its newest record ended on' in public.get("/probe/slurm:tusker").text
    late = public.get("/probe/SLURM:Sandhills").text
    assert '<p class="answer">Not all: ' in late
    assert "12 batches wait at its probe" in late
    assert "12 batches" in late
    assert "/plots/probe/pool.svg?name=slurm%3Asandhills" in late
    assert "Receipts, refusals" in late
    assert public.get("/plots/probe/pool.svg?name=slurm:sandhills").text.startswith("<svg")


def test_a_probe_that_nobody_knows_is_not_found_and_near_ones_are_offered(gate: Collector) -> None:
    page = gate.client().get("/probe/slurm:tuskar", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert 'href="/probe/slurm%3Atusker"' in page.text
    answer = gate.client().get("/api/v1/probes/slurm:tuskar")
    assert answer.status_code == 404
    assert "slurm:tusker" in answer.json()["error"]


def test_receipts_of_a_probe_are_for_its_contacts_and_say_what_became_of_each(gate: Collector) -> None:
    sender = gate.client(gate.token("Utah-Kingspeak"))
    address = f"/api/v1/batches?format=sacct&resource=Utah-Kingspeak&probe={KINGSPEAK}"
    good = sacct(1, 2, cluster="kingspeak")
    bad = sacct(3, wall_s=-1, cluster="kingspeak").splitlines(keepends=True)[1]
    sender.post(address, content=good + bad)
    paths = (f"/probe/{KINGSPEAK}", f"/api/v1/probes/{KINGSPEAK}")
    for path in paths:
        assert "Not yet: the batch that came" in gate.client(alice(gate)).get(path).text
    gate.load()
    for path in paths:
        said = gate.client(alice(gate)).get(path).text
        assert "Not all: of the 3 records that came last" in said
        assert "1 were refused" in said
        assert "negative_duration" in said
        for token in (None, bob(gate)):
            assert "negative_duration" not in gate.client(token).get(path).text
    assert gate.client(bob(gate)).get(paths[1]).json()["batches"] == []
    assert gate.client().get(paths[1]).json()["batches"] is None
