"""In a federation of GOCDB or CRIC usage is reported of a site: its name, and each of its hosts, mean the site."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from gridkeeper.federation.accounting_names import AccountingNames
from gridkeeper.federation.downtimes import gocdb
from gridkeeper.federation.downtimes.directory import of_topology
from gridkeeper.federation.downtimes.lints import Lint, lint
from gridkeeper.federation.downtimes.mapper import Side, placed, to_cric
from gridkeeper.federation.downtimes.model import Affected
from gridkeeper.federation.mapping import Mapper
from gridkeeper.federation.model import read_registry
from gridkeeper.federation.reading import joined, read_home
from gridkeeper.federation.showing import things
from gridkeeper.federation.topology.loading import read_topology, stamp
from tests.federation import invented_topology as invented
from tests.federation.topology import invented_lists as lists
from tests.federation.topology.invented_lists import home

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.topology.faults import Fault

FILES = {**lists.GOCDB, **lists.CRIC}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"site_reported": "EX-ALPHA"}, "EX-ALPHA"),
        ({"resource": "ex-alpha"}, "EX-ALPHA"),
        ({"resource": "CE1.alpha.example.org"}, "EX-ALPHA"),
        ({"resource": "x", "probe": "htcondor-ce:ce2.alpha.example.org"}, "EX-ALPHA"),
        ({"resource": "x", "probe": "htcondor-ce:ce1.gamma.example.org"}, "EX-GAMMA"),
        ({"resource_type": "Payload", "host_description": "EX-GAMMA"}, "EX-GAMMA"),
    ],
)
def test_a_record_of_a_site_or_of_one_of_its_hosts_is_the_sites(
    tmp_path: Path, words: dict[str, str | None], name: str
) -> None:
    meaning = Mapper(read_home(home(tmp_path, FILES))).meaning(words)
    assert (meaning.resource, meaning.site, meaning.registered) == (name, name, True)


def test_a_site_is_one_resource_with_all_its_hosts(tmp_path: Path) -> None:
    registry = read_home(home(tmp_path, FILES))
    alpha, beta, delta, gamma = registry.resources
    assert (alpha.name, alpha.site, alpha.facility) == ("EX-ALPHA", "EX-ALPHA", "University of EX-ALPHA")
    assert alpha.hosts == ("ce1.alpha.example.org", "ce2.alpha.example.org", "se.alpha.example.org")
    assert (alpha.separate_hosts, alpha.gateways) == (
        True,
        ("ce1.alpha.example.org", "ce2.alpha.example.org"),
    )
    assert [one.disabled and one.disabled.reason for one in (alpha, beta, delta, gamma)] == [None, "disabled", "disabled", None]  # fmt: skip
    assert AccountingNames(registry).on("EX-ALPHA", "EX-ALPHA", date(2026, 1, 1)) == "EX-ALPHA"
    assert [(one.name, one.groups, [each.name for each in one.contacts]) for one in registry.sites[:1]] == [("EX-ALPHA", (), ["NGI_EX"])]  # fmt: skip


def test_a_site_of_which_no_host_is_in_production_may_be_silent(tmp_path: Path) -> None:
    services = lists.results(lists.service("EX-ALPHA", "ce1.alpha.example.org", in_production="N"))
    files = {"gocdb/sites.xml": lists.results(lists.site("EX-ALPHA")), "gocdb/services.xml": services}
    (alpha,) = read_home(home(tmp_path, files)).resources
    assert alpha.disabled is not None
    assert alpha.disabled.reason == "not active"


def test_a_site_of_which_no_host_is_known_is_in_use(tmp_path: Path) -> None:
    (alpha,) = read_home(home(tmp_path, {"gocdb/sites.xml": lists.results(lists.site("EX-ALPHA"))})).resources
    assert (alpha.hosts, alpha.disabled) == ((), None)


def test_a_host_that_two_sites_have_is_neither_ones(tmp_path: Path) -> None:
    services = lists.results(
        *(lists.service(name, host) for name, host in (("EX-ALPHA", "shared.example.org"), ("EX-BETA", "shared.example.org"), ("EX-BETA", "b.example.org")))
    )  # fmt: skip
    mapper = Mapper(read_home(home(tmp_path, {"gocdb/services.xml": services})))
    assert mapper.match({"resource": "x", "probe": "arc:shared.example.org"}).resource is None
    assert mapper.match({"resource": "x", "probe": "arc:b.example.org"}).name == "EX-BETA"


def test_where_federation_yaml_speaks_of_a_site_or_a_host_it_counts(tmp_path: Path) -> None:
    text = "resources: [{name: ex-alpha, facility: Elsewhere, owners: {cms: 60}}, {name: mine, hosts: [ce2.alpha.example.org]}]"
    made = home(tmp_path, FILES, federation=text)
    registry, clashes = joined(read_registry(made.federation), read_topology(tmp_path).topology)
    alpha = registry.resources[0]
    assert (alpha.name, alpha.facility, alpha.site, alpha.owners) == ("ex-alpha", "Elsewhere", "EX-ALPHA", {"cms": 60})  # fmt: skip
    assert alpha.hosts == ("ce1.alpha.example.org", "se.alpha.example.org")
    assert Mapper(registry).match({"resource": "x", "probe": "arc:ce2.alpha.example.org"}).name == "mine"
    assert sorted((one.code, one.file, one.line) for one in clashes) == [
        ("clash-with-federation", "gocdb/services.xml", 25), ("clash-with-federation", "gocdb/sites.xml", 3),
    ]  # fmt: skip


def test_the_osg_layouts_resources_stay_what_they_were(tmp_path: Path) -> None:
    alone = read_home(lists.home(tmp_path / "a", invented.FILES))
    beside = read_home(lists.home(tmp_path / "b", invented.FILES, FILES))
    assert beside.resources[: len(alone.resources)] == alone.resources
    assert beside.sites[0] == alone.sites[0]
    assert not alone.resources[0].separate_hosts


def test_the_stamp_of_a_home_changes_with_its_documents(tmp_path: Path) -> None:
    made = home(tmp_path, FILES)
    before = stamp(made.path)
    (tmp_path / "cric" / "services.json").write_text("{}", encoding="utf-8")
    assert stamp(made.path) != before


def test_new_scopes_and_descriptions_change_no_sum(tmp_path: Path) -> None:
    made = home(tmp_path, FILES)
    before = read_home(made).revision
    (tmp_path / "gocdb" / "sites.xml").write_text(
        lists.SITES.replace("The cluster", "A cluster"), encoding="utf-8"
    )
    assert read_home(made).revision == before
    (tmp_path / "gocdb" / "services.xml").write_text(lists.SERVICES.replace("ce2.", "ce3."), encoding="utf-8")
    assert read_home(made).revision != before


def test_show_tells_a_site_and_a_host_where_they_stand(tmp_path: Path) -> None:
    made = home(tmp_path, FILES)
    topology, registry = read_topology(tmp_path).topology, read_home(made)
    site, group, resource = things("ex-alpha", topology, registry)
    assert [one.kind for one in (site, group, resource)] == ["site", "resource group", "resource"]
    assert (site.facts["national grid"], site.facts["certification status"]) == ("NGI_EX", "Certified")
    assert (resource.file, resource.line, resource.facts["matches hosts"]) == ("gocdb/sites.xml", 3, ["ce1.alpha.example.org", "ce2.alpha.example.org", "se.alpha.example.org"])  # fmt: skip
    host, of_site = things("ce1.alpha.example.org", topology, registry)
    assert (host.name, host.file, of_site.name) == ("ce1.alpha.example.org", "gocdb/services.xml", "EX-ALPHA")


DOWNTIME = """<results><DOWNTIME ID="1" PRIMARY_KEY="1G0" CLASSIFICATION="SCHEDULED">
<HOSTNAME>ce1.alpha.example.org</HOSTNAME><SERVICE_TYPE>{kind}</SERVICE_TYPE><HOSTED_BY>EX-ALPHA</HOSTED_BY><SEVERITY>OUTAGE</SEVERITY>
<DESCRIPTION>new cooling</DESCRIPTION><INSERT_DATE>1485000000</INSERT_DATE><START_DATE>1486000000</START_DATE><END_DATE>1486100000</END_DATE>
</DOWNTIME></results>"""


@pytest.mark.parametrize("kind", ["org.opensciencegrid.htcondorce", "gLite-APEL"])
def test_a_downtime_of_gocdb_is_of_the_host_that_it_names(tmp_path: Path, kind: str) -> None:
    home(tmp_path, FILES)
    directory = of_topology(read_topology(tmp_path).topology)
    (row,) = placed(gocdb.read(DOWNTIME.format(kind=kind).encode(), "f").rows, directory)
    assert row.resource == "ce1.alpha.example.org"
    assert {one.lint for one in lint([row], directory)} & {Lint.NO_SERVICE_LEFT, Lint.SERVICE_GONE, Lint.UNKNOWN_RESOURCE} == set()  # fmt: skip


def test_a_downtime_of_gocdb_reaches_cric_with_its_host(tmp_path: Path) -> None:
    home(tmp_path, FILES)
    directory = of_topology(read_topology(tmp_path).topology)
    text = DOWNTIME.format(kind="org.opensciencegrid.htcondorce")
    (row,) = placed(gocdb.read(text.encode(), "f").rows, directory)
    sent = to_cric(row, directory, side=Side.CRIC).sent
    assert sent is not None
    assert [(one.said, one.flavour, one.host) for one in sent.services] == [
        ("CE", "HTCONDOR-CE", "ce1.alpha.example.org")
    ]
    back = to_cric(row, directory, side=Side.GOCDB).sent
    assert back is not None
    assert [one.said for one in back.services] == ["org.opensciencegrid.htcondorce"]


def test_a_downtime_that_is_announced_here_goes_to_gocdb_in_its_own_words(tmp_path: Path) -> None:
    home(tmp_path, FILES)
    directory = of_topology(read_topology(tmp_path).topology)
    text = DOWNTIME.format(kind="org.opensciencegrid.htcondorce")
    (row,) = gocdb.read(text.encode(), "f").rows
    here = {
        name: tuple(directory.must_have(name, ()).services or ())
        for name in ("ce1.alpha.example.org", "ce1.gamma.example.org", "se.alpha.example.org")
    }
    said = {}
    for name, services in here.items():
        announced = replace(row, resource=name, services=tuple(Affected(each) for each in services))
        for side in Side:
            sent = to_cric(announced, directory, side=side).sent
            said[name.partition(".example")[0], side] = [one.said for one in sent.services] if sent else []
    assert said == {
        ("ce1.alpha", Side.GOCDB): ["gLite-APEL", "org.opensciencegrid.htcondorce"], ("ce1.alpha", Side.CRIC): ["CE"],
        ("ce1.gamma", Side.GOCDB): ["org.opensciencegrid.htcondorce"], ("ce1.gamma", Side.CRIC): ["CE"],
        ("se.alpha", Side.GOCDB): ["SRM"], ("se.alpha", Side.CRIC): ["SRM"],
    }  # fmt: skip


def test_a_service_is_found_by_what_both_registries_mean(tmp_path: Path) -> None:
    home(tmp_path, {"cric/services.json": lists.as_cric({"X": {"type": "CE", "flavour": "HTCONDOR-CE", "endpoint": "ce1.alpha.example.org", "rcsite": "EX-ALPHA"}})})  # fmt: skip
    directory = of_topology(read_topology(tmp_path).topology)
    text = DOWNTIME.format(kind="org.opensciencegrid.htcondorce")
    (row,) = placed(gocdb.read(text.encode(), "f").rows, directory)
    assert row.resource == "ce1.alpha.example.org"


def test_no_fault_of_joining_names_a_host_of_nobody(tmp_path: Path) -> None:
    made = home(tmp_path, FILES)
    faults: list[Fault] = joined(read_registry(made.federation), read_topology(tmp_path).topology)[1]
    assert faults == []
