"""The badge: green, yellow, red and grey, which report it is about, and that it can be read without colours."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from gridkeeper.schedules.badge import Badge, State, as_json
from gridkeeper.schedules.badge_picture import COLOURS, as_png, as_svg
from tests.homes import at
from tests.schedules.conftest import ALICE, BOB, House, weekly

if TYPE_CHECKING:
    from tests.schedules.mail_server import MailServer

DUE = "2017-02-07T06:00"
SVG = "{http://www.w3.org/2000/svg}"


def test_no_schedule_is_grey(house: House) -> None:
    badge = house.with_schedules().badge()
    assert (badge.state, badge.message, badge.sentence) == (
        "none",
        "none scheduled",
        "No report is scheduled.",
    )


def test_before_the_first_run_all_is_current(house: House) -> None:
    badge = house.badge()
    assert badge.state == "current"
    assert badge.sentence == (
        "All reports are current; the next one, production, is due 2017-02-07 06:00 UTC."
    )


def test_within_the_grace_it_is_due_and_then_late(house: House) -> None:
    badge = house.badge("2017-02-07T06:00")
    assert (badge.state, badge.message) == ("due", "due now")
    assert badge.sentence == (
        "Due: production of 31 Jan – 6 Feb 2017, due 2017-02-07 06:00 UTC, nothing has tried to make it; late from 2017-02-07 07:00 UTC on."
    )
    assert house.badge("2017-02-07T06:59").state == "due"
    badge = house.badge("2017-02-07T07:00")
    assert (badge.state, badge.message) == ("late", "production late since 7 Feb")


def test_after_delivery_it_is_green_again(house: House) -> None:
    house.look(DUE)
    badge = house.badge()
    assert badge.state == "current"
    assert badge.standings[0].last is not None
    assert badge.standings[0].last.due_at == at(DUE)
    assert house.badge("2017-02-14T05:59").state == "current"


def test_three_weeks_are_counted_and_the_year_is_said_where_it_is_another(house: House) -> None:
    badge = house.badge("2018-01-09T09:00")
    assert badge.message == "production late since 7 Feb 2017"
    assert len(badge.owed) == 49
    assert badge.sentence.endswith("; and 46 more.")


def test_several_late_reports_are_counted(house: House) -> None:
    house = house.with_schedules(weekly(), weekly(name="second"))
    house.look("2017-02-06T13:00")
    assert house.badge("2017-02-07T09:00").message == "2 reports late since 7 Feb"


def test_what_everybody_may_read_names_no_address_and_what_operators_read_does(
    house: House, mail_server: MailServer
) -> None:
    mail_server.behaviour.refuses = {BOB: f"550 5.1.1 <{BOB}>: no such user"}
    house.look(DUE)
    badge = house.badge()
    assert "made, but 1 of 2 recipients does not have it (tried 1 time, given up)" in badge.sentence
    for public in (as_json(badge).decode(), as_svg(badge), badge.sentence):
        assert ALICE not in public
        assert BOB not in public
    private = json.loads(as_json(badge, private=True))
    assert private["owed"][0]["problem"] == f"{BOB} was refused (550 5.1.1 <{BOB}>: no such user)"


def test_the_json_says_all_there_is(house: House) -> None:
    house.look(DUE)
    told = json.loads(as_json(house.badge("2017-02-14T07:00")))
    assert (told["state"], told["message"]) == ("late", "production late since 14 Feb")
    assert told["at"] == "2017-02-14T07:00:00Z"
    assert told["owed"] == [
        {
            "schedule": "production",
            "report": "trends",
            "period": {"name": "7 Feb – 13 Feb 2017", "first": "2017-02-07", "until": "2017-02-14"},
            "due_at": "2017-02-14T06:00:00Z",
            "late_at": "2017-02-14T07:00:00Z",
            "late": True,
            "why": "nothing has tried to make it",
        }
    ]
    assert told["schedules"] == [
        {
            "schedule": "production",
            "report": "trends",
            "last_delivered": {
                "period": {"name": "31 Jan – 6 Feb 2017", "first": "2017-01-31", "until": "2017-02-07"},
                "due_at": "2017-02-07T06:00:00Z",
                "delivered_at": "2017-02-07T06:00:00Z",
            },
            "next_due_at": "2017-02-21T06:00:00Z",
        }
    ]


def badge(state: State, message: str) -> Badge:
    return Badge(state, message, "A <sentence> & more.", at(DUE), (), ())


@pytest.mark.parametrize("state", COLOURS)
def test_the_picture_says_in_words_what_its_colour_says(state: State) -> None:
    drawn = ElementTree.fromstring(as_svg(badge(state, "production late since 7 Feb")))
    title = drawn.find(f"{SVG}title")
    assert title is not None
    assert title.text == drawn.get("aria-label")
    assert title.text == "Reports: production late since 7 Feb. A <sentence> & more."
    assert drawn.get("role") == "img"
    assert [text.text for text in drawn.iter(f"{SVG}text")] == ["reports", "production late since 7 Feb"]


@pytest.mark.parametrize("state", COLOURS)
def test_its_words_stand_out_from_their_ground(state: State) -> None:
    ground, ink = (luminance(colour) for colour in COLOURS[state])
    assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_png_is_twice_the_size_of_the_svg() -> None:
    one = badge("current", "current")
    width = ElementTree.fromstring(as_svg(one)).get("width")
    png = as_png(one)
    assert png.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", png[16:24]) == (2 * int(width or 0), 40)


def test_the_badge_is_drawn_without_loading_what_draws_plots() -> None:
    """A server asks for it often; the library for plots takes seconds and hundreds of megabytes."""
    script = "import sys; import gridkeeper.schedules.badge, gridkeeper.schedules.badge_picture; print('altair' in sys.modules, 'vl_convert' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "False False\n"
