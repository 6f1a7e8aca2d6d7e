"""The disk is full, really: what was acknowledged is in the books once, what was refused is not, and all goes on after."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.database import reading
from gridkeeper.intake import quarantine, waiting
from gridkeeper.intake.tables import BATCHES
from gridkeeper.lake.maintenance import verify
from tests.live_collector import Live, live_collector
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
DISK_BYTES = 32 * 1024 * 1024
BLOCK = b"x" * 65_536
RECOVERS_WITHIN_S = 90.0
FILLS_WITHIN_S = 90.0
MOST_SENT = 400


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory, that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Ballast:
    """A file that takes the disk's room, and gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def grow(self, size: int) -> None:
        """Take so many bytes more, as far as there are any, down to the last."""
        with self.path.open("ab", buffering=0) as stream:
            for block in (BLOCK, BLOCK[:4096]):
                try:
                    while size > 0:
                        size -= stream.write(block[:size])
                except OSError:
                    continue

    def give_back(self, size: int) -> None:
        """Leave so many bytes to others again."""
        os.truncate(self.path, max(self.path.stat().st_size - size, 0))

    def free(self) -> None:
        self.path.unlink()


class Sender:
    """Sends numbered jobs through both doors, and remembers what was answered to which."""

    def __init__(self, running: Live) -> None:
        self.running = running
        self.next = 1
        self.turn = 0
        self.acknowledged: set[int] = set()
        self.refused: list[tuple[int, range]] = []

    def send(self) -> bool:
        """Send something new; say whether it was taken."""
        self.turn += 1
        jobs = range(
            self.next, self.next + (9_000 if self.turn % 10 == 0 else 20)
        )  # some are of several parts
        self.next = jobs.stop
        return self.deliver(self.turn, jobs)

    def deliver(self, turn: int, jobs: range) -> bool:
        if turn % 2:
            body = post("multiupdate", envelope(*(record(job) for job in jobs)))
            status, text, headers = self.running.ask("POST", "/gratia-servlets/rmi", body)
            well = text == b"OK"
            assert well == (status == 200)
            assert well or (status == 503 and text.startswith(b"Error: ")), (status, text)
        else:
            query = "/api/v1/batches?format=sacct&resource=alpha"
            key = {"Idempotency-Key": f"turn {turn}"}
            status, text, headers = self.running.ask("POST", query, sacct(*jobs), key)
            well = status in (200, 202)
            assert well or status == 503, (status, text)
        if well:
            self.acknowledged.update(jobs)
        else:
            assert int(headers["retry-after"]) > 0
            self.refused.append((turn, jobs))
        return well

    def send_again(self) -> None:
        """Send every other refused delivery again, until it is taken, as probes do; the rest never."""
        again, self.refused = self.refused[::2], self.refused[1::2]
        for turn, jobs in again:
            for _ in range(50):
                if self.deliver(turn, jobs):
                    break
                self.refused.pop()
            else:
                pytest.fail("the collector takes nothing, though there is room again")


def home_on(disk: Path, free_disk_bytes: int) -> Path:
    home = Home(disk / "home")
    home.create()
    home.settings.write_text(f"[intake]\nfree_disk_bytes = {free_disk_bytes}\n", encoding="utf-8")
    return home.path


def is_ready(running: Live) -> bool:
    return running.ask("GET", "/readyz")[0] == 200


def wait_until_loaded(running: Live, home: Path) -> None:
    engine = wired(home).database()
    running.wait_until(lambda: waiting.oldest(engine)[0] is None, RECOVERS_WITHIN_S)


def must_hold_exactly(home: Path, acknowledged: set[int]) -> None:
    place = wired(home)
    sql = "SELECT local_job_id, COUNT(*) AS times FROM usage_records GROUP BY ALL"
    booked = {int(row["local_job_id"]): row["times"] for row in place.lake.snapshot().select(sql).to_pylist()}
    assert acknowledged <= booked.keys(), (
        f"{len(acknowledged - booked.keys())} acknowledged jobs are not in the books"
    )
    assert booked.keys() <= acknowledged, "jobs are in the books that were refused and not sent again"
    assert set(booked.values()) == {1}
    engine = place.database()
    with reading(engine) as connection:
        states = Counter(connection.execute(sa.select(BATCHES.c.state)).scalars())
    assert states.keys() == {"loaded"}
    assert not quarantine.entries(engine, quarantine.Choice())
    assert not [finding for finding in verify(place.lake, place.books()) if not finding["ok"]]


OPTIONS = ("--trust-address", "127.0.0.1/32", "--commit-seconds", "1")


def test_below_the_named_limit_everything_is_refused_until_there_is_room_again(small_disk: Path) -> None:
    home = home_on(small_disk, free_disk_bytes=4 * 1024 * 1024)
    ballast = Ballast(small_disk / "ballast")
    ballast.grow(8 * 1024 * 1024)
    with live_collector(home, *OPTIONS) as running:
        sender = Sender(running)
        for _ in range(MOST_SENT):
            if not sender.send():
                break
            ballast.grow(256 * 1024)
        assert sender.refused, "nothing was ever refused"
        ballast.grow(2 * 1024 * 1024)
        running.wait_until(lambda: not is_ready(running), RECOVERS_WITHIN_S)
        assert not sender.send()
        status, text, _ = running.ask("GET", "/readyz")
        assert (status, b"intake.free_disk_bytes" in text) == (503, True)
        ballast.free()
        running.wait_until(lambda: is_ready(running), RECOVERS_WITHIN_S)
        assert sender.send()
        sender.send_again()
        wait_until_loaded(running, home)
    must_hold_exactly(home, sender.acknowledged)


def test_a_disk_with_no_byte_left_refuses_and_the_loader_lives_and_goes_on(small_disk: Path) -> None:
    home = home_on(small_disk, free_disk_bytes=0)
    ballast = Ballast(small_disk / "ballast")
    with live_collector(home, *OPTIONS) as running:
        sender = Sender(running)
        for _ in range(12):
            assert sender.send()
        running.wait_until(lambda: bool(running.events("loaded")), RECOVERS_WITHIN_S)
        running.wait_until(lambda: is_ready(running), RECOVERS_WITHIN_S)
        ballast.grow(DISK_BYTES)
        until = time.monotonic() + FILLS_WITHIN_S
        while time.monotonic() < until and not (
            len(sender.refused) >= 10 and len(running.events("not now")) >= 3
        ):
            ballast.give_back(160 * 1024)  # so that now and then something is taken, for the loader to meet
            sender.send()
            ballast.grow(DISK_BYTES)
            sender.send()
            time.sleep(0.2)
        assert sender.refused, "nothing was ever refused"
        assert running.events("not now"), "the loader never met the full disk"
        ballast.free()
        sender.send_again()
        wait_until_loaded(running, home)
        assert is_ready(running)
        assert not running.events("the loader ended and is started again")
        assert not running.events("the loader failed")
        assert not running.events("set aside")
    must_hold_exactly(home, sender.acknowledged)
