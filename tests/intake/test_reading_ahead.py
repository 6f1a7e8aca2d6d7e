"""The texts of a load are read while the one before is committed: nothing is lost, doubled or blamed because of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from gridkeeper import clock
from gridkeeper.database import DatabaseUnavailable, reading, writing
from gridkeeper.errors import LakeUnavailable
from gridkeeper.intake import blaming, draining, waiting
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.opening import Opening
from gridkeeper.intake.tables import BATCHES
from tests.collectors import Collector, collector
from tests.intake.brittle_format import brittle_format
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

    from gridkeeper.intake.sources import Parcel

PATIENCE_S = 60.0


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(draining, "AT_ONCE_BYTES", 1)  # one batch a load
    made = collector(tmp_path / "home")
    yield made
    made.close()


def drain_of(gate: Collector) -> Drain:
    return Drain(gate.services.engine, gate.place.lake, gate.settings.intake, lambda: None, workers=2)


def send(gate: Collector, *numbers: int, format_name: str = "sacct") -> list[str]:
    """One batch for each number; their ids."""
    client = gate.client(gate.token("alpha"))
    found = []
    for number in numbers:
        answer = client.post(f"/api/v1/batches?format={format_name}&resource=alpha", content=sacct(number))
        assert answer.status_code == 202
        found.append(str(answer.json()["batch"]))
    return found


def claims(gate: Collector) -> list[tuple[str, bool, int]]:
    """Of each batch, in order of age: its state, whether somebody has it, how often it was claimed."""
    with reading(gate.services.engine) as connection:
        rows = connection.execute(
            sa.select(BATCHES.c.state, BATCHES.c.claimed_by, BATCHES.c.attempts).order_by(
                BATCHES.c.received_at
            )
        )
        return [(state, claimed_by is not None, attempts) for state, claimed_by, attempts in rows]


def within_commits(gate: Collector, monkeypatch: pytest.MonkeyPatch, does: Callable[[int], None]) -> None:
    """Have something done within each commit of records, told which one it is, from 1."""
    appends, count = gate.place.lake.append_each, 0

    def append_each(*given: object) -> np.ndarray:
        nonlocal count
        count += 1
        does(count)
        return appends(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(gate.place.lake, "append_each", append_each)


def watch_openings(monkeypatch: pytest.MonkeyPatch, does: Callable[[str], None]) -> None:
    """Have something done before a load's batches are opened, told the id of its first batch."""
    opens = Opening.parcels

    def parcels(opening: Opening) -> list[Parcel]:
        does(opening.batches[0].id)
        return opens(opening)

    monkeypatch.setattr(Opening, "parcels", parcels)


def test_the_next_load_is_opened_while_one_is_committed(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = send(gate, 1, 2, 3)
    opened = {name: threading.Event() for name in sent}
    watch_openings(monkeypatch, lambda name: opened[name].set())

    def await_next(number: int) -> None:
        assert number == 3 or opened[sent[number]].wait(PATIENCE_S)

    within_commits(gate, monkeypatch, await_next)
    assert drain_of(gate).once().records == 3
    assert claims(gate) == [("loaded", False, 1)] * 3
    assert gate.sums()[0] == 3


def test_when_the_lake_cannot_be_written_what_was_read_ahead_is_given_back_too(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(gate, 1, 2, 3)

    def fail_first(number: int) -> None:
        if number == 1:
            assert claims(gate)[1] == ("waiting", True, 1)
            raise LakeUnavailable("the disk is full")

    within_commits(gate, monkeypatch, fail_first)
    drain = drain_of(gate)
    with pytest.raises(LakeUnavailable):
        drain.once()
    assert claims(gate) == [("waiting", False, 0)] * 3
    assert drain.once().records == 3
    assert gate.sums()[0] == 3


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("no answer"), LakeUnavailable("no room"), ValueError("a bug")]
)
def test_what_could_not_be_opened_ahead_is_opened_in_its_turn(
    gate: Collector, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    second = send(gate, 1, 2, 3)[1]
    failed: list[str] = []

    def fail_once(name: str) -> None:
        if name == second and not failed:
            failed.append(name)
            raise error

    watch_openings(monkeypatch, fail_once)
    drained = drain_of(gate).once()
    assert (drained.records, drained.failed, failed) == (3, 0, [second])
    assert claims(gate) == [("loaded", False, 1)] * 3
    assert gate.sums()[0] == 3


def test_who_fails_when_read_ahead_is_blamed_alone(gate: Collector) -> None:
    with brittle_format() as brittle, capture_logs():
        send(gate, 1)
        (bad,) = send(gate, 2, format_name="brittle")
        send(gate, 3)
        brittle.raises = {b"": ValueError("a bug")}
        drained = drain_of(gate).once()
    assert (drained.records, drained.failed) == (2, 1)
    assert [state for state, _, _ in claims(gate)] == ["loaded", "waiting", "loaded"]
    with reading(gate.services.engine) as connection:
        failures = sa.select(BATCHES.c.id).where(BATCHES.c.failures == 1)
        assert connection.execute(failures).scalars().all() == [bad]


def test_a_loader_that_fails_over_everything_gives_back_what_it_claimed_ahead(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blaming, "FAILURES_OF_A_BROKEN_LOADER", 1)
    with brittle_format() as brittle, capture_logs():
        send(gate, 1, 2, 3, format_name="brittle")
        brittle.raises = {b"": NameError("a bug")}
        assert drain_of(gate).once().failed == 1
    assert claims(gate) == [("waiting", False, 0)] * 3


def test_beside_a_suspect_nothing_is_claimed(gate: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    send(gate, 1, 2, 3)
    with writing(gate.services.engine) as connection:
        connection.execute(sa.update(BATCHES).values(attempts=10))
    claimed: list[int] = []
    within_commits(gate, monkeypatch, lambda _: claimed.append(sum(has for _, has, _ in claims(gate))))
    assert drain_of(gate).once().records == 3
    assert claimed == [1, 1, 1]


def test_a_suspect_is_not_claimed_ahead(gate: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    (suspect,) = send(gate, 1)
    with writing(gate.services.engine) as connection:
        connection.execute(sa.update(BATCHES).where(BATCHES.c.id == suspect).values(attempts=10))
    send(gate, 2)
    claimed: list[list[bool]] = []
    within_commits(gate, monkeypatch, lambda _: claimed.append([has for _, has, _ in claims(gate)]))
    assert drain_of(gate).once().records == 2
    assert claimed == [[False, True], [True, False]]


def test_suspects_have_their_turn_though_others_come_meanwhile(gate: Collector) -> None:
    (suspect,) = send(gate, 1)
    with writing(gate.services.engine) as connection:
        connection.execute(sa.update(BATCHES).values(attempts=10))
    until = clock.now()
    (later,) = send(gate, 2)

    def claim(suspects: bool) -> list[str]:
        found = waiting.claim(
            gate.services.engine, "somebody", 1, clock.now(), until=until, suspects=suspects
        )
        return [batch.id for batch in found]

    assert claim(suspects=False) == []
    assert claim(suspects=True) == [suspect]
    assert waiting.claim(gate.services.engine, "somebody", 1, clock.now())[0].id == later
