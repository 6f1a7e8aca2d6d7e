"""A batch that cannot be loaded stays visible until somebody decides: it is handed back, again if need be, or discarded and kept."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gridkeeper.database import reading
from gridkeeper.errors import UserMistake
from gridkeeper.intake import quarantine, retrying, waiting
from gridkeeper.intake.archived import Wanted
from gridkeeper.intake.quarantine import Choice
from gridkeeper.intake.replaying import replay
from gridkeeper.intake.tables import BATCHES, PARTS
from gridkeeper.lake.archive import unpacked
from tests.collectors import LOCAL, Collector, collector
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RMI = "/gratia-servlets/rmi"
BATCHES_AT = "/api/v1/batches?format={}&resource=alpha"
SETTINGS = {"trust": {"addresses": [LOCAL]}, "intake": {"members": 3, "inbox_bytes": 2**20}}


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", SETTINGS, "resources: [{name: alpha}]\n")
    yield made
    made.close()


def send(gate: Collector, body: bytes, format_name: str = "auto", encoding: str = "identity") -> str:
    headers = {"Content-Encoding": encoding}
    answer = gate.client().post(BATCHES_AT.format(format_name), content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["batch"])


def said(gate: Collector, batch: str) -> dict[str, object]:
    return dict(gate.client(gate.token(role="operator")).get(f"/api/v1/batches/{batch}").json())


def retry(gate: Collector, choice: Choice | None = None) -> retrying.Retried:
    return retrying.retry(gate.services.engine, gate.place.lake, choice or Choice(), "local carol")


def discard(gate: Collector, choice: Choice | None = None, because: str = "carol's test") -> int:
    return retrying.discard(gate.services.engine, gate.place.lake, choice or Choice(), "local carol", because)


def rows(gate: Collector) -> list[sa.Row[tuple[object, ...]]]:
    return quarantine.entries(gate.services.engine, Choice())


def states(gate: Collector) -> Counter[str]:
    with reading(gate.services.engine) as connection:
        return Counter(connection.execute(sa.select(BATCHES.c.state)).scalars())


def held_bytes(gate: Collector) -> int:
    with reading(gate.services.engine) as connection:
        return int(connection.execute(sa.select(sa.func.sum(sa.func.length(PARTS.c.data)))).scalar_one() or 0)


def test_a_batch_that_is_handed_back_and_refused_again_is_there_again(gate: Collector) -> None:
    send(gate, b"what is this\n")
    for _ in range(3):
        gate.load()
        (row,) = rows(gate)
        assert (row.times, states(gate)) == (1, {"set-aside": 1})
        assert retry(gate).handed_back == 1
        assert (rows(gate), states(gate)) == ([], {"waiting": 1})


def test_every_set_aside_batch_has_its_own_row_whatever_they_have_in_common(gate: Collector) -> None:
    members = [record(number) for number in range(4)]
    broken = gzip.compress(sacct(*range(500)))[:-100]
    for _ in range(2):
        for _ in range(5):
            assert gate.client().post(RMI, content=post("multiupdate", envelope(*members))).content == b"OK"
            send(gate, b"what is this\n")
            send(gate, broken, "sacct", "gzip")
    gate.load()
    assert Counter(row.rule for row in rows(gate)) == {
        "too_many_members": 10, "unknown_format": 10, "truncated": 10,
    }  # fmt: skip
    assert retry(gate).handed_back == 30
    assert states(gate) == {"waiting": 30}
    gate.load()
    assert len(rows(gate)) == 30


def test_a_compressed_batch_that_breaks_off_counts_with_what_could_be_read_and_can_be_handed_back(
    gate: Collector,
) -> None:
    batch = send(gate, gzip.compress(sacct(*range(50_000)), 1)[:-200], "sacct", "gzip")
    gate.load()
    state = said(gate, batch)
    assert (state["state"], "breaks off" in str(state["result"])) == ("set-aside", True)
    jobs = gate.sums()[0]
    (row,) = rows(gate)
    assert (row.rule, row.batch) == ("truncated", batch)
    assert retry(gate).handed_back == 1
    gate.load()
    assert (gate.sums()[0], states(gate)) == (jobs, {"set-aside": 1})


def test_what_is_discarded_leaves_the_inbox_says_so_and_stays_in_the_archive(gate: Collector) -> None:
    body = b"what is this\n" + bytes(range(256)) * 2000
    batch = send(gate, body)
    gate.load()
    with pytest.raises(UserMistake, match="without a reason"):
        discard(gate, because=" ")
    assert (discard(gate), held_bytes(gate)) == (1, 0)
    assert said(gate, batch)["state"] == "discarded"
    (row,) = quarantine.entries(gate.services.engine, Choice(state="discarded"))
    (kept,) = (
        gate.place.lake.snapshot()
        .select("SELECT payload, format FROM archive WHERE sha256 = $name", name=row.archive_ref)
        .to_pylist()
    )
    assert (unpacked(kept["payload"]), kept["format"]) == (body, "discarded")
    day = row.first_seen.date()
    again = replay(
        gate.place.lake,
        gate.place.registry,
        Wanted(day, day.replace(year=day.year + 1)),
        row.last_seen,
        member_bytes=gate.settings.intake.member_bytes,
        engine=gate.services.engine,
        by="local carol",
    )
    assert again.texts == 0
    assert discard_fails(gate)


def discard_fails(gate: Collector) -> bool:
    with pytest.raises(UserMistake, match="no open refusal"):
        discard(gate)
    return True


def test_a_short_body_is_kept_whole_in_the_quarantine_when_it_is_discarded(gate: Collector) -> None:
    send(gate, b"what is this\n")
    gate.load()
    assert (discard(gate), held_bytes(gate), states(gate)) == (1, 0, {"discarded": 1})
    (row,) = quarantine.entries(gate.services.engine, Choice(state="discarded"))
    assert row.text == b"what is this\n"
    send(gate, b"what is this\n")
    gate.load()
    assert len(rows(gate)) == 1


def test_discarded_batches_are_forgotten_in_time_and_set_aside_ones_never(gate: Collector) -> None:
    send(gate, b"what is this\n")
    gate.load()
    discard(gate)
    send(gate, b"what is this\n")
    gate.load()
    waiting.forget(gate.services.engine, gate.services.now())
    assert states(gate) == {"set-aside": 1}


def test_set_aside_batches_fill_the_inbox_and_whoever_looks_is_told(gate: Collector) -> None:
    for _ in range(3):
        send(gate, b"what is this\n" * 30_000)
        gate.load()
    gate.services.inbox._level = None
    answer = gate.client().post(BATCHES_AT.format("sacct"), content=sacct(1))
    assert (answer.status_code, "3 batches that were set aside" in answer.text) == (503, True)
    assert gate.client().get("/readyz").status_code == 503
    page = gate.client().get("/metrics").text
    assert "gridkeeper_batches_set_aside 3.0" in page
    assert "gridkeeper_batches_set_aside_bytes 1.17e+06" in page
    assert 'gridkeeper_records_rejected_total{reason="unknown_format"} 3.0' in page
    discard(gate)
    gate.services.inbox._level = None
    assert gate.client().post(BATCHES_AT.format("sacct"), content=sacct(1)).status_code == 202


def test_a_note_about_a_bundle_spoils_no_retry_and_is_told_until_it_is_discarded(gate: Collector) -> None:
    text = f"replication|{record(1)}|||"
    assert gate.client().post(RMI, content=post("update", text, bundlesize=3)).content == b"OK"
    batch = send(gate, b"what is this\n")
    gate.load()
    done = retry(gate)
    assert (done.told_only, done.handed_back, done.failed) == (1, 1, 0)
    (row,) = rows(gate)
    assert row.rule == "bundle_size"
    assert said(gate, batch)["state"] == "waiting"
    assert discard(gate, Choice(rule="bundle_size")) == 1
    page = gate.client().get("/metrics").text
    assert 'gridkeeper_records_rejected_total{reason="bundle_size"} 1.0' in page


def test_a_record_that_was_too_long_is_read_again_and_told_to_its_sender_and_the_metrics(
    tmp_path: Path,
) -> None:
    settings = {"trust": {"addresses": [LOCAL]}, "intake": {"member_bytes": 4096}}
    door = collector(tmp_path / "home", settings)
    long = record(2).replace("<Status>0", f"<JobName>{'x' * 8000}</JobName><Status>0")
    for command, text in (("multiupdate", envelope(record(1), long, long)), ("URLEncodedUpdate", long)):
        assert door.client().post(RMI, content=post(command, text)).content == b"OK"
    door.load()
    (row,) = quarantine.entries(door.services.engine, Choice())
    assert (row.rule, row.format, row.times) == ("record_too_long", "gratia-xml", 3)
    page = door.client().get("/metrics").text
    assert 'gridkeeper_records_rejected_total{reason="record_too_long"} 3.0' in page
    with reading(door.services.engine) as connection:
        results = list(connection.execute(sa.select(BATCHES.c.result)).scalars())
    assert ['"record_too_long": 2' in results[0], '"record_too_long": 1' in results[1]] == [True, True]
    archived = door.place.lake.snapshot().select("SELECT sha256 FROM archive").to_pylist()
    assert len(archived) == 2, "the post that was nothing but too long is not in the archive"
    done = retrying.retry(door.services.engine, door.place.lake, Choice(), "local carol")
    assert (done.loaded, done.sentences) == (1, [])
    assert door.place.lake.snapshot().select("SELECT probe FROM usage_records").to_pylist() == [
        {"probe": "condor:ce.example.org"}, {"probe": "condor:ce.example.org"},
    ]  # fmt: skip
    door.close()


def test_one_refusal_that_cannot_be_read_stops_none_of_the_others(gate: Collector) -> None:
    garbled = sacct(1, 2).replace(b"|2|2|", b"|2|2|", 1) + b"garbage|\n"
    send(gate, garbled, "sacct")
    send(gate, sacct(5) + sacct(6, 7).replace(b"2026-11-20T11:00:00", b"2026-11-20T08:00:00"), "sacct")
    gate.load()
    bad, *_ = rows(gate)
    with gate.services.engine.begin() as connection:
        connection.execute(sa.text("UPDATE quarantine SET format = 'lost' WHERE id = :id"), {"id": bad.id})
        connection.execute(
            sa.text("UPDATE quarantine SET text = :text WHERE id <> :id"),
            {"id": bad.id, "text": sacct(8).split(b"\n", 1)[1]},
        )
    before = len(rows(gate))
    done = retry(gate)
    assert (done.failed, done.loaded) == (1, before - 1)
    assert "there is no format 'lost'" in done.sentences[0]
    (left,) = rows(gate)
    assert left.id == bad.id


def test_a_post_that_nobody_remembers_is_read_again_from_its_row(gate: Collector) -> None:
    body = post("multiupdate", envelope(*(record(number) for number in range(4))))
    assert gate.client().post(RMI, content=body).content == b"OK"
    gate.load()
    with gate.services.engine.begin() as connection:
        connection.execute(sa.delete(BATCHES))
    done = retry(gate)
    assert (done.loaded, done.handed_back) == (1, 0)
    assert gate.sums()[0] == 4
