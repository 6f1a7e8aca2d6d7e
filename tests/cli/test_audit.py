"""`gridkeeper audit list`: whatever changes the state of a home stands there, with who did it."""

from __future__ import annotations

import getpass
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gridkeeper.cli import audit as command
from gridkeeper.cli import load as loading
from gridkeeper.cli.app import app
from gridkeeper.cli.serving import upkeep
from gridkeeper.cli.wiring import wired
from gridkeeper.clock import now
from gridkeeper.config import Home
from gridkeeper.database import reading, writing
from gridkeeper.errors import LakeUnavailable
from gridkeeper.intake import waiting
from gridkeeper.intake.inbox import Arrival, Inbox, Upload
from gridkeeper.intake.tables import BATCHES
from gridkeeper.schedules import changes
from gridkeeper.settings import Intake, Schedule
from gridkeeper.trust import audit
from tests.collectors import Collector, collector
from tests.databases import settle

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
CAROL = f"local {getpass.getuser()}"
HEADER = "JobIDRaw|JobID|Cluster|Account|User|Submit|Start|End|ElapsedRaw|NCPUS|State|ExitCode\n"
JOB = "1|1|alpha|hep|alice|2017-01-31T10:00:00|2017-01-31T10:00:00|2017-01-31T11:00:00|3600|2|COMPLETED|0:0\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    Home(tmp_path / "home").create()
    settle(tmp_path / "home")
    return tmp_path / "home"


def types(home: Path, *words: str, code: int = 0) -> str:
    outcome = CliRunner().invoke(app, ["--home", str(home), *words])
    assert outcome.exit_code == code, outcome.output
    return outcome.stdout


def listed(home: Path, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(types(home, "audit", "list", "--json", *options))
    return found


def test_a_load_by_hand_says_who_loaded_what_and_how_much(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(HEADER + JOB + "garbage|\n")
    types(home, "load", str(tmp_path / "a.txt"), "--resource", "alpha")
    types(home, "load", str(tmp_path / "a.txt"), str(tmp_path / "a.txt"))
    second, first = listed(home)
    assert (first["who"], first["act"], first["subject"]) == (CAROL, "records.load", str(tmp_path / "a.txt"))
    counts = {
        name: first["details"][name] for name in ("resource", "read", "loaded", "duplicates", "rejected")
    }
    assert counts == {"resource": "alpha", "read": 2, "loaded": 1, "duplicates": 0, "rejected": 1}
    assert (second["subject"], second["details"]["loaded"]) == ("2 files and folders", 0)


def test_a_load_that_breaks_off_is_written_down_and_one_of_nothing_is_not(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types(home, "load", str(tmp_path / "nowhere.txt"), code=1)
    assert listed(home) == []

    def breaks(*_: object, **__: object) -> None:
        raise LakeUnavailable("the disk is full; free some of it")

    monkeypatch.setattr(loading, "run", breaks)
    (tmp_path / "a.txt").write_text(HEADER + JOB)
    types(home, "load", str(tmp_path / "a.txt"), code=1)
    (entry,) = listed(home)
    assert entry["details"]["broke_off"] == "the disk is full; free some of it"


def test_figures_and_upkeep_by_hand_are_written_down(home: Path, tmp_path: Path) -> None:
    figure = {
        "source": "GRACC", "vo": "cms", "measure": "core_hours", "unit": "hours", "first": "2017-01-31",
        "until": "2017-02-07", "value": 3.5, "address": "https://example.org",
    }  # fmt: skip
    (tmp_path / "figures.json").write_text(json.dumps([figure]))
    types(home, "figures", "load", str(tmp_path / "figures.json"))
    types(home, "lake", "compact", "--keep-days", "30")
    compacted, loaded = listed(home)
    assert (loaded["act"], loaded["details"]) == ("figures.load", {"new": 1, "known": 0})
    assert (compacted["act"], compacted["who"]) == ("lake.compact", CAROL)
    assert compacted["details"]["keep_days"] == 30


@pytest.fixture
def gate(tmp_path: Path) -> Collector:
    return collector(tmp_path / "home", {"trust": {"addresses": ["203.0.113.9/32"]}})


def test_what_the_loader_sets_aside_is_written_down_once_under_its_name(gate: Collector) -> None:
    sent = gate.client().post("/api/v1/batches?format=auto", content=b"what is this\n").json()["batch"]
    gate.load()
    gate.load()
    gate.close()
    (entry,) = listed(gate.place.home.path)
    assert (entry["who"], entry["act"], entry["subject"]) == ("loader", "batch.set-aside", f"batch {sent}")
    assert entry["details"]["sender"] == "address 203.0.113.9"


def test_what_the_daily_upkeep_lets_go_of_is_written_down_and_a_day_without_is_not(gate: Collector) -> None:
    home = gate.place.home.path
    with (home / "gridkeeper.toml").open("a") as stream:
        stream.write("\n[archive]\nkeep_days = 1\n")
    place = wired(home)
    works = upkeep(place)
    for work in works.values():
        work()
    assert listed(home) == []
    engine = gate.services.engine
    assert gate.client().post("/api/v1/batches?format=sacct&resource=alpha", content=(HEADER + JOB).encode())
    with writing(engine) as connection:  # as if it had come long ago
        connection.execute(sa.update(BATCHES).values(received_at=now() - timedelta(days=400)))
    gate.load()
    with writing(engine) as connection:
        connection.execute(sa.update(BATCHES).values(finished_at=now() - timedelta(days=400)))
    for work in works.values():
        work()
    gate.close()
    entries = {entry["act"]: entry for entry in listed(home)}
    assert entries.keys() == {"inbox.forget", "archive.forget"}
    assert {entry["who"] for entry in entries.values()} == {"scheduler"}
    assert entries["inbox.forget"]["details"]["receipts"] == 1
    assert entries["archive.forget"]["details"] == {"keep_days": 1, "files": 2}  # texts, receptions


def test_an_upload_that_broke_off_is_forgotten_by_the_loader_and_that_is_written_down(home: Path) -> None:
    engine = wired(home).database()
    inbox = Inbox(engine, home, Intake(free_disk_bytes=0))
    upload = inbox.open_upload(Arrival("native", "sacct", "identity", "alice", "192.0.2.1"))
    assert isinstance(upload, Upload)
    inbox.add_part(upload, b"half of it").result(30)
    inbox.close()
    waiting.forget(engine, now() - timedelta(days=90), [upload.batch])
    (entry,) = listed(home)
    assert (entry["who"], entry["act"]) == ("loader", "inbox.forget")
    assert entry["details"] == {"receipts": 0, "uploads_broken_off": 1, "parts": 1}


def test_schedules_are_written_down_when_they_are_new_other_or_gone(home: Path) -> None:
    engine = wired(home).database()
    weekly = Schedule(name="weekly", report="production", period="week")
    for schedules in ([weekly], [weekly], [weekly.model_copy(update={"day": 3})], [], []):
        changes.note(engine, {one.name: one for one in schedules}, now())
    with reading(engine) as connection:
        found = audit.entries(connection, act="schedule.settings")
    assert [entry.details.get("day", "gone") for entry in found] == ["gone", 3, 1]
    assert {(entry.who, entry.subject) for entry in found} == {("gridkeeper.toml", "schedule weekly")}


def test_a_cron_that_makes_reports_writes_the_schedules_down(home: Path) -> None:
    with (home / "gridkeeper.toml").open("a") as stream:
        stream.write('\n[[schedule]]\nname = "weekly"\nreport = "trends"\nperiod = "week"\n')
    types(home, "schedule", "run")
    (entry,) = listed(home, "--act", "schedule")
    assert entry["details"]["report"] == "trends"


@pytest.fixture
def told(home: Path) -> Path:
    place = wired(home)
    for day, who, act in (
        (1, "local carol", "token.create"),
        (2, "loader", "batch.set-aside"),
        (3, "local carol", "token.revoke"),
    ):
        with writing(place.database()) as connection:
            moment = now().replace(year=2017, month=2, day=day, hour=12)
            audit.record(
                connection,
                who,
                act,
                f"what of {day}",
                {"reason": "left [the site]"},
                "192.0.2.7" if day == 2 else None,
                moment,
            )
    return home


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ([], [3, 2, 1]),
        (["--since", "2017-02-02"], [3, 2]),
        (["--until", "2017-02-02"], [1]),
        (["--since", "2017-02-02T14:00+02:00", "--until", "2017-02-03T00:00"], [2]),
        (["--who", "local carol"], [3, 1]),
        (["--act", "token"], [3, 1]),
        (["--act", "token.create"], [1]),
    ],
)
def test_entries_are_chosen_by_time_person_and_act(told: Path, options: list[str], days: list[int]) -> None:
    assert [entry["subject"] for entry in listed(told, *options)] == [f"what of {day}" for day in days]


def test_people_read_an_entry_in_two_lines_whatever_the_terminal(told: Path) -> None:
    lines = types(told, "audit", "list", "--who", "loader").splitlines()
    assert lines[0].endswith("loader from 192.0.2.7  batch.set-aside  what of 2")
    assert lines[1:] == ["    reason left [the site]"]


def test_a_long_list_ends_and_says_where_to_read_on(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(audit, "MOST_ENTRIES_AT_ONCE", 3)
    outcome = CliRunner().invoke(app, ["--home", str(told), "audit", "list"])
    assert outcome.stdout.count("what of") == 2
    assert "there is more before 2017-02-02T12:" in outcome.stderr
    monkeypatch.setattr(audit, "MOST_ENTRIES_AT_ONCE", 1)
    assert len(listed(told)) == 3, "JSON has everything"


def test_asking_makes_no_database_and_a_word_that_is_no_day_is_told(home: Path, tmp_path: Path) -> None:
    Home(tmp_path / "new").create()
    assert listed(tmp_path / "new") == []
    assert not Home(tmp_path / "new").database.exists()
    outcome = CliRunner().invoke(app, ["--home", str(home), "audit", "list", "--since", "monday"])
    assert "--since 'monday' is no day" in str(outcome.exception)
