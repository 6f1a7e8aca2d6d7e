"""Two collectors before one home, behind a real HAProxy: one dies, one is drained, and the books have everything once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.intake import waiting
from gridkeeper.lake.maintenance import verify
from gridkeeper.trust.tokens import create
from tests.proxies import deployment
from tests.proxies.asking import Caller
from tests.proxies.processes import Collecting, RuntimeSocket, free_port, haproxy, program, wait_until
from tests.proxies.senders import Sender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.cli.wiring import Wired
    from tests.proxies.certificates import Authority, Certificate

pytestmark = pytest.mark.slow
SENDERS = 4
SOON_S = 10.0
LONG_S = 60.0
AFTER_A_WHILE = 80  # jobs


class Story:
    """A home, its two collectors, the balancer before them, and who sends."""

    def __init__(self, place: Wired, balancer: RuntimeSocket, collectors: dict[str, Collecting]) -> None:
        self.place, self.balancer, self.collectors = place, balancer, collectors
        self.senders: list[Sender] = []

    def start(self, name: str) -> Collecting:
        """Start a collector again, where it was."""
        port = self.collectors[name].port
        self.collectors[name] = Collecting(self.place.home.path, port)
        return self.collectors[name].be_ready()

    def stop(self) -> None:
        """End the collectors that run."""
        for collector in self.collectors.values():
            collector.stop()

    def wait_for_state(self, name: str, state: str, patience_s: float = SOON_S) -> None:
        """Wait until HAProxy says so of a collector. UP: not only hoped, but checked."""

        def reached() -> bool:
            told = self.balancer.of("collectors", name)
            return told["status"] == state and (state != "UP" or told["check_status"] == "L7OK")

        wait_until(reached, patience_s, f"{name} is {state}")

    def wait_for_progress(self, jobs: int = AFTER_A_WHILE) -> None:
        """Wait until each sender got an answer, and together they got some."""
        before = [len(sender.acknowledged) for sender in self.senders]

        def more() -> bool:
            made = [
                len(sender.acknowledged) - past for sender, past in zip(self.senders, before, strict=True)
            ]
            return all(made) and sum(made) >= jobs

        wait_until(more, LONG_S, "the senders get answers")

    def refusals(self) -> list[str]:
        """What else than a good answer the senders got so far."""
        return [refusal for sender in self.senders for refusal in sender.refused]


@pytest.fixture
def story(
    folder: Path, authority: Authority, server_certificate: Certificate, utah: Certificate
) -> Iterator[Story]:
    program("haproxy")
    home = Home(folder / "shared-home")
    home.create()
    home.federation.write_text(deployment.FEDERATION, encoding="utf-8")
    home.settings.write_text(deployment.settings(), encoding="utf-8")
    place = wired(home.path)
    engine = place.database()
    token = create(engine, role="probe", who="local carol", resources=("Utah-Kingspeak",)).text
    runtime, (port, *ports) = folder / "shared.socket", (free_port() for _ in range(3))
    (folder / "balancer").mkdir()
    configuration = deployment.haproxy_configuration(runtime, port, ports, server_certificate, authority)
    with contextlib.ExitStack() as stack:
        stack.callback(engine.dispose)
        collectors = {
            name: Collecting(home.path, one) for name, one in zip(("one", "two"), ports, strict=True)
        }
        told = Story(place, RuntimeSocket(runtime), collectors)
        stack.callback(told.stop)
        for collector in collectors.values():
            collector.be_ready()
        stack.enter_context(haproxy(folder / "balancer", port, configuration))
        for name in collectors:
            told.wait_for_state(name, "UP", LONG_S)
        gratia, native = Caller(port, authority, utah).context, Caller(port, authority).context
        for number in range(SENDERS):
            is_native = number >= SENDERS // 2
            sender = Sender(number, port, native if is_native else gratia, token if is_native else None)
            told.senders.append(sender)
            stack.callback(sender.join, LONG_S)
            stack.callback(sender.stop)
        yield told


def test_one_collector_dies_and_one_is_drained_and_everything_is_booked_once(story: Story) -> None:
    for sender in story.senders:
        sender.start()
    story.wait_for_progress()
    assert all(collector.posts() for collector in story.collectors.values()), "both have work"
    _one_loses_its_loader(story)
    assert story.refusals() == [], "no sender noticed"
    _one_dies(story)
    story.start("one")
    story.wait_for_state("one", "UP", LONG_S)
    story.wait_for_progress()
    _two_is_drained(story)
    for sender in story.senders:
        sender.stop()
        sender.join(LONG_S)
        assert not sender.is_alive(), "a sender never got its answer"
    _everything_is_booked_once(story)


def _one_loses_its_loader(story: Story) -> None:
    """It says so at /readyz until it has another one, a second later; each time that takes twice as long."""

    def times_down() -> int:
        return int(story.balancer.of("collectors", "one")["chkdown"])

    before = times_down()
    for _ in range(3):
        (loader,) = story.collectors["one"].loaders()
        os.kill(loader, signal.SIGKILL)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: times_down() > before, 3, "one is left out")
        story.wait_for_state("one", "UP")
        if times_down() > before:
            break
    assert times_down() > before
    story.wait_for_progress()


def _one_dies(story: Story) -> None:
    one = story.collectors["one"]
    loaders = one.loaders()
    assert loaders
    os.kill(one.process.pid, signal.SIGKILL)
    story.wait_for_state("one", "DOWN")
    wait_until(lambda: not any(map(_lives, loaders)), LONG_S, "its loader ends with it")
    story.wait_for_progress()
    # Those whose requests it had tried again. What it had not taken yet went to the other.
    told = {refusal.split()[0] for refusal in story.refusals()}
    assert told <= {"502", "RemoteDisconnected", "ConnectionResetError"}
    one.stop()


def _two_is_drained(story: Story) -> None:
    before, two = story.refusals(), story.collectors["two"]
    assert story.balancer.say("set server collectors/two state drain").strip() == ""
    wait_until(lambda: _connections(story.balancer, "two") == 0, SOON_S, "two has no requests")
    assert story.balancer.of("collectors", "two")["status"] == "DRAIN"
    taken = story.balancer.of("collectors", "two")["stot"]
    story.wait_for_progress()
    assert story.balancer.of("collectors", "two")["stot"] == taken, "a drained collector gets nothing more"
    assert two.process.poll() is None
    two.stop()
    assert two.process.returncode == 0
    assert two.events("stopped")
    story.wait_for_progress()
    assert story.refusals() == before, "no sender noticed"


def _connections(balancer: RuntimeSocket, server: str) -> int:
    """The column `used_cur` of `show servers conn`, as the page says to look at it."""
    head, *lines = balancer.say("show servers conn collectors").strip().splitlines()
    names = head.removeprefix("# ").split()
    (row,) = (row for row in (line.split() for line in lines) if row[0] == f"collectors/{server}")
    return int(row[names.index("used_cur")])


def _everything_is_booked_once(story: Story) -> None:
    engine = story.place.database()
    wait_until(lambda: waiting.oldest(engine)[0] is None, LONG_S, "all that was received is loaded")
    engine.dispose()
    found = story.place.lake.snapshot().select(
        "SELECT local_job_id, COUNT(*) AS times FROM usage_records GROUP BY ALL"
    )
    booked = Counter({int(row["local_job_id"]): row["times"] for row in found.to_pylist()})
    acknowledged = {job for sender in story.senders for job in sender.acknowledged}
    assert len(acknowledged) == sum(len(sender.acknowledged) for sender in story.senders)
    assert acknowledged <= booked.keys(), (
        f"{len(acknowledged - booked.keys())} answered jobs are not in the books"
    )
    assert booked.keys() <= {job for sender in story.senders for job in sender.sent}
    assert set(booked.values()) == {1}
    assert not [finding for finding in verify(story.place.lake, story.place.books()) if not finding["ok"]]


def _lives(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return told.rpartition(")")[2].split()[0] != "Z"
