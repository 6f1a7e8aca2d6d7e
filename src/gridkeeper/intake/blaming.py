"""Says whose fault it is that batches could not be loaded: theirs, or the loader's own.

A batch that alone makes the loader fail is tried again after minutes, some times, and then set aside. A loader that is
broken fails over every batch; then none of them is to blame, or the whole inbox would be set aside within seconds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from gridkeeper.intake.waiting import Batch

MOST_FAILURES = 3  # of one batch, while others of its format were loaded or it was alone
TRIED_AGAIN_AFTER = timedelta(minutes=2)  # a batch that failed; twice as long each time
SPARED_FOR = timedelta(minutes=10)  # a batch that failed over a fault of the loader, while others are loaded
SHORTEST_REST = timedelta(seconds=5)  # of a loader that can load nothing; twice as long each time
LONGEST_REST = timedelta(minutes=5)
FAILURES_OF_A_BROKEN_LOADER = (
    32  # in one round with nothing loaded: enough is seen, the rest need not be tried
)
# No text makes sound code raise these: code that is not there or names what is not, or a host that has run out of something.
BROKEN_CODE = (ImportError, NameError, SyntaxError)
BROKEN_HOST = (MemoryError, OSError)


@dataclass
class Round:
    """What happened to batches in one round.

    failed: batches that failed when they were loaded alone, with the error.
    done:   batches over which the loader did not fail, whatever it said of them.
    loaded: the formats of those that held something which was read.
    """

    failed: list[tuple[Batch, Exception]] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)

    def fail(self, batch: Batch, error: Exception) -> bool:
        """Note a failure; say whether it is the first of its kind in this round."""
        is_news = all(type(error) is not type(before) for _, before in self.failed)
        self.failed.append((batch, error))
        return is_news

    @property
    def is_hopeless(self) -> bool:
        """Whether so many failed, and none did not, that the rest need not be tried now."""
        return not self.loaded and len(self.failed) >= FAILURES_OF_A_BROKEN_LOADER

    def failed_ids(self) -> set[str]:
        """The batches not to claim again in this round."""
        return {batch.id for batch, _ in self.failed}


@dataclass(frozen=True)
class Fault:
    """What is wrong with the loader, in words; stops_all: it can load nothing at all."""

    sentence: str
    stops_all: bool


@dataclass
class Verdict:
    """Who is to blame.

    blamed:     batches whose failure counts, with the error.
    spared:     batches that are tried again as if nothing had been.
    suspected:  batches that are tried again, but not for ever: it may be they that eat up what the host has.
    fault:      the loader's; None where it has none.
    rest_until: when the loader tries anything again; None: at once.
    put_off_to: when it tries what was spared or suspected again.
    """

    blamed: list[tuple[Batch, Exception]] = field(default_factory=list)
    spared: list[Batch] = field(default_factory=list)
    suspected: list[Batch] = field(default_factory=list)
    fault: Fault | None = None
    rest_until: datetime | None = None
    put_off_to: datetime | None = None


class Judge:
    """Remembers, from round to round, which formats fail over everything, and what was spared."""

    def __init__(self) -> None:
        self._failing: defaultdict[str, set[str]] = defaultdict(set)
        self._barren_rounds = 0
        self._spared: dict[str, tuple[str, str, datetime]] = {}

    def judge(self, tried: Round, moment: datetime) -> Verdict:
        """Judge one round. What was blamed before, while others were loaded, is no evidence against the loader."""
        for name in tried.loaded:
            self._failing.pop(name, None)
        for batch, _ in tried.failed:
            if (
                batch.format not in tried.loaded
                and batch.failures == 0
                and len(self._failing[batch.format]) < 2
            ):
                self._failing[batch.format].add(batch.id)
        self._forget(tried, moment)
        verdict = Verdict()
        for batch, error in tried.failed:
            if not isinstance(error, BROKEN_CODE + BROKEN_HOST) and len(self._failing[batch.format]) < 2:
                verdict.blamed.append((batch, error))
                continue
            is_greedy = tried.loaded and isinstance(error, BROKEN_HOST)
            (verdict.suspected if is_greedy else verdict.spared).append(batch)
            self._spared[batch.id] = (batch.format, type(error).__name__, moment)
        if tried.loaded or not verdict.spared:
            self._barren_rounds = 0
            verdict.put_off_to = moment + SPARED_FOR
        else:
            rest = min(SHORTEST_REST * 2 ** min(self._barren_rounds, 10), LONGEST_REST)
            verdict.put_off_to = verdict.rest_until = moment + rest
            self._barren_rounds += 1
        if self._spared:
            verdict.fault = Fault(self._said(tried.loaded), verdict.rest_until is not None)
        return verdict

    def _forget(self, tried: Round, moment: datetime) -> None:
        """Forget what was spared and is done, or was not met again for long: another loader had it."""
        for name, (_, _, last) in list(self._spared.items()):
            if name in tried.done or moment - last > 2 * SPARED_FOR:
                del self._spared[name]

    def _said(self, loaded: Collection[str]) -> str:
        formats = ", ".join(sorted({name for name, _, _ in self._spared.values()}))
        kinds = ", ".join(sorted({kind for _, kind, _ in self._spared.values()}))
        what = "other batches are loaded" if loaded else "nothing is loaded; it tries again after a pause"
        return (
            f"the loader itself fails ({kinds}) over {len(self._spared):,} batches of {formats}, {what}; none of them is set "
            "aside for it; its log says more"
        )
