"""The registry under the addresses that tools read: for everybody, as its files say now, refused with a sentence where not understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lxml import etree

from gridkeeper.federation import watching
from tests.collectors import Collector, collector
from tests.federation import invented_topology as invented
from tests.federation.topology import invented_lists

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESSES = (
    "/rgsummary/xml", "/rgdowntime/xml", "/rgdowntime/json", "/rgdowntime/ical", "/vosummary/xml", "/vosummary/json",
    "/miscproject/xml", "/miscproject/json",
)  # fmt: skip


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    made = collector(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("address", ADDRESSES)
def test_everybody_may_read_it_and_may_ask_whether_it_changed(
    gate: Collector, tmp_path: Path, address: str
) -> None:
    invented.write(tmp_path)
    public = gate.client()
    first = public.get(address)
    assert first.status_code == 200
    assert first.headers["access-control-allow-origin"] == "*"
    kind = {"xml": "text/xml", "json": "application/json", "ical": "text/calendar"}[
        address.rpartition("/")[2]
    ]
    assert first.headers["content-type"].startswith(kind)
    again = public.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_changed_file_is_seen(gate: Collector, tmp_path: Path) -> None:
    invented.write(tmp_path)
    public = gate.client()
    assert public.get("/miscproject/json").json()["Folding"]["PIName"] == "Carol"
    invented.write(tmp_path, Folding="ID: '9'\nPIName: Erin\n")
    assert public.get("/miscproject/json").json()["Folding"]["PIName"] == "Erin"
    (tmp_path / "projects" / "Folding.yaml").unlink()
    assert public.get("/miscproject/json").json() == {}


def test_filters_are_the_addresss_words(gate: Collector, tmp_path: Path) -> None:
    invented.write(tmp_path)
    public = gate.client()
    assert etree.fromstring(public.get("/rgdowntime/xml").content).findall(".//Downtime") == []
    every = etree.fromstring(public.get("/rgdowntime/xml?downtime_attrs_showpast=all").content)
    assert [one.findtext("ID") for one in every.iter("Downtime")] == ["501"]
    assert [one["extra"] for one in public.get("/rgdowntime/json?downtime_attrs_showpast=all").json()] == [
        None
    ]
    assert "X-DOWNTIME-ID:501" in public.get("/rgdowntime/ical?downtime_attrs_showpast=all").text
    assert list(public.get("/vosummary/json?vo=on&vo_2=on").json()) == ["Biology"]


def test_a_question_that_cannot_be_understood_is_answered_with_a_sentence(
    gate: Collector, tmp_path: Path
) -> None:
    invented.write(tmp_path)
    answer = gate.client().get("/rgsummary/xml?active=on&active_value=maybe")
    assert answer.status_code == 400
    assert answer.json() == {"error": "active_value must be 0 or 1, and is 'maybe'"}


def test_a_home_without_a_registry_of_this_layout_says_so(gate: Collector) -> None:
    answer = gate.client().get("/rgsummary/xml")
    assert answer.status_code == 404
    assert "holds no registry" in answer.json()["error"]


def test_sites_and_services_of_gocdb_are_published_without_anybodys_address(
    gate: Collector, tmp_path: Path
) -> None:
    invented.put(tmp_path, invented_lists.GOCDB)
    text = gate.client().get("/rgsummary/xml").text
    root = etree.fromstring(text.encode())
    assert [one.text for one in root.iterfind("ResourceGroup/Site/Name")] == ["EX-ALPHA", "EX-BETA"]
    assert [one.text for one in root.iterfind("ResourceGroup/Resources/Resource/FQDN")] == [
        "ce1.alpha.example.org", "ce2.alpha.example.org", "se.alpha.example.org", "ce.beta.example.org",
    ]  # fmt: skip
    assert not any(word in text for word in ("@", "555"))


def test_a_broken_file_takes_nothing_else_away(gate: Collector, tmp_path: Path) -> None:
    invented.write(tmp_path, Physics="ID: [\n")
    assert list(gate.client().get("/vosummary/json").json()) == ["Biology", "Physics"]
