"""Takes batches from the inbox into the lake: claim, read, commit, say what became of each, free.

What was answered with a receipt is on disk in the inbox until its records are on disk in the lake, so a crash
anywhere means that a batch is loaded again, and a record counts once however often it is loaded.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gridkeeper.clock import now
from gridkeeper.database import DatabaseUnavailable, writing
from gridkeeper.errors import GridkeeperError, LakeUnavailable
from gridkeeper.intake import contacts, counting, loader_faults, memory, setting_aside, waiting
from gridkeeper.intake.blaming import MOST_FAILURES, TRIED_AGAIN_AFTER, Judge, Round
from gridkeeper.intake.loader import Begun, Counts, Loader
from gridkeeper.intake.opening import Opening, declared
from gridkeeper.intake.refreshing import Refreshing
from gridkeeper.records.rules import Rule

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.intake.waiting import Batch
    from gridkeeper.lake.lake import Lake
    from gridkeeper.settings import Intake

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


class _Opened(NamedTuple):
    """Batches as a load that is begun. began: when, as time.monotonic tells it."""

    opening: Opening
    loader: Loader
    begun: Begun
    began: float


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
        self._workers = workers
        self._owed: list[Batch] = []  # claimed, and not being loaded
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
                        self.once(refreshing.after_load)
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

    def once(self, after_load: Callable[[], object] = lambda: None) -> Drained:
        """Load what waits, once. Raises: DatabaseUnavailable, LakeUnavailable (retryable).

        after_load: called after each load, of which there may be minutes, where much waits.
        """
        drained, tried = Drained(), Round()
        until = self._now()
        self._give_back()
        try:
            self._load_what_waits(until, drained, tried, after_load)
        finally:
            if tried.failed or tried.done:
                self._settle(tried)
            drained.failed = len(tried.failed)
        return drained

    def _load_what_waits(
        self, until: datetime, drained: Drained, tried: Round, after_load: Callable[[], object]
    ) -> None:
        """Load what came until a moment, about AT_ONCE_BYTES at a time; the next of it is read while one is committed."""
        self._owed, opened = self._claim(until, tried), None
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="opening") as beside:
                while batches := self._owed:
                    following = self._claim_following(batches, until, tried)
                    self._owed = following  # until it is their turn
                    opens = beside.submit(self._open, following) if following else None
                    beside.submit(memory.give_back)  # what the load before needed
                    try:
                        self._load(self._sound(batches), drained, tried, opened)
                    finally:
                        # Where it failed, whoever opens them in their turn meets the same again.
                        opened = opens.result() if opens and not opens.exception() else None
                    if tried.is_hopeless:
                        break
                    after_load()
                    self._owed = following or self._claim(until, tried)
        finally:
            if opened is not None:
                opened.begun.close()
        self._give_back()

    def _claim(
        self, until: datetime, tried: Round, besides: Sequence[Batch] = (), *, suspects: bool = True
    ) -> list[Batch]:
        # What came meanwhile has its own time: each commit makes pages and summaries anew.
        names = tried.failed_ids() | {batch.id for batch in besides}
        moment = self._now()
        return waiting.claim(
            self._engine, self._me, AT_ONCE_BYTES, moment, names, until=until, suspects=suspects
        )

    def _claim_following(self, batches: Sequence[Batch], until: datetime, tried: Round) -> list[Batch]:
        """What to read while batches are committed: nothing beside a suspect, which would take it down with it."""
        if not self._workers or waiting.is_suspect(batches[0]):
            return []
        return self._claim(until, tried, batches, suspects=False)

    def _open(self, batches: Sequence[Batch]) -> _Opened:
        began = time.monotonic()
        opening = Opening(self._engine, self._lake, self._limits, batches)
        loader = Loader(self._lake, opening.keep, self._workers)
        return _Opened(opening, loader, loader.begin(opening.parcels()), began)

    def _sound(self, batches: Sequence[Batch]) -> list[Batch]:
        """Put aside those that the loader died over too often; the others."""
        poison = [batch for batch in batches if batch.attempts >= waiting.MOST_ATTEMPTS]
        for batch in poison:
            self._put_aside(batch, f"the loader died {batch.attempts} times while it loaded this batch")
        return [batch for batch in batches if batch not in poison]

    def _put_aside(self, batch: Batch, why: str) -> None:
        reject = setting_aside.with_head(self._engine, batch, Rule.UNREADABLE_BATCH, why)
        refused = setting_aside.refusal(batch, declared(batch, batch.probe), reject)
        counts = {("records_rejected", Rule.UNREADABLE_BATCH.value): 1.0}
        setting_aside.set_aside(self._engine, batch, refused, {}, self._now(), uuid.uuid4().hex, counts)
        log.error("set aside", batch=batch.id, reason=why)

    def _load(
        self, batches: Sequence[Batch], drained: Drained, tried: Round, opened: _Opened | None = None
    ) -> None:
        """Load batches together; where our own code fails, half of them at a time, to find those that it fails over."""
        if not batches:
            return
        if tried.is_hopeless:
            waiting.give_back(self._engine, batches)
            return
        try:
            self._load_together(batches, drained, tried, opened)
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

    def _load_together(
        self, batches: Sequence[Batch], drained: Drained, tried: Round, opened: _Opened | None
    ) -> None:
        try:
            self._load_and_tell(opened or self._open(batches), drained, tried)
        except (LakeUnavailable, DatabaseUnavailable):
            self._owed = [*self._owed, *batches]
            self._give_back()
            raise

    def _give_back(self) -> None:
        """Give up claims on what could not be loaded through no fault of its own; on a full disk only later."""
        if self._owed:
            waiting.give_back(self._engine, self._owed)
            self._owed = []

    def _load_and_tell(self, opened: _Opened, drained: Drained, tried: Round) -> None:
        opening, batches = opened.opening, opened.opening.batches
        if opening.heard:
            contacts.note(self._engine, opening.heard)
        loaded = opened.loader.end(opened.begun)
        done, results = counting.counts_of(loaded, 0.0), {}
        for number, batch in enumerate(batches):
            counts, beside = loaded.parcels[number], opening.beside[batch.id]
            if beside.aside is not None:
                rule = beside.aside.rule.value
                beside.rules[rule] += not counts.rules[rule]  # else it is counted already
                refused = setting_aside.refusal(batch, opening.declared(batch), beside.aside)
                result = said(counts, beside.rules)
                setting_aside.set_aside(self._engine, batch, refused, result, self._now(), opening.name)
                log.warning("set aside", batch=batch.id, reason=beside.aside.detail)
            else:
                results[batch.id] = said(counts, beside.rules)
                if counts.read:
                    tried.loaded.add(batch.format)
            for name, count in (+beside.rules).items():
                done["records_rejected", name] = done.get(("records_rejected", name), 0) + count
        done["commit_seconds", ""] = time.monotonic() - opened.began
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
