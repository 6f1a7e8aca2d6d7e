"""Documents of GOCDB are read entry by entry: what becomes what, what is left out, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation.topology.findings import findings
from gridkeeper.federation.topology.gocdb import read_gocdb
from gridkeeper.federation.topology.loading import read_topology
from tests.federation.invented_topology import put
from tests.federation.topology import invented_lists as lists

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.topology.faults import Fault
    from gridkeeper.federation.topology.models import Topology


def read(folder: Path, **documents: str) -> tuple[Topology, list[Fault]]:
    """The registry of these documents in gocdb/, by the stems of their names, and all that is wrong with it."""
    put(folder, {f"gocdb/{name}.xml": text for name, text in documents.items()})
    loaded = read_topology(folder)
    return loaded.topology, findings(loaded)


def told(faults: list[Fault]) -> list[tuple[str, str, str, int]]:
    return [(one.severity, one.code, one.file, one.line) for one in faults]


def test_sites_and_services_become_facilities_sites_groups_and_resources(tmp_path: Path) -> None:
    found, faults = read(tmp_path, sites=lists.SITES, services=lists.SERVICES)
    assert faults == []
    assert [one.name for one in found.facilities] == ["EX-BETA", "University of EX-ALPHA"]
    alpha, beta = found.sites
    assert (alpha.name, alpha.facility, alpha.latitude, alpha.longitude) == ("EX-ALPHA", "University of EX-ALPHA", 50.5, 8.25)  # fmt: skip
    assert alpha.data == {
        "LongName": "University of EX-ALPHA", "Description": "The cluster of EX-ALPHA; ask (address left out)", "Country": "Exampleland",
        "NGI": "NGI_EX", "Timezone": "Europe/Berlin", "CertificationStatus": "Certified", "Infrastructure": "Production",
        "Scopes": "EGI, wlcg", "Latitude": 50.5, "Longitude": 8.25,
    }  # fmt: skip
    assert (beta.name, beta.facility) == ("EX-BETA", "EX-BETA")
    first, second = found.groups
    assert (first.name, first.production, first.disabled, first.support_center, first.reports_as_one) == ("EX-ALPHA", True, False, "NGI_EX", True)  # fmt: skip
    assert (second.name, second.disabled) == ("EX-BETA", True)
    ce1, ce2, se = first.resources
    assert (ce1.name, ce1.fqdn, ce1.active, ce1.dn, ce1.tags) == (
        "ce1.alpha.example.org", "ce1.alpha.example.org", True, "/DC=org/DC=example/CN=CE1.alpha.example.org", ("EGI", "atlas"),
    )  # fmt: skip
    assert [one.name for one in ce1.services] == ["gLite-APEL", "org.opensciencegrid.htcondorce"]
    assert [one.name for one in ce2.services] == ["ARC-CE"]
    assert (se.active, se.group, se.site) == (False, "EX-ALPHA", "EX-ALPHA")
    assert [one.name for one in found.active_resources] == ["ce1.alpha.example.org", "ce2.alpha.example.org"]
    assert found.service_types.keys() == {"ARC-CE", "SRM", "gLite-APEL", "org.opensciencegrid.htcondorce"}
    assert found.support_centers.keys() == {"NGI_EX"}
    assert found.folders == ("gocdb",)


def test_no_address_and_no_number_of_anybody_is_kept(tmp_path: Path) -> None:
    found, _ = read(tmp_path, sites=lists.SITES, services=lists.SERVICES)
    assert not any(word in repr(found) for word in ("@", "555", "alice", "bob"))


def test_a_list_of_sites_by_attributes_is_read(tmp_path: Path) -> None:
    text = '<results><SITE ID="1" PRIMARY_KEY="1G0" NAME="EX-ALPHA" COUNTRY="Exampleland" COUNTRY_CODE="XX" ROC="NGI_EX"/></results>'
    found, _ = read(tmp_path, list=text)
    (alpha,) = found.sites
    assert (alpha.name, alpha.data, found.groups[0].support_center) == ("EX-ALPHA", {"Country": "Exampleland", "NGI": "NGI_EX"}, "NGI_EX")  # fmt: skip


def test_a_test_site_is_no_production_and_a_service_that_says_nothing_may_be_in_use(tmp_path: Path) -> None:
    found, _ = read(
        tmp_path,
        sites=lists.results(lists.site("EX-ALPHA", production_infrastructure="Test")),
        services=lists.results(lists.service("EX-ALPHA", "", in_production="", url="https://ce1.example.org:8443/x")),
    )  # fmt: skip
    (group,) = found.groups
    assert (group.production, group.resources[0].name, group.resources[0].active) == (False, "ce1.example.org", None)  # fmt: skip
    assert group.resources[0].services[0].details == {"endpoint": "https://ce1.example.org:8443/x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<results><SITE", [("error", "not-xml", "gocdb/x.xml", 1)]),
        ("", [("error", "not-xml", "gocdb/x.xml", 1)]),
        ("<results><DOWNTIME/></results>", [("error", "other-document", "gocdb/x.xml", 0)]),
        ("<html><body/></html>", [("error", "other-document", "gocdb/x.xml", 0)]),
        ("<results/>", []),
        (lists.results('<SITE ID="1"/>'), [("error", "missing-key", "gocdb/x.xml", 3)]),
        (lists.results(lists.service("", "ce1.example.org")), [("warning", "missing-key", "gocdb/x.xml", 3)]),
        (lists.results(lists.service("A", "")), [("warning", "missing-key", "gocdb/x.xml", 3)]),
        (lists.results(lists.service("A", "no host")), [("warning", "bad-host", "gocdb/x.xml", 4)]),
        (lists.results(lists.service("A", "a.example.org", "")), [("warning", "missing-key", "gocdb/x.xml", 3)]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, text: str, expected: list[tuple[str, str, str, int]]
) -> None:
    found, faults = read(tmp_path, x=text)
    assert told(faults) == expected
    assert (found.sites, found.resources) == ((), ())
    assert all(one.message and one.fix for one in faults)


def test_downtimes_in_the_folder_are_led_to_their_command(tmp_path: Path) -> None:
    _, (fault,) = read(tmp_path, x="<results><DOWNTIME/></results>")
    assert "gridkeeper downtimes import" in fault.fix


@pytest.mark.parametrize(
    ("said", "code", "line"),
    [
        ({"latitude": "north"}, "bad-coordinates", 16),
        ({"longitude": "200"}, "bad-coordinates", 16),
        ({"latitude": "nan"}, "bad-coordinates", 16),
        ({"certification_status": "Splendid"}, "unknown-certification-status", 14),
    ],
)
def test_what_a_site_says_wrongly_is_told_and_the_site_is_read(
    tmp_path: Path, said: dict[str, str], code: str, line: int
) -> None:
    sites = lists.results(lists.site("EX-ALPHA", **said))
    found, faults = read(tmp_path, sites=sites, services=lists.results(lists.service("EX-ALPHA", "ce1.example.org")))  # fmt: skip
    assert told(faults) == [("warning", code, "gocdb/sites.xml", line)]
    assert (found.sites[0].name, found.groups[0].disabled) == ("EX-ALPHA", False)
    assert code != "bad-coordinates" or (found.sites[0].latitude, found.sites[0].longitude) == (None, None)


def test_a_page_whose_next_one_is_not_there_is_told(tmp_path: Path) -> None:
    def page(own: str, following: str, name: str, count: int = 2) -> str:
        address = "https://gocdb.example.org/pi?method=get_site&amp;next_cursor="
        meta = f'<meta><link rel="self" href="{address}{own}"/><link rel="next" href="{address}{following}"/>'
        return lists.results(lists.site(name), before=f"{meta}<count>{count}</count><max_page_size>2</max_page_size></meta>\n")  # fmt: skip

    services = lists.results(lists.service("A", "a.example.org"), lists.service("B", "b.example.org"))
    _, faults = read(tmp_path, one=page("0", "5", "A"), services=services)
    assert [one.code for one in faults] == ["missing-page", "unknown-site"]
    assert "next_cursor=5" in faults[0].message
    found, faults = read(tmp_path, two=page("5", "9", "B", count=1))
    assert (told(faults), [one.name for one in found.sites]) == ([], ["A", "B"])


def test_no_entity_is_followed_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    text = (
        f'<!DOCTYPE results [<!ENTITY x SYSTEM "file://{tmp_path}/secret"><!ENTITY y "ha">]>'
        '<results><SITE NAME="A"><ROC>&x;&y;</ROC></SITE></results>'
    )
    found, _ = read(tmp_path, x=text)
    assert "s3cret" not in repr(found)


WHOLE = (lists.SITES + lists.SERVICES.partition("\n")[2]).replace("</results>\n<results>\n", "").encode()


@given(st.data())
def test_a_mutilated_document_is_told_and_never_raises(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(WHOLE)))
    until = data.draw(st.integers(at, min(len(WHOLE), at + 40)))
    faults: list[Fault] = []
    listing = read_gocdb(
        WHOLE[:at] + data.draw(st.binary(max_size=12)) + WHOLE[until:], "gocdb/x.xml", faults
    )
    assert listing is not None or faults
    assert all(one.message and one.fix and one.line >= 0 for one in faults)
