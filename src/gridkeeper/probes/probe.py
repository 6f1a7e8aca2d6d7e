"""One probe at work: read into the outbox, move the cursor, send, say that it is alive; once, or for ever."""

from __future__ import annotations

import fcntl
import os
from contextlib import closing, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from gridkeeper.probes import clock
from gridkeeper.probes.collector import DELIVERED, REFUSED
from gridkeeper.probes.contract import PASSED, WARNING
from gridkeeper.probes.cursor import Cursor
from gridkeeper.probes.durable import PRIVATE_FILE, make_folder, sweep
from gridkeeper.probes.errors import AnotherRun, BadSettings, DiskRefused, ProbeError, StateDamaged
from gridkeeper.probes.heartbeat import beat
from gridkeeper.probes.outbox import Batch, Outbox, number_of, text_of
from gridkeeper.probes.sender import Sender
from gridkeeper.probes.status import Status, Verdict, backlog_problem

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gridkeeper.probes.clock import Clock
    from gridkeeper.probes.collector import Collector
    from gridkeeper.probes.contract import Reading, Source
    from gridkeeper.probes.settings import Settings

LOCK_FILE = "lock"
# No clock that is right says a time before this program was written.
EARLIEST = datetime(2026, 1, 1, tzinfo=clock.UTC)
# A round reads for so long at most before what it read is sent; `run --once` sends for so long at most.
READ_FOR_S, SEND_FOR_S = 300.0, 900.0
SHORTEST_SLEEP_S = 1.0


class Probe:
    """Reads one source and sends to one collector. Only one run at a time holds the state folder."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        collector: Collector,
        clock_: Clock,
        chance: random.Random,
        seen_limit: int,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._folder: Path = settings.probe.state_dir
        self._source = source
        self._collector = collector
        self._clock = clock_
        self._chance = chance
        self._seen_limit = seen_limit
        self._say = say
        self._outbox = Outbox(self._folder, settings.probe.name, settings.outbox)
        self._status = Status()
        self._sender: Sender | None = None
        self._saved_number = 0
        self._last_beat = float("-inf")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the state folder. Raises: AnotherRun, DiskRefused (both retryable)."""
        make_folder(self._folder)
        try:
            descriptor = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            raise DiskRefused(
                f"{self._folder / LOCK_FILE} could not be opened: {error.strerror}; give the folder to the "
                "probe's account"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise DiskRefused(f"{self._folder} cannot be locked: {error.strerror}") from error
            raise AnotherRun(f"another run of this probe is at work and holds {self._folder}") from error
        try:
            sweep(self._folder)
            self._outbox.open()
            self._status = Status.load(self._folder)
            self._sender = self._make_sender()
            yield
        finally:
            os.close(descriptor)

    def once(self, since: datetime | None = None) -> Verdict:
        """Read, send what waits, say that the probe is alive. since: read again from then on.

        Raises: AnotherRun, DiskRefused (both retryable); StateDamaged (permanent), only with `since`.
        """
        with self.lock():
            if since is not None:
                self._read_again(since)
            self.read()
            self.send(self._clock.monotonic() + SEND_FOR_S)
            self.beat()
            return self._finish()

    def run(self, keep_on: Callable[[], bool] = lambda: True) -> None:
        """Do so for ever: read every `interval_s`, beat every `heartbeat_s`, send whenever something waits."""
        probe = self._settings.probe
        with self.lock():
            due = self._clock.monotonic()
            told = ""
            while keep_on():
                if self._clock.monotonic() >= due:
                    due = self._clock.monotonic() + probe.interval_s * self._chance.uniform(0.95, 1.05)
                    self.read()
                self.send(due)
                if self._clock.monotonic() - self._last_beat >= probe.heartbeat_s:
                    self.beat()
                verdict = self._finish()
                if verdict.sentence != told:
                    self._say(verdict.line)
                    told = verdict.sentence
                self._clock.sleep(max(SHORTEST_SLEEP_S, self._next(due) - self._clock.monotonic()))

    def _next(self, due: float) -> float:
        beat = self._last_beat + self._settings.probe.heartbeat_s
        moments = [due, beat]
        if self._outbox.count and self._sender is not None:
            moments.append(self._clock.monotonic() + max(SHORTEST_SLEEP_S, self._sender.wait_s()))
        return min(moments)

    def _read_again(self, since: datetime) -> None:
        cursor = self._cursor()
        self._source.read_again(cursor, since)
        cursor.save()

    def read(self) -> None:
        """Read what is new into the outbox. What goes wrong is noted and tried again in the next round."""
        status, notes = self._status, self._source.notes
        status.source_problem, status.disk_problem, status.limit = "", "", ""
        status.source_permanent, status.notes = False, []
        notes.clear()
        now = self._clock.now()
        try:
            cursor = self._cursor()
            if now < EARLIEST:
                status.source_problem = f"this host's clock says {clock.as_text(now)}, which cannot be; nothing is read until it is set"
                return
            with closing(self._source.readings(cursor, now)) as readings:
                self._put_all(cursor, readings)
        except StateDamaged as error:
            status.disk_problem = str(error)
            self._say(str(error))
            # What is in the outbox is good all the same; at worst it is read and sent a second time.
            self._saved_number = max(map(number_of, self._outbox.names()), default=0)
        except DiskRefused as error:
            status.disk_problem = str(error)
            self._say(str(error))
        except ProbeError as error:
            status.source_problem, status.source_permanent = str(error), error.permanent
            self._say(str(error))
        except OSError as error:
            status.source_problem = f"the source could not be read: {error}"
            self._say(status.source_problem)
        status.notes = list(notes.sentences)
        status.lose(notes.losses, now)

    def _cursor(self) -> Cursor:
        """Read the cursor, and make up for the moves of batches that it does not know of: a crash came between."""
        probe = self._settings.probe
        cursor = Cursor.load(self._folder, probe.name, probe.kind, self._seen_limit)
        self._saved_number = cursor.number
        for name in self._outbox.names():
            if number_of(name) <= cursor.number:
                continue
            try:
                batch, body = self._outbox.read(name)
                text = text_of(body)
            except StateDamaged as error:
                # Its text was never let go of at the source, so it is read again.
                self._say(f"{error}; it was set aside")
                self._outbox.set_aside(name)
                continue
            self._source.adopt(cursor, batch.move, text)
            cursor.number = batch.number
            cursor.save()
            self._saved_number = cursor.number
        return cursor

    def _put_all(self, cursor: Cursor, readings: Iterator[Reading]) -> None:
        begun: float | None = None
        for reading in readings:
            if not reading.text:
                self._source.adopt(cursor, reading.move, b"")
                cursor.save()
                continue
            full = self._outbox.full()
            if full:
                self._status.limit = f"{full}; nothing is lost as long as the batch system keeps its records"
                self._say(f"reading has stopped: {self._status.limit}")
                return
            self._put(cursor, reading)
            begun = self._clock.monotonic() if begun is None else begun
            if self._clock.monotonic() - begun > READ_FOR_S:
                return

    def _put(self, cursor: Cursor, reading: Reading) -> None:
        newest = None if reading.newest_at is None else clock.as_text(reading.newest_at)
        batch = Batch(
            number=cursor.number + 1,
            format=self._source.format,
            manner=reading.manner,
            created_at=clock.as_text(self._clock.now()),
            newest_record_at=newest,
            preamble_bytes=reading.preamble_bytes,
            move=reading.move,
        )
        self._outbox.put(batch, reading.text)
        self._source.adopt(cursor, reading.move, reading.text)
        cursor.number = batch.number
        cursor.save()
        self._saved_number = cursor.number
        if newest:
            self._status.newest_record_at = max(self._status.newest_record_at, newest)

    def send(self, until: float) -> None:
        """Send what waits, until the monotonic clock says `until`."""
        assert self._sender is not None
        try:
            self._sender.send(self._saved_number, until)
        except BadSettings as error:
            self._status.refused = str(error)
        except DiskRefused as error:
            self._status.disk_problem = str(error)

    def beat(self) -> None:
        """Say that the probe is alive, with what runs and waits now."""
        status = self._status
        self._last_beat = self._clock.monotonic()
        samples, status.samples_problem = [], ""
        try:
            samples = self._source.samples()
        except ProbeError as error:
            status.samples_problem = f"what runs and waits now is not known: {error}"
        now = self._clock.now()
        status.heartbeat_problem = ""
        probe, format_name = self._settings.probe, self._source.format
        try:
            answer = beat(self._collector, probe, format_name, self._outbox, status, samples, now)
        except BadSettings as error:
            status.refused = str(error)
            return
        if answer.kind == DELIVERED:
            status.last_heartbeat_at = clock.as_text(now)
            if not self._outbox.count:
                status.refused = status.failed = ""
        elif answer.kind == REFUSED:
            status.refused = answer.sentence
        else:
            status.heartbeat_problem = f"the heartbeat was not taken: {answer.sentence}"

    def _finish(self) -> Verdict:
        self._status.last_round_at = clock.as_text(self._clock.now())
        self._status.save(self._folder)
        return verdict(self._settings, self._status, self._outbox, self._clock.now())

    def _make_sender(self) -> Sender:
        every = self._settings.collector.newest_every
        return Sender(
            self._outbox, self._collector, self._clock, self._status, self._chance, every, self._say
        )


def verdict(settings: Settings, status: Status, outbox: Outbox, now: datetime) -> Verdict:
    """Judge a probe by what it remembers."""
    limits = settings.outbox
    oldest_at = outbox.oldest_at()
    problems = status.problems()
    damaged = outbox.damaged_count()
    if damaged:
        problems.append(
            (WARNING, f"{damaged} damaged batches were set aside under {settings.probe.state_dir}")
        )
    late = backlog_problem(oldest_at, outbox.count, now, limits.warn_hours, limits.critical_hours)
    problems = sorted([*problems, *([late] if late else [])], key=lambda problem: -problem[0])
    figures = {
        "backlog": str(outbox.count),
        "backlog_bytes": f"{outbox.size_bytes}B",
        "delivered": f"{status.delivered}c",
        "damaged": str(damaged),
    }
    if problems:
        return Verdict(problems[0][0], "; ".join(sentence for _, sentence in problems), figures)
    waiting = f"{outbox.count} batches wait" if outbox.count else "nothing waits"
    last = f", last receipt {status.last_receipt_at}" if status.last_receipt_at else ", nothing sent yet"
    return Verdict(PASSED, waiting + last, figures)
