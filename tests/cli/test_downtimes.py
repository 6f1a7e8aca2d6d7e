"""`gridkeeper downtimes` as bob uses it, who announces for the invented site."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.clock import now
from gridkeeper.config import Home
from gridkeeper.database import reading
from gridkeeper.trust import audit
from tests.databases import on_each_engine, settle  # noqa: F401 (a fixture)
from tests.federation.downtimes.sample import DOWNTIMES, topology
from tests.federation.downtimes.test_forms import GOCDB
from tests.homes import InventedHome, every_day
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.usefixtures("on_each_engine")
FEDERATION = """\
resources: [{name: Cluster, site: Cluster site}]
downtimes: [{resource: Cluster, from: 2099-01-01, until: 2099-01-02, reason: far away}]
"""


def in_days(days: int) -> str:
    """A moment from now on, as it is typed."""
    return f"{now() + timedelta(days=days):%Y-%m-%dT%H:%M}"


DAYS = ("--from", in_days(30), "--until", in_days(32))


class Bob:
    """He and his home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        Home(self.folder).create()
        settle(self.folder)
        Home(self.folder).federation.write_text(FEDERATION, encoding="utf-8")
        self.topology = topology(self.folder)
        self.file = self.topology / "Example University" / "Example" / "EXAMPLE_downtime.yaml"

    def types(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["downtimes", *words, "--home", str(self.folder)])

    def asks(self, *words: str) -> Any:
        outcome = self.types(*words, "--json")
        assert outcome.exit_code == 0, outcome.output
        return json.loads(outcome.stdout)

    def fails(self, *words: str) -> str:
        return str(self.types(*words).exception)

    def announces(self, *words: str) -> dict[str, Any]:
        told: dict[str, Any] = self.asks("add", "-d", "new pumps", *DAYS, *words)
        return told


@pytest.fixture
def bob(tmp_path: Path) -> Bob:
    return Bob(tmp_path)


def test_a_whole_site_is_announced_at_once(bob: Bob) -> None:
    told = bob.announces("--site", "Example")
    assert [(each["resource"], each["services"]) for each in told["affected"]] == [
        ("EXAMPLE_CE1", ["CE"]), ("EXAMPLE_CE2", ["CE"]), ("EXAMPLE_SE", ["SRMv2", "GridFtp"]),
        ("EXAMPLE_PS", ["net.perfSONAR.Bandwidth"]),
    ]  # fmt: skip
    assert (told["class"], told["severity"], told["state"]) == ("SCHEDULED", "Outage", "future")
    only = bob.announces(
        "--site", "EXAMPLE", "--service", "CE", "--severity", "severe", "--class", "unscheduled"
    )
    assert only["resources"] == ["EXAMPLE_CE1", "EXAMPLE_CE2"]
    assert (only["class"], only["derived_class"]) == ("UNSCHEDULED", "SCHEDULED")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--resource", "EXAMPEL_CE1"), "has no resource 'EXAMPEL_CE1'; do you mean EXAMPLE_CE1"),
        (
            ("--resource", "EXAMPLE_CE1", "--service", "SRMv2"),
            "EXAMPLE_CE1 has no service 'SRMv2'; it has CE",
        ),
        (("--resource", "Cluster", "--service", "CE"), "does not say which services Cluster has"),
        (("--site", "Exampel"), "has no site 'Exampel'; do you mean Example"),
        (("--site", "Example", "--service", "Squid"), "no resource of Example has the service 'Squid'"),
        ((), "name what is down"),
        (("--resource", "EXAMPLE_CE1", "--severity", "Bad"), "the severity 'Bad' is none of"),
        (("--resource", "EXAMPLE_CE1", "--until", "2038-01-19T03:14"), "write `open` where it is not known"),
        (("--resource", "EXAMPLE_CE1", "--until", in_days(29)), "it would cover no time"),
        (("--resource", "EXAMPLE_CE1", "--until", "soon"), "'soon' is no time"),
    ],
)
def test_what_the_registry_does_not_have_is_refused_with_near_names(
    bob: Bob, words: tuple[str, ...], said: str
) -> None:
    assert said in bob.fails("add", "-d", "new pumps", *DAYS, *words)
    assert [each["kept_in"] for each in bob.asks("list", "--state", "all")] == [
        "topology",
        "topology",
        "federation.yaml",
    ]


def test_a_change_is_kept_with_its_history_and_in_the_audit(bob: Bob) -> None:
    name = bob.announces("--resource", "EXAMPLE_CE1")["id"]
    assert "has another end" in bob.types("extend", name, "--until", in_days(31), "--reason", "pumps").stdout
    told = bob.asks("cancel", name, "--reason", "no pumps")
    assert [(each["act"], each["reason"]) for each in told["revisions"]] == [
        ("announce", ""), ("shorten", "pumps"), ("cancel", "no pumps"),
    ]  # fmt: skip
    assert told["state"] == "cancelled"
    assert "was cancelled on" in bob.fails("extend", name, "--until", "open")
    with reading(wired(bob.folder).database()) as connection:
        entries = audit.entries(connection, act="downtime")
    assert [(entry.act, entry.subject) for entry in entries] == [
        ("downtime.cancel", name), ("downtime.shorten", name), ("downtime.announce", name),
    ]  # fmt: skip


def test_a_dry_run_keeps_nothing(bob: Bob) -> None:
    assert "would be announced" in bob.types("add", "--site", "Example", "-d", "x", *DAYS, "--dry-run").stdout
    assert not [each for each in bob.asks("list", "--state", "all") if each["kept_in"] == "database"]


def test_the_list_joins_what_is_kept_here_with_both_files(bob: Bob) -> None:
    bob.announces("--resource", "EXAMPLE_CE1")
    assert [each["kept_in"] for each in bob.asks("list", "--state", "all")] == [
        "topology", "topology", "database", "federation.yaml",
    ]  # fmt: skip
    (open_end,) = bob.asks("list", "--findings", "--state", "current")
    assert (open_end["id"], open_end["until"], open_end["findings"]) == ("103", None, ["downtime-far-end"])
    assert open_end["declared_until"] == "Jan 18, 2038 21:14 -0600"
    assert [each["id"] for each in bob.asks("list", "--state", "past", "--resource", "example_se")] == ["101"]
    assert bob.asks("list", "--state", "cancelled") == []
    assert "there is no state 'over'" in bob.fails("list", "--state", "over")


def test_a_topology_is_written_with_the_change_as_its_whole_diff(bob: Bob) -> None:
    name = bob.announces("--resource", "EXAMPLE_CE1")["id"]
    assert bob.asks("export", "topology", "-o", str(bob.folder))["files"] == [str(bob.file)]
    with reading(wired(bob.folder).database()) as connection:
        assert audit.entries(connection)[0].act == "downtime.export"
    text = bob.file.read_text(encoding="utf-8")
    assert text.startswith(DOWNTIMES)
    assert text.removeprefix(DOWNTIMES).count("\n") == 10
    assert bob.asks("export", "topology", "-o", str(bob.folder))["files"] == []
    assert len(bob.asks("list", "--state", "all")) == 4  # told once, though it stands in both
    assert bob.asks("import", str(bob.topology))["new"] == 2  # the other two; it is known already
    bob.asks("cancel", name, "--reason", "no pumps")
    bob.asks("export", "topology", "-o", str(bob.folder))
    assert bob.file.read_text(encoding="utf-8") == DOWNTIMES


def test_what_a_form_cannot_carry_is_said(bob: Bob, tmp_path: Path) -> None:
    bob.announces("--site", "Example")
    told = bob.asks("export", "cric", "-o", str(tmp_path / "out.json"))
    assert [(part["resource"], part["service"], part["reason"]) for part in told["undelivered"]] == [
        ("EXAMPLE_SE", "GridFtp", "service-type-has-no-counterpart")
    ]
    assert bob.asks("export", "gocdb", "-o", str(tmp_path / "out.xml"))["undelivered"] == []
    assert bob.asks("export", "ical", "-o", str(tmp_path / "out.ics"), "--all")["written"] == 7
    sides = bob.asks("reconcile", str(tmp_path / "out.ics"), str(tmp_path / "out.json"))
    assert sides["of_theirs"] == {"matched": 5}
    assert sides["parts"]["service-type-has-no-counterpart"] == 1


def test_an_import_from_gocdb_finds_our_resources_by_their_hosts(bob: Bob, tmp_path: Path) -> None:
    (tmp_path / "gocdb.xml").write_bytes(GOCDB.replace(b"ce.example.org", b"ce2.example.org"))
    bob.types("import", str(tmp_path / "gocdb.xml"))
    bob.types("import", str(tmp_path / "gocdb.xml"))
    (told,) = [each for each in bob.asks("list", "--state", "all") if each["kept_in"] == "database"]
    assert [(each["resource"], each["host"], each["services"]) for each in told["affected"]] == [
        ("EXAMPLE_CE2", "ce2.example.org", ["CE"])
    ]


def test_an_import_says_what_it_refused(bob: Bob, tmp_path: Path) -> None:
    (tmp_path / "gocdb.xml").write_bytes(GOCDB)
    outcome = bob.types("import", str(tmp_path / "gocdb.xml"))
    assert outcome.exit_code == 1
    assert "entries 1, new 1, changed 0, same 0, vanished 0, refused 1" in outcome.stdout
    assert "'SOMETIMES' is neither SCHEDULED nor UNSCHEDULED" in outcome.stderr
    strict = bob.types("import", str(tmp_path / "gocdb.xml"), "--strict", "--json")
    assert json.loads(strict.stdout)["refused"] == 1
    assert "same" not in json.loads(strict.stdout)


def sources(home: InventedHome) -> list[dict[str, Any]]:
    words = ["probes", "--as-of", "2017-02-05", "--json", "--home", str(home.home.path)]
    found: list[dict[str, Any]] = json.loads(CliRunner().invoke(app, words).stdout)["sources"]
    return found


def test_the_silence_of_a_resource_in_downtime_is_explained(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "books", "resources: [{name: Cluster, site: Example}]\n")
    home.slurm("Cluster", every_day("2017-01-01", "2017-01-29", number=1))
    home.books()
    assert [each["state"] for each in sources(home)] == ["silent"]
    words = ["--resource", "Cluster", "--from", "2017-01-29", "--until", "2017-02-07", "-d", "new pumps"]
    assert CliRunner().invoke(app, ["downtimes", "add", *words, "--home", str(home.home.path)]).exit_code == 0
    (source,) = sources(home)
    assert (source["state"], source["why"][0]) == ("in downtime", "new pumps")


def test_the_real_pair_is_explained_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIDKEEPER_HOME", raising=False)
    pair = shared("topology/pairs/agis_downtimes_calendar_2018-09.json")
    ours = pair.with_name("2018-07-31_80a3ec401_AGLT2_downtime.yaml")
    done = CliRunner().invoke(app, ["downtimes", "reconcile", str(ours), str(pair)])
    assert done.exit_code == 0, done.output
    assert "ours: 55 = over-before 54, differs 1" in done.stdout
    assert "theirs lists no service: it names CE" in done.stdout
