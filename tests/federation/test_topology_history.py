"""Since when a resource is called and placed as it is comes from the history of a git repository, day by day."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.errors import UserMistake
from gridkeeper.federation.topology.history import Career, read_history
from tests.federation import invented_topology as invented

if TYPE_CHECKING:
    from pathlib import Path

GROUP = f"{invented.SITE}/SPR.yaml"


class Repository:
    """A registry in a git repository, with commits on days of our choice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, moment: str, files: dict[str, str | None]) -> None:
        for name, text in files.items():
            if text is None:
                (self.folder / name).unlink()
            else:
                invented.put(self.folder, {name: text})
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message=change", moment=moment)

    def merged(self, moment: str, files: dict[str, str | None]) -> None:
        """A commit on a branch, merged at a moment."""
        self._git("switch", "--quiet", "--create", "work")
        self.commit("2018-01-01T00:00:00Z", files)
        self._git("switch", "--quiet", "main")
        self._git("merge", "--quiet", "--no-ff", "--message=merge", "work", moment=moment)

    def _git(self, *arguments: str, moment: str = "2018-01-01T00:00:00Z") -> None:
        people = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "alice"), ("EMAIL", "alice@example.org"), ("DATE", moment))}  # fmt: skip
        environment = {
            **os.environ,
            **people,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, env=environment, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.commit("2018-04-06T12:00:00Z", dict(invented.FILES))
    return made


def careers(repository: Repository) -> dict[str, Career]:
    return {one.name: one for one in read_history(repository.folder).careers}


def test_what_was_never_changed_is_so_since_before(repository: Repository) -> None:
    (period,) = careers(repository)["Springfield-CE"].periods
    assert (period.first, period.until, period.site, period.owners["Physics"]) == (
        None,
        None,
        "Springfield",
        60.0,
    )


def test_a_change_counts_from_its_day_on(repository: Repository) -> None:
    repository.commit(
        "2019-05-01T23:30:00-0500", {GROUP: invented.GROUP.replace("Physics: 60", "Physics: 50")}
    )
    repository.commit(
        "2020-01-01T00:00:00Z",
        {GROUP: invented.GROUP.replace("Physics: 60", "Physics: 50").replace("11.5", "12.5")},
    )
    told = careers(repository)["Springfield-CE"].periods
    assert [(one.first, one.until) for one in told] == [
        (None, date(2019, 5, 2)), (date(2019, 5, 2), date(2020, 1, 1)), (date(2020, 1, 1), None),
    ]  # fmt: skip
    assert [one.owners["Physics"] for one in told] == [60.0, 50.0, 50.0]
    assert [one.apel_normal_factor for one in told] == [11.5, 11.5, 12.5]


def test_of_two_changes_on_one_day_the_last_counts(repository: Repository) -> None:
    repository.commit("2019-05-01T08:00:00Z", {GROUP: invented.GROUP.replace("Physics: 60", "Physics: 1")})
    repository.commit("2019-05-01T09:00:00Z", {GROUP: invented.GROUP.replace("Physics: 60", "Physics: 2")})
    told = careers(repository)["Springfield-CE"].periods
    assert [(one.first, one.owners["Physics"]) for one in told] == [(None, 60.0), (date(2019, 5, 1), 2.0)]


def test_a_renamed_resource_knows_its_former_name(repository: Repository) -> None:
    repository.commit(
        "2019-05-01T08:00:00Z", {GROUP: invented.GROUP.replace("Springfield-CE", "Springfield-CE1")}
    )
    told = careers(repository)
    assert told["Springfield-CE1"].formerly == "Springfield-CE"
    assert told["Springfield-CE"].periods[-1].until == date(2019, 5, 1)
    assert told["Springfield-SE"].formerly is None


def test_a_renamed_site_ends_a_period_and_not_the_resource(repository: Repository) -> None:
    place = "topology/Springfield University/Springfield Centre"
    repository.commit(
        "2019-05-01T08:00:00Z",
        {GROUP: None, f"{place}/SPR.yaml": invented.GROUP, f"{place}/SITE.yaml": "ID: 1\n"},
    )
    told = careers(repository)["Springfield-CE"]
    assert [(one.site, one.until) for one in told.periods] == [
        ("Springfield", date(2019, 5, 1)),
        ("Springfield Centre", None),
    ]
    assert told.formerly is None


def test_a_resource_that_is_gone_has_an_end_and_may_come_back(repository: Repository) -> None:
    without = invented.GROUP[: invented.GROUP.index("  Springfield-SE")]
    repository.commit("2019-05-01T08:00:00Z", {GROUP: without})
    repository.commit("2019-06-01T08:00:00Z", {GROUP: invented.GROUP})
    told = careers(repository)["Springfield-SE"].periods
    assert [(one.first, one.until) for one in told] == [(None, date(2019, 5, 1)), (date(2019, 6, 1), None)]


def test_work_on_a_branch_counts_from_its_merge_on(repository: Repository) -> None:
    repository.merged("2019-07-01T08:00:00Z", {GROUP: invented.GROUP.replace("Physics: 60", "Physics: 50")})
    assert careers(repository)["Springfield-CE"].periods[-1].first == date(2019, 7, 1)


def test_a_version_that_is_no_yaml_changes_nothing_and_is_told(repository: Repository) -> None:
    repository.commit("2019-05-01T08:00:00Z", {GROUP: "Production: [\n"})
    history = read_history(repository.folder)
    assert history.commits == 2
    assert [one.split(" ", 1)[1] for one in history.unread] == [GROUP]
    assert [one.periods[-1].until for one in history.careers] == [None, None]


def test_a_folder_without_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="no history that git can read"):
        read_history(tmp_path / "nowhere")


def test_the_command_tells_periods(repository: Repository) -> None:
    repository.commit(
        "2019-05-01T08:00:00Z", {GROUP: invented.GROUP.replace("Springfield-CE", "Springfield-CE1")}
    )
    run = CliRunner().invoke(
        app, ["federation", "history", "springfield-ce", "--repo", str(repository.folder), "--json"]
    )
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert [one["name"] for one in told["resources"]] == ["Springfield-CE", "Springfield-CE1"]
    assert told["resources"][1]["formerly"] == "Springfield-CE"
    assert told["resources"][1]["periods"][0]["from"] == "2019-05-01"
    text = (
        CliRunner()
        .invoke(app, ["federation", "history", "Springfield-CE1", "--repo", str(repository.folder)])
        .stdout
    )
    assert "2019-05-01 – today" in text
