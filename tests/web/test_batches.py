"""The native door: raw text in, a receipt out, and a true word on what became of it."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
import zstandard

from gridkeeper.database import reading
from gridkeeper.errors import LakeDamaged
from gridkeeper.intake import quarantine, retrying, waiting
from gridkeeper.intake.blaming import MOST_FAILURES
from gridkeeper.intake.tables import CONTACTS, PARTS, POOL_SAMPLES
from tests.collectors import Collector, collector
from tests.web.gratia_posts import envelope, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("on_each_engine")
HEADER = "JobID|JobIDRaw|Cluster|Partition|Account|Group|User|Submit|Start|End|ElapsedRaw|TotalCPU|ExitCode|State|NNodes|NCPUS\n"


BATCHES = "/api/v1/batches?format=sacct&resource=alpha"


def sacct(*numbers: int, wall_s: int = 3600, cluster: str = "alpha") -> bytes:
    lines = [
        f"{number}|{number}|{cluster}|long|cms|cms|alice|2026-11-20T09:00:00|2026-11-20T10:00:00|2026-11-20T11:00:00|{wall_s}|00:50:00|0:0|COMPLETED|1|2\n"
        for number in numbers
    ]
    return (HEADER + "".join(lines)).encode()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(
        tmp_path / "home", federation="resources: [{name: alpha, aliases: [al]}, {name: beta}]\n"
    )
    yield made
    made.close()


def send(client: object, body: bytes, query: str = "format=sacct&resource=alpha", **headers: str) -> object:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/api/v1/batches?{query}", content=body, headers=named)  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_a_batch_gets_a_receipt_and_then_counts(gate: Collector, encoding: str) -> None:
    text = sacct(1, 2, 3)
    body = {"identity": text, "gzip": gzip.compress(text), "zstd": zstandard.ZstdCompressor().compress(text)}[
        encoding
    ]
    alice = gate.client(gate.token("alpha"))
    answer = alice.post(
        "/api/v1/batches?format=sacct&resource=alpha", content=body, headers={"Content-Encoding": encoding}
    )
    assert answer.status_code == 202
    receipt = answer.json()
    assert receipt["bytes"] == len(body)
    assert alice.get(f"/api/v1/batches/{receipt['batch']}").json()["state"] == "waiting"
    gate.load()
    state = alice.get(f"/api/v1/batches/{receipt['batch']}").json()
    assert state["state"] == "loaded"
    assert {name: state["result"][name] for name in ("read", "loaded", "duplicates", "rejected")} == {
        "read": 3, "loaded": 3, "duplicates": 0, "rejected": 0,
    }  # fmt: skip
    assert gate.sums() == (3, 10_800)
    with reading(gate.services.engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(PARTS)).scalar_one() == 0


def test_the_same_key_is_the_same_batch(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    answers = [
        alice.post(
            "/api/v1/batches?format=sacct&resource=alpha", content=sacct(1), headers={"Idempotency-Key": "k1"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 200]
    assert answers[0].json() == answers[1].json()


def test_each_batch_of_a_round_is_told_its_own_result(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    batches = []
    for body in (sacct(1, 2), sacct(2, 3), sacct(4) + b"garbage|\n", sacct(1, wall_s=60)):
        answer = alice.post("/api/v1/batches?format=sacct&resource=alpha", content=body)
        batches.append(answer.json()["batch"])
    gate.load()
    found = [alice.get(f"/api/v1/batches/{batch}").json()["result"] for batch in batches]
    said = [(one["read"], one["loaded"], one["duplicates"], one["revised"], one["rejected"]) for one in found]
    assert said == [(2, 2, 0, 0, 0), (2, 1, 1, 0, 0), (2, 1, 0, 0, 1), (1, 0, 0, 1, 0)]


def test_a_large_batch_is_taken_part_by_part(gate: Collector) -> None:
    text = sacct(*range(30_000))
    alice = gate.client(gate.token("alpha"))
    assert alice.post("/api/v1/batches?format=auto&resource=alpha", content=text).status_code == 202
    gate.load()
    assert gate.sums()[0] == 30_000


def test_dave_who_may_only_read_sees_what_became_of_alices_batch_and_sends_nothing(gate: Collector) -> None:
    alice, dave = gate.client(gate.token("alpha")), gate.client(gate.token(role="viewer"))
    batch = alice.post(BATCHES, content=sacct(1)).json()["batch"]
    assert dave.get(f"/api/v1/batches/{batch}").json()["state"] == "waiting"
    answer = dave.post(BATCHES, content=sacct(2))
    assert (answer.status_code, "for reading (role viewer)" in answer.text) == (403, True)


def test_bob_cannot_send_for_alices_resource_nor_see_her_batch(gate: Collector) -> None:
    alice, bob = gate.client(gate.token("alpha")), gate.client(gate.token("beta"))
    refused = bob.post("/api/v1/batches?format=sacct&resource=alpha", content=sacct(1))
    assert refused.status_code == 403
    assert refused.json()["error"] == "this token may send for beta only; it asked for alpha"
    batch = alice.post("/api/v1/batches?format=sacct&resource=AL", content=sacct(1)).json()["batch"]
    assert bob.get(f"/api/v1/batches/{batch}").status_code == 404
    carol = gate.client(gate.token(role="operator"))
    assert carol.get(f"/api/v1/batches/{batch}").status_code == 200


def test_bobs_text_without_a_named_resource_is_judged_record_by_record(gate: Collector) -> None:
    bob = gate.client(gate.token("beta"))
    text = sacct(1, cluster="beta") + sacct(2, cluster="alpha").split(b"\n", 1)[1]
    assert bob.post("/api/v1/batches?format=sacct", content=text).status_code == 202
    gate.load()
    assert gate.sums()[0] == 1
    (kept,) = quarantine.entries(gate.services.engine, quarantine.Choice(rule="not_allowed"))
    assert b"|alpha|" in kept.text


def test_a_factorys_token_for_a_vo_books_that_vo_anywhere_and_no_other(gate: Collector) -> None:
    factory = gate.client(gate.token(vos=("cms",)))
    cms, atlas = record(1, "alpha"), record(2, "beta", vo="atlas")
    text = envelope(cms, atlas, record(3, "beta")).encode()
    assert factory.post("/api/v1/batches?format=gratia-xml", content=text).status_code == 202
    gate.load()
    assert gate.sums()[0] == 2
    (kept,) = quarantine.entries(gate.services.engine, quarantine.Choice(rule="not_allowed"))
    assert b"atlas" in kept.text


def test_a_token_bound_to_a_resource_and_a_vo_keeps_both(gate: Collector) -> None:
    bob = gate.client(gate.token("beta", vos=("cms",)))
    members = (record(1, "beta"), record(2, "beta", vo="atlas"), record(3, "alpha"))
    assert (
        bob.post("/api/v1/batches?format=gratia-xml", content=envelope(*members).encode()).status_code == 202
    )
    gate.load()
    assert gate.sums()[0] == 1


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("format=nonsense&resource=alpha", {}, 400),
        ("resource=alpha", {}, 422),
        ("format=sacct&resource=alpha", {"Content-Encoding": "br"}, 415),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_sentence(
    gate: Collector, query: str, headers: dict[str, str], status: int
) -> None:
    answer = gate.client(gate.token("alpha")).post(f"/api/v1/batches?{query}", content=b"x", headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_body_over_the_limit_is_refused_and_nothing_of_it_kept(tmp_path: Path) -> None:
    small = collector(tmp_path / "home", {"intake": {"body_bytes": 1_500_000}})
    alice = small.client(small.token("alpha"))

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    assert alice.post("/api/v1/batches?format=sacct&resource=alpha", content=endless()).status_code == 413
    small.close()
    with reading(small.services.engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(PARTS)).scalar_one() == 0


def test_a_body_that_grows_when_unpacked_is_set_aside_not_loaded(tmp_path: Path) -> None:
    small = collector(tmp_path / "home", {"intake": {"plain_bytes": 100_000}})
    alice = small.client(small.token("alpha"))
    bomb = gzip.compress(HEADER.encode() + b"\n" * 50_000_000)
    batch = alice.post(
        "/api/v1/batches?format=sacct&resource=alpha", content=bomb, headers={"Content-Encoding": "gzip"}
    ).json()["batch"]
    small.load()
    state = alice.get(f"/api/v1/batches/{batch}").json()
    assert state["state"] == "set-aside"
    (kept,) = quarantine.entries(small.services.engine, quarantine.Choice())
    assert kept.rule == "unreadable_batch"
    small.close()


def test_a_whole_batch_that_was_refused_is_loaded_after_the_fault_was_mended(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    batch = alice.post("/api/v1/batches?format=auto&resource=alpha", content=b"what is this\n").json()[
        "batch"
    ]
    gate.load()
    assert alice.get(f"/api/v1/batches/{batch}").json()["state"] == "set-aside"
    done = retrying.retry(gate.services.engine, gate.place.lake, quarantine.Choice(), "local carol")
    assert done.handed_back == 1
    assert alice.get(f"/api/v1/batches/{batch}").json()["state"] == "waiting"


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"what is this\n", "unknown_format"),
        (sacct(1).decode().encode("utf-16"), "utf_16"),
        (b"\0\1\2" * 99, "binary_junk"),
    ],
)
def test_a_batch_of_no_known_format_is_one_refusal_under_its_own_rule(
    gate: Collector, body: bytes, rule: str
) -> None:
    alice = gate.client(gate.token("alpha"))
    batch = alice.post("/api/v1/batches?format=auto&resource=alpha", content=body).json()["batch"]
    gate.load()
    state = alice.get(f"/api/v1/batches/{batch}").json()
    assert state["state"] == "set-aside"
    (kept,) = quarantine.entries(gate.services.engine, quarantine.Choice())
    assert (kept.rule, kept.text, kept.source) == (rule, body, f"batch {batch}")


@pytest.mark.slow
def test_a_damaged_lake_is_no_batchs_fault_and_batches_wait_until_it_is_mended(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    alice.post(BATCHES, content=sacct(1))
    gate.load()
    batch = alice.post(BATCHES, content=sacct(1, 2)).json()["batch"]
    (file,) = (gate.place.home.lake / "usage_records").rglob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:500])
    for _ in range(MOST_FAILURES + waiting.MOST_ATTEMPTS):
        with pytest.raises(LakeDamaged, match="is no whole Parquet file"):
            gate.load()
    assert alice.get(f"/api/v1/batches/{batch}").json()["state"] == "waiting"
    assert not quarantine.entries(gate.services.engine, quarantine.Choice())
    file.write_bytes(whole)
    gate.load()
    assert gate.sums()[0] == 2


def test_a_refused_record_is_loaded_by_a_retry_once_its_sender_may(gate: Collector) -> None:
    bob = gate.client(gate.token("beta"))
    bob.post("/api/v1/batches?format=sacct", content=sacct(1, cluster="alpha"))
    gate.load()
    engine = gate.services.engine
    assert retrying.retry(engine, gate.place.lake, quarantine.Choice(), "local carol").refused == 1
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE quarantine SET binding = NULL"))
    assert retrying.retry(engine, gate.place.lake, quarantine.Choice(), "local carol").loaded == 1
    assert gate.sums()[0] == 1
    assert quarantine.entries(engine, quarantine.Choice()) == []


def test_a_heartbeat_is_noted_with_what_runs_and_waits(gate: Collector) -> None:
    alice = gate.client(gate.token("alpha"))
    beat = {
        "probe": "slurm:alpha", "resource": "alpha", "version": "0.1.0", "at": "2026-11-20T12:00:00Z", "backlog_batches": 3,
        "samples": [{"account": "cms", "vo": None, "state": "running", "jobs": 4, "cores": 32}],
    }  # fmt: skip
    assert alice.post("/api/v1/heartbeats", json=beat).status_code == 202
    assert alice.post("/api/v1/heartbeats", json=beat | {"resource": "beta"}).status_code == 403
    with reading(gate.services.engine) as connection:
        (contact,) = connection.execute(sa.select(CONTACTS)).all()
        (sample,) = connection.execute(sa.select(POOL_SAMPLES)).all()
    assert (contact.probe, contact.kind, contact.backlog_batches) == ("slurm:alpha", "heartbeat", 3)
    assert contact.backlog_records is None, "batches are no records"
    assert (sample.account, sample.state, sample.cores) == ("cms", "running", 32)


def test_no_answer_and_no_log_line_shows_a_token(gate: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    token = gate.token("alpha")
    client = gate.client(token)
    client.post("/api/v1/batches?format=sacct&resource=beta", content=b"x")
    said = client.get("/metrics").text + client.get("/healthz").text
    out, err = capsys.readouterr()
    assert token.rsplit("_", 1)[1] not in said + out + err


def test_who_asks_too_often_is_asked_to_wait(tmp_path: Path) -> None:
    small = collector(tmp_path / "home", {"intake": {"requests_per_minute": 2}})
    client = small.client(small.token("alpha"))
    states = [
        client.post("/api/v1/batches?format=sacct&resource=alpha", content=sacct(n)).status_code
        for n in range(4)
    ]
    assert states == [202, 202, 429, 429]
    small.close()
