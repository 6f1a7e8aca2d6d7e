"""A home with documents of GOCDB alone: its sites are checked, shown and matched, and usage of a site is counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from tests.federation.invented_topology import put
from tests.federation.topology import invented_lists as lists

if TYPE_CHECKING:
    from pathlib import Path

JOB = """APEL-individual-job-message: v0.3
Site: {site}
SubmitHost: {host}:9619/condor
InfrastructureType: {infrastructure}
LocalJobId: {number}
LocalUserId: alice
FQAN: /cms/Role=pilot
WallDuration: 3600
CpuDuration: 3000
Processors: 8
StartTime: 1486000000
EndTime: 1486003600
%%
"""
JOBS = (
    JOB.format(site="EX-ALPHA", host="ce1.alpha.example.org", infrastructure="grid", number=1)
    + JOB.format(site="ex-alpha", host="ce2.alpha.example.org", infrastructure="local", number=2)
    + JOB.format(site="EX-OMEGA", host="ce.omega.example.org", infrastructure="grid", number=3)
).replace("%%\nAPEL-individual-job-message: v0.3\n", "%%\n")
FEDERATION = """federation: {name: Example Grid, grid: EGI}
mapping: [{when: {fqan: "/*"}, grid: EGI}]
"""
DOWNTIME = """<results><DOWNTIME ID="1" PRIMARY_KEY="1G0" CLASSIFICATION="SCHEDULED">
<HOSTNAME>ce1.alpha.example.org</HOSTNAME><SERVICE_TYPE>org.opensciencegrid.htcondorce</SERVICE_TYPE><HOSTED_BY>EX-ALPHA</HOSTED_BY>
<SEVERITY>OUTAGE</SEVERITY><DESCRIPTION>new cooling</DESCRIPTION><START_DATE>1486000000</START_DATE><END_DATE>1486100000</END_DATE>
</DOWNTIME></results>"""


class Keeper:
    """A home with documents of GOCDB, and the command line."""

    def __init__(self, folder: Path) -> None:
        self.home = lists.home(folder, lists.GOCDB, federation=FEDERATION)

    def says(self, *arguments: str, code: int = 0) -> str:
        outcome = CliRunner().invoke(app, ["--home", str(self.home.path), *arguments])
        assert outcome.exit_code == code, outcome.output
        return outcome.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.says(*arguments, "--json", code=code))

    def loads(self, text: str) -> None:
        path = self.home.path / "delivery.txt"
        path.write_text(text, encoding="utf-8")
        self.says("load", str(path))


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def test_check_counts_what_the_documents_list(keeper: Keeper) -> None:
    assert keeper.json("federation", "check") == {
        "counts": {
            "facilities": 2, "sites": 2, "resource_groups": 2, "resources": 4, "active_resources": 2, "virtual_organizations": 0,
            "projects": 0, "downtimes": 0,
        },
        "findings": [],
    }  # fmt: skip


def test_check_tells_what_is_wrong_with_a_document(keeper: Keeper) -> None:
    put(keeper.home.path, {"gocdb/more.xml": "<results><SITE"})
    (finding,) = keeper.json("federation", "check", code=1)["findings"]
    assert (finding["code"], finding["file"], finding["line"]) == ("not-xml", "gocdb/more.xml", 1)


def test_show_tells_a_site_by_its_name_and_by_a_host(keeper: Keeper) -> None:
    assert [one["kind"] for one in keeper.json("federation", "show", "ex-alpha")] == ["site", "resource group", "resource"]  # fmt: skip
    told = keeper.json("federation", "show", "ce1.alpha.example.org")
    assert [(one["name"], one["file"]) for one in told] == [("ce1.alpha.example.org", "gocdb/services.xml"), ("EX-ALPHA", "gocdb/sites.xml")]  # fmt: skip


def test_usage_of_a_site_is_matched_and_what_a_rule_gives_the_grid_counts(keeper: Keeper) -> None:
    keeper.loads(JOBS)
    sources = keeper.json("federation", "match")["sources"]
    assert sorted((one["state"], one["place"], one["resource"], one["site"]) for one in sources) == [
        ("matched", "EX-ALPHA", "EX-ALPHA", "EX-ALPHA"), ("matched", "ex-alpha", "EX-ALPHA", "EX-ALPHA"),
        ("unmatched", "EX-OMEGA", "EX-OMEGA", "EX-OMEGA"),
    ]  # fmt: skip
    rows = keeper.json("usage", "--by", "site", "--measure", "core_hours")["rows"]
    assert {row["site"]: row["core_hours"] for row in rows} == {"EX-ALPHA": 8.0, "EX-OMEGA": 8.0}


def test_a_downtime_of_gocdb_is_announced_for_its_host(keeper: Keeper) -> None:
    path = keeper.home.path / "downtimes.xml"
    path.write_text(DOWNTIME, encoding="utf-8")
    keeper.says("downtimes", "import", str(path))
    (told,) = keeper.json("downtimes", "list", "--state", "past")
    assert told["resources"] == ["ce1.alpha.example.org"]
    (keeper.home.path / "topology").mkdir()
    sent = keeper.json("downtimes", "export", "topology", "-o", str(keeper.home.path))
    assert (sent["written"], [one["reason"] for one in sent["undelivered"]]) == (0, ["unknown-resource"])
    assert sorted(path.name for path in (keeper.home.path / "gocdb").iterdir()) == [
        "services.xml",
        "sites.xml",
    ]
