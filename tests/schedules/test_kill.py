"""`kill -9` in the middle of a run, then again: exactly one recorded delivery, whatever it was at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from gridkeeper.database import url_of
from tests.homes import at
from tests.schedules.conftest import Clock, House, house_of

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

    from tests.homes import InventedHome
    from tests.schedules.mail_server import MailServer

pytestmark = pytest.mark.slow
DUE = "2017-02-07T06:00"
# Looks at the moment the report is due, once or as a server does; told to hang while it makes the report, it says so and hangs.
SCRIPT = """
import signal, sys, time
from pathlib import Path
from gridkeeper.config import Home
from gridkeeper.database import open_database
from gridkeeper.federation.model import read_registry
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.schedules.running import Press, make_due
from gridkeeper.schedules.scheduler import Scheduler
from gridkeeper.settings import Mail
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.tables import LAYOUTS
from tests.homes import at
from tests.schedules.conftest import Settings, plainly, weekly

database, sample, home, port, hangs, how = sys.argv[1:]
place = Home(Path(sample))
lake = Lake(place.lake, DuckDB(threads=1, spill=place.spill), LAYOUTS)
registry = read_registry(place.federation)

def books():
    if hangs == "making":
        print("making", flush=True)
        time.sleep(60)
    return Books(lake, registry)

mail = Mail(host="127.0.0.1", port=int(port), sender="gridkeeper@example.org")
settings = Settings(mail=mail, schedule=(weekly(),))
press = Press(open_database(database), settings, Home(Path(home)), lambda: registry, books, plainly)
clock = lambda: at("2017-02-07T06:00")
if how == "once":
    make_due(press, clock)
else:
    scheduler = Scheduler(press, clock)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    scheduler.start()
    try:
        time.sleep(60)
    finally:
        scheduler.stop(within_s=0.5)
"""


@pytest.mark.parametrize(("place", "arrived"), [("making", 1), ("rcpt", 1), ("data", 2)])
def test_a_run_that_was_killed_is_made_once_more_and_delivered_once(
    sqlite_database: sa.Engine,
    sample: InventedHome,
    tmp_path: Path,
    clock: Clock,
    mail_server: MailServer,
    place: str,
    arrived: int,
) -> None:
    house = house_of(sqlite_database, sample, tmp_path, clock, mail_server)
    house.look("2017-02-06T12:00")
    if place != "making":
        mail_server.hold[place] = threading.Event()
    process = begin(house, sample, tmp_path, mail_server, place)
    try:
        if place == "making":
            assert process.stdout is not None
            assert process.stdout.readline() == "making\n"
        else:
            assert mail_server.reached[place].wait(30)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for held in mail_server.hold.values():
        held.set()
    killed = house.run(DUE)
    assert (killed.state, killed.delivered_at) == ("running", None)
    assert house.look("2017-02-07T06:29") == [], "it may still be at it"
    assert house.badge().state == "due"
    [run] = house.look("2017-02-07T06:30")
    assert (run.state, run.attempts, run.delivered_at) == ("done", 2, at("2017-02-07T06:30"))
    assert house.look("2017-02-07T06:31") == []
    assert len(mail_server.taken) == arrived
    assert len({received.message["Message-ID"] for received in mail_server.taken}) == 1
    assert len({received.raw for received in mail_server.taken}) == 1


def test_killed_twice_while_it_mails_nobody_gets_a_third(
    sqlite_database: sa.Engine,
    sample: InventedHome,
    tmp_path: Path,
    clock: Clock,
    mail_server: MailServer,
) -> None:
    house = house_of(sqlite_database, sample, tmp_path, clock, mail_server)
    house.look("2017-02-06T12:00")
    mail_server.hold["data"] = threading.Event()
    process = begin(house, sample, tmp_path, mail_server, "data")
    assert mail_server.reached["data"].wait(30)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    mail_server.hold["data"].set()
    mail_server.behaviour.breaks_at = "data"
    [run] = house.look("2017-02-07T06:30")
    assert run.state == "waiting"
    [run] = house.look("2017-02-07T06:45")
    assert run.state == "given-up"
    assert run.problem is not None
    assert "may have it or not: the connection broke twice before the mail server had answered" in run.problem
    assert len(mail_server.taken) == 2


def test_a_server_that_is_told_to_end_does_so_though_a_report_hangs(
    sqlite_database: sa.Engine,
    sample: InventedHome,
    tmp_path: Path,
    clock: Clock,
    mail_server: MailServer,
) -> None:
    house = house_of(sqlite_database, sample, tmp_path, clock, mail_server)
    house.look("2017-02-06T12:00")
    process = begin(house, sample, tmp_path, mail_server, "making", "as a server")
    assert process.stdout is not None
    assert process.stdout.readline() == "making\n"
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()
    assert (house.run(DUE).state, house.run(DUE).attempts) == ("waiting", 0)
    assert house.look(DUE)[0].state == "done"


def begin(
    house: House, sample: InventedHome, folder: Path, mail_server: MailServer, place: str, how: str = "once"
) -> subprocess.Popen[str]:
    arguments = [
        url_of(folder / "gridkeeper.db"),
        str(sample.home.path),
        str(house.press.home.path),
        str(mail_server.port),
        place,
        how,
    ]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
