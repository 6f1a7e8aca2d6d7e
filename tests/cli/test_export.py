"""`gridkeeper export apel`, as an operator types it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import EXIT_MISTAKE, EXIT_RETRY, app
from gridkeeper.errors import GridkeeperError
from tests.exports.grids import GridJob, grid_home, load
from tests.exports.message_server import TOKEN, messaging_service
from tests.shared_material import shared

if TYPE_CHECKING:
    from pathlib import Path

    from tests.homes import InventedHome

JOBS = [GridJob(1), GridJob(2, cores=8), GridJob(3, vo="atlas", fqan="/atlas", site="WEST")]
pytestmark = pytest.mark.usefixtures("on_each_engine")


def typed(home: InventedHome, *words: str) -> str:
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), "export", *words])
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    return outcome.stdout


def refused(home: InventedHome, *words: str) -> GridkeeperError:
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), "export", *words])
    assert isinstance(outcome.exception, GridkeeperError), outcome.output
    return outcome.exception


def told(home: InventedHome, *words: str) -> Any:
    return json.loads(typed(home, *words, "--json"))


def test_a_month_is_written_into_a_folder_compared_and_written_down(tmp_path: Path) -> None:
    home, folder = grid_home(tmp_path / "home", JOBS), tmp_path / "messages"
    said = typed(home, "apel", "--month", "2017-01", "-o", str(folder))
    assert (
        "January 2017, dialect v0.4, of jobs: 3 groups in 2 messages; 3 jobs, 10,800 s wall, 9,000 s CPU"
        in said
    )
    assert "nothing was sent of this month in this dialect before" in said
    names = ["apel-2017-01-v0.4-summaries-0001.apel", "apel-2017-01-v0.4-sync-0001.apel"]
    before = {name: (folder / name).read_bytes() for name in names}
    assert sorted(path.name for path in folder.iterdir()) == names
    again = typed(home, "apel", "--month", "2017-01", "-o", str(folder))
    assert re.search(r"the same as what was sent \d{4}-\d\d-\d\d \d\d:\d\d UTC \(files\)", again)
    assert {name: (folder / name).read_bytes() for name in names} == before
    load(home, [GridJob(2, cores=4, wall_s=3601)])
    dry = typed(home, "apel", "--month", "2017-01", "--dry-run")
    assert "1 groups new, 0 changed, 1 gone (told with zeros), 2 the same" in dry
    assert re.search(r"EAST +cms +2 +2 +2\.0 +2\.0", dry)
    assert {name: (folder / name).read_bytes() for name in names} == before
    assert len(told(home, "sent")) == 2
    assert "files" in typed(home, "sent", "--month", "2017-01")


def test_json_tells_all(tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    said = told(home, "apel", "--month", "2017-01", "-o", str(tmp_path / "messages"), "--dialect", "gracc")
    assert (said["month"], said["dialect"], said["groups"], said["delivered_to"]) == (
        "2017-01",
        "gracc",
        3,
        ["files"],
    )
    assert said["totals"]["jobs"] == 3
    assert [one["name"] for one in said["messages"]] == [
        "apel-2017-01-gracc-summaries-0001.apel",
        "apel-2017-01-gracc-sync-0001.apel",
    ]
    assert said["difference"]["last_sent_at"] is None


def test_a_month_goes_to_every_destination_of_the_settings(tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    (home.home.path / "token").write_text(TOKEN, encoding="utf-8")
    with messaging_service() as service:
        with home.home.settings.open("a", encoding="utf-8") as settings:
            settings.write(
                f'[apel]\nqueue = "outgoing"\n[apel.ams]\nurl = "{service.url}"\nproject = "accounting"\ntopic = "grid"\ntoken_file = "token"\n'
            )
        assert told(home, "apel", "--month", "2017-01", "--send")["delivered_to"] == ["queue", "ams"]
        queued = sorted(path for path in (home.home.path / "outgoing").rglob("*") if path.is_file())
        assert [path.read_bytes() for path in queued] == [text for _, text in service.published]
        service.fails_after, service.fails_with = 2, 503
        failed = refused(home, "apel", "--month", "2017-01", "--send")
        assert (failed.permanent, EXIT_RETRY) == (False, 3)
    assert [(one["destination"], one["sent_at"] is None) for one in told(home, "sent")] == [
        ("ams", True),
        ("queue", False),
        ("ams", False),
        ("queue", False),
    ]


def test_what_cannot_be_done_is_said_before_anything_is(tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS, "")
    for words, said in (
        (("apel", "--month", "2017-01"), "say where to"),
        (("apel", "--month", "2017-01", "--send"), "no destination is named"),
        (("apel", "--month", "2017", "--dry-run"), "is no month"),
        (("apel", "--month", "2017-01", "--dry-run"), "no HEPScore23 factor is known of EAST"),
        (("apel", "--month", "2016-01", "--dry-run"), "nothing is known of January 2016"),
    ):
        error = refused(home, *words)
        assert said in str(error)
        assert (error.permanent, EXIT_MISTAKE) == (True, 2)
    assert told(home, "sent") == []


def test_gracc_s_january_2017_is_told_again_to_the_unit(tmp_path: Path) -> None:
    source = shared("apel/gracc_2017-01.apel")
    expected = json.loads(shared("apel/expected_totals.json").read_text(encoding="utf-8"))[source.name][
        "totals"
    ]
    home = grid_home(tmp_path / "home", [], "")
    outcome = CliRunner().invoke(app, ["--home", str(home.home.path), "load", str(source)])
    assert outcome.exit_code == 0, outcome.output
    for dialect in ("v0.4", "gracc"):
        totals = told(
            home, "apel", "--month", "2017-01", "-o", str(tmp_path / dialect), "--dialect", dialect
        )["totals"]
        assert totals == {
            "jobs": expected["NumberOfJobs"], "wall_s": expected["WallDuration"], "cpu_s": expected["CpuDuration"],
            "normalised_wall_s": expected["NormalisedWallDuration"], "normalised_cpu_s": expected["NormalisedCpuDuration"],
        }  # fmt: skip


def test_messages_of_anybody_are_judged(tmp_path: Path) -> None:
    home = grid_home(tmp_path / "home", JOBS)
    typed(home, "apel", "--month", "2017-01", "-o", str(tmp_path / "messages"))
    files = [str(path) for path in sorted((tmp_path / "messages").iterdir())]
    assert all(one["accepted"] for one in told(home, "check", *files))
    broken = tmp_path / "broken.apel"
    broken.write_text("APEL-sync-message: v0.1\nSite: EAST\n%%\n", encoding="utf-8")
    outcome = CliRunner().invoke(app, ["export", "check", *files, str(broken)])
    assert outcome.exit_code == 1
    assert "broken.apel: refused: record 1: NumberOfJobs is missing" in outcome.output
    assert "cannot be read" in str(refused(home, "check", str(tmp_path / "nowhere")))
