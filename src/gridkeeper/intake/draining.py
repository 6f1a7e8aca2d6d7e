"""Takes batches from the inbox into the lake: claim, read, commit, say what became of each, free.

What was answered with a receipt is on disk in the inbox until its records are on disk in the lake, so a crash
anywhere means that a batch is loaded again, and a record counts once however often it is loaded.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from gridkeeper.clock import now
from gridkeeper.database import DatabaseUnavailable, writing
from gridkeeper.errors import GridkeeperError, LakeUnavailable
from gridkeeper.intake import contacts, counting, loader_faults, memory, quarantine, setting_aside, waiting
from gridkeeper.intake.blaming import MOST_FAILURES, TRIED_AGAIN_AFTER, Judge, Round
from gridkeeper.intake.bodies import bytes_stream, opener
from gridkeeper.intake.gratia_post import read_post, without_long_members
from gridkeeper.intake.loader import AUTO, Counts, Loader
from gridkeeper.intake.reading import Refused
from gridkeeper.intake.refreshing import Refreshing
from gridkeeper.intake.sources import Original, Parcel
from gridkeeper.lake.archive import packed
from gridkeeper.records.draft import Delivery
from gridkeeper.records.rules import Reject, Rule

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.intake.gratia_post import Post
    from gridkeeper.intake.waiting import Batch
    from gridkeeper.lake.lake import Lake
    from gridkeeper.settings import Intake

GRATIA_POST = "gratia-post"  # the format, in inbox and archive, of what a Gratia probe posts
AT_ONCE_BYTES = 32 * 1024 * 1024
LOOK_EVERY_S = 0.2
RETRY_AFTER_S = 5.0
FORGET_EVERY = timedelta(hours=1)
log = structlog.get_logger("loader")


@dataclass
class Drained:
    """What one round did. failed: batches over which the loader failed; they wait for another try."""

    batches: int = 0
    records: int = 0
    bytes: int = 0
    failed: int = 0


@dataclass
class _Beside:
    """What is told of a batch beside what became of its records.

    rules: refusals that no format saw; aside: that of the batch as a whole, if it cannot be loaded (wholly).
    """

    rules: Counter[str] = field(default_factory=Counter)
    aside: Reject | None = None


class Drain:
    """One process's loader.

    refresh: brings the summaries up to the records; called now and then in a thread of its own, see Refreshing.
    clock:   says what time it is.
    """

    def __init__(
        self,
        engine: sa.Engine,
        lake: Lake,
        limits: Intake,
        refresh: Callable[[], object],
        workers: int = 0,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._engine, self._lake, self._limits, self._refresh = engine, lake, limits, refresh
        self._now = clock
        self._me = waiting.me()
        self._loader = Loader(lake, self._keep, workers)
        self._heard: list[contacts.Contact] = []
        self._said: dict[str, str | None] = {}
        self._beside: defaultdict[str, _Beside] = defaultdict(_Beside)
        self._load_name = ""
        self._owed: list[Batch] = []
        self._unfinished: dict[str, int] = {}
        self._judge = Judge()
        self._rest_until: datetime | None = None
        self._is_faulty = False

    def run(self, stop: threading.Event) -> None:
        """Load what waits until told to stop; then finish what is under way."""
        forgot = self._now()
        begins = True
        with Refreshing(self._refresh, self._now) as refreshing:
            while not stop.is_set():
                try:
                    if begins:
                        waiting.bring_forward(self._engine)
                        begins = False
                    if self._is_due():
                        refreshing.is_behind |= bool(self.once().records)
                        memory.give_back()
                    refreshing.go_on()
                    if self._now() - forgot >= FORGET_EVERY:
                        self._forget()
                        forgot = self._now()
                except GridkeeperError as error:  # a busy lake, a full disk: what waits stays where it is
                    log.warning("not now", reason=str(error))
                    refreshing.is_behind = True  # some of it may have been loaded
                    stop.wait(RETRY_AFTER_S)
                stop.wait(LOOK_EVERY_S)
            refreshing.end()

    def _forget(self) -> None:
        """Forget what is long done, and uploads that got no further since the last time: their senders broke off."""
        found = waiting.unfinished(self._engine)
        broken_off = [name for name, parts in found.items() if self._unfinished.get(name) == parts]
        waiting.forget(self._engine, self._now() - timedelta(days=self._limits.kept_days), broken_off)
        self._unfinished = found

    def _is_due(self) -> bool:
        """Half the promised time is for waiting, so that batches share a commit; the other half for the work."""
        moment = self._now()
        if self._rest_until is not None and moment < self._rest_until:
            return False
        first, size = waiting.oldest(self._engine, moment)
        return first is not None and (
            size >= AT_ONCE_BYTES or moment - first >= timedelta(seconds=self._limits.commit_seconds / 2)
        )

    def once(self) -> Drained:
        """Load what waits, once. Raises: DatabaseUnavailable, LakeUnavailable (retryable)."""
        drained, tried = Drained(), Round()
        until = self._now()
        self._give_back()
        try:
            self._load_what_waits(until, drained, tried)
        finally:
            if tried.failed or tried.done:
                self._settle(tried)
            drained.failed = len(tried.failed)
        return drained

    def _load_what_waits(self, until: datetime, drained: Drained, tried: Round) -> None:
        # What came meanwhile has its own time: each commit makes pages and summaries anew.
        while self._waits_since_before(until) and (
            batches := waiting.claim(self._engine, self._me, AT_ONCE_BYTES, self._now(), tried.failed_ids())
        ):
            poison = [batch for batch in batches if batch.attempts >= waiting.MOST_ATTEMPTS]
            for batch in poison:
                self._put_aside(batch, f"the loader died {batch.attempts} times while it loaded this batch")
            self._load([batch for batch in batches if batch not in poison], drained, tried)
            if tried.is_hopeless:
                break

    def _waits_since_before(self, until: datetime) -> bool:
        first, _ = waiting.oldest(self._engine, self._now())
        return first is not None and first <= until

    def _put_aside(self, batch: Batch, why: str) -> None:
        reject = setting_aside.with_head(self._engine, batch, Rule.UNREADABLE_BATCH, why)
        refused = setting_aside.refusal(batch, self._declared(batch), reject)
        counts = {("records_rejected", Rule.UNREADABLE_BATCH.value): 1.0}
        setting_aside.set_aside(self._engine, batch, refused, {}, self._now(), self._load_name, counts)
        log.error("set aside", batch=batch.id, reason=why)

    def _load(self, batches: Sequence[Batch], drained: Drained, tried: Round) -> None:
        """Load batches together; where our own code fails, half of them at a time, to find those that it fails over."""
        if not batches:
            return
        if tried.is_hopeless:
            waiting.give_back(self._engine, batches)
            return
        try:
            self._load_together(batches, drained, tried)
        except Exception as error:
            # A damaged lake and a database that refuses are permanent, too, but no batch's fault.
            waits = isinstance(error, LakeUnavailable | DatabaseUnavailable)
            if waits or (isinstance(error, GridkeeperError) and not error.permanent):
                raise
            if len(batches) == 1:
                is_news = tried.fail(batches[0], error)  # the same trace a hundred times tells nobody more
                log.error(
                    "the loader failed", batch=batches[0].id, error=type(error).__name__, exc_info=is_news
                )
                return
            half = len(batches) // 2
            self._load(batches[:half], drained, tried)
            self._load(batches[half:], drained, tried)

    def _settle(self, tried: Round) -> None:
        """Draw the consequences of a round: what failed is tried again later, whoever is to blame."""
        moment = self._now()
        verdict = self._judge.judge(tried, moment)
        self._rest_until = verdict.rest_until
        for batch, error in verdict.blamed:
            failures = batch.failures + 1
            until = moment + TRIED_AGAIN_AFTER * 2**batch.failures
            waiting.put_off(self._engine, [batch.id], until, failures=failures)
            if failures >= MOST_FAILURES:
                why = f"the loader failed {failures} times over this batch: {type(error).__name__}"
                self._put_aside(batch, why)
        if verdict.put_off_to is not None:
            later = verdict.put_off_to
            back = {"attempts": waiting.one_attempt_less()}
            waiting.put_off(self._engine, [batch.id for batch in verdict.spared], later, **back)
            waiting.put_off(self._engine, [batch.id for batch in verdict.suspected], later)
        if tried.failed:
            kinds = Counter(type(error).__name__ for _, error in tried.failed)
            with writing(self._engine) as connection:
                counting.add(connection, {("loader_failures", kind): count for kind, count in kinds.items()})
        if verdict.fault is not None or self._is_faulty:
            loader_faults.say(self._engine, self._me, verdict.fault, moment)
            self._is_faulty = verdict.fault is not None
        if verdict.fault is not None:
            log.error(
                "the loader itself is at fault",
                reason=verdict.fault.sentence,
                rests_until=str(verdict.rest_until),
            )

    def _load_together(self, batches: Sequence[Batch], drained: Drained, tried: Round) -> None:
        try:
            self._load_and_tell(batches, drained, tried)
        except (LakeUnavailable, DatabaseUnavailable):
            self._owed += batches
            self._give_back()
            raise

    def _give_back(self) -> None:
        """Give up claims on what could not be loaded through no fault of its own; on a full disk only later."""
        if self._owed:
            waiting.give_back(self._engine, self._owed)
            self._owed = []

    def _load_and_tell(self, batches: Sequence[Batch], drained: Drained, tried: Round) -> None:
        self._heard, self._said, self._beside = [], {}, defaultdict(_Beside)
        self._load_name = uuid.uuid4().hex
        began = time.monotonic()
        parcels = [self._parcel(batch) for batch in batches]
        if self._heard:
            contacts.note(self._engine, self._heard)
        loaded = self._loader.load_parcels(parcels)
        done, results = counting.counts_of(loaded, 0.0), {}
        for number, batch in enumerate(batches):
            counts, beside = loaded.parcels[number], self._beside[batch.id]
            if beside.aside is not None:
                rule = beside.aside.rule.value
                beside.rules[rule] += not counts.rules[rule]  # else it is counted already
                refused = setting_aside.refusal(batch, self._declared(batch), beside.aside)
                result = said(counts, beside.rules)
                setting_aside.set_aside(self._engine, batch, refused, result, self._now(), self._load_name)
                log.warning("set aside", batch=batch.id, reason=beside.aside.detail)
            else:
                results[batch.id] = said(counts, beside.rules)
                if counts.read:
                    tried.loaded.add(batch.format)
            for name, count in (+beside.rules).items():
                done["records_rejected", name] = done.get(("records_rejected", name), 0) + count
        done["commit_seconds", ""] = time.monotonic() - began
        waiting.finish(self._engine, results, self._now(), done)
        tried.done |= {batch.id for batch in batches}
        drained.batches += len(batches)
        drained.records += loaded.read
        drained.bytes += sum(batch.bytes for batch in batches)
        appended = loaded.appended
        log.info(
            "loaded", batches=len(batches), records=loaded.read, loaded=appended.loaded, duplicates=appended.duplicates,
            revised=appended.revised, rejected=loaded.rejected,
        )  # fmt: skip

    def _parcel(self, batch: Batch) -> Parcel:
        source, sender, address = f"batch {batch.id}", batch.sender, batch.address
        if batch.format != GRATIA_POST:
            opened = opener(self._engine, batch, self._limits.plain_bytes)
            return Parcel(
                source, opened, batch.format or AUTO, self._declared(batch), sender=sender, address=address
            )
        body = waiting.body(self._engine, batch)
        post = read_post(body)
        heard = contacts.contacts_of(post, batch.received_at, batch.address, self._declared(batch))
        self._heard += heard
        self._said[batch.id] = post.probe or next((contact.probe for contact in heard), None)
        original = Original(batch.sha256, GRATIA_POST, packed(body), len(body))
        text = self._short_members(batch, post, original) if self._may_be_read(batch, post, body) else b""
        return Parcel(
            source,
            lambda: bytes_stream(text),
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

    def _short_members(self, batch: Batch, post: Post, original: Original) -> bytes:
        text, long = without_long_members(post.text, self._limits.member_bytes)
        for member in long:
            self._refuse(batch, "gratia-xml", too_long(member, self._limits.member_bytes))
        if long and not text.strip():  # then nothing is read from which the archive would get the post
            self._lake.archive([setting_aside.received(batch, original)])
        return text

    def _may_be_read(self, batch: Batch, post: Post, body: bytes) -> bool:
        if post.members > self._limits.members:
            why = (
                f"{post.members:,} records in one post, where intake.members allows {self._limits.members:,}"
            )
            self._beside[batch.id].aside = setting_aside.with_head(
                self._engine, batch, Rule.TOO_MANY_MEMBERS, why
            )
            return False
        promised = post.figures.get("bundlesize")
        if post.is_bundle and promised is not None and promised != post.members:
            why = (
                f"a bundle of {post.members:,} records that promised {promised:,}; those that are there count"
            )
            self._refuse(batch, GRATIA_POST, Reject.of(Rule.BUNDLE_SIZE, 1, why, body))
        return True

    def _refuse(self, batch: Batch, format_name: str, reject: Reject) -> None:
        """Keep a refusal that no format saw, of something in a post whose rest counts."""
        parcel = Parcel(f"batch {batch.id}", lambda: bytes_stream(b""), format_name, self._declared(batch))
        self._beside[batch.id].rules[reject.rule.value] += 1
        self._keep([Refused(0, parcel, reject, b"", batch.sha256)], format_name)

    def _keep(self, refused: Sequence[Refused], format_name: str) -> None:
        """Keep what was refused; what is refused of a batch as a whole, with the batch when it is set aside."""
        for one in refused:
            if one.is_whole:
                self._beside[one.parcel.source.removeprefix("batch ")].aside = one.reject
        if texts := [one for one in refused if not one.is_whole]:
            quarantine.keep(self._engine, texts, format_name, self._load_name)


def too_long(member: bytes, most_bytes: int) -> Reject:
    """The refusal of a record in a Gratia post that is longer than `intake.member_bytes`."""
    why = f"a record of {len(member):,} bytes, where intake.member_bytes allows {most_bytes:,}"
    return Reject.of(Rule.RECORD_TOO_LONG, 1, why, member)


def said(counts: Counts, beside: Counter[str]) -> dict[str, object]:
    """What became of a batch, as its sender reads it. beside: refusals that no format saw, by rule.

    A record that was too long to be read is one of those read and rejected; a batch as a whole is no record.
    """
    long = beside[Rule.RECORD_TOO_LONG.value]
    return {
        "read": counts.read + long,
        "loaded": counts.appended.loaded,
        "duplicates": counts.appended.duplicates,
        "revised": counts.appended.revised,
        "rejected": counts.rejected + long,
        "skipped": dict(counts.skipped),
        "rules": dict(counts.rules + beside),
    }
