"""Collectors and loaders die at any moment under load; what was answered with OK or a receipt is in the books once."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.intake import waiting
from gridkeeper.lake.maintenance import verify
from tests.databases import settle
from tests.repeating import times
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.slow
KILLS = times(200)
KILLS_OF_SEVERAL = times(45)
SENDERS = 3
ROOT = Path(__file__).parents[2]


class Nursery:
    """Starts and kills."""

    def __init__(self, home: Path) -> None:
        self.children: list[int] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.intake.nursery", str(home)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self, command: str) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        self.children.append(child)
        return child

    def close(self) -> None:
        assert self.process.stdin is not None
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self.process.communicate()


class Sender(threading.Thread):
    """Sends numbered jobs, again until they are answered well, as probes do; remembers which were."""

    def __init__(self, number: int, ports: Sequence[int], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.first, self.ports, self.stop = number * 10_000_000, ports, stop
        self.acknowledged: list[int] = []
        self.sent: set[int] = set()
        self.chance = random.Random(number)

    def run(self) -> None:
        turn = self.first
        while not self.stop.is_set():
            jobs = range(turn, turn + self.chance.randrange(1, 20))
            turn += 20
            self.sent.update(jobs)
            while not self.deliver(jobs, turn) and not self.stop.is_set():
                time.sleep(0.01)
            time.sleep(0.03)

    def deliver(self, jobs: range, turn: int) -> bool:
        is_gratia = self.first % 20_000_000 == 0
        if is_gratia:
            path, headers = "/gratia-servlets/rmi", {}
            body = post("multiupdate", envelope(*(record(job) for job in jobs)))
        else:
            path, headers = "/api/v1/batches?format=sacct&resource=alpha", {"Idempotency-Key": str(turn)}
            body = sacct(*jobs)
        try:
            port = self.chance.choice(
                self.ports
            )  # as a balancer chooses; a second try may meet another collector
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        well = text == b"OK" if is_gratia else answer.status in (200, 202)
        if well:
            self.acknowledged += jobs
        return well


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    Home(tmp_path / "home").create()
    settle(tmp_path / "home")
    wired(tmp_path / "home").database()
    made = Nursery(tmp_path / "home")
    yield made
    made.close()


def wait_for_progress(senders: list[Sender], patience_s: float = 20) -> None:
    """Wait until something more was acknowledged."""
    before, until = sum(len(sender.acknowledged) for sender in senders), time.monotonic() + patience_s
    while time.monotonic() < until and sum(len(sender.acknowledged) for sender in senders) == before:
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_collectors_and_loaders_killed_many_times_lose_nothing_and_double_nothing(
    tmp_path: Path, nursery: Nursery
) -> None:
    senders = send_while_dying(nursery, 1, KILLS)
    everything_is_in_the_books_once(tmp_path / "home", nursery, senders, KILLS)


def test_two_collectors_with_a_loader_each_lose_nothing_and_double_nothing_though_they_die(
    on_each_engine: str | None, tmp_path: Path, nursery: Nursery
) -> None:
    senders = send_while_dying(nursery, 2, KILLS_OF_SEVERAL)
    everything_is_in_the_books_once(tmp_path / "home", nursery, senders, KILLS_OF_SEVERAL)


def send_while_dying(nursery: Nursery, many: int, kills: int) -> list[Sender]:
    """So many collectors, each with a loader, are killed and started again under senders. Returns: the senders, who stopped."""
    chance, stop, ports = random.Random(7), threading.Event(), [free_port() for _ in range(many)]
    names = [*(f"collector {port}" for port in ports), *(f"loader {number}" for number in range(many))]
    running = {name: nursery.start(name) for name in names}
    senders = [Sender(number, ports, stop) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        if chance.random() < 0.7:  # often when work is under way, sometimes while the victim just starts
            wait_for_progress(senders)
        time.sleep(chance.uniform(0, 0.3))
        victim = chance.choice(names)
        with contextlib.suppress(ProcessLookupError):
            os.kill(running[victim], signal.SIGKILL)
        running[victim] = nursery.start(victim)
    stop.set()
    for sender in senders:
        sender.join()
    time.sleep(0.5)
    for left in running.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)
    return senders


def everything_is_in_the_books_once(
    home: Path, nursery: Nursery, senders: Sequence[Sender], kills: int
) -> None:
    """A last loader comes to the end of the inbox; then the books hold what was acknowledged, and nothing that was not sent."""
    place = wired(home)
    engine = place.database()
    last = nursery.start("loader")
    patience = time.monotonic() + 120
    while waiting.oldest(engine)[0] is not None:
        assert time.monotonic() < patience, "the loader does not get to the end of the inbox"
        time.sleep(0.2)
    os.kill(last, signal.SIGKILL)
    found = (
        place.lake.snapshot()
        .select("SELECT local_job_id, COUNT(*) AS times FROM usage_records GROUP BY ALL")
        .to_pylist()
    )
    booked = Counter({int(row["local_job_id"]): row["times"] for row in found})
    acknowledged = {job for sender in senders for job in sender.acknowledged}
    assert len(acknowledged) > kills, "hardly anything was sent"
    assert acknowledged <= booked.keys(), (
        f"{len(acknowledged - booked.keys())} acknowledged jobs are not in the books"
    )
    assert booked.keys() <= {job for sender in senders for job in sender.sent}, (
        "there are jobs that nobody sent"
    )
    assert set(booked.values()) == {1}
    assert not [finding for finding in verify(place.lake, place.books()) if not finding["ok"]]
