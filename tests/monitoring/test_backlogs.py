"""What waits at probes, each in its own unit: when it grows, and how it is said."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.monitoring.backlogs import UNTOLD, Backlog
from gridkeeper.monitoring.heard import pulse_of
from gridkeeper.monitoring.states import State
from tests.monitoring.invented import beats, every_hour, judged, moment, state_of, track

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 70
GROWING = [0] * 30 + [1, 2, 3, 4, 5, 6]


def is_late(amounts: Sequence[int], unit: str) -> bool:
    hours = every_hour(moment(NOW) - timedelta(hours=len(amounts)), moment(NOW))
    pulse = pulse_of(beats("A", hours, backlog=lambda number: amounts[number], unit=unit), moment(NOW))
    return pulse is not None and pulse.late_since is not None


@pytest.mark.parametrize(("unit", "step"), [("batches", 1), ("records", 40), ("jobs", 40)])
def test_a_backlog_grows_by_the_measure_of_its_unit(unit: str, step: int) -> None:
    assert is_late([step * amount for amount in GROWING], unit)
    assert not is_late([0] * 30 + [step, 0, step, 0, step, 0], unit), "what comes and goes is no news"
    assert not is_late([step * 8] * 36, unit), "what only lies there does not grow"
    assert is_late(GROWING, unit) is (unit == "batches"), "six files of a Gratia probe are nothing"


def test_one_batch_that_is_not_wanted_makes_late_by_its_age_alone() -> None:
    hours = every_hour(moment(NOW - 10), moment(NOW))
    for waits, late in ((timedelta(hours=20), False), (timedelta(hours=30), True)):
        heard = beats("A", hours, backlog=lambda _: 1, unit="batches", oldest=moment(NOW) - waits)
        pulse = pulse_of(heard, moment(NOW))
        assert pulse is not None
        assert (pulse.late_since is not None) is late


def test_a_probe_of_ours_whose_backlog_grows_is_late_and_says_what_waits() -> None:
    hours = every_hour(moment(NOW - 3), moment(NOW))
    growing = beats(
        "Kingspeak", hours, backlog=lambda number: max(0, number - len(hours) + 10), unit="batches"
    )
    one = state_of(judged(track("Kingspeak", range(NOW)), until=NOW, heard=[growing]), "Kingspeak")
    assert (one.state, one.why) == (State.LATE, ("9 batches wait at its probe",))
    never = state_of(judged(until=NOW, heard=[growing]), "Kingspeak")
    assert (never.state, never.why) == (
        State.LATE,
        ("9 batches wait at its probe, and no record ever came",),
    )


def test_units_are_named_and_never_added_up() -> None:
    assert Backlog(batches=1).sentence == "1 batch waits at its probe"
    assert Backlog(records=1, jobs=1).sentence == "1 record and 1 job wait at its probe"
    assert Backlog(records=200_007, jobs=41).words == "200,007 records and 41 jobs"
    assert (Backlog(batches=0).words, bool(Backlog(batches=0)), Backlog(batches=0).is_told) == (
        "nothing",
        False,
        True,
    )
    assert (UNTOLD.is_told, bool(UNTOLD)) == (False, False)
