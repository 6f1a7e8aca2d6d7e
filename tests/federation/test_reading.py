"""A home knows its federation by federation.yaml and by a topology beside it; both make one registry, and the former counts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from gridkeeper.config import Home
from gridkeeper.federation.mapping import Mapper
from gridkeeper.federation.model import Registry, read_registry
from gridkeeper.federation.reading import joined, read_home
from gridkeeper.federation.topology.loading import read_topology
from tests.federation import invented_topology as invented

if TYPE_CHECKING:
    from pathlib import Path


def home(folder: Path, federation: str = "", **changes: str) -> Home:
    made = Home(folder)
    made.create()
    made.federation.write_text(federation, encoding="utf-8")
    invented.write(folder, **changes)
    return made


def test_a_home_without_a_topology_is_what_federation_yaml_says(tmp_path: Path) -> None:
    made = Home(tmp_path)
    made.create()
    made.federation.write_text("resources: [{name: alpha, site: Springfield}]", encoding="utf-8")
    assert read_home(made) == read_registry(made.federation)
    assert not made.cache.exists()


def test_the_topologys_resources_vos_sites_and_downtimes_are_the_homes(tmp_path: Path) -> None:
    registry = read_home(home(tmp_path))
    gateway, store = registry.resources
    assert (gateway.name, gateway.site, gateway.facility) == (
        "Springfield-CE",
        "Springfield",
        "Springfield University",
    )
    assert gateway.hosts == ("ce.springfield.example.org", "gate.springfield.example.org")
    assert gateway.owners == {"Physics": 60.0, "Biology": 20.0}
    assert (gateway.accounting_name[0].name, gateway.benchmarks[0].hs06) == (
        "EX-Springfield",
        Decimal("11.5"),
    )
    assert (store.accounting_name, store.benchmarks) == ((), ())
    assert (gateway.disabled, store.disabled is not None) == (None, True)
    assert [vo.name for vo in registry.vos] == ["Biology", "Physics"]
    assert registry.vos[1].fqan == "/physics"
    (site,) = registry.sites
    assert (site.facility, site.groups, site.contacts[0].name) == (
        "Springfield University",
        ("SPR",),
        "Springfield Help",
    )
    (downtime,) = registry.downtimes
    assert (downtime.resource, downtime.begin) == ("Springfield-CE", datetime(2017, 2, 20, 13, tzinfo=UTC))


def test_names_of_people_do_not_enter_the_books(tmp_path: Path) -> None:
    text = read_home(home(tmp_path)).model_dump_json()
    assert "Springfield Help" in text
    assert not any(person in text for person in ("Alice", "Bob", "Carol"))


def test_where_both_speak_federation_yaml_counts_and_the_rest_is_filled_in(tmp_path: Path) -> None:
    made = home(
        tmp_path,
        "resources: [{name: springfield-ce, site: Elsewhere, probes: ['slurm:x']}]\nvos: [{name: physics, aliases: [ph]}]",
    )
    registry, clashes = joined(read_registry(made.federation), read_topology(tmp_path).topology)
    ours = registry.resources[0]
    assert (ours.name, ours.site, ours.facility, ours.probes) == (
        "springfield-ce",
        "Elsewhere",
        "Springfield University",
        ("slurm:x",),
    )
    assert ours.owners == {"Physics": 60.0, "Biology": 20.0}
    assert [vo.name for vo in registry.vos] == ["physics", "Biology"]
    assert [(one.code, one.line) for one in clashes] == [("clash-with-federation", 6)]
    assert "its site is Springfield here, and Elsewhere in federation.yaml" in clashes[0].message


def test_a_host_that_federation_yaml_gives_to_another_resource_is_that_ones(tmp_path: Path) -> None:
    made = home(tmp_path, "resources: [{name: mine, aliases: [CE.springfield.example.org]}]")
    registry, clashes = joined(read_registry(made.federation), read_topology(tmp_path).topology)
    assert Mapper(registry).match({"resource": "ce.springfield.example.org"}).name == "mine"
    assert registry.resources[1].hosts == ("gate.springfield.example.org",)
    assert [(one.code, one.line) for one in clashes] == [("clash-with-federation", 10)]


def test_a_topology_name_that_is_an_alias_of_ours_is_ours(tmp_path: Path) -> None:
    made = home(tmp_path, "resources: [{name: mine, aliases: [Springfield-CE]}]")
    registry, clashes = joined(read_registry(made.federation), read_topology(tmp_path).topology)
    assert [one.name for one in registry.resources] == ["mine", "Springfield-SE"]
    assert len(clashes) == 1


def test_a_host_that_two_resources_share_is_neither_ones(tmp_path: Path) -> None:
    registry = read_home(home(tmp_path, SPR=invented.GROUP.replace("FQDN: se.", "FQDN: ce.")))
    match = Mapper(registry).match({"resource": "unknown", "probe": "htcondor-ce:ce.springfield.example.org"})
    assert (match.resource, match.by, match.name) == (None, None, "unknown")


@pytest.mark.parametrize(
    ("words", "name", "by"),
    [
        ({"resource": "springfield-ce"}, "Springfield-CE", "resource"),
        ({"resource": "gate.springfield.example.org"}, "Springfield-CE", "resource"),
        ({"resource": "SPR", "probe": "htcondor-ce:ce.springfield.example.org"}, "Springfield-CE", "probe"),
        ({"site_reported": "X", "probe": "condor:GATE.springfield.example.org"}, "Springfield-CE", "probe"),
        ({"resource": "Springfield-SE", "probe": "condor:ce.springfield.example.org"}, "Springfield-SE", "resource"),
        ({"resource": "x", "probe": "ce.springfield.example.org"}, "x", None),
        ({"resource_type": "Payload", "host_description": "Springfield-CE", "resource": "ap"}, "Springfield-CE", "host_description"),
        ({"resource_type": "Payload", "host_description": "Nowhere", "probe": "condor:ce.springfield.example.org"}, "Nowhere", None),
    ],
)  # fmt: skip
def test_a_record_is_matched_by_what_it_says_and_never_guessed(
    tmp_path: Path, words: dict[str, str | None], name: str, by: str | None
) -> None:
    match = Mapper(read_home(home(tmp_path))).match(words)
    assert (match.name, match.by) == (name, by)


@pytest.mark.parametrize("named", ["Springfield", "springfield", "SPR"])
def test_a_payload_at_a_site_or_resource_group_is_at_that_site(tmp_path: Path, named: str) -> None:
    meaning = Mapper(read_home(home(tmp_path))).meaning(
        {"resource_type": "Payload", "host_description": named}
    )
    assert (meaning.site, meaning.facility, meaning.registered) == (
        "Springfield",
        "Springfield University",
        False,
    )


def test_reporting_names_that_are_no_vo_are_parts_of_theirs(tmp_path: Path) -> None:
    text = "ID: 1\nReportingGroups: [physics, optics, biology]\n"
    registry = read_home(home(tmp_path, Physics=text, Biology="ID: 2\nReportingGroups: [biology]\n"))
    mapper = Mapper(registry)
    assert (
        mapper.meaning({"vo_reported": "optics"}).vo,
        mapper.meaning({"vo_reported": "optics"}).experiment,
    ) == ("Physics", "optics")
    assert mapper.meaning({"vo_reported": "biology"}).vo == "Biology"


def test_the_revision_changes_exactly_when_sums_can(tmp_path: Path) -> None:
    made = home(tmp_path)
    first = read_home(made).revision
    assert read_home(made).revision == first
    later = invented.DOWNTIMES.replace("Feb 22", "Feb 23")
    (tmp_path / invented.SITE / "SPR_downtime.yaml").write_text(later, encoding="utf-8")
    (tmp_path / "projects" / "Folding.yaml").unlink()
    assert read_home(made).revision == first
    path = tmp_path / invented.SITE / "SPR.yaml"
    path.write_text(invented.GROUP.replace("Physics: 60", "Physics: 61"), encoding="utf-8")
    assert read_home(made).revision != first


def test_hosts_are_names_that_mean_one_thing() -> None:
    with pytest.raises(ValidationError, match="hosts: the resource H is there already"):
        Registry.model_validate(
            {"resources": [{"name": "a", "aliases": ["h"]}, {"name": "b", "hosts": ["H"]}]}
        )
