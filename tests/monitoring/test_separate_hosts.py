"""Of a site whose hosts are machines apart, downtime of one host excuses that host's source alone; that of all gateways, the site."""

from __future__ import annotations

from typing import Any

import pytest

from gridkeeper.federation.model import Registry
from gridkeeper.monitoring.states import State
from gridkeeper.monitoring.surroundings import Surroundings
from tests.monitoring.invented import day, judged, moment, track

CE1, CE2, SE = "ce1.example.org", "ce2.example.org", "se.example.org"


def registry(*downtimes: dict[str, Any], **said: Any) -> Registry:
    resource = {
        "name": "EX-ALPHA",
        "hosts": [CE1, CE2, SE],
        "separate_hosts": True,
        "gateways": [CE1, CE2],
        **said,
    }
    return Registry.model_validate({"resources": [resource], "downtimes": downtimes})


def down(resource: str, first: int = 58, until: int | None = 70) -> dict[str, Any]:
    return {"resource": resource, "from": moment(first), "until": None if until is None else moment(until)}


def around(*downtimes: dict[str, Any], **said: Any) -> Surroundings:
    return Surroundings(registry(*downtimes, **said), (), moment(61))


@pytest.mark.parametrize(
    ("probe", "is_down"),
    [(f"htcondor-ce:{CE1}", True), (f"htcondor-ce:{CE2}", False), ("apel:ex-alpha", False), (None, False)],
)
def test_downtime_of_one_host_is_that_of_its_probes_source(probe: str | None, is_down: bool) -> None:
    found = around(down(CE1.upper()))
    assert (found.downtime("EX-ALPHA", probe) is not None) is is_down
    assert found.away("EX-ALPHA", probe) == (
        frozenset({day(58), day(59), day(60)}) if is_down else frozenset()
    )


@pytest.mark.parametrize(
    ("downtimes", "days"),
    [
        ([down("EX-ALPHA")], {58, 59, 60}),
        ([down(CE1), down(CE2, 60)], {60}),
        ([down(CE1), down(CE2, 60, None), down(SE, 40)], {60}),
        ([down(CE1), down(SE)], set()),
    ],
)
def test_a_site_is_down_where_it_is_said_so_or_all_gateways_are(
    downtimes: list[dict[str, Any]], days: set[int]
) -> None:
    found = around(*downtimes)
    assert found.away("EX-ALPHA") == frozenset(day(number) for number in days)
    assert (found.downtime("EX-ALPHA") is not None) is bool(days)


def test_without_gateways_all_hosts_must_be_down() -> None:
    assert around(down(CE1), down(CE2), gateways=[]).downtime("EX-ALPHA") is None
    assert around(down(CE1), down(CE2), down(SE), gateways=[]).downtime("EX-ALPHA") is not None


def test_a_host_of_any_other_resource_is_the_resource() -> None:
    assert around(down(CE1), separate_hosts=False).downtime("EX-ALPHA", "x:elsewhere.example.org") is not None


def test_a_silent_site_is_not_excused_by_the_downtime_of_one_of_its_hosts() -> None:
    tracks = [
        track("EX-ALPHA", range(58), probe=f"htcondor-ce:{CE1}"),
        track("EX-ALPHA", range(58), probe=f"htcondor-ce:{CE2}"),
        track("EX-OMEGA", range(61)),
    ]
    found = judged(*tracks, until=61, registry=registry(down(CE1)))
    states = {one.probe: one.state for one in found.sources}
    assert states[f"htcondor-ce:{CE1}"] is State.DOWNTIME
    assert states[f"htcondor-ce:{CE2}"] is State.SILENT
