"""The states of sources, as stories: who is silent and who only has no jobs, and what is said with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from gridkeeper.federation.model import Registry
from gridkeeper.monitoring.history import Beside, Delivered, History
from gridkeeper.monitoring.rhythm import HISTORY_DAYS
from gridkeeper.monitoring.silence import judge
from gridkeeper.monitoring.states import State
from gridkeeper.monitoring.surroundings import closed_until
from tests.monitoring.invented import (
    beats,
    day,
    every_hour,
    history,
    judged,
    moment,
    payloads,
    state_of,
    track,
)

NOW = 70
UTAH = Registry.model_validate(
    yaml.safe_load("""
    sites: [{name: Utah, contacts: [{name: Utah operations, email: operations@utah.example.edu}]}]
    resources:
      - {name: Kingspeak, site: Utah}
      - {name: Ember, site: Utah}
      - {name: Ash, site: Utah, contacts: [{name: Ash's keeper}]}
      - {name: Lonepeak, site: Utah, aliases: [lone]}
    """)
)


def registry(text: str) -> Registry:
    return Registry.model_validate(yaml.safe_load(text))


def test_a_batch_source_that_stops_is_silent_since_its_last_day() -> None:
    found = judged(track("Kingspeak", range(52)), track("Ember", range(NOW)), until=NOW, registry=UTAH)
    utah = state_of(found, "Kingspeak")
    assert (utah.state, utah.last_day, utah.silent_days) == (State.SILENT, day(51), 18)
    assert utah.since is not None
    assert utah.since.date() == day(51)
    assert utah.missing is not None
    assert utah.missing.core_hours == pytest.approx(1800)
    assert utah.ask[0].email == "operations@utah.example.edu"
    assert not utah.heard
    assert found.sources[0] is utah, "what needs care comes first"
    assert found.counts == {State.SILENT: 1, State.REPORTING: 1}


def test_payloads_that_go_on_show_silence_though_the_probe_is_heard() -> None:
    heard = beats("Kingspeak", every_hour(moment(56), moment(NOW)))
    going_on = payloads("Kingspeak", range(NOW))
    found = judged(track("Kingspeak", range(60)), going_on, until=NOW, heard=[heard])
    batch, payload = state_of(found, "Kingspeak"), state_of(found, "Kingspeak", "payload")
    assert batch.state is State.SILENT
    assert batch.other_level_goes_on
    assert batch.missing is not None
    assert batch.missing.from_payloads
    assert batch.missing.core_hours == pytest.approx(10 * 100)
    assert "its probe is heard, but sends no records" in batch.why
    assert payload.state is State.REPORTING


def test_a_probe_that_is_heard_and_has_no_jobs_is_idle() -> None:
    heard = beats("Kingspeak", every_hour(moment(56), moment(NOW)))
    found = judged(track("Kingspeak", range(60)), until=NOW, heard=[heard])
    assert state_of(found, "Kingspeak").state is State.IDLE
    assert state_of(found, "Kingspeak").missing is None


def test_a_probe_that_sees_jobs_run_and_sends_no_records_is_not_idle() -> None:
    heard = beats("Kingspeak", every_hour(moment(56), moment(NOW)), running=1200)
    one = state_of(judged(track("Kingspeak", range(60)), until=NOW, heard=[heard]), "Kingspeak")
    assert one.state is State.SILENT
    assert one.why[-1] == "its probe is heard, but sends no records, though it sees 1,200 cores running"


def test_a_probe_whose_heartbeats_stop_is_silent_before_a_day_without_records_is_over() -> None:
    hours = every_hour(moment(56), moment(NOW, 2))
    heard = beats("Kingspeak", hours)
    found = judged(track("Kingspeak", range(NOW)), until=NOW, hour=9, heard=[heard])
    one = state_of(found, "Kingspeak")
    assert (one.state, one.since, one.missing) == (State.SILENT, heard.last_at, None)
    assert "last heard" in one.why[-1]
    still = judged(track("Kingspeak", range(NOW)), until=NOW, hour=3, heard=[heard])
    assert state_of(still, "Kingspeak").state is State.REPORTING


def test_records_that_come_without_heartbeats_speak_for_themselves() -> None:
    heard = beats("Kingspeak", every_hour(moment(50), moment(60)))
    found = judged(track("Kingspeak", range(NOW)), until=NOW, heard=[heard])
    assert state_of(found, "Kingspeak").state is State.REPORTING


def test_a_backlog_that_grows_is_late_whether_records_come_or_not() -> None:
    hours = every_hour(moment(56), moment(NOW, 6))
    growing = beats("Kingspeak", hours, backlog=lambda number: max(0, number - len(hours) + 10) * 300)
    for last in (NOW, 60):
        one = state_of(
            judged(track("Kingspeak", range(last)), until=NOW, hour=6, heard=[growing]), "Kingspeak"
        )
        assert (one.state, one.backlog.records) == (State.LATE, 2700)
    waves = beats("Kingspeak", hours, backlog=lambda number: number % 24 * 100)
    one = state_of(judged(track("Kingspeak", range(NOW)), until=NOW, hour=6, heard=[waves]), "Kingspeak")
    assert one.state is State.REPORTING, "a backlog that comes and goes every day is no news"


def test_a_record_that_waits_for_more_than_a_day_makes_late() -> None:
    heard = beats(
        "Kingspeak", every_hour(moment(56), moment(NOW)), backlog=lambda _: 5, oldest=moment(NOW - 2)
    )
    one = state_of(judged(track("Kingspeak", range(NOW)), until=NOW, heard=[heard]), "Kingspeak")
    assert (one.state, one.since) == (State.LATE, moment(NOW - 2))


def test_one_of_four_clusters_of_a_site_is_found() -> None:
    whole = [track(name, range(NOW), probe="slurm:utah") for name in ("Ember", "Ash", "Lonepeak")]
    found = judged(track("Kingspeak", range(65), probe="slurm:utah"), *whole, until=NOW, registry=UTAH)
    one = state_of(found, "Kingspeak")
    assert one.state is State.SILENT
    assert one.peers == ("Ash", "Ember", "Lonepeak")
    assert one.probe_goes_on
    assert len(found.silent) == 1


def test_the_word_of_a_probe_of_four_clusters_says_nothing_of_one() -> None:
    whole = [track(name, range(NOW), probe="slurm:utah") for name in ("Ember", "Ash", "Lonepeak")]
    heard = beats(None, every_hour(moment(56), moment(NOW)), probe="slurm:utah")
    found = judged(track("Kingspeak", range(60), probe="slurm:utah"), *whole, until=NOW, registry=UTAH, heard=[heard])  # fmt: skip
    assert state_of(found, "Kingspeak").state is State.SILENT


def test_an_access_point_that_sees_nothing_of_one_resource_is_no_silence() -> None:
    found = judged(payloads("Kingspeak", range(50)), payloads("Ember", range(NOW)), until=NOW)
    assert state_of(found, "Kingspeak", "payload").state is State.IDLE
    assert not found.silent


def test_an_access_point_that_is_silent_altogether_is_one_line() -> None:
    found = judged(
        *(payloads(name, range(60)) for name in ("A", "B", "C")), track("A", range(NOW)), until=NOW
    )
    (one,) = found.silent
    assert (one.probe, one.resource, one.resources) == ("condor:ap1", None, ("A", "B", "C"))
    assert one.missing is not None
    assert one.missing.core_hours == pytest.approx(10 * 150)


def test_what_is_expected_and_never_came_is_never_seen() -> None:
    told = registry("""
    resources:
      - {name: Kingspeak, probes: ["slurm:Kingspeak"]}
      - {name: Ember, probes: ["slurm:ember", "slurm:ember2"]}
    expected: [{resource: "*", since: 2017-01-10}, {resource: Elsewhere}, {resource: Later, since: 2018-01-01}]
    """)
    found = judged(track("Kingspeak", range(NOW)), until=NOW, registry=told)
    assert [(one.resource, one.probe) for one in found.of(State.NEVER_SEEN)] == [
        ("Elsewhere", None), ("Ember", "slurm:ember"), ("Ember", "slurm:ember2"),
    ]  # fmt: skip
    assert found.of(State.NEVER_SEEN)[1].since == datetime(2017, 1, 10, tzinfo=UTC)
    heard = beats("Ember", every_hour(moment(60), moment(NOW)), probe="slurm:ember")
    found = judged(track("Kingspeak", range(NOW)), until=NOW, registry=told, heard=[heard])
    assert [one.probe for one in found.of(State.NEVER_SEEN)] == [None, "slurm:ember2"]
    assert [one.probe for one in found.of(State.IDLE)] == ["slurm:ember"], (
        "it was heard, and has no record yet"
    )


def test_an_expected_access_point_is_seen_at_other_resources() -> None:
    told = registry('{resources: [{name: AP, probes: ["condor:ap1"]}], expected: [{resource: AP}]}')
    assert not judged(payloads("Ember", range(NOW)), until=NOW, registry=told).of(State.NEVER_SEEN)


def test_a_disabled_resource_is_no_news() -> None:
    told = registry("resources: [{name: Kingspeak, disabled: {since: 2017-02-20, reason: switched off}}]")
    one = state_of(judged(track("Kingspeak", range(48)), until=NOW, registry=told), "Kingspeak")
    assert (one.state, one.why) == (State.DISABLED, ("switched off",))
    one = state_of(judged(track("Kingspeak", range(NOW)), until=NOW, registry=told), "Kingspeak")
    assert one.why == ("switched off", "its records still come")
    one = state_of(judged(track("Kingspeak", range(30)), until=40, registry=told), "Kingspeak")
    assert one.state is State.SILENT, "that was before it was disabled"


def test_announced_downtime_is_no_silence_and_its_days_are_not_missing() -> None:
    told = registry("""
    resources: [{name: Kingspeak, aliases: [kp]}]
    downtimes: [{resource: KP, from: 2017-03-04T12:00:00, until: 2017-03-14, reason: new cooling}]
    """)
    stopped = track("Kingspeak", range(62))
    one = state_of(judged(stopped, until=NOW, registry=told), "Kingspeak")
    assert (one.state, one.missing) == (State.DOWNTIME, None)
    assert one.why[0] == "new cooling"
    later = state_of(judged(stopped, until=72, registry=told), "Kingspeak")
    assert later.state is State.REPORTING, "the downtime is over, and one day since is no silence"
    later = state_of(judged(stopped, until=75, registry=told), "Kingspeak")
    assert (later.state, later.silent_days) == (State.SILENT, 4)
    assert later.missing is not None
    assert later.missing.core_hours == pytest.approx(400)
    still = state_of(judged(track("Kingspeak", range(NOW)), until=NOW, registry=told), "Kingspeak")
    assert still.state is State.REPORTING


def test_a_downtime_without_end_holds_until_somebody_ends_it() -> None:
    told = registry("downtimes: [{resource: Kingspeak, from: 2017-02-01}]")
    one = state_of(judged(track("Kingspeak", range(20)), until=300, registry=told), "Kingspeak")
    assert (one.state, one.why) == (State.DOWNTIME, ("no end was announced",))


def test_a_probe_that_another_one_replaced_is_not_missed() -> None:
    old, new = track("Kingspeak", range(50)), track("Kingspeak", range(49, NOW), probe="slurm:new")
    found = judged(old, new, until=NOW)
    assert not found.silent
    (one,) = found.of(State.DISABLED)
    assert one.probe == "slurm:Kingspeak"
    assert "slurm:new reports in its place" in one.why[0]
    other = track("Kingspeak", range(NOW), probe="slurm:second")
    assert len(judged(old, other, until=NOW).silent) == 1, "that one was there before"


def test_a_fall_behind_the_payloads_is_silence_in_part() -> None:
    batch = track("Kingspeak", range(NOW), hours=lambda number: 75 if number >= 63 else 97 + number % 7)
    inside = payloads("Kingspeak", range(NOW))
    known = history(batch, inside, until=NOW)

    beside = {"Kingspeak": Beside(batch.core_seconds, inside.core_seconds)}
    known = History(known.until, known.tracks, beside)
    found = judge(known, Registry(), moment(NOW))
    one = state_of(found, "Kingspeak")
    assert one.state is State.SILENT
    assert one.is_partial
    assert one.lost_share == pytest.approx(0.25, abs=0.03)
    assert one.missing is not None
    assert one.missing.core_hours == pytest.approx(7 * 25, rel=0.1)
    assert one.since is not None
    assert abs((one.since.date() - day(63)).days) <= 1


def test_in_a_home_loaded_by_hand_books_that_end_are_no_silence_of_all() -> None:
    alive = [track(name, range(60)) for name in ("A", "B", "C", "D")]
    found = judged(*alive, track("Gone", range(40)), until=365)
    assert (found.until, found.nothing_since) == (day(60), day(59))
    assert [one.resource for one in found.silent] == ["Gone"]
    heard = beats("A", every_hour(moment(50), moment(60)))
    found = judged(*alive, track("Gone", range(40)), until=365, heard=[heard])
    assert found.nothing_since is None
    assert len(found.silent) == 5, "where probes are heard, silence of all is silence"


def test_a_single_source_that_stops_is_silent_even_if_nothing_else_is_known() -> None:
    assert state_of(judged(track("Alone", range(60)), until=100), "Alone").state is State.SILENT


def test_a_silent_source_stays_silent_until_it_reports_again() -> None:
    states = [
        state_of(judged(track("A", range(60)), track("B", range(400)), until=until), "A").state
        for until in range(60, 400, 5)
    ]
    assert states[0] is State.REPORTING
    assert set(states[1:]) == {State.SILENT}
    again = judged(track("A", [*range(60), 99]), track("B", range(100)), until=100)
    assert state_of(again, "A").state is State.REPORTING


def test_a_probe_that_is_heard_before_it_sends_anything_is_idle_and_silent_once_unheard() -> None:
    heard = beats("New", every_hour(moment(66), moment(NOW)))
    assert state_of(judged(until=NOW, heard=[heard]), "New").state is State.IDLE
    assert state_of(judged(until=NOW + 5, heard=[heard]), "New").state is State.SILENT


def test_nothing_known_is_no_source_at_all() -> None:
    found = judged(until=NOW)
    assert (found.sources, found.counts, found.nothing_since) == ((), {}, None)


@pytest.mark.parametrize(
    "came, until, closed",
    [
        ([], 70, 70),
        ([(50, 49)], 70, 70),
        ([(35, 34), (42, 41), (49, 48), (56, 55)], 62, 56),
        ([(35, 34), (42, 41), (49, 48), (56, 55)], 63, 63),
        ([(35, 34), (42, 41), (49, 48), (56, 55)], 70, 70),
        ([(number, number) for number in range(50, 70)], 70, 70),
        ([(number, number - 3) for number in range(50, 71)], 70, 68),
        ([(number, number) for number in (35, 42, 49, 56)], 64, 64),
        ([(number, number) for number in (35, 42, 49, 56)], 63, 63),
    ],
    ids=[
        "none",
        "one",
        "weekly, not due",
        "weekly, due",
        "weekly, due twice",
        "daily",
        "three days old",
        "weekly, of its own day, over",
        "weekly, of its own day",
    ],
)
def test_days_that_the_next_delivery_may_fill_are_not_judged(
    came: list[tuple[int, int]], until: int, closed: int
) -> None:
    delivered = [Delivered(day(came_on), day(newest)) for came_on, newest in came]
    assert closed_until(delivered, day(until)) == day(closed)


def test_a_source_that_delivers_weekly_is_not_silent_before_its_delivery_is_due() -> None:
    known = history(track("Weekly", range(49)), track("Daily", range(NOW)), until=55)
    came = tuple(Delivered(day(number), day(number - 1)) for number in range(7, 50, 7))
    found = judge(History(known.until, known.tracks, delivered={"slurm:Weekly": came}), Registry(), moment(55))  # fmt: skip
    assert state_of(found, "Weekly").state is State.REPORTING
    later = History(day(59), known.tracks, delivered={"slurm:Weekly": came})
    assert state_of(judge(later, Registry(), moment(59), history_days=HISTORY_DAYS), "Weekly").state is State.SILENT  # fmt: skip
