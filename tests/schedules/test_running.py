"""Stories of runs: on time, mail server down, one who cannot have it, three weeks without a server, two schedulers."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.schedules import runs
from gridkeeper.schedules.running import LONGEST_WAIT, MOST_ATTEMPTS, MOST_MADE_UP, look, make_due, make_one
from gridkeeper.schedules.tables import RUNS
from gridkeeper.settings import Schedule
from tests.homes import at
from tests.schedules.conftest import ALICE, BOB, CAROL, House, weekly
from tests.schedules.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.schedules.running import Press
    from gridkeeper.summaries.books import Books

DUE = "2017-02-07T06:00"


def test_on_time_it_is_made_once_written_mailed_and_recorded(house: House, mail_server: MailServer) -> None:
    assert house.look("2017-02-07T05:59") == []
    [run] = house.look("2017-02-07T06:00")
    assert (run.state, run.attempts, run.problem) == ("done", 1, None)
    assert run.begun_at == run.made_at == run.delivered_at == at(DUE)
    assert run.period.name == "31 Jan – 6 Feb 2017"
    assert {name: one.state for name, one in run.recipients.items()} == {
        ALICE: "delivered",
        BOB: "delivered",
    }
    assert run.recipients[ALICE].said == "250 2.0.0 queued as 4711"
    [file] = run.files
    assert file == str(house.press.home.reports / "production-2017-02-07.html")
    assert b"Sample Grid" in Path(file).read_bytes()
    [received] = mail_server.taken
    assert received.recipients == (ALICE, BOB)
    assert received.message["To"] == f"{ALICE}, {BOB}"
    assert house.look("2017-02-07T06:01") == []
    assert len(mail_server.taken) == 1


def test_it_is_asked_as_of_the_moment_it_is_made(house: House) -> None:
    [run] = house.look("2017-02-07T09:30")
    assert "2017-02-07 09:30 UTC" in Path(run.files[0]).read_text()


def test_without_recipients_it_is_delivered_when_it_is_written(house: House, tmp_path: Path) -> None:
    house = house.with_schedules(
        weekly(recipients=(), directory=tmp_path / "www", formats=("markdown", "json"))
    )
    [run] = house.look(DUE)
    assert run.state == "done"
    assert sorted(file.name for file in (tmp_path / "www").iterdir()) == [
        "production-2017-02-07.json",
        "production-2017-02-07.md",
    ]


def test_the_mail_server_is_down_and_comes_back(house: House, mail_server: MailServer) -> None:
    mail_server.stop()
    [run] = house.look(DUE)
    assert (run.state, run.attempts, run.made_at) == ("waiting", 1, at(DUE))
    assert run.problem is not None
    assert "the mail server 127.0.0.1:" in run.problem
    assert "Connection refused" in run.problem
    assert run.recipients[ALICE].sent == 0
    first_page = Path(run.files[0]).read_bytes()
    assert house.badge().state == "due"
    assert house.look("2017-02-07T06:00") == [], "not before its time"
    assert house.look("2017-02-07T06:01")[0].attempts == 2
    assert house.look("2017-02-07T06:02") == [], "the second wait is longer"
    assert house.badge("2017-02-07T07:00").state == "late"
    back = MailServer(mail_server.port)
    try:
        [run] = house.look("2017-02-07T08:00")
        assert (run.state, run.attempts, run.problem) == ("done", 3, None)
        assert run.made_at == at(DUE), "what was made first is what is sent"
        assert Path(run.files[0]).read_bytes() == first_page
        [received] = back.taken
        assert received.message["Date"].datetime == at(DUE)
        assert house.badge().state == "current"
    finally:
        back.stop()


def test_after_three_days_it_is_not_tried_by_itself_any_more(house: House, mail_server: MailServer) -> None:
    mail_server.stop()
    house.clock.moment = at(DUE)
    [run] = house.look()
    while run.next_at is not None:
        assert timedelta(0) < run.next_at - house.clock.moment <= LONGEST_WAIT
        house.clock.moment = run.next_at
        [run] = house.look()
    assert (run.state, run.attempts) == ("given-up", MOST_ATTEMPTS)
    assert timedelta(days=2) < house.clock.moment - at(DUE) < timedelta(days=4)
    house.clock.wait(days=1)
    assert house.look() == []
    assert house.badge().state == "late"


def test_one_recipient_is_refused_and_the_others_have_it(house: House, mail_server: MailServer) -> None:
    mail_server.behaviour.refuses[BOB] = "550 5.1.1 no such user"
    [run] = house.look(DUE)
    assert run.state == "given-up"
    assert run.recipients[ALICE].state == "delivered"
    assert run.problem == f"{BOB} was refused (550 5.1.1 no such user)"
    assert house.badge().state == "late", "nothing more will be tried, so it is late at once"
    assert mail_server.taken[0].recipients == (ALICE,)
    without_bob = house.with_schedules(weekly(recipients=(ALICE, CAROL)))
    assert without_bob.badge().state == "late", "carol does not have it"
    assert house.with_schedules(weekly(recipients=(ALICE,))).badge().state == "current"


def test_a_recipient_put_off_is_tried_again_and_nobody_gets_it_twice(
    house: House, mail_server: MailServer
) -> None:
    mail_server.behaviour.refuses[BOB] = "451 4.7.1 greylisted, come back later"
    [run] = house.look(DUE)
    assert run.state == "waiting"
    assert run.problem == f"{BOB} does not have it yet (451 4.7.1 greylisted, come back later)"
    mail_server.behaviour.refuses.clear()
    [run] = house.look("2017-02-07T06:05")
    assert run.state == "done"
    assert [received.recipients for received in mail_server.taken] == [(ALICE,), (BOB,)]
    first, second = (received.message for received in mail_server.taken)
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()


def test_a_connection_that_breaks_before_the_answer_is_tried_once_more_and_not_again(
    house: House, mail_server: MailServer
) -> None:
    mail_server.behaviour.breaks_at = "data"
    [run] = house.look(DUE)
    assert run.state == "waiting"
    house.look("2017-02-07T06:05")
    [run] = house.look("2017-02-07T06:15")
    assert run.state == "given-up"
    assert run.recipients[ALICE].state == "unclear"
    assert len(mail_server.taken) == 2
    assert len({received.message["Message-ID"] for received in mail_server.taken}) == 1


def test_a_server_that_takes_the_mail_and_then_quarrels_has_taken_it(
    house: House, mail_server: MailServer
) -> None:
    mail_server.behaviour.breaks_at = "quit"
    assert house.look(DUE)[0].state == "done"


def test_three_weeks_without_a_server_are_red_and_then_made_up(house: House, mail_server: MailServer) -> None:
    house.look("2017-02-07T06:00")
    badge = house.badge("2017-02-28T09:00")
    assert badge.state == "late"
    assert badge.message == "production late since 14 Feb"
    assert [one.due_at.day for one in badge.owed] == [14, 21, 28]
    assert "production of 7 Feb – 13 Feb 2017, due 2017-02-14 06:00 UTC, nothing has tried to make it" in (
        badge.sentence
    )
    made = house.look("2017-02-28T09:00")
    assert [run.period.first.day for run in made] == [7, 14, 21]
    assert all(run.state == "done" for run in made)
    assert len({received.message["Message-ID"] for received in mail_server.taken}) == 4
    assert house.badge().state == "current"


def test_more_than_are_made_up_are_recorded_as_not_made(house: House, mail_server: MailServer) -> None:
    house = house.with_schedules(weekly(recipients=()))
    made = house.look("2017-05-31T09:00")  # the first look was before 7 February
    assert len(made) == MOST_MADE_UP
    assert made[0].due_at == at("2017-03-14T06:00")
    left = [house.run(f"2017-{day}T06:00") for day in ("02-07", "02-14", "02-21", "02-28", "03-07")]
    assert {run.state for run in left} == {"not-made"}
    assert left[0].problem is not None
    assert left[0].problem.startswith("17 runs were missed at once; no more than the newest 12")
    badge = house.badge()
    assert badge.state == "late"
    assert len(badge.owed) == 5
    assert badge.sentence.endswith("; and 2 more.")


def test_a_late_run_is_waived_or_made_by_hand(house: House) -> None:
    house = house.with_schedules(weekly(recipients=()))
    house.look("2017-05-09T09:00")
    [first, second] = runs.owed(house.press.engine, ["production"])
    assert runs.waive(house.press.engine, first, "no meeting that week", "local carol", house.clock())
    assert house.run(DUE).problem == "no meeting that week"
    assert runs.reopen(house.press.engine, second, "local carol", house.clock())
    [made] = house.look()
    assert (made.due_at, made.state) == (second.due_at, "done")
    assert not runs.waive(house.press.engine, made, "too late", "local carol", house.clock())
    assert house.badge().state == "current"


def test_a_new_schedule_owes_nothing_of_the_past(house: House) -> None:
    both = house.with_schedules(weekly(), weekly(name="second", recipients=()))
    assert both.look("2017-02-06T13:00") == []
    assert both.badge().state == "current"
    assert [run.schedule for run in both.look(DUE)] == ["production", "second"]


def test_a_clock_that_was_wrong_for_a_moment_silences_nothing(house: House) -> None:
    house = house.with_schedules(weekly(recipients=()))
    assert len(house.look("2024-01-01T00:00")) == MOST_MADE_UP
    assert house.look("2017-02-06T13:00") == []
    [run] = house.look(DUE)
    assert (run.due_at, run.state) == (at("2017-02-07T06:00"), "done")


def test_two_schedulers_at_once_make_one_run(house: House, mail_server: MailServer) -> None:
    house.clock.moment = at(DUE)
    look(house.press, house.clock())
    all_have_seen_it = threading.Barrier(4)
    found: list[runs.Run | None] = []

    def work(number: int) -> None:
        [run] = runs.ready(house.press.engine, ["production"], house.clock())
        all_have_seen_it.wait()
        found.append(make_one(house.press, run, house.clock, f"scheduler {number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.state for run in found if run is not None] == ["done"]
    assert len(mail_server.taken) == 1
    assert house.run(DUE).attempts == 1


def test_two_schedulers_that_look_at_once_write_everything_down_once(house: House) -> None:
    house = house.with_schedules(weekly(recipients=()))
    begin = threading.Barrier(4)
    moment = at("2017-05-31T09:00")

    def work() -> None:
        begin.wait()
        look(house.press, moment)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs.owed(house.press.engine, ["production"])) == 17


def test_who_lost_its_claim_mails_nothing(house: House, mail_server: MailServer) -> None:
    """One scheduler hangs for so long that another one takes the run over; then it goes on."""
    house.clock.moment = at(DUE)
    taken_over: list[runs.Run] = []

    def hanging() -> Books:
        house.clock.wait(minutes=31)
        taken_over.extend(make_due(house.press, house.clock))
        return house.press.books()

    assert make_due(with_books(house, hanging), house.clock) == []
    assert [run.state for run in taken_over] == ["done"]
    assert len(mail_server.taken) == 1
    assert house.run(DUE).attempts == 2


def test_a_run_that_kills_its_scheduler_every_time_is_given_up(house: House) -> None:
    house.clock.moment = at(DUE)
    look(house.press, house.clock())
    for _ in range(MOST_ATTEMPTS):
        assert runs.claim(house.press.engine, house.run(DUE), "killed soon", house.clock()) is not None
        assert house.look() == [], "it may still be at it"
        house.clock.wait(minutes=30)
    [run] = house.look()
    assert run.state == "given-up"
    assert run.problem is not None
    assert "never came to an end" in run.problem


def test_what_cannot_be_made_says_why_and_is_tried_again(house: House, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    house = house.with_schedules(weekly(directory=blocked / "reports"))
    [run] = house.look(DUE)
    assert (run.state, run.made_at) == ("waiting", None)
    assert run.problem == (
        f"the report could not be written to {blocked}/reports: Not a directory; free its disk, or name another directory"
    )
    assert house.badge("2017-02-07T08:00").owed[0].why == "it could not be made (tried 1 time)"
    blocked.unlink()
    assert house.look("2017-02-07T08:00")[0].state == "done"


def test_a_fault_in_one_report_does_not_silence_the_others(house: House) -> None:
    house = house.with_schedules(
        weekly(recipients=()), weekly(name="second", report="site-vo", recipients=())
    )
    house.look("2017-02-06T13:00")
    calls: list[int] = []

    def first_fails() -> Books:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("division by zero")
        return house.press.books()

    house.clock.moment = at(DUE)
    first, second = make_due(with_books(house, first_fails), house.clock)
    assert (
        first.problem
        == "ZeroDivisionError: division by zero; this is a fault in Gridkeeper, please report it"
    )
    assert second.state == "done"


def test_asked_to_stop_it_hands_back_what_it_began(house: House, mail_server: MailServer) -> None:
    house.clock.moment = at(DUE)
    answers = iter([False, False, True, True])
    assert make_due(house.press, house.clock, stopping=lambda: next(answers)) == []
    run = house.run(DUE)
    assert (run.state, run.attempts, run.made_at) == ("waiting", 0, None)
    assert mail_server.taken == []
    assert house.look()[0].state == "done"


def test_files_that_a_killed_run_left_are_cleared(house: House) -> None:
    folder = house.press.home.reports
    left = folder / ".production-2017-02-07.html.0123.part"
    left.write_bytes(b"half")
    house.look(DUE)
    assert [file.name for file in folder.iterdir()] == ["production-2017-02-07.html"]


def test_the_production_report_goes_out_with_its_plots(house: House, mail_server: MailServer) -> None:
    meeting = Schedule(
        name="meeting", report="production", period="week", day=2, formats=("html", "json"), recipients=(ALICE,)
    )  # fmt: skip
    house = house.with_schedules(meeting)
    house.look("2017-02-06T13:00")
    assert house.look(DUE)[0].state == "done"
    kinds = [part.get_content_type() for part in mail_server.taken[0].message.walk()]
    assert kinds.count("image/png") == 2
    assert "application/json" in kinds


def test_nothing_of_a_message_is_kept_when_all_have_it(house: House) -> None:
    house.look(DUE)
    with house.press.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(RUNS.c.message.is_not(None))) == 0


def with_books(house: House, books: Callable[[], Books]) -> Press:
    return replace(house.press, books=books)


def test_a_password_file_without_a_full_path_is_one_of_the_home(house: House, tmp_path: Path) -> None:
    home = house.press.home.path
    named = {
        "starttls": True,
        "user": "gridkeeper",
        "password_file": "secret",
        "ca_file": tmp_path / "ca.pem",
    }
    mail = house.with_mail(**named).press.mail()
    assert (mail.password_file, mail.ca_file) == (home / "secret", tmp_path / "ca.pem")
    assert house.press.mail() == house.press.settings.mail
