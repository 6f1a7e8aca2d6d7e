"""What is wrong with downtimes is found, on invented ones and as measured on the real ones."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.downtimes import osg_yaml
from gridkeeper.federation.downtimes.directory import Directory, Machine, of_path
from gridkeeper.federation.downtimes.forms import read_path
from gridkeeper.federation.downtimes.lints import Lint, counts, lint, overlapping
from tests.federation.downtimes.sample import DOWNTIMES
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path


@cache
def real_directory(folder: Path) -> Directory:
    found = of_path(folder)
    assert found is not None
    return found


MACHINES = Directory([
    Machine("EXAMPLE_CE1", {"CE": None}, ("ce1.example.org",), longitude=-100.0, site="Example"),
    Machine("EXAMPLE_CE2", {"CE": None}, ("ce2.example.org",), longitude=-100.0, site="Example"),
    Machine("EXAMPLE_SE", {"SRMv2": None}, ("se.example.org",), longitude=-100.0, site="Example"),
])  # fmt: skip


def found(old: str = "", new: str = "", more: str = "") -> dict[str, int]:
    text = DOWNTIMES.replace(old, new, 1) if old else DOWNTIMES
    return {
        name: count
        for name, count in counts(lint(osg_yaml.read((text + more).encode(), "f").rows, MACHINES)).items()
        if count
    }


AS_IT_IS = {
    Lint.FAR_END: 1,
    Lint.SERVICE_GONE: 1,
}  # an end of 2038, and GridFtp that the storage does not have


@pytest.mark.parametrize(
    ("old", "new", "more"),
    [
        ("CreatedTime: Feb 10, 2017", "CreatedTime: Feb 19, 2017", {Lint.SHORT_NOTICE: 1}),
        ("CreatedTime: Feb 10, 2017", "CreatedTime: Feb 21, 2017", {Lint.SHORT_NOTICE: 1, Lint.BACKDATED: 1}),
        ("EndTime: Feb 22", "EndTime: Feb 20", {Lint.EMPTY: 1}),
        ("EndTime: Feb 22, 2017", "EndTime: Dec 31, 2030", {Lint.FAR_END: 2}),
        ("StartTime: Feb 20, 2017 08:00 -0600", "StartTime: Feb 20, 2017 08:00 +0600", {Lint.ZONE_SIGN: 1}),
        ("ResourceName: EXAMPLE_CE1", "ResourceName: EXAMPLE_CE9", {Lint.UNKNOWN_RESOURCE: 1}),
        ("- CE\n", "- Squid\n", {Lint.NO_SERVICE_LEFT: 1}),
        ("  ID: 101\n", "", {Lint.NO_ID: 1}),
    ],
)
def test_each_fault_is_found_where_it_is(old: str, new: str, more: dict[str, int]) -> None:
    assert found() == AS_IT_IS
    assert found(old, new) == AS_IT_IS | more


def test_a_zone_of_the_place_or_of_utc_is_right() -> None:
    for zone in ("-0500", "-0800", "+0000"):
        assert (
            found("StartTime: Feb 20, 2017 08:00 -0600", f"StartTime: Feb 20, 2017 08:00 {zone}") == AS_IT_IS
        )


def test_overlaps_are_told_once_a_pair_and_apart_where_they_contradict() -> None:
    again = DOWNTIMES.split("# ---")[0].replace("101", "104").replace("Feb 20", "Feb 21")
    assert found(more=again) == AS_IT_IS | {Lint.OVERLAP: 1}
    assert found(more=again.replace("Severity: Outage", "Severity: Severe")) == AS_IT_IS | {
        Lint.OVERLAP_DIFFERS: 1
    }
    assert found(more=again.replace("Feb 21", "Feb 22")) == AS_IT_IS | {Lint.EMPTY: 1}


def test_the_real_downtimes_have_the_measured_faults() -> None:
    folder = shared("topology/topology")
    rows = [row for row in read_path(folder).rows if not row.hidden]
    told = counts(lint(rows, real_directory(folder)))
    assert told[Lint.EMPTY] == 17
    assert told[Lint.FAR_END] == 6
    assert told[Lint.BACKDATED] == 1158
    # One of the 250 is SCHEDULED only for readers that give it the class of the item that it stands in.
    assert told[Lint.SHORT_NOTICE] == 249
    assert (told[Lint.NO_SERVICE_LEFT], told[Lint.SERVICE_GONE]) == (214, 34)
    assert (told[Lint.OVERLAP] + told[Lint.OVERLAP_DIFFERS], told[Lint.OVERLAP_DIFFERS]) == (80, 21)
    pairs = overlapping(rows, neighbours=True)
    assert (len(pairs), sum(not same for *_, same in pairs)) == (74, 17)


def test_the_wrong_zones_are_the_five_of_caltech_and_no_others() -> None:
    folder = shared("topology/topology")
    rows = read_path(folder).rows
    wrong = [each.row for each in lint(rows, real_directory(folder)) if each.lint is Lint.ZONE_SIGN]
    assert [row.resource for row in wrong] == [
        "CIT_CMS_T2", "CIT_CMS_T2B", "CIT_CMS_T2C", "CIT_CMS_T2_Squid", "CIT_CMS_T2_2_Squid",
    ]  # fmt: skip
    assert {row.window.start.offset_minutes for row in wrong} == {420}
    assert {330, 60} <= {
        row.window.start.offset_minutes for row in rows
    }  # IUCAA and Cardiff, which are right
