"""The registry of the OSG as it was in August 2026 loads whole; what is known to be wrong with it is found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.topology.loading import Loaded, read_topology
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return read_topology(shared("topology"), tmp_path_factory.mktemp("cache"))


def test_the_whole_registry_loads(real: Loaded) -> None:
    found = real.topology
    assert len(found.facilities) == 230
    assert len(found.sites) == 405
    assert len(found.groups) == 429
    assert len(found.resources) == 1100
    assert len(found.active_resources) == 762
    assert len(found.vos) == 122
    assert len(found.projects) == 1567
    assert len(found.downtimes) == 3812


def test_downtimes_without_a_dash_of_their_own_are_found(real: Loaded) -> None:
    assert Counter(fault.code for fault in real.faults)["swallowed-downtime"] == 9
    assert len(real.topology.swallowed) == 9
    assert {1573603407, 1729342507} <= {one.id for one in real.topology.swallowed}
    assert {1630656469, 1782049725} <= {one.id for one in real.topology.downtimes}


def test_a_doubled_id_loses_no_downtime(tmp_path: Path) -> None:
    pair = shared("topology/pairs/2018-07-10_34c76ea19_AGLT2_downtime_DUPLICATE_KEY.yaml")
    site = tmp_path / "topology" / "University" / "AGLT2"
    site.mkdir(parents=True)
    (site / "AGLT2_downtime.yaml").write_bytes(pair.read_bytes())
    loaded = read_topology(tmp_path)
    ids = [one.id for one in loaded.topology.downtimes]
    assert 1005652 in ids
    assert 1005688 not in ids
    assert ("duplicate-key", 605) in [(fault.code, fault.line) for fault in loaded.faults]
    (unnamed,) = [one for one in loaded.topology.downtimes if one.id is None]
    assert (unnamed.resource, unnamed.line) == ("AGLT2_SL6", 606)
