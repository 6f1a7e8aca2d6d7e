"""Idempotency keys: the same batch again is the same batch; another one under the same key is no success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.intake.inbox import Arrival, Clash, Receipt
from gridkeeper.intake.tables import BATCHES, PARTS
from tests.collectors import Collector, collector
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
QUERY = {"format": "sacct", "resource": "alpha", "probe": "slurm:alpha", "vo": "cms"}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"intake": {"body_bytes": 4_000_000}})
    yield made
    made.close()


def sent(client: Any, body: bytes, encoding: str = "identity", **changes: str) -> Any:
    headers = {"Idempotency-Key": "k1", "Content-Encoding": encoding}
    query = {name: value for name, value in (QUERY | changes).items() if value}
    return client.post("/api/v1/batches", params=query, content=body, headers=headers)


def stored(gate: Collector) -> tuple[int, int]:
    """Batches and parts that lie in the inbox."""
    with reading(gate.services.engine) as connection:
        return (
            connection.execute(sa.select(sa.func.count()).select_from(BATCHES)).scalar_one(),
            connection.execute(sa.select(sa.func.count()).select_from(PARTS)).scalar_one(),
        )


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    ("body", "encoding", "changes", "differs"),
    [
        (sacct(2), "identity", {}, "body"),
        (sacct(*range(20_000)), "identity", {}, "body"),
        (sacct(1), "gzip", {}, "Content-Encoding"),
        (sacct(1), "identity", {"format": "auto"}, "format"),
        (sacct(1), "identity", {"resource": "beta"}, "resource"),
        (sacct(1), "identity", {"resource": ""}, "resource"),
        (sacct(1), "identity", {"probe": "slurm:beta", "vo": "atlas"}, "probe and VO"),
        (sacct(2), "gzip", {"format": "auto"}, "body, format and Content-Encoding"),
    ],
)
def test_alices_other_batch_under_the_same_key_is_refused_with_what_differs(
    gate: Collector, loaded: bool, body: bytes, encoding: str, changes: dict[str, str], differs: str
) -> None:
    alice = gate.client(gate.token("alpha", "beta"))
    first = sent(alice, sacct(1))
    if loaded:
        gate.load()
    before = stored(gate)
    answer = sent(alice, body, encoding, **changes)
    assert answer.status_code == 409
    said = answer.json()["error"]
    assert f"that of batch {first.json()['batch']}, which came with another {differs};" in said
    assert "send this batch under a key of its own" in said
    assert stored(gate) == before, "nothing of it is kept"
    assert sent(alice, sacct(1)).json() == first.json()
    gate.load()
    assert gate.sums()[0] == 1


def test_the_same_batch_of_many_parts_is_read_again_and_stored_once(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    body = sacct(*range(25_000))
    answers = [sent(alice, body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 200, 200]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert stored(gate)[0] == 1


def test_a_batch_that_came_before_is_answered_though_the_inbox_is_full_and_its_body_keeps_to_the_limits(
    gate: Collector,
) -> None:
    alice = gate.client(gate.token("alpha"))
    first = sent(alice, sacct(1))
    gate.services.inbox._limits = gate.settings.intake.model_copy(update={"free_disk_bytes": 10**18})
    assert sent(alice, sacct(1)).json() == first.json()
    assert sent(alice, b"x" * 4_000_001).status_code == 413


def test_bobs_key_of_the_same_name_is_his_own(gate: Collector) -> None:
    alice, bob = gate.client(gate.token("alpha")), gate.client(gate.token("beta"))
    assert sent(alice, sacct(1)).status_code == 202
    assert sent(bob, sacct(2, cluster="beta"), resource="beta").status_code == 202


def test_of_two_batches_under_one_key_that_arrive_together_one_is_kept(gate: Collector) -> None:
    inbox = gate.services.inbox
    arrival = Arrival("native", "sacct", "identity", "alice", "192.0.2.1", "alpha", key="k1")
    uploads = [inbox.open_upload(arrival) for _ in range(3)]
    for upload in uploads:
        inbox.add_part(upload, b"begin ")
    answers = [
        inbox.finish(upload, last).result()
        for upload, last in zip(uploads, (b"end", b"another end", b"end"), strict=True)
    ]
    assert [type(answer) for answer in answers] == [Receipt, Clash, Receipt]
    assert answers[1] == Clash(answers[0].batch, ("body",))  # type: ignore[attr-defined]
    assert answers[2].batch == answers[0].batch  # type: ignore[attr-defined]
    assert stored(gate) == (1, 2)


def test_the_document_says_409(gate: Collector) -> None:
    document = gate.client().get("/api/v1/openapi.json").json()
    assert "another batch" in document["paths"]["/api/v1/batches"]["post"]["responses"]["409"]["description"]
