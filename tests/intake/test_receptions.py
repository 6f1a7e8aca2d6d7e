"""What is read together is archived apart: each payload as it came, under the name of who sent it."""

from __future__ import annotations

import io
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

import pytest

from gridkeeper.formats.contract import Block
from gridkeeper.intake.reading import Piece, Unit, joined, read
from gridkeeper.intake.sources import Original, Parcel
from gridkeeper.lake.archive import digest, unpacked
from gridkeeper.records.draft import Delivery
from tests.collectors import LOCAL, Collector, collector
from tests.web.gratia_posts import envelope, post, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOMENT = datetime(2017, 2, 7, 1, tzinfo=UTC)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", {"trust": {"addresses": [LOCAL]}}, "resources: [{name: alpha}]\n")
    yield made
    made.close()


def apel(number: int) -> bytes:
    job = (
        f"Site: A\nLocalJobId: {number}\nVO: cms\nWallDuration: 60\nCpuDuration: 50\nProcessors: 1\n"
        "StartTime: 1485860000\nEndTime: 1485860060\n%%"
    )
    return f"APEL-individual-job-message: v0.3\n{job}".encode()


def test_three_small_batches_of_two_tokens_are_three_rows_each_with_its_sender_and_time(
    gate: Collector,
) -> None:
    alice, bob = gate.token("alpha"), gate.token("alpha")
    for number, token in enumerate((alice, alice, bob)):
        address = f"198.51.100.{number}"
        sent = gate.client(token, address).post(
            "/api/v1/batches?format=apel&resource=alpha", content=apel(number)
        )
        assert sent.status_code == 202
    gate.load()
    assert gate.sums() == (3, 180)
    snapshot = gate.place.lake.snapshot()
    rows = snapshot.select(
        "SELECT archive.payload, receptions.* FROM archive JOIN receptions ON archive.sha256 = receptions.sha256 ORDER BY address"
    ).to_pylist()
    assert [unpacked(row["payload"]) for row in rows] == [apel(number) for number in range(3)]
    names = [row["sender"] for row in rows]
    assert names[0] == names[1] != names[2]
    assert [row["address"] for row in rows] == ["198.51.100.0", "198.51.100.1", "198.51.100.2"]
    assert rows[0]["received_at"] < rows[1]["received_at"] < rows[2]["received_at"]
    found = snapshot.select(
        "SELECT local_job_id, archive_ref FROM usage_records ORDER BY local_job_id"
    ).to_pylist()
    assert [row["archive_ref"] for row in found] == [digest(apel(number), b"") for number in range(3)]


def test_the_same_bytes_sent_by_another_are_kept_once_and_named_twice(gate: Collector) -> None:
    for number in range(2):
        client = gate.client(gate.token("alpha"), f"198.51.100.{number}")
        assert client.post("/api/v1/batches?format=apel&resource=alpha", content=apel(7)).status_code == 202
        gate.load()
    snapshot = gate.place.lake.snapshot()
    assert len(snapshot.select("SELECT sha256 FROM archive")) == 1
    told = snapshot.select("SELECT address FROM receptions ORDER BY address")
    assert told["address"].to_pylist() == ["198.51.100.0", "198.51.100.1"]


def test_a_post_has_its_probes_own_word_in_its_reception(gate: Collector) -> None:
    body = post("multiupdate", envelope(record(1)), probe="gratia:gateway.example.org")
    assert gate.client().post("/gratia-servlets/rmi", content=body).content == b"OK"
    gate.load()
    (row,) = gate.place.lake.snapshot().select("SELECT * FROM receptions").to_pylist()
    assert (row["said_by"], row["probe"]) == ("gratia:gateway.example.org", None)
    assert (row["sender"], row["address"], row["format"]) == (f"address {LOCAL}", LOCAL, "gratia-post")


def unit(number: int, sender: str, said_by: str | None = None, *, original: bool = False) -> Unit:
    text = apel(number)
    delivery = Delivery(MOMENT + timedelta(seconds=number), said_by=said_by)
    kept = Original(f"post {number}", "gratia-post", b"", 3) if original else None
    parcel = Parcel(f"batch {number}", nothing, "apel", delivery, kept, sender)
    return Unit("apel", Block(text, 1), (Piece(1, number, parcel, 1),))


@contextmanager
def nothing() -> Iterator[BinaryIO]:
    yield io.BytesIO()


@pytest.mark.parametrize("original", [True, False])
def test_small_payloads_are_still_read_together_whoever_sent_them(original: bool) -> None:
    units = [
        unit(number, f"token {number % 2}", f"condor:{number}", original=original) for number in range(8)
    ]
    (one,) = joined(units)
    outcome = read(one)
    assert len(outcome.tables["usage_records"]) == 8
    assert [(kept.source, kept.sender) for kept in outcome.received] == [
        (f"batch {number}", f"token {number % 2}") for number in range(8)
    ]
    if not original:
        assert [unpacked(kept.payload) for kept in outcome.received] == [apel(number) for number in range(8)]
    names = outcome.tables["usage_records"]["archive_ref"].to_pylist()
    assert names == [kept.sha256 for kept in outcome.received]
