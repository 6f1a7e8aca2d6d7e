"""The inbox: what was received lies here, on disk, until its records are in the books.

A request is answered after its bytes were committed with a full sync. One thread writes; what arrives while it
waits for the disk goes into the next transaction together, so that many senders share one sync. Bodies lie in
parts of bounded size, undecoded: to decode and to parse is the loader's work.
"""

from __future__ import annotations

import hashlib
import json
import queue
import shutil
import threading
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from gridkeeper.clock import now
from gridkeeper.database import DatabaseUnavailable, reading, writing
from gridkeeper.intake.tables import BATCHES, PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gridkeeper.settings import Intake

PART_BYTES = 1024 * 1024
WAITING, LOADED, SET_ASIDE, DISCARDED = "waiting", "loaded", "set-aside", "discarded"
_TOGETHER = 64
_PRESSURE_EVERY = timedelta(seconds=1)
log = structlog.get_logger("inbox")


@dataclass(frozen=True)
class Arrival:
    """What is known of a batch when it arrives.

    door:    gratia (a probe's post) or native (raw text of a format).
    sender:  who it was, in words; address: from where.
    binding: what the sender may send for (see quarantine.binding_text); None: anything.
    key:     the sender's own name for it: sent again under the same key, it is the same batch.
    """

    door: str
    format: str
    encoding: str
    sender: str
    address: str
    resource: str | None = None
    probe: str | None = None
    vo: str | None = None
    binding: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What a sender gets: the batch's name, its size and SHA-256 as sent; `repeated`: it was here before."""

    batch: str
    sha256: str
    bytes: int
    received_at: datetime
    repeated: bool = False


class Refusal(Exception):
    """The inbox takes nothing now; `retry_after_s` says when to ask again. Caught where requests are answered."""

    def __init__(self, sentence: str, retry_after_s: int) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Clash:
    """A key under which the same sender sent another batch before; nothing of the new one is kept.

    differs: in what they differ.
    """

    batch: str
    differs: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What a sender reads."""
        *others, last = self.differs
        what = f"{', '.join(others)} and {last}" if others else last
        return (
            f"this Idempotency-Key is that of batch {self.batch}, which came with another {what}; nothing was kept, "
            "so send this batch under a key of its own"
        )


@dataclass(frozen=True)
class Known:
    """The batch that came first under a key."""

    receipt: Receipt
    said: Mapping[str, object]

    def answer(self, arrival: Arrival, sha256: str) -> Receipt | Clash:
        """The first receipt, where this is the same batch again."""
        again = {name: getattr(arrival, name) for name in self.said} | {"body": sha256}
        first = {**self.said, "body": self.receipt.sha256}
        differs = tuple(_SPOKEN.get(name, name) for name in _TOLD_APART_BY if first[name] != again[name])
        return Clash(self.receipt.batch, differs) if differs else self.receipt


_TOLD_APART_BY = ("body", "format", "encoding", "resource", "probe", "vo")
_SPOKEN = {"encoding": "Content-Encoding", "vo": "VO"}


@dataclass
class Upload:
    """A batch that is arriving, part by part. known: what came under its key before; then it is read, and not kept."""

    arrival: Arrival
    known: Known | None = None
    batch: str = field(default_factory=lambda: uuid.uuid4().hex)
    parts: int = 0
    bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


@dataclass
class _Work:
    """One piece of work for the writing thread: run in its transaction, its answer given after the commit."""

    run: Callable[[sa.Connection], object]
    answer: Future[object] = field(default_factory=Future)


@dataclass(frozen=True)
class Level:
    """How full the inbox is: waiting batches and bytes, the age of the oldest, free disk; and what was set aside in it."""

    batches: int
    bytes: int
    oldest: datetime | None
    free_disk_bytes: int
    aside_batches: int = 0
    aside_bytes: int = 0


class Inbox:
    """One process's door to the inbox.

    engine: the operational database; home: the folder whose disk must not fill up.
    """

    def __init__(self, engine: sa.Engine, home: Path, limits: Intake) -> None:
        self._engine, self._home, self._limits = engine, home, limits
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="inbox", daemon=True)
        self._last: datetime | None = None
        self._level: tuple[datetime, Level] | None = None
        self._writer.start()

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(None)
        self._writer.join()

    def open_upload(self, arrival: Arrival) -> Upload:
        """Begin a batch. Where its key was here before, it needs no room: it is only read, to see whether it is the same.

        Raises: Refusal where the inbox is full; DatabaseUnavailable (retryable).
        """
        if arrival.key is not None and (known := self._known(arrival.sender, arrival.key)):
            return Upload(arrival, known)
        self.must_have_room()
        return Upload(arrival)

    def add_part(self, upload: Upload, data: bytes) -> Future[object]:
        """Write a part of at most PART_BYTES; done when it is on disk."""
        upload.bytes += len(data)
        upload.digest.update(data)
        if upload.known is not None:
            return _answered(None)
        number = upload.parts
        upload.parts += 1
        return self._submit(lambda connection: _insert_part(connection, upload.batch, number, data))

    def finish(self, upload: Upload, last: bytes = b"") -> Future[object]:
        """Write the rest and the batch itself.

        Its answer: the Receipt, given when all of it is on disk; of a batch that came before under its key the receipt
        of the first time, and a Clash where that was another batch.
        """
        number = upload.parts
        upload.bytes += len(last)
        upload.digest.update(last)
        if upload.known is not None:
            return _answered(upload.known.answer(upload.arrival, upload.digest.hexdigest()))

        def run(connection: sa.Connection) -> Receipt | Clash:
            if last or not upload.parts:
                _insert_part(connection, upload.batch, number, last)
            return self._insert_batch(connection, upload)

        return self._submit(run)

    def abandon(self, upload: Upload) -> Future[object]:
        """Forget a batch whose sender broke off."""
        finished = sa.exists().where(BATCHES.c.id == upload.batch)  # then it is no longer ours to forget
        return self._submit(
            lambda connection: (
                connection.execute(sa.delete(PARTS).where(PARTS.c.batch == upload.batch, ~finished)).rowcount
            )
        )

    def must_have_room(self) -> None:
        """Raises: Refusal where a named limit is reached."""
        level, limits = self.level(), self._limits
        if level.free_disk_bytes < limits.free_disk_bytes:
            raise Refusal(
                "the collector's disk is nearly full (intake.free_disk_bytes); try again later", 300
            )
        if level.bytes + level.aside_bytes > limits.inbox_bytes:
            aside = (
                f"; {level.aside_bytes:,} bytes of it are {level.aside_batches:,} batches that were set aside and wait for an"
                " operator (gridkeeper quarantine list)"
                if level.aside_batches
                else ""
            )
            raise Refusal(f"the collector's inbox is full (intake.inbox_bytes){aside}; try again later", 60)
        if level.oldest is not None and now() - level.oldest > timedelta(seconds=limits.inbox_age_s):
            raise Refusal("the collector is behind (intake.inbox_age_s); try again later", 120)

    def level(self) -> Level:
        """How full it is, at most a second old. Raises: DatabaseUnavailable (retryable)."""
        moment = now()
        if self._level is None or not timedelta(0) <= moment - self._level[0] < _PRESSURE_EVERY:
            with reading(self._engine) as connection:
                held = connection.execute(
                    sa.select(
                        BATCHES.c.state,
                        sa.func.count(),
                        sa.func.sum(BATCHES.c.bytes),
                        sa.func.min(BATCHES.c.received_at),
                    )
                    .where(BATCHES.c.state.in_((WAITING, SET_ASIDE)))
                    .group_by(BATCHES.c.state)
                )
                found = {state: (count, int(size), oldest) for state, count, size, oldest in held}
            count, size, oldest = found.get(WAITING, (0, 0, None))
            aside_count, aside_size, _ = found.get(SET_ASIDE, (0, 0, None))
            free = shutil.disk_usage(self._home).free
            self._level = moment, Level(count, size, oldest, free, aside_count, aside_size)
        return self._level[1]

    def batch(self, name: str) -> Mapping[str, object] | None:
        """What is known of a batch; None where there is none of that name. Raises: DatabaseUnavailable (retryable)."""
        with reading(self._engine) as connection:
            found = (
                connection.execute(sa.select(BATCHES).where(BATCHES.c.id == name)).mappings().one_or_none()
            )
        if found is None:
            return None
        return dict(found) | {"result": json.loads(found["result"]) if found["result"] else None}

    def _known(self, sender: str, key: str) -> Known | None:
        with reading(self._engine) as connection:
            return _known(connection, sender, key)

    def _insert_batch(self, connection: sa.Connection, upload: Upload) -> Receipt | Clash:
        arrival = upload.arrival
        if arrival.key is not None and (known := _known(connection, arrival.sender, arrival.key)):
            connection.execute(sa.delete(PARTS).where(PARTS.c.batch == upload.batch))
            return known.answer(arrival, upload.digest.hexdigest())
        moment = now()
        if self._last is not None and moment <= self._last:  # two batches never came at the same moment
            moment = self._last + timedelta(microseconds=1)
        self._last = moment
        receipt = Receipt(upload.batch, upload.digest.hexdigest(), upload.bytes, moment)
        facts = {name: value for name, value in vars(arrival).items() if name != "key"}
        connection.execute(
            sa.insert(BATCHES),
            facts
            | {
                "id": receipt.batch,
                "received_at": moment,
                "idempotency_key": arrival.key,
                "bytes": receipt.bytes,
                "sha256": receipt.sha256,
                "state": WAITING,
            },
        )
        return receipt

    def _submit(self, run: Callable[[sa.Connection], object]) -> Future[object]:
        work = _Work(run)
        self._queue.put(work)
        return work.answer

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            group: list[_Work] = [first]
            ends = False
            while len(group) < _TOGETHER:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ends = True
                    break
                group.append(more)
            # Work whose asker went away before it began is dropped; from here on nobody can take it back.
            if group := [work for work in group if work.answer.set_running_or_notify_cancel()]:
                self._commit(group)
            if ends:
                return

    def _commit(self, group: Sequence[_Work], again: bool = False) -> None:
        """Do a group in one transaction; where that fails, each by itself, so that one cannot spoil the others."""
        try:
            with writing(self._engine) as connection:
                answers = [work.run(connection) for work in group]
        except (sa.exc.SQLAlchemyError, DatabaseUnavailable) as error:
            if len(group) > 1:
                for work in group:
                    self._commit([work])
                return
            if isinstance(error, sa.exc.IntegrityError) and not again:
                self._commit(group, again=True)  # another collector took the same key; now its batch is found
                return
            if isinstance(error, DatabaseUnavailable):
                told = error
            else:  # a fault of ours; its words hold the statement with what it was given, which is nobody's business
                log.error("the inbox failed", exc_info=True)
                told = DatabaseUnavailable("the inbox cannot be written; try again later")
            group[0].answer.set_exception(told)
            return
        except Exception as error:  # a bug must not end the thread that everybody waits for
            log.error("the inbox failed", exc_info=True)
            for work in group:
                work.answer.set_exception(error)
            return
        for work, answer in zip(group, answers, strict=True):
            work.answer.set_result(answer)


def _insert_part(connection: sa.Connection, batch: str, number: int, data: bytes) -> None:
    connection.execute(sa.insert(PARTS), {"batch": batch, "part": number, "data": data})


def _known(connection: sa.Connection, sender: str, key: str) -> Known | None:
    here = sa.and_(BATCHES.c.sender == sender, BATCHES.c.idempotency_key == key)
    found = connection.execute(sa.select(BATCHES).where(here)).mappings().one_or_none()
    if found is None:
        return None
    receipt = Receipt(found["id"], found["sha256"], found["bytes"], found["received_at"], repeated=True)
    return Known(receipt, {name: found[name] for name in _TOLD_APART_BY if name != "body"})


def _answered(answer: object) -> Future[object]:
    done: Future[object] = Future()
    done.set_result(answer)
    return done
