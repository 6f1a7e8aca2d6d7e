"""`gridkeeper probes`: a table for people, JSON for machines, and a home without a database gets none for being asked."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gridkeeper.cli import probes
from gridkeeper.cli.app import app
from gridkeeper.cli.wiring import wired
from gridkeeper.intake.contacts import Contact, Sample, note
from tests.homes import InventedHome, at, every_day

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
FEDERATION = """
federation: {name: Sample of Utah, grid: OSG, week_start: tuesday}
resources:
  - {name: Kingspeak, site: Utah, contacts: [{name: Utah operations, email: operations@utah.example.edu}]}
  - {name: Ember, site: Utah}
mapping: [{when: {account: cms}, vo: cms}]
"""
ASKED = at("2017-02-07T00:00")


@pytest.fixture
def home(tmp_path: Path) -> InventedHome:
    made = InventedHome(tmp_path / "home", FEDERATION)
    made.slurm("Kingspeak", every_day("2016-12-20", "2017-01-20", number=1, hours=10, cores=10))
    made.slurm("Ember", every_day("2016-12-20", "2017-02-07", number=1))
    return made


def said(home: InventedHome, *options: str) -> str:
    outcome = CliRunner().invoke(
        app, ["probes", "--home", str(home.home.path), "--as-of", "2017-02-07", *options]
    )
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def heard(home: InventedHome, *contacts: Contact) -> None:
    note(wired(home.home.path).database(), contacts)


def test_the_silent_one_is_shown_and_the_others_are_counted(home: InventedHome) -> None:
    text = said(home)
    assert "Kingspeak" in text
    assert "Ember" not in text.replace("Utah goes on with Ember", "").replace(
        "its site goes on with Ember", ""
    )
    assert "2017-01-19 12:00" in text
    assert "1,800" in text
    assert "Utah operations <operations@utah.example.edu>" in text
    assert "1 silent, 1 reporting" in text
    assert "no probe of this home was ever heard" in text
    assert not home.home.database.exists(), "asking makes no database"


def test_all_of_them_and_those_of_a_name(home: InventedHome) -> None:
    assert "slurm:Ember" in said(home, "--all")
    only = said(home, "ember")
    assert "reporting" in only
    assert "slurm:Kingspeak" not in only
    assert "no sources" in said(home, "nowhere")


def test_json_holds_every_source(home: InventedHome) -> None:
    found = json.loads(said(home, "--json"))
    assert found["counts"]["silent"] == 1
    kingspeak, ember = found["sources"]
    assert (kingspeak["state"], kingspeak["since"]) == ("silent", "2017-01-19T12:00:00+00:00")
    assert kingspeak["missing_core_hours"] == pytest.approx(1800)
    assert kingspeak["missing_core_hours_low"] < 1800 < kingspeak["missing_core_hours_high"]
    assert kingspeak["ask"] == [{"name": "Utah operations", "email": "operations@utah.example.edu"}]
    assert (ember["state"], ember["missing_core_hours"]) == ("reporting", None)
    assert found["any_probe_heard"] is False


def test_heartbeats_make_idle_of_silent_and_show_their_columns(home: InventedHome) -> None:
    hours = [ASKED - timedelta(hours=number, minutes=10) for number in range(72)]
    heard(home, *(Contact("slurm:Kingspeak", "Kingspeak", "heartbeat", hour, {"backlog_batches": 0}) for hour in reversed(hours)))  # fmt: skip
    text = said(home)
    assert "silent" not in text
    assert "1 idle, 1 reporting" in text
    text = said(home, "--all")
    assert "last contact" in text
    assert "2017-02-06 23:50" in text


@pytest.mark.slow
def test_the_report_shows_states_and_pools(home: InventedHome) -> None:
    sample = Sample("running", 2, 12, "cms")
    heard(home, *(Contact("slurm:Ember", "Ember", "heartbeat", at(f"2017-02-05T{hour:02}:10"), {}, (sample,)) for hour in range(24)))  # fmt: skip
    report = [
        "report",
        "production",
        "--week",
        "2017-01-31",
        "--home",
        str(home.home.path),
        "--as-of",
        "2017-02-07",
    ]
    outcome = CliRunner().invoke(app, [*report, "--format", "json"])
    assert outcome.exit_code == 0, outcome.output
    found = json.loads(outcome.stdout)
    assert [one["resource"] for one in found["silent"]] == ["Kingspeak"]
    assert found["sources"]["any_probe_heard"] is True
    (pool,) = found["pools"]
    assert (pool["resource"], pool["hours"], pool["running_cores"]) == ("Ember", 24, 12)
    assert pool["derived"] == pytest.approx(1 / 24)
    for shape in ("html", "twiki", "markdown"):
        text = CliRunner().invoke(app, [*report, "--format", shape]).stdout
        assert "Running cores" in text
        assert "operations@utah.example.edu" in text


def test_a_narrow_terminal_gets_lines_and_no_folded_table(
    home: InventedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(force_terminal=True, width=80)
    monkeypatch.setattr(probes, "console", console)
    text = re.sub(r"\x1b\[[0-9;]*m", "", said(home))
    assert (
        "silent  Kingspeak  batch  slurm:Kingspeak\n    since 2017-01-19 12:00; last record 2017-01-19; missing"
        in text
    )
