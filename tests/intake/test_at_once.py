"""Several collectors and loaders write to one database at the same moment: nothing breaks, nothing is lost, nothing counts twice."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gridkeeper.database import open_database, reading, writing
from gridkeeper.intake import contacts, counting, quarantine, setting_aside, waiting
from gridkeeper.intake.inbox import LOADED, SET_ASIDE, Arrival, Inbox, Receipt, Upload
from gridkeeper.intake.reading import Refused
from gridkeeper.intake.sources import Parcel
from gridkeeper.intake.tables import BATCHES, CONTACT_HOURS, CONTACTS, PARTS, POOL_SAMPLES, REJECTS
from gridkeeper.migrations import migrate
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.settings import Intake
from tests.databases import postgresql_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.intake.waiting import Batch

MANY = 8
ROUNDS = 5
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIMITS = Intake(free_disk_bytes=0)


def at_once(work: Callable[[int], object], many: int = MANY) -> list[object]:
    """Do a work in several threads that begin together. Returns: what each gave; raises what one of them met."""
    gate, given, met = threading.Barrier(many), [object()] * many, list[BaseException]()

    def run(number: int) -> None:
        gate.wait(30)
        try:
            given[number] = work(number)
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            met.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if met:
        raise met[0]
    return given


def test_a_probe_that_several_hear_first_at_the_same_moment_is_noted_once(database: sa.Engine) -> None:
    sample = contacts.Sample("running", 2, 16, "cms")
    for turn in range(ROUNDS):
        probe, moment = f"slurm:{turn}", NOON + timedelta(minutes=turn)

        def hear(number: int, probe: str = probe, moment: datetime = moment) -> None:
            facts = {"backlog_records": number}
            contacts.note(database, [contacts.Contact(probe, "alpha", "heartbeat", moment, facts, (sample,))])

        at_once(hear)
    with reading(database) as connection:
        hours = connection.execute(sa.select(CONTACT_HOURS)).all()
        assert connection.scalar(sa.select(sa.func.count()).select_from(CONTACTS)) == ROUNDS
        assert connection.scalar(sa.select(sa.func.count()).select_from(POOL_SAMPLES)) == ROUNDS
    assert {(row.contacts, row.most_backlog_records) for row in hours} == {(MANY, MANY - 1)}


def test_a_later_contact_takes_the_place_of_the_last_word_and_the_hour_keeps_the_most(
    database: sa.Engine,
) -> None:
    said = contacts.Contact("p", "alpha", "heartbeat", NOON, {"version": "1", "problem": "no disk", "backlog_records": 7})  # fmt: skip
    silent = contacts.Contact("p", "alpha", "heartbeat", NOON + timedelta(minutes=1), {"problem": None, "backlog_records": None})  # fmt: skip
    contacts.note(database, [said])
    contacts.note(database, [silent])
    with reading(database) as connection:
        row = connection.execute(sa.select(CONTACTS)).one()
        hour = connection.execute(sa.select(CONTACT_HOURS)).one()
    assert (row.first_at, row.last_at) == (NOON, NOON + timedelta(minutes=1))
    assert (row.version, row.backlog_records, row.problem) == ("1", None, None)
    assert (hour.contacts, hour.most_backlog_records) == (2, 7)


def test_what_several_loaders_did_is_added_up(database: sa.Engine) -> None:
    names = [("records_loaded", ""), ("records_rejected", "truncated"), ("commits", "")]

    def count(number: int) -> None:
        for _ in range(ROUNDS):
            with writing(database) as connection:
                counting.add(connection, dict.fromkeys(names[number % 3 :] + names[: number % 3], 1.0))

    at_once(count)
    assert counting.counted(database) == dict.fromkeys(names, MANY * ROUNDS)


def test_the_same_text_refused_by_several_loaders_is_one_entry_and_counts_each_delivery(
    database: sa.Engine,
) -> None:
    texts = [f"broken {number}\n".encode() for number in range(ROUNDS)]

    def refuse(number: int) -> None:
        delivery = Delivery(NOON + timedelta(minutes=number))
        parcel = Parcel.of_file(Path("text"), "sacct", delivery)
        rejects = [Reject.of(Rule.TRUNCATED, 1, "it breaks off", text) for text in texts]
        turned = rejects if number % 2 else rejects[::-1]
        quarantine.keep(database, [Refused(0, parcel, one, b"", "") for one in turned], "sacct")

    at_once(refuse)
    with reading(database) as connection:
        rows = connection.execute(sa.select(REJECTS)).all()
    assert len(rows) == ROUNDS
    assert all(row.last_seen == NOON + timedelta(minutes=MANY - 1) for row in rows)
    assert {row.times for row in rows} == {MANY}
    assert {row.first_seen for row in rows} == {NOON}


def test_a_key_that_reaches_several_collectors_at_once_is_one_batch_with_one_receipt(
    database: sa.Engine, tmp_path: Path
) -> None:
    inboxes = [Inbox(database, tmp_path, LIMITS) for _ in range(4)]

    def send(number: int) -> object:
        inbox, receipts = inboxes[number], []
        for turn in range(ROUNDS):
            arrival = Arrival("native", "sacct", "identity", "alice", "192.0.2.1", key=f"key {turn}")
            upload = inbox.open_upload(arrival)
            if isinstance(upload, Upload):
                inbox.add_part(upload, b"first, ")
                upload = inbox.finish(upload, b"last").result(30)  # type: ignore[assignment]
            assert isinstance(upload, Receipt)
            receipts.append(upload.batch)
        return tuple(receipts)

    try:
        (receipts,) = set(at_once(send, len(inboxes)))
    finally:
        for inbox in inboxes:
            inbox.close()
    with reading(database) as connection:
        batches = set(connection.scalars(sa.select(BATCHES.c.id)))
        assert batches == set(receipts)  # type: ignore[call-overload]
        assert set(connection.scalars(sa.select(PARTS.c.batch))) == batches


def test_a_batch_is_claimed_by_one_of_several_loaders(database: sa.Engine, tmp_path: Path) -> None:
    names = [deliver(database, tmp_path) for _ in range(20)]
    claimed: list[str] = []

    def claim(number: int) -> None:
        while found := waiting.claim(database, f"elsewhere/{number}/-", 1, NOON):
            claimed.extend(batch.id for batch in found)
            waiting.finish(database, {batch.id: {"loaded": 1} for batch in found}, NOON)

    at_once(claim)
    with reading(database) as connection:
        states = set(connection.scalars(sa.select(BATCHES.c.state)))
    assert set(claimed) <= set(names)
    assert len(claimed) == len(set(claimed)), "two loaders had the same batch"
    for _ in range(3):  # one that found all batches locked went away; somebody comes by again
        claim(0)
    assert sorted(claimed) == sorted(names)
    assert states <= {LOADED, "waiting"}


def test_who_finishes_a_batch_later_does_not_overwrite_what_became_of_it(
    database: sa.Engine, tmp_path: Path
) -> None:
    name = deliver(database, tmp_path)
    (batch,) = waiting.claim(database, "elsewhere/1/-", 10**6, NOON)
    (same,) = waiting.claim(database, "elsewhere/2/-", 10**6, NOON + 2 * waiting.CLAIM_LASTS)
    assert batch.id == same.id == name
    waiting.finish(database, {name: {"loaded": 3, "duplicates": 0}}, NOON, {("commits", ""): 1})
    waiting.finish(database, {name: {"loaded": 0, "duplicates": 3}}, NOON + timedelta(hours=1))
    put_aside(database, same, "too late", NOON + timedelta(hours=1))
    with reading(database) as connection:
        row = connection.execute(sa.select(BATCHES)).one()
    assert (row.state, row.result, row.finished_at) == (LOADED, '{"loaded": 3, "duplicates": 0}', NOON)
    assert not quarantine.entries(database, quarantine.Choice()), "it is refused, and yet in the books"


def test_the_body_of_a_batch_that_was_set_aside_stays_though_another_loader_finishes_it(
    database: sa.Engine, tmp_path: Path
) -> None:
    name = deliver(database, tmp_path)
    (batch,) = waiting.claim(database, "elsewhere/1/-", 10**6, NOON)
    put_aside(database, batch, "unreadable", NOON)
    waiting.finish(database, {name: {"loaded": 0}}, NOON)
    assert waiting.body(database, batch) == b"text"
    with reading(database) as connection:
        assert connection.scalar(sa.select(BATCHES.c.state)) == SET_ASIDE


def put_aside(database: sa.Engine, batch: Batch, why: str, moment: datetime) -> None:
    """Set a batch aside as its loader does."""
    reject = setting_aside.with_head(database, batch, Rule.UNREADABLE_BATCH, why)
    refused = setting_aside.refusal(batch, Delivery(batch.received_at), reject)
    setting_aside.set_aside(database, batch, refused, {}, moment, "a round")


def deliver(database: sa.Engine, home: Path) -> str:
    """Put a batch into the inbox."""
    inbox = Inbox(database, home, LIMITS)
    upload = inbox.open_upload(Arrival("native", "sacct", "identity", "alice", "192.0.2.1"))
    assert isinstance(upload, Upload)
    inbox.finish(upload, b"text").result(30)
    inbox.close()
    return upload.batch


def test_several_that_start_at_once_before_an_empty_database_bring_it_up_once() -> None:
    with postgresql_schema() as url:
        engines = [open_database(url) for _ in range(4)]
        try:
            at_once(lambda number: migrate(engines[number]), len(engines))
            with reading(engines[0]) as connection:
                assert connection.execute(sa.select(BATCHES)).all() == []
        finally:
            for engine in engines:
                engine.dispose()
