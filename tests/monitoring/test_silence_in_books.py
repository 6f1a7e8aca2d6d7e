"""Silence in homes with real books: what is read of them, with deliveries that lag, lost machines and falls."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.monitoring.history import Delivered, Source, read_deliveries, read_tracks
from gridkeeper.monitoring.silence import source_states
from gridkeeper.monitoring.states import State
from tests.homes import InventedHome, Job, at, every_day
from tests.production_story import MEETING, story

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

ASKED = at("2017-02-07T00:00")
UTAH = """
federation: {name: Sample of Utah, grid: OSG, week_start: monday}
resources: [{name: Utah, site: Utah, aliases: [kingspeak, ember, ash, lonepeak], contacts: [{name: Utah operations}]}]
mapping: [{when: {account: osg}, vo: osg}, {when: {probe: "condor:*"}, grid: OSG}]
"""


def test_the_silent_probe_of_the_story_is_found_with_what_it_misses(tmp_path: Path) -> None:
    found = source_states(story(tmp_path / "home").books(), ASKED, asked=MEETING)
    (utah,) = found.silent
    assert (utah.probe, utah.resource, utah.level) == ("slurm:Utah-Kingspeak", "Utah-Kingspeak", "batch")
    assert (utah.last_day, utah.last_record_at) == (date(2017, 1, 19), at("2017-01-19T12:00"))
    assert (utah.silent_days, utah.usual_gap_days, utah.core_hours_a_day) == (18, 0, 600.0)
    assert utah.other_level_goes_on
    assert utah.missing is not None
    assert utah.missing.from_payloads
    assert utah.missing.core_hours == pytest.approx(18 * 600)
    assert found.counts == {State.SILENT: 1, State.REPORTING: 3}


def test_a_source_that_reports_once_a_week_is_not_silent_after_some_days(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    weekly = [Job(number, at("2017-01-03T10:00") + timedelta(days=7 * number)) for number in range(5)]
    home.slurm("weekly", weekly)
    home.slurm("daily", every_day("2017-01-03", "2017-02-05", number=1))
    books = home.books()
    assert not source_states(books, at("2017-02-06T00:00")).silent
    assert [one.resource for one in source_states(books, at("2017-02-14T00:00")).silent] == ["daily"]


def test_records_after_the_moment_do_not_speak_yet(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    home.slurm("stopped", [*every_day("2016-12-01", "2017-01-10", number=1), Job(99, at("2017-02-03T10:00"))])
    home.slurm("daily", every_day("2016-12-01", "2017-02-05", number=1))
    books = home.books()
    assert [one.resource for one in source_states(books, at("2017-01-20T00:00")).silent] == ["stopped"]
    assert not source_states(books, at("2017-02-04T00:00")).silent


def test_deliveries_and_ends_are_read_of_the_probes_asked_for(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UTAH)
    for number, first in enumerate(("2017-01-03", "2017-01-10", "2017-01-17")):
        days = every_day(first, str(date.fromisoformat(first) + timedelta(days=7)), number=1 + 10 * number)
        home.slurm("ember", days, at(first) + timedelta(days=7, hours=2), probe="slurm:utah")
    home.slurm("other", every_day("2017-01-03", "2017-01-24", number=1))
    delivered, ended = read_deliveries(
        home.books(), {"slurm:utah"}, date(2016, 12, 1), date(2017, 2, 1), at("2017-01-20T00:00")
    )
    assert delivered == {
        "slurm:utah": (
            Delivered(date(2017, 1, 10), date(2017, 1, 9)), Delivered(date(2017, 1, 17), date(2017, 1, 16)),
        )
    }  # fmt: skip
    assert ended == {Source("slurm:utah", "Utah", "batch"): at("2017-01-23T12:00")}, (
        "the books as they are known today"
    )


def test_a_source_of_weekly_deliveries_is_called_when_one_is_missed(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UTAH)
    for week in range(6):
        first = date(2016, 12, 6) + timedelta(days=7 * week)
        received = at(str(first)) + timedelta(days=7, hours=2)
        home.slurm(
            "ember", every_day(str(first), str(first + timedelta(days=7)), number=1 + 10 * week), received
        )
    home.slurm("daily", every_day("2016-12-06", "2017-02-05", number=1))
    books = home.books()
    called = [
        day for day in range(17, 32)
        if [one.resource for one in source_states(books, at(f"2017-01-{day}T00:00")).silent] == ["Utah"]
    ]  # fmt: skip
    assert called[0] == 24, "the delivery of 24 January did not come"
    assert called == list(range(24, 32))


def test_one_of_four_clusters_behind_one_probe_and_one_resource_is_found(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UTAH)
    for place, cluster in enumerate(("kingspeak", "ember", "ash", "lonepeak")):
        until = "2017-01-30" if cluster == "ash" else "2017-02-07"
        jobs = every_day("2016-12-20", until, number=1 + 1000 * place, hours=10, cores=10, account="osg")
        home.slurm(cluster, jobs, probe="slurm:utah")
    (one,) = source_states(home.books(), ASKED).silent
    assert (one.resource, one.part) == ("Utah", "ash")
    assert one.lost_share == pytest.approx(0.25)
    assert one.is_partial
    assert one.since is not None
    assert one.since.date() == date(2017, 1, 29)
    assert one.missing is not None
    assert one.missing.core_hours == pytest.approx(8 * 100)
    assert [who.name for who in one.ask] == ["Utah operations"]


def test_batch_records_that_fall_while_payloads_go_on_are_silent_in_part(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", UTAH)
    home.slurm("ember", every_day("2016-12-01", "2017-02-07", number=1, hours=10, cores=30, account="osg"))
    home.slurm("ember", every_day("2016-12-01", "2017-01-30", number=1000, hours=10, cores=10, account="osg"))
    home.payloads("Utah", every_day("2016-12-01", "2017-02-07", number=1, hours=20, cores=10, account="osg"))
    (one,) = source_states(home.books(), ASKED).silent
    assert (one.resource, one.level, one.part) == ("Utah", "batch", None)
    assert one.lost_share == pytest.approx(0.25)
    assert one.since == at("2017-01-30T00:00")
    assert one.missing is not None
    assert one.missing.core_hours == pytest.approx(8 * 100)


def test_batch_records_of_another_vo_may_fall(tmp_path: Path) -> None:
    home = InventedHome(
        tmp_path / "home", UTAH.replace("mapping: [", "mapping: [{when: {account: cms}, vo: cms}, ")
    )
    home.slurm("ember", every_day("2016-12-01", "2017-02-07", number=1, hours=10, cores=10, account="osg"))
    home.slurm("ember", every_day("2016-12-01", "2017-01-30", number=1000, hours=10, cores=30, account="cms"))
    home.payloads("Utah", every_day("2016-12-01", "2017-02-07", number=1, hours=5, cores=10, account="osg"))
    assert not source_states(home.books(), ASKED).silent


def test_a_source_is_remembered_for_more_than_a_year(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    home.slurm("gone", every_day("2016-01-10", "2016-03-10", number=1))
    home.slurm("daily", every_day("2016-01-10", "2017-02-07", number=1))
    books = home.books()
    (one,) = source_states(books, ASKED).silent
    assert (one.resource, one.last_day) == ("gone", date(2016, 3, 9))
    tracks = read_tracks(books, ASKED)
    assert len(tracks[Source("slurm:gone", "gone", "batch")].days) == 57
    assert tracks[Source("slurm:gone", "gone", "batch")].first_day == date(2016, 1, 10)


def test_an_empty_home_has_no_sources(tmp_path: Path) -> None:
    assert source_states(InventedHome(tmp_path / "home").books(), ASKED).sources == ()
