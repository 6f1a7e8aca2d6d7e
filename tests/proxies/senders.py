"""Senders that never stop: over TLS, at both doors, again until they are answered well, as probes do."""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING

from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    import ssl

APART = 10_000_000  # between the first jobs of two senders
AT_ONCE = 10
PAUSE_S = 0.05
NATIVE = "/api/v1/batches?format=sacct&resource=Utah-Kingspeak"


class Sender(threading.Thread):
    """Sends numbered jobs. keeps: whether it keeps its connection from one request to the next.

    acknowledged: the jobs that were answered with OK or a receipt; sent: all that were tried.
    refused:      what else came back, in words; each was followed by another try.
    """

    def __init__(self, number: int, port: int, context: ssl.SSLContext, token: str | None) -> None:
        super().__init__(daemon=True)
        self._port, self._context, self._token = port, context, token
        self._first = number * APART
        self._keeps = number % 2 == 0
        self._connection: http.client.HTTPSConnection | None = None
        self._stopping = threading.Event()
        self.acknowledged: list[int] = []
        self.sent: set[int] = set()
        self.refused: list[str] = []

    def run(self) -> None:
        """Send until told to stop; what was begun is sent to its end."""
        turn = self._first
        while not self._stopping.is_set():
            jobs = range(turn, turn + AT_ONCE)
            self.sent.update(jobs)
            while (refusal := self._deliver(jobs)) is not None:
                self.refused.append(refusal)
                time.sleep(PAUSE_S)
            self.acknowledged += jobs
            turn += AT_ONCE
            time.sleep(PAUSE_S)
        self._hang_up()

    def stop(self) -> None:
        """End when the batch in hand is delivered."""
        self._stopping.set()

    def _deliver(self, jobs: range) -> str | None:
        """Send once. Returns: None where it was answered well, else what came instead."""
        if self._token is None:
            path, body, headers = (
                "/gratia-servlets/rmi",
                post("multiupdate", envelope(*map(record, jobs))),
                {},
            )
        else:
            path, body = NATIVE, sacct(*jobs, cluster="Utah-Kingspeak")
            headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": str(jobs.start)}
        try:
            connection = self._connected()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            return type(error).__name__
        if not self._keeps:
            self._hang_up()
        well = text == b"OK" if self._token is None else answer.status in (200, 202)
        return None if well else f"{answer.status} {text[:200]!r}"

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                "localhost", self._port, timeout=20, context=self._context
            )
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
