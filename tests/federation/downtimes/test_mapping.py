"""What of a downtime reaches the other side, what does not, and why; nothing is dropped without a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from gridkeeper.federation.downtimes import cric, gocdb
from gridkeeper.federation.downtimes.directory import Directory, of_path
from gridkeeper.federation.downtimes.forms import read_bytes, read_path
from gridkeeper.federation.downtimes.lints import Lint, lint
from gridkeeper.federation.downtimes.mapper import Reason, catalogue, placed, to_cric, to_osg
from gridkeeper.federation.downtimes.model import Severity
from gridkeeper.federation.downtimes.reconciling import reconcile
from gridkeeper.federation.downtimes.words import Consumer, theirs
from tests.federation.downtimes.sample import DOWNTIMES, topology
from tests.federation.downtimes.test_forms import AGIS, HIDDEN
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.downtimes.model import Row


class Example:
    """The invented site."""

    def __init__(self, folder: Path, downtimes: str = DOWNTIMES) -> None:
        self.folder = topology(folder, downtimes)
        self.rows = read_path(self.folder).rows
        found = of_path(self.folder)
        assert found is not None
        self.directory: Directory = found

    def row(self, number: int) -> Row:
        return next(row for row in self.rows if row.id == str(number))


def test_each_part_arrives_or_says_why_not(tmp_path: Path) -> None:
    example = Example(tmp_path)
    mapped = to_cric(example.row(102), example.directory)
    assert [(part.service, part.reason) for part in mapped.parts] == [
        ("SRMv2", None),
        ("GridFtp", Reason.NO_COUNTERPART),
    ]
    assert mapped.sent is not None
    assert [(each.said, each.flavour, each.host) for each in mapped.sent.services] == [
        ("SRM", "SRM", "se.example.org")
    ]
    assert (mapped.sent.site, mapped.sent.resource) == ("EXAMPLE", None)
    assert [note.reason for note in mapped.notes] == [Reason.NAME_LOST]


def test_a_ce_says_its_flavour_only_where_its_port_does(tmp_path: Path) -> None:
    example = Example(tmp_path)
    told, untold = (to_cric(example.row(number), example.directory).parts[0] for number in (101, 103))
    assert told.arrives is not None
    assert (told.arrives.flavour, told.reason) == ("HTCONDOR-CE", None)
    assert untold.arrives is not None
    assert (untold.arrives.flavour, untold.reason) == (None, Reason.FLAVOUR_UNKNOWN)


def test_an_endpoint_that_the_other_side_does_not_know_does_not_arrive(tmp_path: Path) -> None:
    example = Example(tmp_path)
    known = catalogue(read_bytes(AGIS, "agis").rows)
    there, absent = (to_cric(example.row(number), example.directory, known=known) for number in (101, 102))
    assert there.parts[0].arrives is not None
    assert there.parts[0].arrives.flavour == "ARC-CE"  # as they know it
    assert [part.reason for part in absent.parts] == [Reason.UNKNOWN_ENDPOINT, Reason.NO_COUNTERPART]
    assert absent.sent is None


def test_what_is_open_or_coarser_there_is_said(tmp_path: Path) -> None:
    example = Example(tmp_path)
    assert [note.reason for note in to_cric(example.row(103), example.directory).notes] == [
        Reason.NAME_LOST, Reason.OPEN_END, Reason.SEVERITY_COARSER,
    ]  # fmt: skip
    assert theirs(Severity.SEVERE, Consumer.ATLAS) == "WARNING"
    assert theirs(Severity.SEVERE, Consumer.CMS) == "OUTAGE"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ResourceName: EXAMPLE_CE1", "ResourceName: GONE", Reason.UNKNOWN_RESOURCE),
        ("- CE\n", "- Squid\n", Reason.SERVICE_GONE),
        ("  Services:\n  - CE\n", "  Services: []\n", Reason.NO_SERVICES),
    ],
)
def test_what_cannot_be_sent_says_why(tmp_path: Path, old: str, new: str, reason: Reason) -> None:
    example = Example(tmp_path, DOWNTIMES.replace(old, new, 1))
    mapped = to_cric(example.row(101), example.directory)
    assert (mapped.sent, [part.reason for part in mapped.parts]) == (None, [reason])


def test_there_and_back_again(tmp_path: Path) -> None:
    example = Example(tmp_path)
    sent = [mapped.sent for row in example.rows if (mapped := to_cric(row, example.directory)).sent]
    back = [
        mapped.sent
        for row in cric.read(cric.write([row for row in sent if row]), "json").rows
        for mapped in to_osg(row, example.directory)
    ]
    assert [(row and row.resource, row and [each.name for each in row.services]) for row in back] == [
        ("EXAMPLE_CE1", ["CE"]), ("EXAMPLE_SE", ["SRMv2"]), ("EXAMPLE_CE2", ["CE"]),
    ]  # fmt: skip
    (said,) = to_osg(
        gocdb.read(gocdb.write([row for row in sent if row][1:2]), "xml").rows[0], example.directory
    )
    assert said.sent is not None
    assert said.sent.resource == "EXAMPLE_SE"


def test_a_host_that_is_not_ours_and_a_name_without_a_host_are_said(tmp_path: Path) -> None:
    example = Example(tmp_path)
    row = read_bytes(AGIS, "agis").rows[0]
    arrived, lost = to_osg(row, example.directory)
    assert arrived.sent is not None
    assert arrived.sent.resource == "EXAMPLE_CE1"
    assert [(part.service, part.reason) for part in lost.parts] == [
        ("net.perfSONAR.Latency", Reason.UNKNOWN_ENDPOINT)
    ]
    bare = read_bytes(_without_services(AGIS), "agis").rows[0]
    (nothing,) = to_osg(bare, example.directory)
    assert [part.reason for part in nothing.parts] == [Reason.NO_SERVICES] * 2
    assert "it could be EXAMPLE_CE1, EXAMPLE_CE2: none of them, or all" in nothing.parts[0].sentence


def test_what_is_imported_gets_our_names_where_a_host_is_ours(tmp_path: Path) -> None:
    example = Example(tmp_path)
    rows = placed(read_bytes(AGIS, "agis").rows, example.directory)
    assert [(row.resource, [each.name for each in row.services]) for row in rows] == [
        ("EXAMPLE_CE1", ["CE"]), (None, ["net.perfSONAR.Latency"]),
    ]  # fmt: skip


def _without_services(data: bytes) -> bytes:
    document = orjson.loads(data)
    document["EXAMPLE"][0]["services"] = []
    return orjson.dumps(document)


def test_every_entry_of_both_sides_is_accounted_for(tmp_path: Path) -> None:
    example = Example(tmp_path, DOWNTIMES + HIDDEN)
    told = reconcile(example.rows, read_bytes(_without_services(AGIS), "agis").rows, example.directory)
    assert (told.ours, sum(told.of_ours.values())) == (5, 5)
    assert (told.theirs, sum(told.of_theirs.values())) == (1, 1)
    assert told.of_ours["differs"] == 1
    assert told.of_ours[Reason.HIDDEN] == 1
    assert told.parts == {Reason.NO_SERVICES: 1}


def test_what_changed_is_told_field_by_field(tmp_path: Path) -> None:
    example = Example(tmp_path)
    changed = DOWNTIMES.replace("Feb 22, 2017 08:00 -0600", "Feb 23, 2017 08:00 -0600", 1).replace(
        "Outage", "Severe", 1
    )
    told = reconcile(
        example.rows, read_bytes(changed.encode(), "EXAMPLE_downtime.yaml").rows, example.directory
    )
    assert [(each.id, each.what, each.ours, each.theirs) for each in told.differences if each.what != "notice"] == [
        ("101", "end", "Feb 22, 2017 08:00 -0600", "Feb 23, 2017 08:00 -0600"), ("101", "severity", "Outage", "Severe"),
    ]  # fmt: skip
    same = reconcile(example.rows, example.rows, example.directory)
    assert same.of_ours == {"same": 3}


def test_without_an_id_the_resource_and_the_start_tell_what_belongs_together(tmp_path: Path) -> None:
    example = Example(tmp_path)
    nameless = DOWNTIMES.replace("  ID: 101\n", "")
    told = reconcile(example.rows, read_bytes(nameless.encode(), "f").rows, example.directory)
    assert told.of_ours == {"same": 3}


def test_the_real_pair_says_why_nobody_switched_anything_off() -> None:
    ours = shared("topology/pairs/2018-07-31_80a3ec401_AGLT2_downtime.yaml")
    agis = read_path(shared("topology/pairs/agis_downtimes_calendar_2018-09.json")).rows
    told = reconcile(read_path(ours).rows, agis, of_path(ours))
    assert told.of_ours == {Reason.OVER: 54, "differs": 1}
    assert told.of_theirs == {"matched": 1, Reason.OTHER_PROVIDER: 32}
    about = {each.reason: each for each in told.differences if each.id == "1005688"}
    assert set(about) == {
        Reason.NO_SERVICES, Reason.NAME_LOST, Reason.OPEN_END, Reason.BACKDATED, Reason.CLASS_DIFFERS,
    }  # fmt: skip
    assert (
        "3 resources at AGLT2 have CE (AGLT2_CE_2, AGLT2_SL6, AGLT2_SL7)"
        in about[Reason.NO_SERVICES].sentence
    )
    assert told.parts == {Reason.NO_SERVICES: 1}


@pytest.mark.slow
def test_the_214_that_the_rendering_loses_are_all_accounted_for_and_34_lose_a_part() -> None:
    folder = shared("topology/topology")
    rows = read_path(folder).rows
    told = reconcile(rows, read_path(shared("topology/rendered/rgdowntime.xml.gz")).rows, of_path(folder))
    assert told.of_ours == {"same": 3564, "differs": 34, Reason.SERVICE_GONE: 214, Reason.HIDDEN: 9}
    assert told.of_theirs == {"matched": 3598}
    assert sum(told.of_ours.values()) == told.ours == 3812 + 9
    lost = {
        each.id for each in told.differences if (each.what, each.reason) == ("downtime", Reason.SERVICE_GONE)
    }
    partly = {each.id for each in told.differences if each.what == "service"}
    seen = [row for row in rows if not row.hidden]
    assert lost == {each.row.id for each in lint(seen, of_path(folder)) if each.lint is Lint.NO_SERVICE_LEFT}
    assert (len(lost), len(partly)) == (214, 34)
