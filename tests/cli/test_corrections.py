"""`gridkeeper corrections`: previewed, applied, listed, revoked, as somebody at the console does it."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli import corrections as command
from gridkeeper.cli.app import app
from gridkeeper.errors import GridkeeperError
from tests.homes import InventedHome, every_day

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_each_engine")]
CAROL = f"local {getpass.getuser()}"
FEDERATION = """\
vos: [{name: osg}, {name: cms}]
resources:
  - {name: red, site: Nebraska, count_level: batch}
  - {name: hammer, site: Purdue, count_level: batch}
mapping:
  - {when: {account: cms}, vo: cms}
  - {when: {account: school}, vo: school}
"""
RULES = """\
corrections:
  - id: red-cores
    reason: Red reported slots of two cores as one
    author: alice
    ticket: GGUS-1
    period: {first: 2017-01-01, last: 2017-01-03}
    match: {resource: red}
    set: {processors: {4: 8}}
  - id: school-vo
    reason: The school ran under its own name
    author: bob
    ticket: GGUS-2
    period: 2017-01
    match: {account: school}
    set: {vo: osg}
"""
FILL = """\
corrections:
  - id: hammer-fill
    reason: The probe was down
    author: bob
    ticket: GGUS-3
    period: {first: 2017-01-08, last: 2017-01-09}
    add: {vo: cms, resource: hammer, level: batch, per_day: {jobs: 3, wall_seconds: 7200, core_seconds: 28800}}
"""


@pytest.fixture
def made(tmp_path: Path) -> InventedHome:
    home = InventedHome(tmp_path / "home", FEDERATION)
    home.slurm("red", every_day("2017-01-01", "2017-01-06", number=1, cores=4))
    home.slurm("hammer", every_day("2017-01-01", "2017-01-06", number=100, account="school"))
    home.home.corrections.mkdir()
    (home.home.corrections / "rules.yaml").write_text(RULES, encoding="utf-8")
    (home.home.corrections / "fill.yaml").write_text(FILL, encoding="utf-8")
    return home


def run(made: InventedHome, *words: str) -> Any:
    outcome = CliRunner().invoke(app, ["--home", str(made.home.path), *words])
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout) if "--json" in words else outcome.stdout


def refused(made: InventedHome, *words: str) -> str:
    outcome = CliRunner().invoke(app, ["--home", str(made.home.path), *words])
    assert isinstance(outcome.exception, GridkeeperError)
    return str(outcome.exception)


def used(made: InventedHome) -> dict[tuple[str, str], float]:
    rows = run(made, "usage", "--by", "vo,site", "--measure", "core_hours", "--json")["rows"]
    return {(row["vo"], row["site"]): row["core_hours"] for row in rows}


BEFORE = {("cms", "Nebraska"): 20.0, ("school", "Purdue"): 5.0}


def test_a_preview_says_before_and_after_and_writes_nothing(made: InventedHome) -> None:
    found = run(made, "corrections", "preview", "rules", "--json")
    assert [
        (line["vo"], line["site"], line["month"], line["change"]["core_hours"]) for line in found["lines"]
    ] == [
        ("cms", "Nebraska", "2017-01", 12.0),
        ("osg", "Purdue", "2017-01", 5.0),
        ("school", "Purdue", "2017-01", -5.0),
    ]
    assert {rule["id"]: rule["records"] for rule in found["corrections"]} == {"red-cores": 3, "school-vo": 5}
    assert found["total"]["change"] == {"jobs": 0, "wall_hours": 0.0, "core_hours": 12.0, "cpu_hours": 0.0}
    assert used(made) == BEFORE
    assert [row["state"] for row in run(made, "corrections", "list", "--json")] == ["not applied"] * 3


def test_what_is_applied_is_what_was_previewed_and_what_is_revoked_leaves_nothing(made: InventedHome) -> None:
    assert used(made) == BEFORE
    applied = run(made, "corrections", "apply", "rules.yaml", "--json")
    assert applied["applied"] == ["red-cores", "school-vo"]
    assert applied["days_made_anew"] == 5
    assert used(made) == {("cms", "Nebraska"): 32.0, ("osg", "Purdue"): 5.0}
    row = next(row for row in run(made, "corrections", "list", "--json") if row["id"] == "red-cores")
    assert (row["state"], row["applied_by"], row["ticket"]) == ("in force", CAROL, "GGUS-1")
    again = run(made, "corrections", "apply", "rules.yaml", "--json")
    assert (again["applied"], again["days_made_anew"], again["lines"]) == ([], 0, [])
    revoked = run(made, "corrections", "revoke", "red-cores", "school-vo", "--reason", "sent again", "--json")
    assert revoked["total"]["change"]["core_hours"] == -12.0
    assert used(made) == BEFORE
    acts = [
        (entry["act"], entry["subject"])
        for entry in run(made, "audit", "list", "--act", "corrections", "--json")
    ]
    assert acts == [
        ("corrections.revoke", "school-vo"), ("corrections.revoke", "red-cores"),
        ("corrections.apply", "school-vo"), ("corrections.apply", "red-cores"),
    ]  # fmt: skip


def test_a_correction_stays_as_it_was_applied_whatever_its_file_says(made: InventedHome) -> None:
    run(made, "corrections", "apply", "rules", "--json")
    path = made.home.corrections / "rules.yaml"
    path.write_text(RULES.replace("{4: 8}", "{4: 16}").partition("  - id: school")[0], encoding="utf-8")
    assert used(made)["cms", "Nebraska"] == 32.0
    states = {row["id"]: row["state"] for row in run(made, "corrections", "list", "--json")}
    assert states["red-cores"] == "in force as it was; its file says something else"
    assert states["school-vo"] == "in force, not in the files any more"
    found = run(made, "corrections", "apply", "rules", "--json")
    assert found["total"]["change"]["core_hours"] == 24.0
    assert used(made)["cms", "Nebraska"] == 56.0


def test_an_estimate_is_told_apart_and_makes_no_day_anew(made: InventedHome) -> None:
    made.books()
    found = run(made, "corrections", "apply", "fill", "--json")
    assert found["days_made_anew"] == 0
    (line,) = found["lines"]
    assert (
        line["vo"],
        line["site"],
        line["estimated"],
        line["after"]["jobs"],
        line["after"]["core_hours"],
    ) == ("cms", "Purdue", True, 6, 16.0)
    assert used(made) == BEFORE | {("cms", "Purdue"): 16.0}


def test_two_corrections_that_fit_the_same_records_are_named(made: InventedHome) -> None:
    more = (
        RULES.replace("red-cores", "other")
        .replace("school-vo", "out")
        .replace("set: {vo: osg}", "exclude: true")
    )
    (made.home.corrections / "more.yaml").write_text(more, encoding="utf-8")
    run(made, "corrections", "apply", "rules", "--json")
    overlaps = run(made, "corrections", "preview", "more", "--json")["overlaps"]
    assert [(one["corrections"], one["records"], one["effect"]) for one in overlaps] == [
        (["other", "red-cores"], 3, "both change processors; other comes first and counts"),
        (["out", "school-vo"], 5, "out excludes them, so that school-vo does nothing to them"),
    ]


def test_what_cannot_be_done_is_told_in_a_sentence(made: InventedHome, tmp_path: Path) -> None:
    assert "there is no file nebraska; in" in refused(made, "corrections", "preview", "nebraska")
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    assert "copy it there" in refused(made, "corrections", "apply", str(tmp_path / "rules.yaml"))
    assert run(made, "corrections", "preview", str(tmp_path / "rules.yaml"), "--json")["lines"]
    sentence = refused(made, "corrections", "revoke", "red-cores", "--reason", "x")
    assert sentence == "no correction 'red-cores' is in force; in force are: none at all"


def test_a_name_that_the_registry_does_not_know_is_a_doubt(made: InventedHome) -> None:
    path = made.home.corrections / "rules.yaml"
    path.write_text(RULES.replace("set: {vo: osg}", "set: {vo: ogs}"), encoding="utf-8")
    (doubt,) = run(made, "corrections", "preview", "rules", "--json")["doubts"]
    assert (
        doubt
        == "school-vo books usage on the vo ogs, which the registry does not know; mend the name if it is a slip"
    )


def test_a_correction_of_projects_is_shown_by_project(made: InventedHome) -> None:
    path = made.home.corrections / "rules.yaml"
    path.write_text(RULES.replace("set: {vo: osg}", "set: {project: Summer}"), encoding="utf-8")
    lines = run(made, "corrections", "preview", "rules", "--json")["lines"]
    assert {(line["project"], line["change"]["jobs"]) for line in lines if line["vo"] == "school"} == {
        ("Summer", 5),
        (None, -5),
    }


def test_the_tables_for_people_name_what_was_done(made: InventedHome) -> None:
    assert "school-vo" in run(made, "corrections", "list")
    told = CliRunner().invoke(app, ["--home", str(made.home.path), "corrections", "apply", "rules"])
    assert "red-cores, school-vo are in force; 5 days of the summaries were made anew" in told.stderr
    assert "core_hours_change" in told.stdout


JANUARY = ("--first", "2017-01-01", "--until", "2017-02-01")


def test_an_answer_names_the_corrections_that_touch_its_period_and_what_is_estimated(
    made: InventedHome,
) -> None:
    for file in ("rules", "fill"):
        run(made, "corrections", "apply", file, "--json")
    found = run(made, "usage", "--by", "vo,estimated", *JANUARY, "--json")
    assert [rule["id"] for rule in found["about"]["corrections"]] == ["hammer-fill", "red-cores", "school-vo"]
    assert found["about"]["estimated"] == [
        {"vo": "cms", "site": "Purdue", "jobs": 6, "wall_hours": 4.0, "core_hours": 16.0}
    ]
    assert {(row["vo"], row["estimated"]): row["core_hours"] for row in found["rows"]} == {
        ("cms", False): 32.0,
        ("cms", True): 16.0,
        ("osg", False): 5.0,
    }
    later = run(made, "usage", "--by", "vo", "--first", "2017-02-01", "--until", "2017-03-01", "--json")
    assert (later["about"]["corrections"], later["about"]["estimated"]) == ([], [])
    told = CliRunner().invoke(app, ["--home", str(made.home.path), "usage", *JANUARY])
    assert "red-cores (set processors, 2017-01-01 to 2017-01-03, GGUS-1)" in told.stderr
    assert "estimated: cms at Purdue: 16.0 core hours, 4.0 wall hours, 6 jobs" in told.stderr


def test_what_is_estimated_can_be_left_out_of_an_answer_with_and_without_estimates(
    made: InventedHome,
) -> None:
    question = ("usage", "--by", "month", "--where", "estimated=false", "--measure", "core_hours", "--json")
    assert [row["core_hours"] for row in run(made, *question)["rows"]] == [25.0]
    run(made, "corrections", "apply", "fill", "--json")
    assert [row["core_hours"] for row in run(made, *question)["rows"]] == [25.0]
    by_kind = run(made, "usage", "--by", "queue,estimated", "--measure", "core_hours", "--json")[
        "rows"
    ]  # of whole months
    assert {(row["queue"], row["estimated"]): row["core_hours"] for row in by_kind} == {
        ("batch", False): 25.0,
        (None, True): 16.0,
    }
    assert "not corrected" in refused(made, "usage", "--by", "month,estimated", "--source", "reported")


@pytest.mark.parametrize(
    "report",
    [
        ("production", "--month", "2017-01"),
        ("site-vo", "--month", "2017-01"),
        ("trends", "--month", "2017-01"),
    ],
    ids=lambda report: str(report[0]),
)
def test_reports_name_corrections_and_estimates_in_their_footnotes(
    made: InventedHome, report: tuple[str, ...], tmp_path: Path
) -> None:
    for file in ("rules", "fill"):
        run(made, "corrections", "apply", file, "--json")
    where = tmp_path / "report.json"
    run(made, "report", *report, "--format", "json", "-o", str(where))
    about = json.loads(where.read_text(encoding="utf-8"))["about"]
    assert about["Corrections"].startswith(
        "hammer-fill (add an estimate, 2017-01-08 to 2017-01-09, GGUS-3); red-cores"
    )
    assert about["Estimated"].endswith("cms at Purdue 16 core hours, 4 wall hours, 6 jobs")
    for name in ("hammer-fill", "red-cores", "school-vo"):
        run(made, "corrections", "revoke", name, "--reason", "over", "--json")
    run(made, "report", *report, "--format", "json", "-o", str(where))
    assert not {"Corrections", "Estimated"} & json.loads(where.read_text(encoding="utf-8"))["about"].keys()


def test_of_many_lines_those_that_change_most_are_shown_and_the_others_counted(
    made: InventedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_LINES", 1)
    told = CliRunner().invoke(app, ["--home", str(made.home.path), "corrections", "preview", "rules"])
    lines = told.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:2]] == [["2017-01", "cms", "Nebraska"]]
    assert lines[2].startswith("all")
    assert "2 more lines change less than these 1" in told.stderr
