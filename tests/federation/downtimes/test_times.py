"""Times of downtimes: every form becomes UTC, and what was declared stays beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation.downtimes.times import (
    MONTHS,
    OPEN_FROM,
    Stamp,
    UnreadableTime,
    Window,
    as_iso,
    as_worded,
    epoch,
    ical,
    iso,
    typed,
    worded,
)


@pytest.mark.parametrize(
    ("text", "utc", "offset"),
    [
        ("Jul 31, 2018 14:00 -0500", "2018-07-31T19:00", -300),
        ("Jan 18, 2038 21:14 -0600", "2038-01-19T03:14", -360),
        ("Oct 1, 2020 9:30 +0530", "2020-10-01T04:00", 330),
        ("March 28, 2017 22:00 -0500", "2017-03-29T03:00", -300),
        ("Aug 18, 2026 22:00 PM UTC", "2026-08-18T22:00", 0),
        ("Aug 18, 2026 00:05 AM UTC", "2026-08-18T00:05", 0),
    ],
)
def test_the_worded_forms_of_osg(text: str, utc: str, offset: int) -> None:
    assert worded(text) == Stamp(datetime.fromisoformat(utc).replace(tzinfo=UTC), text, offset)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Jul 31, 2018 14:00", "names no zone"),
        ("Jul 31, 2018 04:00 PM UTC", "says PM with the hour 4"),
        ("Jul 31, 2018 12:05 AM UTC", "says AM with the hour 12"),
        ("Jul 32, 2018 14:00 -0500", "is no time"),
        ("Jul 31, 2018 24:00 -0500", "is no time"),
        ("Hul 31, 2018 14:00 -0500", "is no time"),
        ("Jul 31, 2018 14:00 -2500", "further from UTC than any place"),
        ("Jan 01, 0001 00:00 +1200", "is no time"),
        ("2018-07-31", "is no time"),
    ],
)
def test_what_is_no_time_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(UnreadableTime, match=said):
        worded(text)


def test_the_other_forms() -> None:
    moment = datetime(2018, 7, 11, 13, tzinfo=UTC)
    assert iso("2018-07-11T13:00:00") == Stamp(moment, "2018-07-11T13:00:00", None)
    assert iso("2018-07-11T13:00:00+00:00").offset_minutes == 0
    assert epoch("1531314000").at == ical("20180711T130000Z").at == typed("2018-07-11T13:00").at == moment
    assert typed("Jul 11, 2018 08:00 -0500").at == moment
    for read, text in (
        (iso, "tomorrow"),
        (iso, "2018-13-01"),
        (epoch, "soon"),
        (epoch, "9" * 30),
        (ical, "20180711T130000"),
    ):
        with pytest.raises(UnreadableTime):
            read(text)


def test_an_end_that_stands_for_nobody_knows_is_open_and_kept_as_declared() -> None:
    start = worded("Jul 11, 2018 13:00 +0000")
    told = worded("Jan 18, 2038 21:14 -0600")
    assert Window(start, told).is_open
    assert Window(start, told).until is None
    assert Window(start, told).end == told
    assert Window(start, None).is_open
    assert not Window(start, worded("Dec 31, 2030 03:59 +0000")).is_open
    assert told.at >= OPEN_FROM


def test_a_window_is_half_open_and_one_of_no_time_shares_none() -> None:
    one, two, three = (worded(f"Jul 11, 2018 1{hour}:00 +0000") for hour in (1, 2, 3))
    assert Window(one, two).covers(one.at)
    assert not Window(one, two).covers(two.at)
    assert not Window(one, two).overlaps(Window(two, three))
    assert Window(one, None).overlaps(Window(two, three))
    assert Window(two, two).is_empty
    assert not Window(one, three).overlaps(Window(two, two))


@given(
    moment=st.integers(600_000, 63_000_000).map(lambda minutes: datetime.fromtimestamp(minutes * 60, UTC)),
    offset=st.integers(-56, 56).map(lambda quarters: quarters * 15),
)
def test_what_is_written_is_read_again(moment: datetime, offset: int) -> None:
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    text = f"{MONTHS[local.month - 1]} {local:%d, %Y %H:%M %z}"
    assert worded(text) == Stamp(moment, text, offset)
    assert worded(as_worded(Stamp(moment, "", offset))).at == moment
    assert iso(as_iso(Stamp(moment, ""))).at == moment
    assert as_worded(worded(text)) == text
