"""A batch that the loader fails over is set aside in the end; a loader that fails over everything sets nothing aside."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from gridkeeper import clock
from gridkeeper.database import reading
from gridkeeper.intake import quarantine, retrying
from gridkeeper.intake.blaming import LONGEST_REST, SPARED_FOR, TRIED_AGAIN_AFTER
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.tables import BATCHES
from tests.collectors import Collector, collector
from tests.intake.brittle_format import Brittle, brittle_format
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
QUERY = "/api/v1/batches?format={}&resource=alpha"


@dataclass
class Watch:
    """A clock that is moved by hand."""

    moment: datetime = field(default_factory=clock.now)

    def __call__(self) -> datetime:
        return self.moment

    def move(self, by: timedelta) -> None:
        self.moment += by


@dataclass
class Scene:
    """A collector whose loader has a clock of its own, and a format that breaks at will."""

    gate: Collector
    brittle: Brittle
    watch: Watch
    drain: Drain

    def send(self, *numbers: int, format_name: str = "brittle", account: str = "cms") -> str:
        text = sacct(*numbers).replace(b"|cms|", b"|" + account.encode() + b"|")
        answer = self.client.post(QUERY.format(format_name), content=text)
        assert answer.status_code == 202
        self.watch.moment = max(self.watch.moment, clock.now())
        return str(answer.json()["batch"])

    def states(self) -> Counter[str]:
        with reading(self.gate.services.engine) as connection:
            return Counter(connection.execute(sa.select(BATCHES.c.state)).scalars())

    def round(self, after: timedelta = timedelta(0)) -> None:
        """One round of the loader, as `run` would do it: none while it rests."""
        self.watch.move(after)
        self.gate.services.now = self.watch
        if self.drain._is_due():
            self.drain.once()

    def ready(self) -> tuple[int, str]:
        answer = self.client.get("/readyz")
        return answer.status_code, answer.text

    def __post_init__(self) -> None:
        self.client = self.gate.client(self.gate.token("alpha"))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    gate = collector(
        tmp_path / "home", {"intake": {"commit_seconds": 1}}, "resources: [{name: alpha}, {name: beta}]\n"
    )
    watch = Watch()
    drain = Drain(gate.services.engine, gate.place.lake, gate.settings.intake, lambda: None, clock=watch)
    with brittle_format() as brittle, capture_logs():
        yield Scene(gate, brittle, watch, drain)
    gate.close()


def test_one_batch_that_the_loader_fails_over_holds_no_other_up_and_is_set_aside_after_minutes(
    scene: Scene,
) -> None:
    scene.brittle.raises = {b"poison": ValueError("a bug")}
    for number in range(20):
        scene.send(number, account="poison" if number == 7 else "cms")
    scene.round(timedelta(seconds=1))
    assert scene.states() == {"loaded": 19, "waiting": 1}
    assert scene.ready()[0] == 200
    seen = scene.brittle.seen
    scene.round(TRIED_AGAIN_AFTER / 2)
    assert scene.brittle.seen == seen, "it was tried again without a pause"
    scene.round(TRIED_AGAIN_AFTER)
    assert scene.states()["waiting"] == 1
    scene.send(30)
    scene.round(timedelta(seconds=1))
    assert scene.states() == {"loaded": 20, "waiting": 1}
    scene.round(2 * TRIED_AGAIN_AFTER)
    assert scene.states() == {"loaded": 20, "set-aside": 1}
    (row,) = quarantine.entries(scene.gate.services.engine, quarantine.Choice())
    assert (row.rule, "failed 3 times" in str(row.reason)) == ("unreadable_batch", True)


def test_what_was_set_aside_is_loaded_once_the_bug_is_mended_and_it_is_handed_back(scene: Scene) -> None:
    scene.brittle.raises = {b"poison": ValueError("a bug")}
    scene.send(1, account="poison")
    for pause in (timedelta(seconds=1), TRIED_AGAIN_AFTER, 2 * TRIED_AGAIN_AFTER):
        scene.round(pause)
    assert scene.states() == {"set-aside": 1}
    scene.brittle.raises = {}
    engine = scene.gate.services.engine
    assert retrying.retry(engine, scene.gate.place.lake, quarantine.Choice(), "local carol").handed_back == 1
    scene.round(timedelta(seconds=1))
    assert scene.states() == {"loaded": 1}
    assert quarantine.entries(engine, quarantine.Choice()) == []


@pytest.mark.parametrize("error", [ValueError("a bug"), NameError("a bug"), MemoryError()], ids=type)
def test_a_loader_that_fails_over_every_batch_sets_nothing_aside_rests_and_is_not_ready(
    scene: Scene, error: Exception
) -> None:
    scene.brittle.raises = {b"": error}
    for number in range(40):
        scene.send(number)
    scene.round(timedelta(seconds=1))
    first = scene.brittle.seen
    scene.round()
    assert scene.brittle.seen == first, "the loader does not rest"
    for _ in range(8):
        scene.round(LONGEST_REST)
    assert scene.states() == {"waiting": 40}
    status, text = scene.ready()
    assert (status, type(error).__name__ in text, "the loader itself fails" in text) == (503, True, True)
    assert "gridkeeper_loader_faults 1.0" in scene.client.get("/metrics").text
    with reading(scene.gate.services.engine) as connection:
        assert set(connection.execute(sa.select(BATCHES.c.failures)).scalars()) == {0}
    scene.brittle.raises = {}
    scene.round(LONGEST_REST)
    assert scene.states() == {"loaded": 40}
    assert scene.ready()[0] == 200
    assert scene.gate.sums()[0] == 40


def test_a_format_that_is_broken_is_told_and_set_aside_by_nobody_while_others_are_loaded(
    scene: Scene,
) -> None:
    scene.brittle.raises = {b"": TypeError("a bug")}
    for number in range(3):
        scene.send(number)
    for number in range(10, 60):
        scene.send(number, format_name="sacct")
        scene.round(SPARED_FOR / 4)
    assert scene.states() == {"waiting": 3, "loaded": 50}
    status, text = scene.ready()
    assert (status, "brittle, other batches are loaded" in text) == (200, True)
    scene.brittle.raises = {}
    scene.round(SPARED_FOR)
    assert scene.states() == {"loaded": 53}
    assert "warnings" not in scene.ready()[1]


def test_good_batches_behind_many_bad_ones_are_found_and_then_the_bad_ones_are_to_blame(scene: Scene) -> None:
    scene.brittle.raises = {b"poison": ValueError("a bug")}
    for number in range(70):
        scene.send(number, account="poison")
    scene.send(100)
    for _ in range(4):
        scene.round(LONGEST_REST)
    assert scene.states()["loaded"] == 1
    for _ in range(6):
        scene.round(LONGEST_REST * 2)
    assert scene.states() == {"loaded": 1, "set-aside": 70}
    assert scene.ready()[0] == 200


def test_a_loader_that_begins_tries_at_once_what_another_put_off(scene: Scene) -> None:
    scene.brittle.raises = {b"": NameError("a bug")}
    scene.send(1)
    scene.round(timedelta(seconds=1))
    scene.brittle.raises = {}
    mended = Drain(
        scene.gate.services.engine,
        scene.gate.place.lake,
        scene.gate.settings.intake,
        lambda: None,
        clock=scene.watch,
    )
    stop = StopsAfter(3)
    mended.run(stop)  # type: ignore[arg-type]
    assert scene.states() == {"loaded": 1}


@dataclass
class StopsAfter:
    """Tells a loader to stop after some turns, without waiting."""

    turns: int

    def is_set(self) -> bool:
        self.turns -= 1
        return self.turns < 0

    def wait(self, seconds: float) -> None:
        """Not at all."""
