"""Coverage: which of the expected source-days have records; a quiet day is no missing one, and unknown is not zero."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.monitoring.coverage import (
    Coverage,
    Covered,
    coverage,
    coverages,
    days_of,
    nothing_expected,
    read_far_tracks,
)
from gridkeeper.monitoring.history import Source, Track, latest, read_tracks
from gridkeeper.monitoring.missing import Missing
from gridkeeper.monitoring.silence import source_states
from gridkeeper.monitoring.states import SourceState, State
from gridkeeper.queries.periods import Period
from tests.homes import InventedHome, at, every_day

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RED = Source("slurm:red", "Red", "batch")
WEEK = Period(date(2017, 1, 31), date(2017, 2, 7))
BEGIN = date(2016, 12, 1)


def track(days: Iterable[date]) -> Track:
    some = sorted(days)
    return Track(RED, None, some[0], dict.fromkeys(some, 3600))


def days(first: date, until: date, step: int = 1) -> list[date]:
    return [first + timedelta(days=number) for number in range(0, (until - first).days, step)]


def state(state: State, **more: object) -> SourceState:
    return SourceState("slurm:red", "Red", "batch", None, state, **more)  # type: ignore[arg-type]


def test_a_source_of_every_day_is_expected_every_day() -> None:
    found = days_of(track(days(BEGIN, WEEK.until)), state(State.REPORTING), WEEK, WEEK.until)
    assert (found.present, found.missing, found.announced) == (7, 0, 0)


def test_what_a_silent_source_would_have_sent_is_missing() -> None:
    silent = state(State.SILENT, missing=Missing(1000.0, 900.0, 1100.0, 10))
    found = days_of(track(days(BEGIN, date(2017, 1, 28))), silent, WEEK, WEEK.until)
    assert (found.present, found.missing) == (0, 7)
    assert found.core_hours == pytest.approx(700.0)  # seven of its ten silent days lie in the week


@pytest.mark.parametrize("quiet", [State.IDLE, State.REPORTING, State.DISABLED])
def test_days_without_jobs_are_not_missing(quiet: State) -> None:
    found = days_of(track(days(BEGIN, date(2017, 1, 28))), state(quiet), WEEK, WEEK.until)
    assert (found.present, found.missing, found.core_hours) == (0, 0, None)


def test_a_source_of_mondays_is_expected_on_mondays() -> None:
    weekly = track(days(date(2016, 10, 3), WEEK.until, 7))
    assert days_of(weekly, state(State.REPORTING), WEEK, WEEK.until).present == 1
    ended = track(days(date(2016, 10, 3), date(2017, 1, 3), 7))
    month = Period(date(2017, 1, 1), date(2017, 2, 1))
    found = days_of(ended, state(State.SILENT), month, month.until)
    assert (found.present, found.missing) == (1, 4)  # 2 January came; 9, 16, 23 and 30 January did not


def test_a_gap_that_ended_counts_where_it_was_too_long_for_the_rhythm() -> None:
    month = Period(date(2017, 1, 1), date(2017, 2, 1))
    with_gap = track([*days(BEGIN, date(2017, 1, 10)), *days(date(2017, 1, 15), month.until)])
    found = days_of(with_gap, state(State.REPORTING), month, month.until)
    assert (found.present, found.missing) == (26, 5)
    short = track([*days(BEGIN, date(2017, 1, 10)), *days(date(2017, 1, 11), month.until)])
    assert days_of(short, state(State.REPORTING), month, month.until).missing == 0


def test_announced_downtime_is_said_and_not_missing() -> None:
    month = Period(date(2017, 1, 1), date(2017, 2, 1))
    away = frozenset(days(date(2017, 1, 10), date(2017, 1, 15)))
    with_gap = track([*days(BEGIN, date(2017, 1, 10)), *days(date(2017, 1, 15), month.until)])
    found = days_of(with_gap, state(State.REPORTING), month, month.until, away)
    assert (found.present, found.missing, found.announced) == (26, 0, 5)


def test_nothing_is_expected_before_a_source_was_first_seen_or_of_days_that_are_not_over() -> None:
    begun = track(days(date(2017, 2, 2), date(2017, 2, 5)))
    found = days_of(begun, state(State.SILENT), WEEK, date(2017, 2, 5))
    assert (found.present, found.missing) == (3, 0)


def test_of_a_source_too_new_for_a_rhythm_only_its_days_are_told() -> None:
    found = days_of(track([date(2017, 2, 1), date(2017, 2, 5)]), state(State.REPORTING), WEEK, WEEK.until)
    assert (found.present, found.missing, found.rhythm_is_known) == (2, 0, False)


def test_nothing_expected_is_no_share_and_no_low_one() -> None:
    nothing = Coverage(0.95, Covered(), {}, {})
    assert nothing.total.share is None
    assert not nothing.is_low(nothing.vo("cms"))
    assert nothing.is_low(Covered(2, 1, 20, 18))
    assert not nothing.is_low(Covered(2, 2, 20, 19))


FEDERATION = """
vos: [{name: cms}, {name: osg}]
resources:
  - {name: red, site: Nebraska, count_level: batch}
  - {name: ash, site: Utah, count_level: batch}
  - {name: elm, site: Utah, count_level: batch}
mapping: [{when: {account: cms}, vo: cms}, {when: {account: osg}, vo: osg}]
expected: [{resource: elm, since: 2017-02-05}]
downtimes: [{resource: red, from: 2017-02-01, until: 2017-02-03}]
"""


def test_each_number_has_the_coverage_of_its_own_sources(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    home.slurm("red", every_day("2017-01-01", "2017-02-01", number=1))
    home.slurm("red", every_day("2017-02-03", "2017-02-07", number=100))
    home.slurm("ash", every_day("2017-01-01", "2017-02-03", number=1, account="osg"))
    # Payloads at a resource whose batch records count cover no number.
    home.payloads("red", every_day("2017-01-01", "2017-01-20", number=1))
    books, moment = home.books(), at("2017-02-07T00:00")
    found = coverage(books, WEEK, source_states(books, moment, asked=at("2017-02-08T00:00")), floor=0.9)
    assert found.by_vo["cms"] == Covered(1, 1, 5, 5, 2)
    assert found.by_vo["osg"] == Covered(1, 1, 7, 3)
    assert found.total == Covered(3, 2, 5 + 7 + 2, 5 + 3, 2)
    assert found.by_site["Utah"] == Covered(2, 1, 9, 3)
    assert [(one.source.resource, one.missing) for one in found.uncovered] == [("ash", 4), ("elm", 2)]
    assert (found.is_low(found.vo("cms")), found.is_low(found.vo("osg")), found.is_low(found.vo(""))) == (
        False,
        True,
        True,
    )
    assert found.core_hours == pytest.approx(4.0, abs=0.5)


def test_an_announcement_beside_the_registry_is_heeded(tmp_path: Path) -> None:
    from gridkeeper.federation.model import Downtime

    home = InventedHome(tmp_path / "home", FEDERATION)
    home.slurm("ash", every_day("2017-01-01", "2017-02-03", number=1, account="osg"))
    books, moment = home.books(), at("2017-02-07T00:00")
    told = (Downtime.model_validate({"resource": "ash", "from": "2017-02-03"}),)
    silence = source_states(books, moment, asked=at("2017-02-08T00:00"), announced=told)
    assert coverage(books, WEEK, silence, announced=told).by_vo["osg"] == Covered(1, 1, 3, 3, 4)


def test_the_days_of_sources_are_read_once_for_states_and_for_several_periods(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION)
    home.slurm("red", every_day("2016-09-01", "2017-02-07", number=1))
    home.slurm("ash", every_day("2016-09-01", "2017-01-20", number=1, account="osg"))
    home.slurm("ash", every_day("2016-09-01", "2017-02-07", number=1000), probe="slurm:other")
    home.slurm("elm", [job for job in every_day("2016-09-01", "2017-01-20", number=1) if job.end.day == 3])
    books, moment = home.books(), at("2017-02-07T00:00")
    periods = (Period(date(2016, 12, 1), date(2017, 1, 1)), Period(date(2017, 1, 1), date(2017, 2, 1)), WEEK)
    far = read_far_tracks(books, periods, moment)
    assert latest(far) == read_tracks(books, moment) != far
    silence = source_states(books, moment)
    assert source_states(books, moment, tracks=far) == silence
    found = coverages(books, periods, silence, tracks=far)
    assert found == tuple(coverage(books, period, silence) for period in periods)
    assert [one.by_vo["osg"].present_days for one in found] == [31, 19, 0]


def test_at_the_batch_level_payloads_are_no_source(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home", FEDERATION.replace("expected:", "# expected:"))
    home.payloads("pine", every_day("2017-01-01", "2017-02-07", number=1))
    books, moment = home.books(), at("2017-02-07T00:00")
    silence = source_states(books, moment)
    assert coverage(books, WEEK, silence).total.expected == 1
    tracks = read_far_tracks(books, (WEEK,), moment)
    (of_batch,) = coverages(books, (WEEK,), silence, count_level="batch")
    assert of_batch == nothing_expected(books, tracks, "batch") == Coverage(0.95, Covered(), {}, {})
    assert nothing_expected(books, tracks, None) is None


def test_an_empty_home_has_no_coverage(tmp_path: Path) -> None:
    home = InventedHome(tmp_path / "home")
    books = home.books()
    found = coverage(books, WEEK, source_states(books, at("2017-02-07T00:00")))
    assert found.total == Covered()
    assert found.core_hours is None
