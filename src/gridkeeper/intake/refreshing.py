"""Brings the summaries up to the records beside the loading, so that what waits need not wait for that, too."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from gridkeeper.errors import GridkeeperError
from gridkeeper.intake import memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

REFRESH_EVERY = timedelta(seconds=60)
log = structlog.get_logger("loader")


class Refreshing:
    """Refreshes in a thread of its own, once at a time, while there is something new.

    refresh:   brings the summaries up to the records.
    clock:     says what time it is.
    is_behind: whether records were loaded of which no refresh that began since knows.
    """

    def __init__(self, refresh: Callable[[], object], clock: Callable[[], datetime]) -> None:
        self.is_behind = False
        self._refresh, self._now = refresh, clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="refreshing")
        self._under_way: Future[object] | None = None
        self._ended_at = clock()

    def __enter__(self) -> Refreshing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    @property
    def is_under_way(self) -> bool:
        """Whether a refresh is under way, or its end was not taken yet."""
        return self._under_way is not None

    def after_load(self) -> None:
        """Go on, knowing that more was loaded."""
        self.is_behind = True
        self.go_on()

    def go_on(self) -> None:
        """Begin a refresh where one is due, REFRESH_EVERY after the last one ended; what one could not do, a later one does."""
        if self._under_way is not None:
            if self._under_way.done():
                self._take_end()
        elif self.is_behind and self._now() - self._ended_at >= REFRESH_EVERY:
            self.is_behind = False
            self._under_way = self._thread.submit(self._refresh)

    def end(self) -> None:
        """Wait for the refresh that is under way, and make a last one if that did not know all."""
        self._take_end()
        if self.is_behind:
            self._under_way = self._thread.submit(self._refresh)
            self._take_end()

    def _take_end(self) -> None:
        """Wait for the refresh that is under way, if there is one."""
        if self._under_way is None:
            return
        ended, self._under_way = self._under_way, None
        try:
            ended.result()
        except GridkeeperError as error:  # a busy lake, a full disk
            self.is_behind = True
            log.warning("the summaries are not up to the records", reason=str(error))
        finally:
            self._ended_at = self._now()
            memory.give_back()
