"""Keeps the claim on a run fresh while it is made and mailed, so that no other scheduler takes it for one that died."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog

from gridkeeper.database import DatabaseUnavailable
from gridkeeper.schedules import runs
from gridkeeper.schedules.runs import ClaimLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.schedules.runs import Run

# Often enough that a claim outlives a few failures: runs.STALE_AFTER is six times that.
RENEW_EVERY_S = 300.0
# A run that takes longer hangs: its claim is left to grow stale, and another scheduler tries.
LONGEST_AT_WORK = timedelta(hours=6)
log = structlog.get_logger("schedules")


@contextmanager
def renewed(engine: sa.Engine, run: Run, who: str, clock: Callable[[], datetime]) -> Iterator[None]:
    """Renew the claim of `who` on a run from a thread of its own, as long as the work in the block goes on.

    Raises: nothing of its own: who works finds out at its next step that the claim is lost, or the database gone.
    """
    done, begun = Event(), clock()

    def renew() -> None:
        while not done.wait(RENEW_EVERY_S):
            moment = clock()
            about = {"schedule": run.schedule, "period": run.period.name}
            if moment - begun > LONGEST_AT_WORK:
                log.warning(
                    "a report hangs; another scheduler may try",
                    hours=LONGEST_AT_WORK.seconds // 3600,
                    **about,
                )
                return
            try:
                runs.record(engine, run, who, claimed_at=moment)
            except ClaimLost:
                return
            except DatabaseUnavailable as error:
                log.warning("the claim on a report could not be renewed", problem=str(error), **about)

    thread = Thread(target=renew, name="gridkeeper claim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
