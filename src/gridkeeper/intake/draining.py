"""Takes batches from the inbox into the lake: claim, read, commit, say what became of each, free.

What was answered with a receipt is on disk in the inbox until its records are on disk in the lake, so a crash
anywhere means that a batch is loaded again, and a record counts once however often it is loaded.
"""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import structlog

from gridkeeper.clock import now
from gridkeeper.database import DatabaseUnavailable
from gridkeeper.errors import GridkeeperError, LakeUnavailable, UnreadableInput
from gridkeeper.intake import contacts, counting, quarantine, waiting
from gridkeeper.intake.gratia_post import read_post, without_long_members
from gridkeeper.intake.loader import AUTO, Counts, Loader
from gridkeeper.intake.reading import Refused
from gridkeeper.intake.sources import Original, Parcel, decompressed
from gridkeeper.lake.archive import packed
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import sqlalchemy as sa

    from gridkeeper.intake.gratia_post import Post
    from gridkeeper.intake.waiting import Batch
    from gridkeeper.lake.lake import Lake
    from gridkeeper.settings import Intake

GRATIA_POST = "gratia-post"  # the format, in inbox and archive, of what a Gratia probe posts
AT_ONCE_BYTES = 64 * 1024 * 1024
LOOK_EVERY_S = 0.2
RETRY_AFTER_S = 5.0
REFRESH_EVERY = timedelta(seconds=60)
FORGET_EVERY = timedelta(hours=1)
log = structlog.get_logger("loader")


@dataclass
class Drained:
    """What one round did."""

    batches: int = 0
    records: int = 0
    bytes: int = 0


class Drain:
    """One process's loader.

    refresh: brings the summaries up to the records; called every REFRESH_EVERY while there is something new.
    """

    def __init__(
        self,
        engine: sa.Engine,
        lake: Lake,
        limits: Intake,
        refresh: Callable[[], object],
        workers: int = 0,
    ) -> None:
        self._engine, self._limits, self._refresh = engine, limits, refresh
        self._me = waiting.me()
        self._loader = Loader(lake, self._keep, workers)
        self._heard: list[contacts.Contact] = []
        self._aside: set[str] = set()
        self._said: dict[str, str | None] = {}
        self._owed: list[Batch] = []
        self._unfinished: dict[str, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Load what waits until told to stop; then finish what is under way."""
        refreshed = forgot = now()
        behind = False
        while not stop.is_set():
            try:
                if self._is_due():
                    behind = bool(self.once().records) or behind
                if behind and now() - refreshed >= REFRESH_EVERY:
                    self._refresh()
                    refreshed, behind = now(), False
                if now() - forgot >= FORGET_EVERY:
                    self._forget()
                    forgot = now()
            except GridkeeperError as error:  # a busy lake, a full disk: what waits stays where it is
                log.warning("not now", reason=str(error))
                behind = True  # some of it may have been loaded
                stop.wait(RETRY_AFTER_S)
            stop.wait(LOOK_EVERY_S)
        if behind:
            try:
                self._refresh()
            except GridkeeperError as error:
                log.warning("the summaries are not up to the records", reason=str(error))

    def _forget(self) -> None:
        """Forget what is long done, and uploads that got no further since the last time: their senders broke off."""
        found = waiting.unfinished(self._engine)
        broken_off = [name for name, parts in found.items() if self._unfinished.get(name) == parts]
        waiting.forget(self._engine, now() - timedelta(days=self._limits.kept_days), broken_off)
        self._unfinished = found

    def _is_due(self) -> bool:
        """Half the promised time is for waiting, so that batches share a commit; the other half for the work."""
        first, size = waiting.oldest(self._engine)
        return first is not None and (
            size >= AT_ONCE_BYTES or now() - first >= timedelta(seconds=self._limits.commit_seconds / 2)
        )

    def once(self) -> Drained:
        """Load what waits, once. Raises: DatabaseUnavailable, LakeUnavailable (retryable)."""
        drained = Drained()
        until = now()
        self._give_back()
        while batches := waiting.claim(self._engine, self._me, AT_ONCE_BYTES, now()):
            poison = [batch for batch in batches if batch.attempts >= waiting.MOST_ATTEMPTS]
            for batch in poison:
                self._put_aside(batch, f"the loader died {batch.attempts} times while it loaded this batch")
            self._load([batch for batch in batches if batch not in poison], drained)
            if batches[-1].received_at > until:  # what came meanwhile has its own time
                break
        return drained

    def _put_aside(self, batch: Batch, why: str) -> None:
        self._refuse_whole(batch, why)
        waiting.set_aside(self._engine, batch, {"problem": why}, now())
        log.error("set aside", batch=batch.id, reason=why)

    def _load(self, batches: Sequence[Batch], drained: Drained) -> None:
        """Load batches together; where our own code fails, each by itself, to find the one that it fails over."""
        if not batches:
            return
        try:
            self._load_together(batches, drained)
        except Exception as error:
            # A damaged lake and a database that refuses are permanent, too, but no batch's fault.
            waits = isinstance(error, LakeUnavailable | DatabaseUnavailable)
            if waits or (isinstance(error, GridkeeperError) and not error.permanent):
                raise
            log.error("the loader failed", batches=[batch.id for batch in batches], exc_info=True)
            if len(batches) > 1:
                for batch in batches:
                    self._load([batch], drained)
                return
            failures = waiting.note_failure(self._engine, batches[0])
            if failures >= waiting.MOST_FAILURES:
                self._put_aside(
                    batches[0], f"the loader failed {failures} times over this batch: {type(error).__name__}"
                )

    def _load_together(self, batches: Sequence[Batch], drained: Drained) -> None:
        try:
            self._load_and_tell(batches, drained)
        except (LakeUnavailable, DatabaseUnavailable):
            self._owed += batches
            self._give_back()
            raise

    def _give_back(self) -> None:
        """Give up claims on what could not be loaded through no fault of its own; on a full disk only later."""
        if self._owed:
            waiting.give_back(self._engine, self._owed)
            self._owed = []

    def _load_and_tell(self, batches: Sequence[Batch], drained: Drained) -> None:
        self._heard, self._aside, self._said = [], set(), {}
        began = time.monotonic()
        parcels = [self._parcel(batch) for batch in batches]
        if self._heard:
            contacts.note(self._engine, self._heard)
        loaded = self._loader.load_parcels(parcels)
        self._aside |= {batches[number].id for number in loaded.unreadable_parcels}
        results = {}
        for number, batch in enumerate(batches):
            counts = loaded.parcels[number]
            if batch.id in self._aside or (
                batch.encoding != "identity" and counts.rules[Rule.TRUNCATED.value]
            ):
                waiting.set_aside(self._engine, batch, said(counts), now())
            else:
                results[batch.id] = said(counts)
        done = counting.counts_of(loaded, time.monotonic() - began)
        waiting.finish(self._engine, results, now(), done)
        drained.batches += len(batches)
        drained.records += loaded.read
        drained.bytes += sum(batch.bytes for batch in batches)
        log.info(
            "loaded", batches=len(batches), records=loaded.read, loaded=loaded.appended.loaded,
            duplicates=loaded.appended.duplicates, revised=loaded.appended.revised, rejected=loaded.rejected,
        )  # fmt: skip

    def _parcel(self, batch: Batch) -> Parcel:
        source, sender, address = f"batch {batch.id}", batch.sender, batch.address
        if batch.format != GRATIA_POST:
            opened = _opener(self._engine, batch, self._limits.plain_bytes)
            return Parcel(
                source, opened, batch.format or AUTO, self._declared(batch), sender=sender, address=address
            )
        body = waiting.body(self._engine, batch)
        post = read_post(body)
        heard = contacts.contacts_of(post, batch.received_at, batch.address, self._declared(batch))
        self._heard += heard
        self._said[batch.id] = post.probe or next((contact.probe for contact in heard), None)
        text = self._short_members(batch, post) if self._may_be_read(batch, post) else b""
        original = Original(batch.sha256, GRATIA_POST, packed(body), len(body))
        return Parcel(
            source,
            lambda: _bytes_stream(text),
            "gratia-xml",
            self._declared(batch),
            original,
            sender,
            post.members,
            address,
        )

    def _declared(self, batch: Batch) -> Delivery:
        """What is declared of a batch. The name in a Gratia post is its sender's word: it takes no record's own away."""
        if batch.format == GRATIA_POST:
            said_by = self._said.get(batch.id, batch.probe)
            return quarantine.bound(Delivery(batch.received_at, said_by=said_by), batch.binding)
        declared = Delivery(batch.received_at, batch.resource, batch.probe, batch.vo)
        return quarantine.bound(declared, batch.binding)

    def _short_members(self, batch: Batch, post: Post) -> bytes:
        text, long = without_long_members(post.text, self._limits.member_bytes)
        for member in long:
            why = too_long(member, self._limits.member_bytes).detail
            self._refuse_whole(batch, why, Rule.RECORD_TOO_LONG, member)
        return text

    def _may_be_read(self, batch: Batch, post: Post) -> bool:
        if post.members > self._limits.members:
            why = (
                f"{post.members:,} records in one post, where intake.members allows {self._limits.members:,}"
            )
            self._refuse_whole(batch, why, Rule.TOO_MANY_MEMBERS)
            self._aside.add(batch.id)
            return False
        promised = post.figures.get("bundlesize")
        if post.is_bundle and promised is not None and promised != post.members:
            why = (
                f"a bundle of {post.members:,} records that promised {promised:,}; those that are there count"
            )
            self._refuse_whole(batch, why, Rule.BUNDLE_SIZE)
        return True

    def _refuse_whole(
        self, batch: Batch, why: str, rule: Rule = Rule.UNREADABLE_BATCH, text: bytes | None = None
    ) -> None:
        """Keep a refusal of a whole batch, or of a `text` in it that no format saw."""
        if text is None:
            text = waiting.body(self._engine, batch) if batch.bytes <= AT_ONCE_BYTES else b""
        parcel = Parcel(f"batch {batch.id}", lambda: _bytes_stream(b""), batch.format, self._declared(batch))
        refused = Refused(0, parcel, Reject.of(rule, 1, why, text), b"", batch.sha256)
        self._keep([refused], batch.format)

    def _keep(self, refused: Sequence[Refused], format_name: str) -> None:
        quarantine.keep(self._engine, refused, format_name)


def too_long(member: bytes, most_bytes: int) -> Reject:
    """The refusal of a record in a Gratia post that is longer than `intake.member_bytes`."""
    why = f"a record of {len(member):,} bytes, where intake.member_bytes allows {most_bytes:,}"
    return Reject.of(Rule.RECORD_TOO_LONG, 1, why, member)


def said(counts: Counts) -> dict[str, object]:
    """What became of a batch, as its sender reads it."""
    return {
        "read": counts.read,
        "loaded": counts.appended.loaded,
        "duplicates": counts.appended.duplicates,
        "revised": counts.appended.revised,
        "rejected": counts.rejected,
        "skipped": dict(counts.skipped),
        "rules": dict(counts.rules),
    }


@contextmanager
def _bytes_stream(text: bytes) -> Iterator[BinaryIO]:
    yield io.BytesIO(text)


def _opener(engine: sa.Engine, batch: Batch, most: int) -> Callable[[], AbstractContextManager[BinaryIO]]:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        stream = io.BufferedReader(cast("Any", waiting.Parts(engine, batch.id)), 256 * 1024)
        with decompressed(cast("BinaryIO", stream), batch.encoding) as plain:
            yield cast("BinaryIO", _Bounded(plain, most, batch.id))

    return opened


class _Bounded:
    """A stream that must not be longer than a limit: a small body may decompress to anything."""

    def __init__(self, stream: BinaryIO, most: int, name: str) -> None:
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise UnreadableInput(
                f"batch {self._name}: more than {self._most:,} bytes after decompression (intake.plain_bytes); send it in parts"
            )
        return data
