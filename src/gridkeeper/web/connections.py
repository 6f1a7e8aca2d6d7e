"""Guards connections: whoever opens one must send a whole head of a request soon, or is cut off.

The server below has no such limit of its own: heads that come a byte at a time would hold their connections for
ever, and in the end all that there are. Slow bodies are `receiving`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_WITHIN_S = 20.0
log = structlog.get_logger("web")


class GuardedConnection(H11Protocol):
    """A connection that is cut off when it brings no request within HEAD_WITHIN_S of its first byte, or of its opening.

    A connection that is kept after an answer may be silent as long as the server's `timeout_keep_alive` allows.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and see whether they make a request."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _look(self) -> None:
        # What comes after an answer, and is no new request, is the rest of a body that nobody reads: it has as long.
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_WITHIN_S, self._cut_off)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:
            return  # a request that had arrived already began when the one before it was answered
        log.info("cut off: no request came", peer=self.client[0] if self.client else "")
        self.transport.abort()
