"""The published forms of the real registry agree with what its own renderer made of it, but for what that one leaves out."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from gridkeeper.exports.topology import downtimes, organizations
from gridkeeper.exports.topology.documents import as_xml
from gridkeeper.exports.topology.filters import Filters
from gridkeeper.exports.topology.summary import resource_summary
from gridkeeper.federation.topology.loading import read_topology
from tests.federation.invented_topology import put
from tests.federation.topology import invented_lists
from tests.shared_material import shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gridkeeper.federation.topology.models import Topology

RENDERED_AT = datetime(2026, 11, 22, 19, 17, tzinfo=UTC)
ALL = Filters(past_days=None)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    return read_topology(shared("topology"), tmp_path_factory.mktemp("cache")).topology


def theirs(name: str) -> etree._Element:
    return etree.fromstring(gzip.decompress(shared(f"topology/rendered/{name}.xml.gz").read_bytes()))


def made(real: Topology, name: str) -> bytes:
    if name == "rgsummary":
        return as_xml("ResourceSummary", resource_summary(real, Filters()), "x")
    if name == "rgdowntime":
        return as_xml("Downtimes", downtimes.as_tree(downtimes.shown(real, ALL, RENDERED_AT), real, ALL), "x")
    if name == "vosummary":
        return as_xml("VOSummary", {"VO": organizations.vo_summary(real, Filters())}, "x")
    return as_xml("Projects", {"Project": organizations.projects(real)}, "x")


@pytest.mark.parametrize("name", ["rgsummary", "rgdowntime", "vosummary", "miscproject"])
def test_every_form_is_valid_by_its_published_schema(real: Topology, name: str) -> None:
    schema = etree.XMLSchema(etree.parse(str(shared(f"topology/meta/{name}.xsd"))))
    schema.assertValid(etree.fromstring(made(real, name)))


def test_sites_of_gocdb_and_cric_are_valid_but_for_the_contacts_that_nobody_names(tmp_path: Path) -> None:
    schema = etree.XMLSchema(etree.parse(str(shared("topology/meta/rgsummary.xsd"))))
    put(tmp_path, {**invented_lists.GOCDB, **invented_lists.CRIC})
    root = etree.fromstring(made(read_topology(tmp_path).topology, "rgsummary"))
    lists = list(root.iter("ContactLists"))
    assert len(lists) == 7
    for empty in lists:
        one = etree.SubElement(empty, "ContactList")
        etree.SubElement(one, "ContactType")
        etree.SubElement(etree.SubElement(one, "Contacts"), "Contact")
    schema.assertValid(root)


def key(entry: etree._Element) -> tuple[str | None, ...]:
    parts = [
        entry.findtext(name) for name in ("ID", "ResourceName", "Class", "Severity", "StartTime", "EndTime")
    ]
    return (*parts, *(service.findtext("Name") for service in entry.iter("Service")))


def test_downtimes_agree_but_for_what_the_other_renderer_leaves_out(real: Topology) -> None:
    shown = downtimes.shown(real, ALL, RENDERED_AT)
    assert Counter(one.extra for one in shown) == {
        None: 3564, downtimes.LEFT: 214, downtimes.SOME_LEFT: 34, downtimes.HIDDEN: 9,
    }  # fmt: skip
    ours = {key(entry) for entry in etree.fromstring(made(real, "rgdowntime")).iter("Downtime")}
    others = {key(entry) for entry in theirs("rgdowntime").iter("Downtime")}
    assert len(others) == 3598
    explained = {str(one.entry.id) for one in shown if one.extra == downtimes.SOME_LEFT}
    assert {each[0] for each in others - ours} == explained
    reasons = {str(one.entry.id) for one in shown if one.extra is not None}
    assert {each[0] for each in ours - others} == reasons
    assert Counter(one.when for one in shown)["Current"] == 12


def differences(ours: etree._Element, others: etree._Element, path: str = "") -> Iterator[str]:
    if (ours.tag, [part.tag for part in ours]) != (others.tag, [part.tag for part in others]):
        yield f"{path}: other elements"
        return
    if (ours.text or "").strip() != (others.text or "").strip():
        yield f"{path}: {others.text} {ours.text}"
    for mine, other in zip(ours, others, strict=True):
        yield from differences(mine, other, f"{path}/{mine.tag}")


def test_the_resource_summary_agrees_but_for_what_was_misread(real: Topology) -> None:
    def by_name(root: etree._Element) -> dict[tuple[str | None, str | None], etree._Element]:
        return {(one.findtext("GroupName"), one.findtext("Site/Name")): one for one in root}

    ours, others = by_name(etree.fromstring(made(real, "rgsummary"))), by_name(theirs("rgsummary"))
    assert ours.keys() == others.keys()
    found = Counter(line for name, group in ours.items() for line in differences(group, others[name]))
    octal = {line for line in found if line.startswith("/Site/Zipcode: ")}
    assert {int(old, 10) for old in (line.split()[1] for line in octal)} == {
        0o1040,
        0o1003,
    }  # 01040 was read as octal
    assert all("Details: endpoint:" in line for line in found.keys() - octal)  # text where keys should be
    assert found.total() == 6
