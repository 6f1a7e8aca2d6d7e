"""Every source is listed with what it is booked on and why; what is ambiguous or unknown is listed by its hours, never guessed."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.federation.reading import read_home
from gridkeeper.federation.topology.findings import shared_names
from gridkeeper.federation.topology.loading import read_topology
from gridkeeper.queries.matching import Matched, sources
from gridkeeper.queries.periods import Period
from gridkeeper.summaries.books import Books
from tests.federation import invented_topology as invented
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from pathlib import Path

SHARED = invented.GROUP + (
    "  Springfield-A: {FQDN: both.example.org, ContactLists: {}, Services: {CE: {Description: x}}}\n"
    "  Springfield-B: {FQDN: both.example.org, ContactLists: {}, Services: {CE: {Description: x}}}\n"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matching")
    home = InventedHome(folder)
    invented.write(folder, SPR=SHARED)
    for number, (cluster, probe) in enumerate(
        [
            ("Springfield-CE", None),
            ("gate.springfield.example.org", None),
            ("SPR", "htcondor-ce:ce.springfield.example.org"),
            ("both.example.org", None),
            ("elsewhere", "slurm:both.example.org"),
            ("nowhere", None),
            ("Springfield-SE", "slurm:ce.springfield.example.org"),
        ]
    ):
        jobs = every_day("2017-01-01", "2017-01-04", number=1 + 10 * number, cores=1 + number)
        home.slurm(cluster, jobs, probe=probe)
    home.payloads("SPR", every_day("2017-01-01", "2017-01-04", number=1))
    return folder


def found(folder: Path, period: Period | None = None) -> dict[str | None, Matched]:
    place = wired(folder)
    books = Books(place.lake, read_home(place.home))
    listed = sources(books, shared_names(read_topology(folder).topology), period)
    return {one.place: one for one in listed}


@pytest.mark.parametrize(
    ("place", "state", "resource", "by", "why"),
    [
        ("Springfield-CE", "matched", "Springfield-CE", "resource", "its resource is the name of Springfield-CE"),
        ("gate.springfield.example.org", "matched", "Springfield-CE", "resource", "its resource, gate.springfield.example.org, is a host of Springfield-CE"),
        ("both.example.org", "ambiguous", "both.example.org", None, "what it says is common to Springfield-A, Springfield-B"),
        ("elsewhere", "ambiguous", "elsewhere", None, "what it says is common to Springfield-A, Springfield-B"),
        ("nowhere", "unmatched", "nowhere", None, "no resource is known by resource nowhere or probe slurm:nowhere"),
        ("Springfield-SE", "matched", "Springfield-SE", "resource", "its resource is the name of Springfield-SE"),
    ],
)  # fmt: skip
def test_each_source_has_a_reason(
    filled: Path, place: str, state: str, resource: str, by: str | None, why: str
) -> None:
    one = found(filled)[place]
    assert (one.state, one.resource, one.by, one.why) == (state, resource, by, why)


def test_a_group_matches_by_the_host_of_its_probe_and_a_payload_only_its_site(filled: Path) -> None:
    told = json.loads(run(filled, "SPR", "--json"))["sources"]
    batch, payload = sorted(told, key=lambda one: str(one["level"]))
    assert (batch["resource"], batch["by"], batch["word"]) == (
        "Springfield-CE",
        "probe",
        "htcondor-ce:ce.springfield.example.org",
    )
    assert (payload["state"], payload["resource"], payload["site"]) == ("site", "SPR", "Springfield")


def test_a_probe_that_says_another_resource_is_told(filled: Path) -> None:
    one = found(filled)["Springfield-SE"]
    assert (one.resource, one.other) == ("Springfield-SE", "Springfield-CE")


def test_nothing_is_lost_and_hours_are_exact(filled: Path) -> None:
    told = json.loads(run(filled, "--json"))
    assert sum(part["core_hours"] for part in told["totals"].values()) == 3 * (sum(range(1, 8)) + 1)
    assert sum(part["jobs"] for part in told["totals"].values()) == 3 * 8
    assert [one["state"] for one in told["sources"]][:3] == ["unmatched", "ambiguous", "ambiguous"]


def test_a_period_and_states_can_be_asked_for(filled: Path) -> None:
    assert found(filled, Period(date(2017, 1, 1), date(2017, 1, 2)))["nowhere"].jobs == 1
    told = json.loads(run(filled, "--state", "ambiguous", "--json"))
    assert {one["state"] for one in told["sources"]} == {"ambiguous"}
    assert list(told["totals"]) == ["ambiguous"]
    assert "no resource is known by" in run(filled, "nowhere")


def test_a_state_that_is_none_is_refused(filled: Path) -> None:
    result = CliRunner().invoke(app, ["federation", "match", "--state", "lost", "--home", str(filled)])
    assert "none of matched, site, ambiguous, unmatched" in str(result.exception)


def run(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["federation", "match", *arguments, "--home", str(home)])
    assert result.exit_code == 0, result.output
    return result.stdout
