"""Looks every minute for reports that are due, while a server runs; and runs the daily upkeep that it is given."""

from __future__ import annotations

import logging
from concurrent.futures import Executor, Future
from datetime import UTC, time
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import structlog
from apscheduler.executors.pool import BasePoolExecutor  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]

from gridkeeper.clock import now
from gridkeeper.errors import GridkeeperError
from gridkeeper.schedules import changes, printing, runs
from gridkeeper.schedules.running import make_due

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from gridkeeper.schedules.running import Press

LOOK_EVERY_S = 60
STOP_WITHIN_S = 5.0
DAILY_AT = time(3, 20)
log = structlog.get_logger("schedules")


class Scheduler:
    """Makes reports on time in the background.

    clock: says what time it is.
    daily: name → what is done once a day at `daily_at` (UTC), each in its own thread; its errors are logged.
    """

    def __init__(
        self,
        press: Press,
        clock: Callable[[], datetime],
        daily: Mapping[str, Callable[[], object]] | None = None,
        daily_at: time = DAILY_AT,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        printing.check(press.settings)
        self._press, self._clock, self._who = press, clock, runs.somebody()
        self._stopping, self._noted = Event(), False
        self._threads = _AbandonableThreads()
        quiet = logging.getLogger("gridkeeper.schedules.looks")
        quiet.setLevel(logging.ERROR)  # that a report takes longer than a minute is no news
        self._scheduler: Any = BackgroundScheduler(
            timezone=UTC,
            logger=quiet,
            executors={"default": _Pool(self._threads)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_job(
            _logged,
            "interval",
            args=["look for due reports", self._look],
            seconds=look_every_s,
            next_run_time=now(),
        )
        for name, work in (daily or {}).items():
            self._scheduler.add_job(
                _logged,
                "cron",
                args=[name, work],
                hour=daily_at.hour,
                minute=daily_at.minute,
                second=daily_at.second,
                id=name,
            )

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._scheduler.start()

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """End within seconds.

        A report that is being made is told to stop at its next step; one that does not come to it in time is
        abandoned: its run is handed back, and what its thread still does is refused, because the claim is gone.
        """
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if not self._threads.wait(within_s):
            try:
                runs.hand_back(self._press.engine, self._who, self._clock())
            except GridkeeperError as error:
                log.warning("a report that was being made could not be handed back", problem=str(error))

    def _look(self) -> None:
        if not self._noted:
            changes.note(self._press.engine, self._press.schedules(), self._clock())
            self._noted = True
        worked_on = make_due(self._press, self._clock, who=self._who, stopping=self._stopping.is_set)
        for run in worked_on:
            about = {"schedule": run.schedule, "period": run.period.name, "due_at": run.due_at.isoformat()}
            if run.state == "done":
                log.info("a report is delivered", **about)
            else:
                log.warning("a report is not delivered", problem=run.problem, **about)


def _logged(name: str, work: Callable[[], object]) -> None:
    """Do a work; what it cannot do is logged, and tried again the next time."""
    try:
        work()
    except GridkeeperError as error:
        log.warning("this could not be done now", work=name, problem=str(error))
    except Exception:  # one broken work must not end the others; the log has its traceback
        log.exception("this broke off by a fault in Gridkeeper", work=name)


class _AbandonableThreads(Executor):
    """A thread for each work; one that does not end keeps no process alive."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._alive: set[Thread] = set()

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the future carries it to who asked
                future.set_exception(error)
            finally:
                with self._lock:
                    self._alive.discard(thread)

        thread = Thread(target=run, name="gridkeeper schedule", daemon=True)
        with self._lock:
            self._alive.add(thread)
        thread.start()
        return future

    def wait(self, within_s: float) -> bool:
        """Wait for all works to end. Returns: whether they have."""
        left = within_s
        with self._lock:
            threads = list(self._alive)
        for thread in threads:
            begun = monotonic()
            thread.join(max(left, 0))
            left -= monotonic() - begun
        return not any(thread.is_alive() for thread in threads)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if wait:
            self.wait(STOP_WITHIN_S)


class _Pool(BasePoolExecutor):  # type: ignore[misc]
    """How the scheduler uses them."""

    def __init__(self, threads: _AbandonableThreads) -> None:
        super().__init__(threads)
