"""Documents of CRIC are read entry by entry: what becomes what, what is left out, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation.topology.cric import read_cric
from gridkeeper.federation.topology.findings import findings
from gridkeeper.federation.topology.listed import host_of
from gridkeeper.federation.topology.loading import read_topology
from tests.federation.invented_topology import put
from tests.federation.topology import invented_lists as lists

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.federation.topology.models import Topology


def read(folder: Path, **documents: str) -> tuple[Topology, list[Fault]]:
    """The registry of these documents in cric/, by the stems of their names, and all that is wrong with it."""
    put(folder, {f"cric/{name}.json": text for name, text in documents.items()})
    loaded = read_topology(folder)
    return loaded.topology, findings(loaded)


def read_both(folder: Path, sites: Any, services: Any) -> tuple[Topology, list[Fault]]:
    return read(folder, rcsites=lists.as_cric(sites), services=lists.as_cric(services))


def test_sites_and_services_become_facilities_sites_groups_and_resources(tmp_path: Path) -> None:
    found, faults = read_both(tmp_path, lists.RCSITES, lists.CRIC_SERVICES)
    assert faults == []
    delta, gamma = found.sites
    assert (gamma.name, gamma.facility, gamma.latitude, gamma.longitude) == ("EX-GAMMA", "EX-GAMMA", 50.5, 8.25)  # fmt: skip
    assert gamma.data == {
        "Description": "ask (address left out)", "Country": "Exampleland", "Tier": "2", "Federations": "EX-LAB, EX-T2",
        "Infrastructure": "EGI", "Latitude": 50.5, "Longitude": 8.25,
    }  # fmt: skip
    assert [(one.name, one.production, one.disabled) for one in found.groups] == [("EX-DELTA", True, True), ("EX-GAMMA", True, False)]  # fmt: skip
    assert delta.facility == "EX-DELTA"
    ce, se = found.groups[1].resources
    assert (ce.name, ce.active, [one.name for one in ce.services]) == ("ce1.gamma.example.org", True, ["HTCONDOR-CE"])  # fmt: skip
    assert (se.name, se.active, [one.name for one in se.services]) == ("se.gamma.example.org", False, ["SE"])
    assert found.groups[0].resources[0].name == "ce.delta.example.org"
    assert "carol" not in repr(found)


def test_a_list_says_the_same_as_an_object_by_name(tmp_path: Path) -> None:
    by_name, _ = read_both(tmp_path / "a", lists.RCSITES, lists.CRIC_SERVICES)
    listed, _ = read_both(tmp_path / "b", [*lists.RCSITES.values()], [*lists.CRIC_SERVICES.values()])
    assert [one.data for one in listed.sites] == [one.data for one in by_name.sites]
    assert [one.name for one in listed.resources] == [one.name for one in by_name.resources]


def test_older_words_for_a_services_site_are_read(tmp_path: Path) -> None:
    services = {
        "one": {"type": "CE", "endpoint": "a.example.org:9619", "rc_site": "EX-GAMMA"},
        "two": {"type": "CE", "flavour": "ARC-CE", "endpoint": "b.example.org", "site": "EX-GAMMA"},
        "three": {"type": "Squid", "site": "EX-GAMMA", "state": "ACTIVE", "protocols": {"x": {"endpoint": "http://c.example.org:3128"}}},
    }  # fmt: skip
    found, faults = read_both(tmp_path, {"EX-GAMMA": lists.RCSITES["EX-GAMMA"]}, services)
    assert (faults, [one.name for one in found.resources]) == ([], ["a.example.org", "b.example.org", "c.example.org"])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": ', [("error", "not-json", 1)]),
        ("3", [("error", "other-document", 0)]),
        ('{"detail": "not allowed"}', [("error", "other-document", 0)]),
        ('{"A": [{"start_time": "x", "end_time": "y"}]}', [("error", "other-document", 0)]),
        ("{}", []),
        ('{\n"": {"country": "Exampleland"}}', [("error", "missing-key", 2)]),
        ('{\n"X": {"type": "CE", "endpoint": "a.example.org"}}', [("warning", "missing-key", 2)]),
        ('{"X": {"type": "CE", "endpoint": "", "rcsite": "A"}}', [("warning", "missing-key", 1)]),
        ('{"X": {"endpoint": "a.example.org", "rcsite": "A"}}', [("warning", "missing-key", 1)]),
        ('{"X": {"type": "CE", "endpoint": "??", "rcsite": "A"}}', [("warning", "bad-host", 1)]),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, text: str, expected: list[tuple[str, str, int]]
) -> None:
    found, faults = read(tmp_path, x=text)
    assert [(one.severity, one.code, one.line) for one in faults] == expected
    assert (found.sites, found.resources) == ((), ())
    assert all(one.message and one.fix and one.file == "cric/x.json" for one in faults)


def test_one_bad_entry_is_left_out_alone(tmp_path: Path) -> None:
    bad = {"lost": 3, "EX-EPSILON": {"country": {"code": "XX"}, "state": "ACTIVE", "latitude": "north", "longitude": 1}}  # fmt: skip
    found, faults = read(tmp_path, rcsites=lists.as_cric({**lists.RCSITES, **bad}), services=lists.as_cric(lists.CRIC_SERVICES))  # fmt: skip
    assert [one.name for one in found.sites] == ["EX-DELTA", "EX-EPSILON", "EX-GAMMA"]
    assert sorted(one.code for one in faults) == [
        "bad-coordinates",
        "no-services",
        "wrong-kind",
        "wrong-kind",
    ]
    assert found.sites[1].data == {}


def test_lines_are_those_of_the_keys(tmp_path: Path) -> None:
    text = '{\n"EX-A":\n {"country": "EX-B",\n  "state": "ACTIVE"},\n"EX-B" : {"country": "x"}}'
    found, _ = read(tmp_path, x=text)
    assert [(one.name, one.line) for one in found.sites] == [("EX-A", 2), ("EX-B", 5)]


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("CE1.example.org:9619", "ce1.example.org"), ("https://ce1.example.org:8443/arex?x=1", "ce1.example.org"),
        ("srm://me@se.example.org/path", "se.example.org"), ("ce1.example.org", "ce1.example.org"), ("ce1", "ce1"),
        ("https://[2001:db8::1]:443/x", "[2001:db8::1]"), ("ce1.example.org.", "ce1.example.org"), ("", None), ("http://", None),
        ("a b", None), ("-x.example.org", None), ("x..y", None), ("x" * 64, None), (".".join(["x" * 60] * 5), None),
    ],
)  # fmt: skip
def test_the_host_of_an_endpoint(endpoint: str, host: str | None) -> None:
    assert host_of(endpoint) == host


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["name", "type", "flavour", "endpoint", "rcsite", "site", "state", "country", "federations", "protocols", "latitude", "longitude", "description", "rc_tier_level"])  # fmt: skip


@given(
    st.dictionaries(st.text(max_size=5), st.dictionaries(keys, values))
    | st.lists(st.dictionaries(keys, values))
)
def test_whatever_the_values_are_nothing_raises(document: Any) -> None:
    faults: list[Fault] = []
    listing = read_cric(lists.as_cric(document).encode(), "cric/x.json", faults)
    assert listing is not None or faults
    assert all(one.message and one.fix and one.line >= 0 for one in faults)


WHOLE = lists.as_cric({**lists.RCSITES, **lists.CRIC_SERVICES}).encode()


@given(st.data())
def test_a_mutilated_document_is_told_and_never_raises(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(WHOLE)))
    until = data.draw(st.integers(at, min(len(WHOLE), at + 40)))
    faults: list[Fault] = []
    listing = read_cric(WHOLE[:at] + data.draw(st.binary(max_size=12)) + WHOLE[until:], "cric/x.json", faults)
    assert listing is not None or faults
