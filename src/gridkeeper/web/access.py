"""Says who sends a request, and holds each sender to so many requests a minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool

from gridkeeper.trust.refusals import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from gridkeeper.trust.senders import Sender
    from gridkeeper.web.services import Services

MOST_SENDERS_REMEMBERED = 10_000


class TooManyRequests(Refusal):
    """A sender asks too often. 429. Retryable."""

    permanent = False
    status = 429


_TOO_MANY_REQUESTS = (
    "more than {} requests in a minute (intake.requests_per_minute); send larger batches, less often"
)


class Pace:
    """A bucket a sender: it fills with the minute's allowance, each request takes one.

    sentence: what is said where it is empty; `{}` stands for the allowance.
    """

    def __init__(self, per_minute: int, sentence: str = _TOO_MANY_REQUESTS) -> None:
        self._most = float(per_minute)
        self._sentence = sentence.format(f"{per_minute:,}")
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one request. Raises: TooManyRequests (retryable)."""
        left, moment = self._left(name)
        self._buckets.pop(name, None)
        self._buckets[name] = (left - 1 if left >= 1 else left, moment)
        while len(self._buckets) > MOST_SENDERS_REMEMBERED:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyRequests(self._sentence)

    def must_have_some(self, name: str) -> None:
        """Count nothing, and see whether anything is left. Raises: TooManyRequests (retryable)."""
        if self._left(name)[0] < 1:
            raise TooManyRequests(self._sentence)

    def _left(self, name: str) -> tuple[float, float]:
        moment = time.monotonic()
        left, since = self._buckets.get(name, (self._most, moment))
        return min(self._most, left + (moment - since) * self._most / 60), moment


async def recognised(services: Services, request: Request) -> Sender:
    """Say who sends a request, and count it.

    Raises: trust.refusals.Refusal (401, 403, 429, 503), DatabaseUnavailable (retryable).
    """
    peer = request.client.host if request.client else ""
    pace: Pace = request.app.state.pace
    try:
        sender = await run_in_threadpool(services.door.recognise, request.headers.raw, peer)
    except Refusal:
        pace.take(f"refused {peer}")  # who guesses tokens is slowed down, too
        raise
    structlog.contextvars.bind_contextvars(sender=sender.name)
    pace.take(f"{sender.name} {sender.address}" if sender.resources is None else sender.name)
    return sender
