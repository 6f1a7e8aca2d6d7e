"""What a round of loading takes: what waited when it began, in as few commits as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gridkeeper import clock
from gridkeeper.intake import draining, waiting
from gridkeeper.intake.draining import Drain
from tests.collectors import Collector, collector
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.testclient import TestClient


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home")
    yield made
    made.close()


def send(client: TestClient, *numbers: int) -> None:
    answer = client.post("/api/v1/batches?format=sacct&resource=alpha", content=sacct(*numbers))
    assert answer.status_code == 202


def test_what_comes_while_a_round_is_loading_waits_for_the_next(
    gate: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "AT_ONCE_BYTES", 1)  # one batch a commit
    client = gate.client(gate.token("alpha"))
    send(client, 1)
    send(client, 2)
    began = clock.now()
    send(client, 3)
    drain = Drain(
        gate.services.engine, gate.place.lake, gate.settings.intake, lambda: None, clock=lambda: began
    )
    assert drain.once().records == 2
    first, _ = waiting.oldest(gate.services.engine)
    assert first is not None
    assert first > began
    assert gate.place.lake.snapshot().load_seq() == 2
