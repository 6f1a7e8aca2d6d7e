"""Reading downtimes in every form: nothing lost without a word, and what is typed several times is one incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.downtimes import calendar, cric, gocdb, osg_yaml
from gridkeeper.federation.downtimes.forms import read_bytes, read_path
from gridkeeper.federation.downtimes.model import Classification, Severity, UnreadableDowntimes, incidents
from tests.federation.downtimes.sample import DOWNTIMES, topology
from tests.homes import at
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

GOCDB = b"""<results><DOWNTIME ID="7" PRIMARY_KEY="7G0" CLASSIFICATION="SCHEDULED"><HOSTNAME>ce.example.org</HOSTNAME>
<SERVICE_TYPE>ARC-CE</SERVICE_TYPE><ENDPOINT>ce.example.orgARC-CE</ENDPOINT><HOSTED_BY>EXAMPLE</HOSTED_BY><SEVERITY>WARNING</SEVERITY>
<DESCRIPTION>power</DESCRIPTION><INSERT_DATE>1656137042</INSERT_DATE><START_DATE>1656288000</START_DATE><END_DATE>1688169600</END_DATE>
</DOWNTIME><DOWNTIME ID="8" PRIMARY_KEY="8G0" CLASSIFICATION="SOMETIMES"><SEVERITY>OUTAGE</SEVERITY><START_DATE>1</START_DATE>
<END_DATE>2</END_DATE></DOWNTIME></results>"""
AGIS = b"""{"EXAMPLE": [{"id": 5, "pid": "101", "provider": "OIM", "rc_site": "EXAMPLE", "affected_services": "CE, SRMv2",
"services": [{"type": "CE", "flavour": "ARC-CE", "endpoint": "ce1.example.org:2811"},
{"type": "PerfSonar", "flavour": "Latency", "endpoint": "ps.example.org"}],
"classification": "SCHEDULED", "severity": "OUTAGE", "start_time": "2017-02-20T14:00:00", "end_time": "2017-02-22T14:00:00",
"create_time": "2017-02-10T18:00:00.990517", "description": "new cooling"}, "oops"]}"""
RENDERED = b"""<Downtimes><PastDowntimes><Downtime><ID>101</ID><ResourceGroup><GroupName>EXAMPLE</GroupName></ResourceGroup>
<ResourceName>EXAMPLE_CE1</ResourceName><ResourceFQDN>ce1.example.org</ResourceFQDN><StartTime>Feb 20, 2017 14:00 PM UTC</StartTime>
<EndTime>Feb 22, 2017 14:00 PM UTC</EndTime><Class>SCHEDULED</Class><Severity>Outage</Severity><CreatedTime>Not Available</CreatedTime>
<Services><Service><ID>1</ID><Name>CE</Name><Description/></Service></Services><Description>new cooling</Description></Downtime>
</PastDowntimes></Downtimes>"""
HIDDEN = """\
- Class: SCHEDULED
  ID: 1
  Severity: Outage
  StartTime: Feb 20, 2017 08:00 +0000
  EndTime: Feb 21, 2017 08:00 +0000
  ResourceName: EXAMPLE_SE
  Services:
  - SRMv2
  - Class: UNSCHEDULED
  ID: 2
  Severity: Severe
  StartTime: Mar 20, 2017 08:00 +0000
  EndTime: Mar 21, 2017 08:00 +0000
  ResourceName: EXAMPLE_CE1
  Services:
  - CE
"""


def test_a_topology_gives_rows_with_their_lines_and_incidents(tmp_path: Path) -> None:
    reading = read_path(topology(tmp_path))
    assert [(row.id, row.resource, row.place.line) for row in reading.rows] == [
        ("101", "EXAMPLE_CE1", 2), ("102", "EXAMPLE_SE", 13), ("103", "EXAMPLE_CE2", 25),
    ]  # fmt: skip
    assert reading.refused == ()
    first, second = incidents(reading.rows)
    assert first.affected == (("EXAMPLE_CE1", "CE"), ("EXAMPLE_SE", "SRMv2"), ("EXAMPLE_SE", "GridFtp"))
    assert first.window.start.at == at("2017-02-20T14:00")
    assert first.window.start.text == "Feb 20, 2017 08:00 -0600"
    assert (first.first.declared_class, first.first.derived_class) == (
        Classification.SCHEDULED,
        Classification.SCHEDULED,
    )
    assert second.first.derived_class is None  # nobody wrote when it was announced
    assert [first.state(at(day)) for day in ("2017-02-19", "2017-02-21", "2017-02-23")] == [
        "future",
        "current",
        "past",
    ]


def test_a_downtime_inside_another_ones_item_is_read_and_noticed() -> None:
    reading = osg_yaml.read(HIDDEN.encode(), "EXAMPLE_downtime.yaml")
    assert [(row.id, row.declared_class, row.hidden, row.place.line) for row in reading.rows] == [
        ("1", "SCHEDULED", True, 1), ("2", "UNSCHEDULED", False, 9),
    ]  # fmt: skip
    assert [service.name for service in reading.rows[0].services] == ["SRMv2"]
    told = [bad.reason for bad in reading.refused if str(bad.place).startswith("EXAMPLE_downtime.yaml:")]
    assert any("downtime 2 has no dash of its own and is part of downtime 1" in reason for reason in told)
    assert not any(bad.lost for bad in reading.refused)


def test_an_id_that_stands_twice_leaves_a_downtime_without_its_id() -> None:
    slipped = DOWNTIMES.replace("  ID: 102\n", "").replace("  - CE\n# ---", "  - CE\n  ID: 102\n# ---", 1)
    reading = osg_yaml.read(slipped.encode(), "EXAMPLE_downtime.yaml")
    assert [row.id for row in reading.rows] == ["101", None, "103"]
    assert any("has a second ID, 102" in bad.reason for bad in reading.refused)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Severity: Outage", "Severity: Bad", "the severity 'Bad' is none of Outage"),
        ("Class: SCHEDULED", "Class: PLANNED", "neither SCHEDULED nor UNSCHEDULED"),
        ("StartTime: Feb 20, 2017 08:00 -0600", "StartTime: yesterday", "'yesterday' is no time"),
        ("  ResourceName: EXAMPLE_CE1\n", "", "the downtime has no ResourceName"),
    ],
)
def test_a_bad_item_is_refused_alone(old: str, new: str, said: str) -> None:
    reading = osg_yaml.read(DOWNTIMES.replace(old, new, 1).encode(), "f")
    assert [row.id for row in reading.rows] == ["102", "103"]
    assert [(bad.lost, said in bad.reason) for bad in reading.refused if bad.lost] == [(True, True)]


def test_gocdb_agis_and_the_rendering_are_told_by_how_they_begin() -> None:
    told = read_bytes(GOCDB, "gocdb")
    assert [
        (row.id, row.severity, row.services[0].name, row.services[0].said, row.host) for row in told.rows
    ] == [("7G0", Severity.AT_RISK, "CE", "ARC-CE", "ce.example.org")]
    assert "'SOMETIMES' is neither" in told.refused[0].reason
    agis = read_bytes(AGIS, "agis")
    assert [(row.id, row.site, row.named) for row in agis.rows] == [("101", "EXAMPLE", ("CE", "SRMv2"))]
    assert [(each.name, each.flavour, each.host) for each in agis.rows[0].services] == [
        ("CE", "ARC-CE", "ce1.example.org"), ("net.perfSONAR.Latency", "Latency", "ps.example.org"),
    ]  # fmt: skip
    assert agis.rows[0].window.start.offset_minutes is None
    assert agis.refused[0].place.file == "agis › EXAMPLE › 1"
    (rendered,) = read_bytes(RENDERED, "xml").rows
    assert (rendered.id, rendered.resource, rendered.created) == ("101", "EXAMPLE_CE1", None)
    assert rendered.window.start.at == at("2017-02-20T14:00")


def test_what_is_written_is_read_again() -> None:
    rows = osg_yaml.read(DOWNTIMES.encode(), "f").rows
    back = calendar.read(calendar.write(rows, at("2017-02-07")), "ics").rows
    assert [(a.id, a.resource, a.services, a.severity, a.declared_class, a.description) for a in back] == [
        (b.id, b.resource, b.services, b.severity, b.declared_class, b.description) for b in rows
    ]
    for again in (back, gocdb.read(gocdb.write(rows), "xml").rows, cric.read(cric.write(rows), "json").rows):
        assert {(a.id, a.window.start.at, a.window.end and a.window.end.at) for a in again} == {
            (b.id, b.window.start.at, b.window.end and b.window.end.at) for b in rows
        }
        assert {service.name for row in again for service in row.services} == {"CE", "SRMv2", "GridFtp"}
    assert all(len(line) <= 75 for line in calendar.write(rows, at("2017-02-07")).split(b"\r\n"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html/>", "the root html"),
        (b"<results>", "is no XML"),
        (b"{", "is no JSON"),
        (b"a: 1", "is no list of downtimes"),
        (b"\xff\xfe\x00", "is no UTF-8"),
        (b"- [", "is no YAML"),
        (b"[" * 100_000, "is no JSON"),
        (b"- " + b"[" * 100_000, "deep"),
    ],
)
def test_what_is_no_form_is_refused_with_its_name(data: bytes, said: str) -> None:
    with pytest.raises(UnreadableDowntimes, match=said):
        read_bytes(data, "thing")


def test_an_entity_is_not_followed() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + GOCDB.replace(b"power", b"&a;")
    assert "root:" not in read_bytes(bomb, "xml").rows[0].description


def test_the_real_topology_is_read_whole_and_makes_the_measured_incidents() -> None:
    rows = read_path(shared("topology/topology")).rows
    seen_by_all = [row for row in rows if not row.hidden]
    assert len(seen_by_all) == 3812
    assert len(rows) == 3821  # nine more that stand inside other items, and that readers of YAML lose
    found = incidents(seen_by_all)
    assert len(found) == 1450
    several = [incident for incident in found if len(incident.rows) > 1]
    assert (
        len(several),
        sum(len(each.rows) for each in several),
        max(len(each.rows) for each in several),
    ) == (575, 2937, 20)


def test_the_real_renderings_and_captures_are_read_whole() -> None:
    rendered = read_path(shared("topology/rendered/rgdowntime.xml.gz"))
    assert (len(rendered.rows), rendered.refused) == (3598, ())
    agis = read_path(shared("topology/pairs/agis_downtimes_calendar_2018-09.json"))
    assert (len(agis.rows), agis.refused) == (33, ())
    assert sum(not row.services for row in agis.rows) == 9
    captured = read_path(shared("monitoring/gocdb/sampleData_Downtimes.xml"))
    assert (len(captured.rows), len(incidents(captured.rows)), captured.refused) == (40, 35, ())
    slipped = read_path(shared("topology/pairs/2018-07-10_34c76ea19_AGLT2_downtime_DUPLICATE_KEY.yaml"))
    assert [bad.place.line for bad in slipped.refused] == [605, 606]
    assert "has a second ID, 1005688" in slipped.refused[0].reason
