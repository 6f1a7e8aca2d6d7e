"""`gridkeeper schedule`: as an operator types it, in a home with a settings file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from gridkeeper.cli import output
from gridkeeper.cli import schedule as command
from gridkeeper.cli.app import app
from gridkeeper.errors import BadConfiguration, UserMistake
from tests.homes import InventedHome, at, every_day
from tests.schedules.conftest import FEDERATION, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.schedules.mail_server import MailServer

SETTINGS = """\
[mail]
host = "127.0.0.1"
port = {port}
sender = "gridkeeper@example.org"

[[schedule]]
name = "production"
report = "trends"
period = "week"
day = 2
time = "06:00"
formats = ["html", "csv"]
directory = "www"
recipients = ["alice@example.org"]
"""


@pytest.fixture
def home(
    tmp_path: Path, mail_server: MailServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> InventedHome:
    made = InventedHome(tmp_path / "home", FEDERATION)
    made.slurm("alpha", every_day("2017-01-01", "2017-02-07", number=1))
    made.home.settings.write_text(SETTINGS.format(port=mail_server.port))
    monkeypatch.setattr(command, "now", clock)
    monkeypatch.setattr(output.console, "width", 200)
    return made


def call(home: InventedHome, *words: str) -> Result:
    return CliRunner().invoke(app, ["--home", str(home.home.path), "schedule", *words])


def test_the_story_of_a_week(home: InventedHome, clock: Clock, mail_server: MailServer) -> None:
    listed = json.loads(call(home, "list", "--json").stdout)
    assert [(one["name"], one["next_due_at"], one["state"]) for one in listed] == [
        ("production", "2017-02-07T06:00:00+00:00", "first-seen")
    ]
    assert call(home, "run").stdout == "nothing is due now\n"
    clock.moment = at("2017-02-07T07:00")
    late = call(home, "status")
    assert late.exit_code == 1
    assert late.stdout.startswith("Late: production of 31 Jan – 6 Feb 2017, due 2017-02-07 06:00 UTC")
    made = call(home, "run")
    assert made.exit_code == 0
    assert "production-2017-02-07.csv, mailed to 1" in made.stdout
    assert (home.home.path / "www" / "production-2017-02-07.html").is_file()
    assert len(mail_server.taken) == 1
    current = call(home, "status")
    assert (current.exit_code, current.stdout) == (
        0,
        "All reports are current; the next one, production, is due 2017-02-14 06:00 UTC.\n",
    )
    assert json.loads(call(home, "status", "--json").stdout)["state"] == "current"
    assert re.search(r"production +trends +week +html csv +1 +2017-02-14.* done", call(home, "list").stdout)


def test_every_run_is_told(home: InventedHome, clock: Clock, mail_server: MailServer) -> None:
    call(home, "status")
    clock.moment = at("2017-02-07T06:00")
    mail_server.behaviour.refuses["alice@example.org"] = "550 no such user"
    call(home, "run")
    given_up, seen = json.loads(call(home, "runs", "--json").stdout)
    assert (seen["state"], given_up["state"]) == ("first-seen", "given-up")
    assert given_up["recipients"]["alice@example.org"]["said"] == "550 no such user"
    assert given_up["period"]["first"] == "2017-01-31"
    assert re.search(r"given-up +1 .* 0 of 1 +alice@example.org was refused", call(home, "runs").stdout)


def test_a_failure_says_why_and_what_comes_next(
    home: InventedHome, clock: Clock, mail_server: MailServer
) -> None:
    call(home, "status")
    clock.moment = at("2017-02-07T06:00")
    mail_server.behaviour.refuses["alice@example.org"] = "450 not now"
    failed = call(home, "run")
    assert failed.exit_code == 1
    assert (
        "alice@example.org does not have it yet (450 not now); tried again from 2017-02-07 06:01 UTC on"
        in (failed.stderr)
    )
    told = call(home, "status").stdout
    assert "  production of 31 Jan – 6 Feb 2017: alice@example.org does not have it yet (450 not now)" in told
    mail_server.behaviour.refuses.clear()
    again = call(home, "run", "--name", "production", "--due-at", "2017-02-07")
    assert again.exit_code == 0
    assert len(mail_server.taken) == 1


def test_a_run_of_the_past_is_made_by_hand_and_waived(home: InventedHome, clock: Clock) -> None:
    clock.moment = at("2017-02-07T12:00")
    call(home, "status")
    asked = ("--name", "production", "--due-at")
    assert call(home, "run", *asked, "2017-01-31T06:00").exit_code == 0
    refused = call(home, "run", *asked, "2017-01-31")
    assert isinstance(refused.exception, UserMistake)
    assert str(refused.exception) == (
        "production of 24 Jan – 30 Jan 2017 was delivered already, or is being made now"
    )
    waived = call(home, "waive", *asked, "2017-01-24", "--because", "before our time")
    assert waived.stdout == "production of 17 Jan – 23 Jan 2017 is waived: before our time\n"
    assert call(home, "status").exit_code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("run", "--name", "apel"), "there is no schedule 'apel'; name one with --name: production"),
        (
            ("run", "--due-at", "2017-02-07"),
            "there is no schedule None; name one with --name: production",
        ),
        (
            ("run", "--name", "production", "--due-at", "2017-02-05"),
            "production was not due at 2017-02-05; it was due at 2017-01-31T06:00 UTC",
        ),
        (
            ("run", "--name", "production", "--due-at", "2017-02-07"),
            "production was not due at 2017-02-07; it was due at 2017-01-31T06:00 UTC",
        ),
        (
            ("run", "--name", "production", "--due-at", "soon"),
            "'soon' is no day; write it as 2017-02-07 or 2017-02-07T06:00",
        ),
    ],
)
def test_what_cannot_be_asked_is_said(home: InventedHome, words: tuple[str, ...], sentence: str) -> None:
    assert str(call(home, *words).exception) == sentence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ('recipients = ["alice"]', "schedule.0.recipients.0: 'alice' is no mail address; write it as alice@example.org"),
        ('recipients = ["a@example.org\\nBcc: b@example.org"]', "is no mail address"),
        ('time = "06:00+01:00"', "schedule.0.time: times are in UTC; write HH:MM without an offset"),
        ("day = 8", "schedule.0: a week has no day 8; 1 is Monday, 7 is Sunday"),
        ('formats = ["pdf"]', "schedule production: the report trends has no format 'pdf'; it has markdown, twiki, html, json, csv"),
        ("formats = []", "schedule.0.formats: tuple should have at least 1 item"),
        ('name = "Weekly!"', "schedule.0.name"),
        ('[mail]\nuser = "gridkeeper"', "mail: an account needs both user and password_file"),
        ('[mail]\nuser = "gridkeeper"\npassword_file = "x"', "mail: a password is sent only over TLS; set starttls = true"),
    ],
)  # fmt: skip
def test_a_settings_file_that_cannot_be_is_refused_with_its_place(
    home: InventedHome, wrong: str, sentence: str
) -> None:
    key = wrong.partition(" =")[0]
    text = home.home.settings.read_text()
    if wrong.startswith("[mail]"):
        text = text.replace("[mail]", wrong)
    else:
        text = re.sub(rf"^{key} = .*$", lambda _: wrong, text, flags=re.MULTILINE)
    home.home.settings.write_text(text)
    refused = call(home, "status").exception
    assert isinstance(refused, BadConfiguration)
    assert sentence in str(refused)


def test_two_schedules_of_one_name_are_refused(home: InventedHome) -> None:
    text = home.home.settings.read_text()
    home.home.settings.write_text(
        text + text.partition("[[schedule]]")[1] + text.partition("[[schedule]]")[2]
    )
    assert "gridkeeper.toml: two schedules are called production; give each its own name" in str(
        call(home, "status").exception
    )
