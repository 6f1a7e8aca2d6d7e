"""A history that is behind the registry's files is told: which names, what of them, and how it is mended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.config import Home
from gridkeeper.federation.behind import behind_kept
from gridkeeper.federation.topology.loading import read_topology
from tests.collectors import collector
from tests.federation import invented_topology as invented
from tests.federation.test_topology_history import GROUP, Repository
from tests.federation.topology import invented_lists

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.topology.faults import Fault


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that keeps the history of the checkout which it is linked to."""
    (tmp_path / "registry").mkdir()
    Repository(tmp_path / "registry").commit("2018-04-06T12:00:00Z", dict(invented.FILES))
    home = Home(tmp_path / "home")
    home.create()
    home.federation.write_text("{}")
    for name in ("topology", "virtual-organizations", "projects"):
        (home.path / name).symlink_to(tmp_path / "registry" / name)
    write(home)
    return home


def write(home: Home) -> None:
    done = CliRunner().invoke(app, ["--home", str(home.path), "federation", "history", "--write"])
    assert done.exit_code == 0, done.output


def change(home: Home, *pairs: tuple[str, str]) -> None:
    text = invented.GROUP
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (home.path / GROUP).write_text(text)


def found(home: Home) -> list[Fault]:
    return behind_kept(read_topology(home.path), home.registry_history)


def check(home: Home, code: int = 0) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["--home", str(home.path), "federation", "check", "--json"])
    assert done.exit_code == code, done.output
    told: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return told


def test_a_history_that_ends_with_what_the_files_say_is_in_order(home: Home) -> None:
    assert check(home) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  Springfield-SE:", "  Springfield-New:", "2 resources are not in this history as the files have them today: Springfield-New (it is not there); Springfield-SE (the files have it no more)"),
        ("FQDN: se.", "FQDN: data.", "1 resource is not in this history as the files have them today: Springfield-SE (other hosts)"),
        ("- gate.", "- door.", "Springfield-CE (other hosts)"),
        ("Biology: 20", "Biology: 30", "Springfield-CE (other owners)"),
        ("EX-Springfield", "EX-Shelbyville", "Springfield-CE (other accounting name)"),
        ("APELNormalFactor: 11.5", "APELNormalFactor: 12", "Springfield-CE (other normalisation factor)"),
    ],
)  # fmt: skip
def test_what_the_files_say_otherwise_is_named(home: Home, old: str, new: str, told: str) -> None:
    change(home, (old, new))
    (one,) = found(home)
    assert (one.code, one.severity, one.file, one.line) == (
        "history-behind",
        "warning",
        "registry-history.json",
        0,
    )
    assert told in one.message
    assert "gridkeeper federation history --repo CHECKOUT --write" in one.fix


def test_a_resource_at_another_site_is_named_with_all_that_changed(home: Home) -> None:
    (home.path / GROUP).unlink()
    moved = "topology/Springfield University/Shelbyville"
    invented.put(home.path, {f"{moved}/SITE.yaml": "ID: 201\n", f"{moved}/SPR.yaml": invented.GROUP})
    (one,) = found(home)
    assert "Springfield-CE (other site); Springfield-SE (other site)" in one.message


def test_only_the_first_names_are_told_and_how_many_more_there_are(home: Home) -> None:
    group = invented.GROUP
    more = "".join(f"  New-{number}:\n    FQDN: n{number}.example.org\n    ContactLists: {{}}\n    Services:\n      CE: {{Description: x}}\n" for number in range(8))  # fmt: skip
    (home.path / GROUP).write_text(group + more)
    (one,) = found(home)
    assert one.message.startswith("8 resources are not in this history")
    assert "New-4 (it is not there); and 3 more" in one.message
    assert "New-5" not in one.message


def test_the_fix_mends_it(home: Home, tmp_path: Path) -> None:
    group = invented.GROUP.replace("FQDN: se.", "FQDN: data.")
    Repository(tmp_path / "registry").commit("2019-05-01T12:00:00Z", {GROUP: group})
    assert [one["code"] for one in check(home)] == ["history-behind"]
    write(home)
    assert check(home) == []


def test_a_resource_that_came_back_is_named(home: Home) -> None:
    said = json.loads(home.registry_history.read_text())
    said["resources"][0]["periods"][-1]["until"] = "2020-01-01"
    home.registry_history.write_text(json.dumps(said))
    (one,) = found(home)
    assert "Springfield-CE (it ended there on 2020-01-01)" in one.message


def test_where_no_history_is_kept_and_where_a_file_cannot_be_read_nothing_is_behind(home: Home) -> None:
    (home.path / GROUP).write_text("Resources: [")
    assert "history-behind" not in [one["code"] for one in check(home, code=1)]
    change(home, ("FQDN: se.", "FQDN: data."))
    home.registry_history.unlink()
    assert check(home) == []


def test_what_other_registries_list_has_no_history_and_is_not_behind(home: Home) -> None:
    invented.put(home.path, invented_lists.GOCDB)
    assert "EX-ALPHA" in {one.site for one in read_topology(home.path).topology.resources}
    assert found(home) == []


def test_a_damaged_history_is_a_finding_with_the_remedy(home: Home) -> None:
    home.registry_history.write_text('{"resources": [{"name": "x"}]}')
    (one,) = check(home, code=1)
    assert (one["code"], one["severity"], one["file"]) == ("unreadable", "error", "registry-history.json")
    assert "federation history" in one["fix"]


def test_the_registrys_page_says_so_until_it_is_mended(home: Home, tmp_path: Path) -> None:
    group = invented.GROUP.replace("FQDN: se.", "FQDN: data.")
    Repository(tmp_path / "registry").commit("2019-05-01T12:00:00Z", {GROUP: group})
    made = collector(home.path)
    client = made.client()
    try:
        page = client.get("/registry").text
        assert "history-behind" in page
        assert "Springfield-SE (other hosts)" in page
        write(home)
        assert "history-behind" not in client.get("/registry").text
    finally:
        made.services.reading.close()
        made.close()
