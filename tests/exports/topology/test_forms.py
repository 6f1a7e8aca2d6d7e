"""The registry in the forms that tools read: what is asked for, nothing left out without a word, no address of anybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from gridkeeper.errors import UserMistake
from gridkeeper.exports.topology import downtimes, organizations
from gridkeeper.exports.topology.documents import as_xml
from gridkeeper.exports.topology.filters import Filters, read_filters
from gridkeeper.exports.topology.summary import resource_summary
from gridkeeper.federation.topology.loading import read_topology
from tests.federation import invented_topology as invented

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.topology.models import Topology

DURING = datetime(2017, 2, 21, tzinfo=UTC)
AFTER = datetime(2017, 3, 1, tzinfo=UTC)
ALL = Filters(past_days=None)


def of(folder: Path, **changes: str) -> Topology:
    return read_topology(invented.write(folder, **changes)).topology


def resources(topology: Topology, *query: tuple[str, str]) -> list[str]:
    root = etree.fromstring(as_xml("ResourceSummary", resource_summary(topology, read_filters(query)), "x"))
    return [str(name.text) for name in root.findall("ResourceGroup/Resources/Resource/Name")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([], ["Springfield-CE", "Springfield-SE"]),
        ([("facility", "on"), ("facility_100", "on")], ["Springfield-CE", "Springfield-SE"]),
        ([("facility", "on"), ("facility_101", "on")], []),
        ([("site", "on"), ("site_sel[]", "200"), ("site_sel[]", "7")], ["Springfield-CE", "Springfield-SE"]),
        ([("rg", "on"), ("rg_8", "on")], []),
        ([("sc", "on"), ("sc_3", "on")], ["Springfield-CE", "Springfield-SE"]),
        ([("service", "on"), ("service_143", "on")], ["Springfield-SE"]),
        ([("voown", "on"), ("voown_1", "on")], ["Springfield-CE"]),
        ([("active", "on"), ("active_value", "1")], ["Springfield-CE"]),
        ([("active", "on"), ("active_value", "0")], ["Springfield-SE"]),
        ([("disable", "on"), ("disable_value", "1")], []),
        ([("gridtype", "on"), ("gridtype_2", "on")], []),
        (
            [("gridtype", "on"), ("gridtype_1", "on"), ("gridtype_2", "on")],
            ["Springfield-CE", "Springfield-SE"],
        ),
        ([("has_wlcg", "on")], ["Springfield-CE"]),
        ([("service_hidden_value", "0")], ["Springfield-CE"]),
        ([("service_hidden_value", "1")], []),
        ([("summary_attrs_showdesc", "on")], ["Springfield-CE", "Springfield-SE"]),
    ],
)
def test_what_is_asked_for_is_told(tmp_path: Path, query: list[tuple[str, str]], expected: list[str]) -> None:
    assert resources(of(tmp_path), *query) == expected


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ([("active", "on")], "active_value must be 0 or 1"),
        ([("facility", "on")], "facility needs ids of facilities"),
        ([("facility", "on"), ("facility_sel[]", "x")], "must be an id"),
        ([("gridtype", "on")], "gridtype needs gridtype_1=on"),
        ([("downtime_attrs_showpast", "-1")], "must be a number of days or all"),
        ([("service_hidden_value", "")], "must be 0 or 1"),
    ],
)
def test_a_question_that_cannot_be_understood_is_refused(query: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(UserMistake, match=sentence.replace("[", r"\[")):
        read_filters(query)


def test_contacts_are_told_by_name_and_nothing_else(tmp_path: Path) -> None:
    topology = of(tmp_path)
    text = as_xml("ResourceSummary", resource_summary(topology, Filters()), "x").decode()
    assert "<Name>Alice</Name>" in text
    assert "a11ce" not in text
    vos = as_xml("VOSummary", {"VO": organizations.vo_summary(topology, Filters())}, "x").decode()
    assert "<Name>Bob</Name>" in vos
    assert "b0b" not in vos


def test_owners_places_and_campus_tags_are_told(tmp_path: Path) -> None:
    root = etree.fromstring(as_xml("ResourceSummary", resource_summary(of(tmp_path), Filters()), "x"))
    shares = [(one.findtext("VO"), one.findtext("Percent")) for one in root.iter("Ownership")]
    assert shares == [("Physics", "60"), ("Biology", "20"), ("(Other)", "20")]
    assert root.findtext("ResourceGroup/Site/City") == "Springfield"
    assert [one.text for one in root.iter("IsCCStar")] == ["true", "true", "true", "true", "false"]
    assert root.findtext("ResourceGroup/Resources/Resource/WLCGInformation/APELNormalFactor") == "11.5"


def test_past_downtimes_are_told_where_asked_for(tmp_path: Path) -> None:
    topology = of(tmp_path)
    assert [one.when for one in downtimes.shown(topology, Filters(), DURING)] == ["Current"]
    assert downtimes.shown(topology, Filters(), AFTER) == []
    assert [one.when for one in downtimes.shown(topology, Filters(past_days=10), AFTER)] == ["Past"]
    assert downtimes.shown(topology, Filters(past_days=5), AFTER) == []
    assert [one.when for one in downtimes.shown(topology, ALL, AFTER)] == ["Past"]
    assert [one.when for one in downtimes.shown(topology, Filters(), datetime(2017, 1, 1, tzinfo=UTC))] == [
        "Future"
    ]


def test_times_are_utc_with_the_hour_of_24_and_am_or_pm(tmp_path: Path) -> None:
    topology = of(tmp_path)
    root = etree.fromstring(
        as_xml("Downtimes", downtimes.as_tree(downtimes.shown(topology, ALL, AFTER), topology, ALL), "x")
    )
    assert root.findtext("PastDowntimes/Downtime/StartTime") == "Feb 20, 2017 13:00 PM UTC"
    assert root.findtext("PastDowntimes/Downtime/ID") == "501"
    assert [part.tag for part in root] == ["PastDowntimes", "CurrentDowntimes", "FutureDowntimes"]


@pytest.mark.parametrize(
    ("services", "extra", "told"),
    [
        ("    - CE\n", None, [("1", "CE", "Compute Element")]),
        ("    - WebDAV\n", downtimes.LEFT, [("143", "WebDAV", downtimes.NOT_ITS)]),
        ("    - CE\n    - WebDAV\n", downtimes.SOME_LEFT, [("1", "CE", "Compute Element"), ("143", "WebDAV", downtimes.NOT_ITS)]),
        ("    []\n", downtimes.LEFT, [("0", "", downtimes.NO_SERVICE)]),
    ],
)  # fmt: skip
def test_what_others_leave_out_is_told_with_the_reason(
    tmp_path: Path, services: str, extra: str | None, told: list[tuple[str, str, str]]
) -> None:
    topology = of(tmp_path, SPR_downtime=invented.DOWNTIMES.replace("    - CE\n", services))
    (found,) = downtimes.shown(topology, ALL, AFTER)
    assert (found.extra, downtimes.as_list([found])[0]["extra"]) == (extra, extra)
    root = etree.fromstring(as_xml("Downtimes", downtimes.as_tree([found], topology, ALL), "x"))
    said = [
        (one.findtext("ID"), one.findtext("Name"), one.findtext("Description"))
        for one in root.iter("Service")
    ]
    assert [tuple(part or "" for part in one) for one in said] == told


def test_projects_and_vos_are_told_by_name(tmp_path: Path) -> None:
    topology = of(tmp_path)
    projects = organizations.by_name(organizations.projects(topology), keep_name=True)
    assert projects["Folding"]["Name"] == "Folding"
    assert projects["Folding"]["Sponsor"] == {"VirtualOrganization": {"ID": 2, "Name": "Biology"}}
    vos = organizations.by_name(organizations.vo_summary(topology, Filters()), keep_name=False)
    assert list(vos) == ["Biology", "Physics"]
    assert vos["Physics"]["ReportingGroups"]["ReportingGroup"][0]["FQANs"] == {
        "FQAN": [{"GroupName": "/physics", "Role": "pilot"}]
    }
    assert [
        one["Name"]
        for one in organizations.vo_summary(topology, read_filters([("vo", "on"), ("vo_2", "on")]))
    ] == ["Biology"]


def test_text_that_no_xml_can_hold_does_not_end_the_document(tmp_path: Path) -> None:
    topology = of(
        tmp_path,
        SPR=invented.GROUP.replace("The gateway", '"bell \\a <b>"').replace(
            "hidden: false", "{'no name': 1, hidden: false}"[1:-1]
        ),
    )
    text = as_xml("ResourceSummary", resource_summary(topology, Filters()), "x")
    assert (
        etree.fromstring(text).findtext("ResourceGroup/Resources/Resource/Description") == "bell \ufffd <b>"
    )
