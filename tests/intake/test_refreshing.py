"""Summaries are brought up to the records beside the loading: once at a time, not too often, and at the end."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gridkeeper.errors import LakeUnavailable
from gridkeeper.intake import draining
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.refreshing import REFRESH_EVERY, Refreshing
from tests.collectors import collector
from tests.intake.test_blaming import Watch
from tests.proxies.processes import wait_until
from tests.web.test_batches import sacct, send

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0


class Held:
    """A refresh that lasts until it is let go, and then fails or does not."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Semaphore(0), threading.Semaphore(0)
        self.error: Exception | None = None
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        self.begun.release()
        assert self.let_go.acquire(timeout=PATIENCE_S)
        if self.error is not None:
            raise self.error


def has_ended(refreshing: Refreshing) -> bool:
    refreshing.go_on()
    return not refreshing.is_under_way


def test_one_at_a_time_and_the_next_one_a_while_after_its_end() -> None:
    watch, held = Watch(), Held()
    with Refreshing(held, watch) as refreshing:
        refreshing.is_behind = True
        refreshing.go_on()
        assert held.count == 0  # the process has only just begun
        watch.move(REFRESH_EVERY)
        refreshing.go_on()
        assert held.begun.acquire(timeout=PATIENCE_S)
        refreshing.is_behind = True  # more was loaded meanwhile
        watch.move(3 * REFRESH_EVERY)
        refreshing.go_on()
        assert held.count == 1
        held.let_go.release()
        wait_until(lambda: has_ended(refreshing), PATIENCE_S, "its end")
        watch.move(REFRESH_EVERY - timedelta(seconds=1))
        refreshing.go_on()
        assert held.count == 1
        watch.move(timedelta(seconds=1))
        refreshing.go_on()
        assert held.begun.acquire(timeout=PATIENCE_S)
        held.let_go.release()
        refreshing.end()
        assert held.count == 2  # nothing was loaded since the second began


def test_with_nothing_new_nothing_is_done() -> None:
    watch, held = Watch(), Held()
    with Refreshing(held, watch) as refreshing:
        watch.move(2 * REFRESH_EVERY)
        refreshing.go_on()
        refreshing.end()
    assert held.count == 0


def test_what_one_could_not_do_the_next_one_does() -> None:
    watch, held = Watch(), Held()
    held.error = LakeUnavailable("the disk is full")
    with Refreshing(held, watch) as refreshing:
        refreshing.is_behind = True
        watch.move(REFRESH_EVERY)
        refreshing.go_on()
        held.let_go.release(2)
        with capture_logs() as logs:
            wait_until(lambda: has_ended(refreshing), PATIENCE_S, "its end")
        assert [entry["reason"] for entry in logs] == ["the disk is full"]
        assert held.count == 1
        watch.move(REFRESH_EVERY)
        held.error = None
        refreshing.go_on()
        refreshing.end()
    assert held.count == 2


@pytest.mark.parametrize("fails", [False, True])
def test_at_the_end_the_one_under_way_is_awaited_and_made_up_for(fails: bool) -> None:
    watch, held = Watch(), Held()
    held.error = LakeUnavailable("the disk is full") if fails else None
    with Refreshing(held, watch) as refreshing:
        refreshing.is_behind = True
        watch.move(REFRESH_EVERY)
        refreshing.go_on()
        refreshing.is_behind = not fails  # more was loaded since, or it fails: one more is due either way
        held.let_go.release(2)
        refreshing.end()
    assert held.count == 2


def test_a_refresh_begins_between_the_loads_of_a_long_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "AT_ONCE_BYTES", 1)  # one batch a load
    gate = collector(tmp_path / "home")
    alice, watch = gate.client(gate.token("alpha")), Watch()
    for number in (1, 2, 3):
        assert send(alice, sacct(number), "format=sacct&resource=alpha").status_code == 202  # type: ignore[attr-defined]
    watch.move(REFRESH_EVERY)
    sums: list[int] = []
    drain = Drain(gate.services.engine, gate.place.lake, gate.settings.intake, lambda: None, clock=watch)
    with Refreshing(lambda: sums.append(gate.sums()[0]), watch) as refreshing:
        watch.move(REFRESH_EVERY)
        drain.once(refreshing.after_load)
        refreshing.end()
    gate.close()
    assert len(sums) == 2  # one when the first batch was loaded, one for what came after it
    assert sums[-1] == 3


def test_what_waits_is_loaded_while_summaries_are_refreshed(tmp_path: Path) -> None:
    gate = collector(tmp_path / "home")
    watch, held, stop = Watch(), Held(), threading.Event()
    drain = Drain(
        gate.services.engine,
        gate.place.lake,
        gate.settings.intake.model_copy(update={"commit_seconds": 1}),
        held,
        clock=watch,
    )
    running = threading.Thread(target=drain.run, args=(stop,))
    running.start()
    try:
        alice = gate.client(gate.token("alpha"))
        for number in (1, 2):  # the second while the first's refresh is under way
            assert send(alice, sacct(number), "format=sacct&resource=alpha").status_code == 202  # type: ignore[attr-defined]
            watch.move(REFRESH_EVERY)
            wait_until(lambda number=number: gate.sums()[0] == number, PATIENCE_S, "it is loaded")  # type: ignore[misc]
            assert held.begun.acquire(timeout=PATIENCE_S) if number == 1 else held.count == 1
    finally:
        held.let_go.release(3)
        stop.set()
        running.join()
        gate.close()
    assert held.count == 2  # the last one, for the second batch
