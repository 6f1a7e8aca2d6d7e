"""Batches and the audit, page by page: what fits a question, and whose a batch is that names no resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gridkeeper.intake import quarantine
from gridkeeper.intake.inbox import Arrival
from gridkeeper.records.draft import Delivery
from tests.collectors import LOCAL, Collector, collector
from tests.web.test_batches import sacct
from tests.web.test_quarantine import FEDERATION, alice, bob, carol, send

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("on_each_engine")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", federation=FEDERATION)
    yield made
    made.services.reading.close()
    made.close()


def test_batches_are_listed_page_by_page_and_by_state_probe_resource_and_day(gate: Collector) -> None:
    names = [
        send(gate, "Utah-Kingspeak", "slurm:kingspeak", sacct(number, cluster="kingspeak"))
        for number in range(5)
    ]
    gate.load()
    names.append(send(gate, "Tusker", "slurm:tusker", sacct(1, cluster="tusker")))
    client = gate.client(carol(gate))
    found: list[str] = []
    path = "/api/v1/batches?limit=4"
    while path:
        answer = client.get(path)
        found += [one["batch"] for one in answer.json()["batches"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert found == names[::-1]
    today = f"{gate.services.now():%Y-%m-%d}"
    for asked, count in (
        ("state=waiting", 1), ("state=loaded", 5), ("probe=SLURM:tusker", 1), ("resource=utah-kingspeak", 5),
        (f"day={today}", 6), ("day=2016-01-01", 0), ("state=loaded&resource=Tusker", 0),
    ):  # fmt: skip
        assert len(client.get(f"/api/v1/batches?{asked}").json()["batches"]) == count, asked
        assert gate.client(carol(gate)).get(f"/batches?{asked}").text.count('<th scope="row">') == count, (
            asked
        )
    for bad in ("state=lost", "day=someday", "before=nothing", "size=3"):
        answer = client.get(f"/api/v1/batches?{bad}")
        assert answer.status_code == 400
        assert bad.partition("=")[0] in answer.json()["error"]


def test_the_name_of_a_probe_is_a_strangers_word(gate: Collector) -> None:
    """Only from a sender that is bound to Utah's resource, or trusted, does it make a batch Utah's."""
    seen = {}
    for number, resources in enumerate(
        (("tusker",), ("tusker", 'x"utah-kingspeak'), ("tusker", "kingspeak"), None)
    ):
        foreign = frozenset({"utah-kingspeak"})
        delivery = Delivery(
            gate.services.now(), may_send_for=resources and frozenset(resources), foreign_probes=foreign
        )
        binding = quarantine.binding_text(delivery) if resources else None
        arrival = Arrival(
            "gratia",
            "gratia-post",
            "identity",
            "somebody",
            LOCAL,
            None,
            "condor:CE.example.org",
            None,
            binding,
        )
        gate.services.inbox.finish(gate.services.inbox.open_upload(arrival), b"x").result(30)
        seen[number] = len(gate.client(alice(gate)).get("/api/v1/batches").json()["batches"])
    assert seen == {0: 0, 1: 0, 2: 1, 3: 2}
    assert len(gate.client(carol(gate)).get("/api/v1/batches").json()["batches"]) == 4
    assert gate.client(bob(gate)).get("/api/v1/batches").json()["batches"] == []


def test_the_audit_is_read_page_by_page_and_by_who_act_and_day(gate: Collector) -> None:
    tokens = [carol(gate) for _ in range(5)]
    client = gate.client(tokens[0])
    first = client.get("/api/v1/audit?limit=3").json()
    rest = client.get(f"/api/v1/audit?limit=3&before={first['before']}").json()
    numbers = [entry["id"] for page in (first, rest) for entry in page["entries"]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 5
    assert rest["before"] is None
    assert client.get("/api/v1/audit?act=quarantine").json()["entries"] == []
    assert len(client.get("/api/v1/audit?who=local+carol&act=token").json()["entries"]) == 5
    assert client.get("/api/v1/audit?since=2100-01-01").json()["entries"] == []
    page = client.get("/audit?who=local+carol").text
    assert page.count("<td>") >= 5
    assert tokens[0].rpartition("_")[2] not in page
    assert tokens[0].rpartition("_")[2] not in json.dumps(first)
    for bad in ("before=x", "since=someday", "whose=mine"):
        assert client.get(f"/audit?{bad}").status_code == 400
