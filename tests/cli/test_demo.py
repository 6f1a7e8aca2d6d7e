"""The main job, whole: raw logs of the sample federation in, reports out, the books equal to the ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.cli.report import ENDINGS
from gridkeeper.cli.sample import differences
from gridkeeper.cli.wiring import wired
from gridkeeper.demo import Ledger
from gridkeeper.demo.report_files import REPORT_FILES
from gridkeeper.demo.second_books import MISSING_SITE, WRONG_SITE
from gridkeeper.errors import UserMistake
from gridkeeper.monitoring.silence import source_states
from gridkeeper.monitoring.states import NEEDS_CARE
from gridkeeper.reports.registry import reports

if TYPE_CHECKING:
    from gridkeeper.demo.ledger import LedgerRow

# One demo serves all these tests: they stay on one worker.
pytestmark = pytest.mark.slow
SCALE = "0.0005"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "demo"
    outcome = CliRunner().invoke(app, ["demo", str(folder), "--scale", SCALE])
    assert outcome.exit_code == 0, outcome.output
    assert "the books equal the ledger to the second" in outcome.stdout
    return folder


def test_the_books_equal_the_ledger_to_the_second_in_both_attributions(sample: Path) -> None:
    ledger = Ledger.read(sample / "ledger.json")
    assert len(list(ledger.select(book="reported", attribution="end"))) > 1000
    assert differences(wired(sample / "home").books(), ledger) == []


def test_a_second_too_much_in_the_ledger_would_be_found(sample: Path) -> None:
    ledger = Ledger.read(sample / "ledger.json")
    place = next(number for number, row in enumerate(ledger.rows) if row.book == "reported")
    row: LedgerRow = ledger.rows[place]
    ledger.rows[place] = row._replace(wall_s=row.wall_s + 1)
    assert len(differences(wired(sample / "home").books(), ledger)) == 1


def test_every_target_is_met(sample: Path) -> None:
    books = wired(sample / "home").books()
    ledger = Ledger.read(sample / "ledger.json")
    sql = """
        SELECT CAST(SUM(core_seconds) AS BIGINT) AS core FROM usage_daily_end
        WHERE level = 'batch' AND grid = 'OSG' AND vo = $vo AND day >= $first AND day < $until
    """
    checked = 0
    for target in ledger.targets:
        if (
            target.measure == "core_hours"
            and target.vo in ("cms", "atlas", "osg", "alice")
            and target.resource is None
        ):
            found = books.select(sql, vo=target.vo, first=target.first, until=target.until).to_pylist()[0]
            assert found["core"] == target.value, target
            checked += 1
    assert checked == 16


def test_the_same_demo_again_changes_nothing(sample: Path) -> None:
    outcome = CliRunner().invoke(app, ["demo", str(sample), "--scale", SCALE])
    assert outcome.exit_code == 0, outcome.output
    assert "loaded 0," in outcome.stdout


def test_the_week_says_what_the_minutes_said(sample: Path) -> None:
    week = json.loads((sample / "reports" / "week.json").read_text())
    text = json.dumps(week)
    assert "invented" in text
    twiki = (sample / "reports" / "week.twiki").read_text()
    assert "Utah-Kingspeak" in twiki
    assert "CPU/wall 85.0 % for single-core jobs" in twiki
    assert "on 28 sites" in twiki


def test_all_reports_are_made_in_all_their_formats_and_named_in_the_readme(sample: Path) -> None:
    readme, index = (sample / "README.txt").read_text(), (sample / "reports" / "index.html").read_text()
    made = {one.report: one.files for one in REPORT_FILES}
    for files in made.values():
        for file in files:
            assert (sample / "reports" / file).stat().st_size > 0
            assert f"  {file}\n" in readme
            assert f'href="{file}"' in index
    for name, report in reports().items():
        assert {ENDINGS[Path(file).suffix] for file in made[name]} == set(report.formats), name
    assert {Path(file).suffix for file in made["plots"]} == {".png", ".svg"}
    assert len(made["plots"]) == 4


def test_the_second_accounting_agrees_but_for_one_wrong_site_and_one_missing(sample: Path) -> None:
    said = json.loads((sample / "reports" / "compare-Jan_2017.json").read_text())
    assert (said["left"]["source"], said["right"]["source"]) == ("jobs", "reported")
    assert {pair["site"] for pair in said["left_only"]} == {MISSING_SITE}
    assert said["right_only"] == []
    wrong = [pair for pair in said["pairs"] if pair["core_hours"]["agrees"] is not True]
    assert wrong
    assert {pair["site"] for pair in wrong} == {WRONG_SITE}
    for measure in ("jobs", "wall_hours", "cpu_hours"):
        assert said["agreements"][measure]["within"] == said["agreements"][measure]["compared"] > 50, measure


def test_the_experiments_of_fermilab_are_told_of_two_weeks_beside_the_week(sample: Path) -> None:
    week = json.loads((sample / "reports" / "week.json").read_text())
    (fermilab,) = (vo for vo in week["vos"] if vo["name"] == "fermilab")
    own = fermilab["experiments_period"]
    assert (own["period"]["first"], own["period"]["until"]) == ("2017-01-24", "2017-02-07")
    ledger = Ledger.read(sample / "ledger.json")
    for group in own["experiments"]:
        wall = ledger.total(
            "wall_s", book="reported", attribution="end", level="batch", grid="OSG", vo="fermilab", experiment=group["name"],
            first="2017-01-24", until="2017-02-07",
        )  # fmt: skip
        assert group["wall_seconds"] == wall


def test_utah_is_found_silent_since_the_right_day_and_nobody_else_in_any_week(sample: Path) -> None:
    books = wired(sample / "home").books()
    found: dict[date, list[str | None]] = {}
    for week in range(2, 15):
        day = date(2016, 11, 1) + timedelta(days=7 * week)
        asked = datetime.combine(day, time(21), UTC)
        states = source_states(books, datetime.combine(day, time(), UTC), asked=asked)
        found[day] = [f"{one.resource} {one.level} {one.last_day}" for one in states.of(*NEEDS_CARE)]
    # It delivers once a week, so that it does not report is known when the next delivery is due.
    assert {day: names for day, names in found.items() if names} == {
        date(2017, 1, 31): ["Utah-Kingspeak batch 2017-01-19"],
        date(2017, 2, 7): ["Utah-Kingspeak batch 2017-01-19"],
    }


def test_the_week_says_how_much_of_utah_is_missing_and_whom_to_ask(sample: Path) -> None:
    ledger = Ledger.read(sample / "ledger.json")
    ran = ledger.total(
        "core_s",
        book="ran",
        attribution="end",
        level="batch",
        grid="OSG",
        resource="Utah-Kingspeak",
        first="2017-01-20",
    )
    (utah,) = json.loads((sample / "reports" / "week.json").read_text())["silent"]
    assert utah["since"].startswith("2017-01-19T")
    assert utah["missing_from_payloads"]
    assert utah["missing_core_hours_low"] < ran / 3600 < utah["missing_core_hours_high"]
    assert utah["missing_core_hours"] == pytest.approx(ran / 3600, rel=0.15)
    assert utah["ask"] == [{"name": "Utah operations", "email": "operations@kingspeak.example.edu"}]


def test_a_place_where_no_sample_can_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "raw").touch()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "ledger.json").write_text("{")
    for place in ("file", "file/below", "taken", "half", "/proc/nowhere"):
        outcome = CliRunner().invoke(app, ["demo", str(tmp_path / place), "--scale", SCALE])
        assert isinstance(outcome.exception, UserMistake), (place, outcome.exception)
        assert str(tmp_path / place) in str(outcome.exception)
        assert "name a" in str(outcome.exception)
