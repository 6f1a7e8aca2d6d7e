"""`gridkeeper federation`: check tells every fault and says so by its exit code, show tells what the registry says of a name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.config import Home
from tests.federation import invented_topology as invented
from tests.shared_material import SHARED_DATA

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Home(tmp_path).create()
    return invented.write(tmp_path)


def run(home: Path, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["federation", *arguments, "--home", str(home)])
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_registry_in_order_exits_0(place: Path) -> None:
    assert json.loads(run(place, "check", "--json")) == {
        "counts": {
            "facilities": 1, "sites": 1, "resource_groups": 1, "resources": 2, "active_resources": 1,
            "virtual_organizations": 2, "projects": 1, "downtimes": 1,
        },
        "findings": [],
    }  # fmt: skip
    assert "nothing is wrong with 1 facilities" in run(place, "check")


def test_an_error_exits_1_and_every_finding_has_its_keys(place: Path) -> None:
    invented.write(place, SPR=invented.GROUP.replace("Physics: 60", "Physics: 90"))
    told: dict[str, Any] = json.loads(run(place, "check", "--json", code=1))
    (finding,) = told["findings"]
    assert finding == {
        "code": "ownership-over-100", "severity": "error", "file": f"{invented.SITE}/SPR.yaml", "line": 20,
        "message": "110 % of resource Springfield-CE is owned (Physics 90, Biology 20)",
        "fix": "let the shares add up to 100 at most",
    }  # fmt: skip
    text = run(place, "check", code=1)
    assert f"{invented.SITE}/SPR.yaml:20: error ownership-over-100:" in text
    assert "1 error: ownership-over-100 1" in text


def test_a_warning_alone_exits_0_and_can_be_left_out(place: Path) -> None:
    invented.write(place, SPR=invented.GROUP.replace("Primary:", "Primus:"))
    assert "unknown-contact-rank" in run(place, "check")
    assert "unknown-contact-rank" not in run(place, "check", "--severity", "error")
    assert json.loads(run(place, "check", "--json", "--code", "shared-fqdn"))["findings"] == []


def test_what_clashes_with_federation_yaml_is_told(place: Path) -> None:
    (place / "federation.yaml").write_text(
        "resources: [{name: Springfield-CE, site: Elsewhere, owners: {nobody: 5}}]\n"
    )
    told = json.loads(run(place, "check", "--json"))["findings"]
    assert [(one["code"], one["file"]) for one in told] == [
        ("unknown-vo", "federation.yaml"), ("clash-with-federation", f"{invented.SITE}/SPR.yaml"),
    ]  # fmt: skip


def test_a_home_of_federation_yaml_alone_can_be_checked(tmp_path: Path) -> None:
    Home(tmp_path).create()
    assert json.loads(run(tmp_path, "check", "--json"))["counts"]["resources"] == 0


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("springfield university", ["facility"]),
        ("Springfield", ["site"]),
        ("SPR", ["resource group"]),
        ("Springfield-CE", ["resource"]),
        ("gate.springfield.example.org", ["resource"]),
        ("physics", ["VO"]),
        ("Folding", ["project"]),
    ],
)
def test_show_finds_each_kind_by_its_name(place: Path, name: str, kinds: list[str]) -> None:
    told = json.loads(run(place, "show", name, "--json"))
    assert [one["kind"] for one in told] == kinds
    assert all(one["file"] and one["facts"] for one in told)
    assert f"{kinds[0]} {told[0]['name']} ({told[0]['file']}, line {told[0]['line']})" in run(
        place, "show", name
    )


def test_show_tells_of_a_resource_what_usage_is_booked_by(place: Path) -> None:
    (fact,) = json.loads(run(place, "show", "Springfield-CE", "--json"))
    assert fact["facts"]["owned by"] == ["Physics 60 %", "Biology 20 %"]
    assert fact["facts"]["WLCG accounting name"] == "EX-Springfield"
    assert fact["facts"]["downtimes"] == [
        "Feb 20, 2017 08:00 -0500 – Feb 22, 2017 08:00 -0500: SCHEDULED, Outage, CE; new cooling"
    ]


def test_show_of_nothing_known_says_what_is_near(place: Path) -> None:
    result = CliRunner().invoke(app, ["federation", "show", "Springfeld", "--home", str(place)])
    assert result.exit_code != 0
    assert "nothing called 'Springfeld'; do you mean Springfield" in str(result.exception)


def test_the_real_registry_is_checked(tmp_path: Path) -> None:
    if not (SHARED_DATA / "topology").exists():
        pytest.skip("needs the real material ../shared/data/topology, which is not beside this checkout")
    Home(tmp_path).create()
    for name in ("topology", "virtual-organizations", "projects", "mappings"):
        (tmp_path / name).symlink_to(SHARED_DATA / "topology" / name)
    told = json.loads(run(tmp_path, "check", "--json", code=1))
    assert told["counts"] == {
        "facilities": 230, "sites": 405, "resource_groups": 429, "resources": 1100, "active_resources": 762,
        "virtual_organizations": 122, "projects": 1567, "downtimes": 3812,
    }  # fmt: skip
    assert {"shared-fqdn", "downtime-zone-sign", "downtime-far-end", "downtime-covers-no-time"} <= {
        one["code"] for one in told["findings"]
    }
