"""The registry of the OSG as it was in August 2026 loads whole; what is known to be wrong with it is found."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation import names
from gridkeeper.federation.mapping import Mapper
from gridkeeper.federation.model import Registry
from gridkeeper.federation.reading import joined
from gridkeeper.federation.topology.findings import findings
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
    assert Counter(fault.code for fault in real.faults)["downtime-hidden"] == 9
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


def test_known_faults_are_found(real: Loaded) -> None:
    found = Counter(fault.code for fault in findings(real))
    assert found["shared-fqdn"] == 18
    assert found["downtime-zone-sign"] == 5
    assert found["downtime-far-end"] == 6
    assert found["downtime-covers-no-time"] == 17
    assert found["downtime-service-gone"] == 34
    hidden = [one for one in real.topology.swallowed if one.id is not None]
    assert found["downtime-no-service-left"] - 214 <= len(hidden)
    places = {fault.file for fault in findings(real) if fault.code == "downtime-zone-sign"}
    assert len(places) == 1
    assert places.pop().startswith("topology/California Institute of Technology/")


def test_it_makes_a_registry_in_which_every_name_means_one_thing(real: Loaded) -> None:
    registry, clashes = joined(Registry(), real.topology)
    assert clashes == []
    assert list(names.clashes(registry)) == []
    assert len(registry.resources) == 1100
    assert sum(one.disabled is None for one in registry.resources) == 762
    mapper = Mapper(registry)
    assert mapper.match({"resource": "AGLT2", "probe": "htcondor-ce:gate01.aglt2.org"}).name == "AGLT2_SL7"
    shared_host = mapper.match({"probe": "htcondor-ce:gate03.aglt2.org"})
    assert (shared_host.resource, shared_host.by) == (None, None)
    assert (
        mapper.meaning({"host_description": "AGLT2", "resource_type": "Payload"}).facility
        == "University of Michigan"
    )
