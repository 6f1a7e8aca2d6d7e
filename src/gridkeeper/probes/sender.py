"""Empties the outbox: the oldest batch first, the newest in its turn, with patience where the collector has none."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gridkeeper.probes import boundaries, clock, collector
from gridkeeper.probes.errors import DiskRefused, StateDamaged
from gridkeeper.probes.outbox import number_of, text_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from datetime import datetime

    from gridkeeper.probes.clock import Clock
    from gridkeeper.probes.collector import Answer, Collector
    from gridkeeper.probes.outbox import Batch, Outbox
    from gridkeeper.probes.status import Status

FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 900.0
# Waits differ by so much, that not all probes of a federation come back in the same second.
JITTER = 0.25
# A batch that is not wanted is passed by; so many of them one after another are no matter of the batch.
MOST_REJECTED_IN_A_ROW = 3


class Sender:
    """Sends what waits. Waiting times are in seconds."""

    def __init__(
        self,
        outbox: Outbox,
        collector_: Collector,
        clock_: Clock,
        status: Status,
        chance: random.Random,
        newest_every: int,
        say: Callable[[str], None],
    ) -> None:
        self._outbox = outbox
        self._collector = collector_
        self._clock = clock_
        self._status = status
        self._chance = chance
        self._newest_every = newest_every
        self._say = say
        self._not_before = clock_.monotonic() + self._wait_left(clock_.now())
        self._passed_by: dict[str, float] = {}
        self.answered = False

    def wait_s(self) -> float:
        """How long to wait before the next try."""
        return max(0.0, self._not_before - self._clock.monotonic())

    def send(self, upto: int, until: float) -> int:
        """Send until nothing waits, the collector wants a pause, or the monotonic clock says `until`.

        upto: the greatest batch number that the cursor on disk knows; a later one is not safe to be let go.
        Returns: how many were delivered. Raises: BadSettings (permanent) when there is no token, DiskRefused
        (retryable).
        """
        self.answered = False
        if self.wait_s() > 0:
            return 0
        now = self._clock.monotonic()
        names = self._outbox.names()
        present = set(names)
        self._passed_by = {name: after for name, after in self._passed_by.items() if name in present}
        waiting = deque(
            name for name in names if number_of(name) <= upto and self._passed_by.get(name, now) <= now
        )
        delivered = rejected = 0
        self._status.rejected = self._status.rejected if self._passed_by else ""
        while waiting and rejected < MOST_REJECTED_IN_A_ROW and self._clock.monotonic() < until:
            newest = self._status.sends % self._newest_every == self._newest_every - 1
            name = waiting.pop() if newest else waiting.popleft()
            self._status.sends += 1
            answer = self._deliver(name, waiting)
            if answer is None:
                continue
            self.answered |= answer.answered
            if answer.kind == collector.DELIVERED:
                delivered, rejected = delivered + 1, 0
                self._delivered(answer)
            elif answer.kind in (collector.REJECTED, collector.TOO_LARGE):
                rejected += 1
                self._pass_by(name, answer)
            else:
                self._step_back(answer)
                return delivered
        if rejected >= MOST_REJECTED_IN_A_ROW:
            self._step_back(collector.Answer(collector.FAILED, self._status.rejected))
        return delivered

    def _deliver(self, name: str, waiting: deque[str]) -> Answer | None:
        """Send one batch; None where it was no batch, or was split in two that now wait."""
        try:
            batch, body = self._outbox.read(name)
        except StateDamaged as error:
            self._say(f"{error}; it was set aside")
            self._outbox.set_aside(name)
            return None
        answer = self._collector.send(batch, body)
        if answer.kind == collector.DELIVERED:
            self._outbox.remove(name)
            self._status.last_receipt = answer.receipt
        if answer.kind == collector.TOO_LARGE:
            halves = self._split(batch, body)
            if halves:
                waiting.extendleft(reversed(halves))
                return None
        return answer

    def _split(self, batch: Batch, body: bytes) -> list[str]:
        """Put two halves in the place of a batch. Their keys follow from it, so doing it twice doubles nothing."""
        cut = boundaries.halves(text_of(body), batch.manner, batch.preamble_bytes)
        if cut is None:
            return []
        # A half has no move of its own: the whole's was made before it was sent.
        try:
            names = [
                self._outbox.put(replace(batch, part=f"{batch.part}-{side}", move={}), text).name
                for side, text in enumerate(cut, 1)
            ]
            self._outbox.remove(batch.name)
        except DiskRefused as error:
            self._say(f"{batch.name} is too large and cannot be split now: {error}")
            return []
        return names

    def _delivered(self, answer: Answer) -> None:
        status = self._status
        status.delivered += 1
        status.last_receipt_at = clock.as_text(self._clock.now())
        status.failures, status.retry_at = 0, ""
        status.refused = status.failed = ""

    def _pass_by(self, name: str, answer: Answer) -> None:
        self._passed_by[name] = self._clock.monotonic() + LONGEST_WAIT_S
        what = "is too large and cannot be split" if answer.kind == collector.TOO_LARGE else "is not wanted"
        self._status.rejected = f"the batch {name} {what}: {answer.sentence}; it is kept and tried again"
        self._say(self._status.rejected)

    def _step_back(self, answer: Answer) -> None:
        """Wait: 30 s, doubling to 15 min, or as long as the collector says."""
        status = self._status
        status.failures += 1
        doubled = FIRST_WAIT_S * 2.0 ** min(status.failures - 1, 16)
        wait = min(doubled, LONGEST_WAIT_S) * self._chance.uniform(1 - JITTER, 1 + JITTER)
        if answer.retry_after_s is not None:
            wait = answer.retry_after_s * self._chance.uniform(1.0, 1.0 + JITTER)
        self._not_before = self._clock.monotonic() + wait
        status.retry_at = clock.as_text(self._clock.now() + timedelta(seconds=wait))
        refused = answer.kind == collector.REFUSED
        status.refused = answer.sentence if refused else ""
        status.failed = "" if refused else answer.sentence
        self._say(f"{answer.sentence}; next try in {wait:.0f} s")

    def _wait_left(self, now: datetime) -> float:
        """What an earlier run left of its wait; a clock that stepped must not make it endless."""
        if not self._status.retry_at:
            return 0.0
        left = (clock.from_text(self._status.retry_at) - now).total_seconds()
        longest = collector.LONGEST_RETRY_AFTER_S * (1 + JITTER)
        return left if 0 < left <= longest else 0.0
