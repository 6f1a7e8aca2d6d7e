"""Several registries, and several pages of one, make one registry: what counts first, and what they say of one another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation import bounded_xml
from gridkeeper.federation.topology import cric, loading
from gridkeeper.federation.topology.findings import findings, shared_names
from gridkeeper.federation.topology.gocdb import read_gocdb
from gridkeeper.federation.topology.loading import has_osg_layout, has_topology, read_topology, stamp
from gridkeeper.federation.topology.merging import with_listings
from gridkeeper.federation.topology.models import Topology
from tests.federation import invented_topology as invented
from tests.federation.topology import invented_lists as lists

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.topology.faults import Fault


def read(folder: Path, files: dict[str, str]) -> tuple[Topology, list[Fault]]:
    invented.put(folder, files)
    loaded = read_topology(folder)
    return loaded.topology, findings(loaded)


def told(faults: list[Fault]) -> list[tuple[str, str, str, int]]:
    return [(one.severity, one.code, one.file, one.line) for one in faults]


@pytest.mark.parametrize("name", ["SPRINGFIELD", "spr", "Springfield-CE"])
def test_what_the_osg_layout_knows_by_name_counts(tmp_path: Path, name: str) -> None:
    files = {
        "gocdb/sites.xml": lists.results(lists.site(name), lists.site("EX-ALPHA")),
        "gocdb/services.xml": lists.results(lists.service(name, "ce.elsewhere.example.org"), lists.service("EX-ALPHA", "ce1.alpha.example.org")),
    }  # fmt: skip
    found, faults = read(invented.write(tmp_path), files)
    assert [one.name for one in found.sites] == ["Springfield", "EX-ALPHA"]
    assert [one.name for one in found.resources] == [
        "Springfield-CE",
        "Springfield-SE",
        "ce1.alpha.example.org",
    ]
    assert told(faults) == [("note", "known-elsewhere", "gocdb/sites.xml", 3)]
    assert "is known from the OSG layout, which counts" in faults[0].message


def test_services_at_a_site_of_the_osg_layout_are_told_where_no_document_of_sites_is(tmp_path: Path) -> None:
    files = {"gocdb/services.xml": lists.results(lists.service("springfield", "x.example.org"))}
    found, faults = read(invented.write(tmp_path), files)
    assert told(faults) == [("note", "known-elsewhere", "gocdb/services.xml", 3)]
    assert len(found.resources) == 2


def test_the_osg_layouts_lists_keep_their_ids(tmp_path: Path) -> None:
    sites = lists.results(
        lists.site("EX-ALPHA", official_name="Springfield University", roc="Springfield Help")
    )
    services = lists.results(lists.service("EX-ALPHA", "ce1.example.org", "CE"))
    found, faults = read(invented.write(tmp_path), {"gocdb/sites.xml": sites, "gocdb/services.xml": services})
    assert faults == []
    assert [one.id for one in found.facilities] == [100]
    assert (found.service_types, found.support_centers["Springfield Help"].id) == (
        {"CE": 1, "WebDAV": 143},
        3,
    )


def test_gocdb_counts_before_cric(tmp_path: Path) -> None:
    rcsites = {"ex-alpha": {"name": "ex-alpha", "country": "Elsewhere", "state": "DISABLED"}, **lists.RCSITES}
    services = {
        "X": {"type": "CE", "endpoint": "other.example.org", "rcsite": "EX-ALPHA"},
        **lists.CRIC_SERVICES,
    }
    files = {"cric/rcsites.json": lists.as_cric(rcsites), "cric/services.json": lists.as_cric(services)}
    found, faults = read(tmp_path, {**lists.GOCDB, **files})
    assert told(faults) == [("note", "known-elsewhere", "cric/rcsites.json", 2)]
    assert "is known from GOCDB, which counts" in faults[0].message
    assert [one.name for one in found.sites] == ["EX-ALPHA", "EX-BETA", "EX-DELTA", "EX-GAMMA"]
    assert "other.example.org" not in {one.name for one in found.resources}


def test_services_of_cric_fill_in_where_gocdb_lists_none_of_a_site(tmp_path: Path) -> None:
    services = {"X": {"type": "CE", "endpoint": "ce9.example.org", "rcsite": "EX-ALPHA"}}
    found, faults = read(
        tmp_path, {"gocdb/sites.xml": lists.SITES, "cric/services.json": lists.as_cric(services)}
    )
    assert [(one.name, one.site, one.facility) for one in found.resources] == [("ce9.example.org", "EX-ALPHA", "University of EX-ALPHA")]  # fmt: skip
    assert told(faults) == [("note", "known-elsewhere", "cric/services.json", 2)]


def test_a_site_on_two_pages_is_one_and_what_differs_is_told(tmp_path: Path) -> None:
    same = {**lists.GOCDB, "gocdb/sites2.xml": lists.results(lists.site("EX-ALPHA"))}
    found, faults = read(tmp_path, same)
    assert ([one.name for one in found.sites], faults) == (["EX-ALPHA", "EX-BETA"], [])
    other = lists.results(lists.site("EX-ALPHA", country="Elsewhere"))
    found, faults = read(tmp_path, {"gocdb/sites2.xml": other})
    assert found.sites[0].data["Country"] == "Exampleland"
    assert told(faults) == [("warning", "duplicate-name", "gocdb/sites2.xml", 3)]
    assert "in gocdb/sites.xml, line 3" in faults[0].message


def test_a_site_that_no_document_lists_is_made_of_its_name(tmp_path: Path) -> None:
    found, faults = read(tmp_path, {"gocdb/services.xml": lists.SERVICES})
    assert [(one.name, one.facility, one.data) for one in found.sites] == [("EX-ALPHA", "EX-ALPHA", {}), ("EX-BETA", "EX-BETA", {})]  # fmt: skip
    assert told(faults) == [("note", "unknown-site", "gocdb/services.xml", 0)]
    assert "fetch get_site, too" in faults[0].fix
    found, faults = read(tmp_path, {"gocdb/sites.xml": lists.results(lists.site("EX-BETA"))})
    assert [one.name for one in found.sites] == ["EX-ALPHA", "EX-BETA"]
    assert told(faults) == [("note", "unknown-site", "gocdb/services.xml", 3)]


def test_sites_without_services_are_told_once_or_one_by_one(tmp_path: Path) -> None:
    _, faults = read(tmp_path, {"gocdb/sites.xml": lists.SITES})
    assert told(faults) == [("note", "no-services", "gocdb/sites.xml", 0)]
    _, faults = read(
        tmp_path, {"gocdb/services.xml": lists.results(lists.service("EX-BETA", "b.example.org"))}
    )
    assert told(faults) == [("note", "no-services", "gocdb/sites.xml", 3)]


def test_a_host_at_two_sites_is_told_where_the_last_one_lists_it(tmp_path: Path) -> None:
    services = lists.results(
        lists.service("EX-ALPHA", "ce.example.org"), lists.service("EX-BETA", "CE.example.org")
    )
    found, faults = read(tmp_path, {"gocdb/sites.xml": lists.SITES, "gocdb/services.xml": services})
    assert told(faults) == [("warning", "shared-fqdn", "gocdb/services.xml", 14)]
    assert (
        "is the FQDN of 2 sites, EX-ALPHA, EX-BETA (first in gocdb/services.xml, line 3)" in faults[0].message
    )
    assert shared_names(found) == {"ce.example.org": ("EX-ALPHA", "EX-BETA")}


def test_a_host_of_a_listed_site_and_of_an_osg_resource_is_told(tmp_path: Path) -> None:
    files = {
        "gocdb/services.xml": lists.results(lists.service("EX-ALPHA", "ce.springfield.example.org")),
        "gocdb/sites.xml": lists.results(lists.site("EX-ALPHA")),
    }
    _, faults = read(invented.write(tmp_path), files)
    assert told(faults) == [("error", "shared-fqdn", "gocdb/services.xml", 3)]


def test_what_the_cache_keeps_is_what_the_documents_say(tmp_path: Path) -> None:
    invented.put(invented.write(tmp_path), {**lists.GOCDB, **lists.CRIC})
    fresh = read_topology(tmp_path)
    assert fresh.topology.folders == (*loading.FOLDERS, "gocdb", "cric")
    cache = tmp_path / "cache"
    assert (read_topology(tmp_path, cache), read_topology(tmp_path, cache)) == (fresh, fresh)


@pytest.mark.parametrize("folder", ["gocdb", "cric"])
def test_a_folder_of_documents_is_a_registry_and_every_change_of_it_is_noticed(
    tmp_path: Path, folder: str
) -> None:
    assert not has_topology(tmp_path)
    name, text = next((name, text) for name, text in {**lists.GOCDB, **lists.CRIC}.items() if folder in name)
    stamps = {stamp(tmp_path)}
    invented.put(tmp_path, {name: text})
    assert has_topology(tmp_path)
    assert not has_osg_layout(tmp_path)
    stamps.add(stamp(tmp_path))
    (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    stamps.add(stamp(tmp_path))
    assert len(stamps) == 3


def test_a_document_in_the_wrong_folder_or_beyond_its_bound_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "LIST_LIMIT_BYTES", 100)
    files = {
        "gocdb/x.json": "{}",
        "cric/x.xml": "<results/>",
        "gocdb/big.xml": lists.SITES,
        "gocdb/README": "x",
    }
    _, faults = read(tmp_path, files)
    assert told(faults) == [
        ("warning", "unread-file", "cric/x.xml", 0), ("error", "beyond-bounds", "gocdb/big.xml", 0),
        ("warning", "unread-file", "gocdb/x.json", 0),
    ]  # fmt: skip


def test_a_document_of_more_elements_than_are_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_xml, "MOST_MARKS", 50)
    monkeypatch.setattr(cric, "MOST_MARKS", 5)
    _, faults = read(
        tmp_path, {"gocdb/sites.xml": lists.SITES, "cric/rcsites.json": lists.CRIC["cric/rcsites.json"]}
    )
    assert told(faults) == [
        ("error", "beyond-bounds", "cric/rcsites.json", 0), ("error", "beyond-bounds", "gocdb/sites.xml", 0),
    ]  # fmt: skip


ENTRIES = [
    *(lists.site(f"EX-{letter}") for letter in "ABC"),
    *(lists.service(f"EX-{letter}", f"{host}.example.org", kind) for letter in "ABD" for host in (f"ce-{letter}", "shared") for kind in ("ARC-CE", "SRM")),
    lists.service("EX-A", "ce-A.example.org", in_production="N", url="https://b.example.org"),
]  # fmt: skip


def said(pages: list[list[str]]) -> list[Any]:
    """What these pages make, without files and lines."""
    faults: list[Fault] = []
    read = [read_gocdb(lists.results(*page).encode(), "gocdb/x.xml", faults) for page in pages]
    made = with_listings(Topology(), [one for one in read if one is not None], faults)
    text = re.sub(r"line=\d+|'FQDN': \d+|\(first in[^)]*\)", "", repr(made))
    return [text, sorted((one.code, re.sub(r"\d+", "", one.message)) for one in faults)]


@given(st.permutations(ENTRIES), st.lists(st.sampled_from(ENTRIES), max_size=4), st.integers(0, len(ENTRIES)))
def test_the_order_of_pages_and_entries_and_their_repetition_change_nothing(
    entries: list[str], again: list[str], at: int
) -> None:
    assert said([[*entries[:at], *again], entries[at:]]) == said([ENTRIES])
