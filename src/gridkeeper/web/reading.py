"""The books as pages read them: opened anew when a table's version changes, and not before; answers kept by version.

Whoever asks is served from the books that are open. When the lake has a newer version, one thread opens it, makes
anew what was asked for lately, and then puts it in the old one's place, so that nobody waits for it; how old what
is shown is stands on every page.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from gridkeeper.errors import GridkeeperError
from gridkeeper.federation import factors
from gridkeeper.summaries.books import Books
from gridkeeper.summaries.corrections.in_force import NO_CORRECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable
    from datetime import datetime

    from gridkeeper.federation.model import Registry
    from gridkeeper.lake.lake import Lake
    from gridkeeper.summaries.corrections.in_force import Corrections

Answer = TypeVar("Answer")

LOOK_EVERY_S = 1.0
OPEN_AT_MOST_S = 600.0  # what is older reads files that upkeep may let go
ASKED_LATELY_S = 90.0
MOST_MADE_ANEW = 40
MOST_KEPT = 400
TABLES = ("usage_records", "usage_reported", "storage_space")
log = structlog.get_logger("reading")


@dataclass
class Opened:
    """The books at one version.

    version: what names it, for answers' tags: the tables' versions, the registry's and the corrections'.
    at:      when they were opened (UTC).
    newest:  when the newest record ended; None where there is none. received: when the newest came.
    """

    books: Books
    version: str
    at: datetime
    newest: datetime | None
    received: datetime | None
    _kept: OrderedDict[Hashable, _Kept] = field(default_factory=OrderedDict)


@dataclass
class _Kept:
    """One answer, how it is made, and when it was last asked for."""

    make: Callable[[Opened], Any]
    asked: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: bool = False
    answer: Any = None


class Reading:
    """One process's view of the books.

    registry:    gives the federation as its file says now.
    corrections: gives those in force now.
    """

    def __init__(
        self,
        lake: Lake,
        registry: Callable[[], Registry],
        now: Callable[[], datetime],
        corrections: Callable[[], Corrections] = lambda: NO_CORRECTIONS,
    ) -> None:
        self._lake, self._registry, self._now, self._corrections = lake, registry, now, corrections
        self._opened: Opened | None = None
        self._opening = threading.Lock()
        self._guard = threading.Lock()
        self._renewing: threading.Thread | None = None
        self._looked = 0.0
        self._opened_at = 0.0

    @property
    def lake(self) -> Lake:
        """The lake that the books lie in, for what is read again into it."""
        return self._lake

    def opened(self) -> Opened:
        """The books that are open; the first to ask waits until they are. Raises: LakeUnavailable (retryable)."""
        held = self._opened
        if held is None:
            with self._opening:
                if self._opened is None:
                    self._opened, self._opened_at = self._open(self._stamp()), time.monotonic()
            return self._opened
        moment = time.monotonic()
        if moment - self._looked >= LOOK_EVERY_S and self._opening.acquire(blocking=False):
            self._looked = moment
            self._renewing = threading.Thread(target=self._renew, name="reading", daemon=True)
            self._renewing.start()
        return held

    def close(self) -> None:
        """Wait until nothing is read any more."""
        if self._renewing is not None:
            self._renewing.join()

    def settle(self) -> Opened:
        """The books at the newest version, waited for. Raises: LakeUnavailable (retryable)."""
        held = self.opened()
        with self._opening:
            if self._opened is held and self._is_behind(held):
                self._replace(held)
        return self.opened()

    def kept(self, key: Hashable, make: Callable[[Opened], Answer], opened: Opened | None = None) -> Answer:
        """An answer that is made once a version of the books, whoever asks for it. Raises: what `make` raises.

        opened: the books that an answer which is made of this one was given; else those that are open. While newer books
                are made ready, the two differ.
        """
        return self._kept_in(opened or self.opened(), key, make)

    def _kept_in(self, opened: Opened, key: Hashable, make: Callable[[Opened], Answer]) -> Answer:
        with self._guard:
            kept = opened._kept.get(key)
            if kept is None:
                kept = opened._kept[key] = _Kept(make, time.monotonic())
                while len(opened._kept) > MOST_KEPT:
                    opened._kept.popitem(last=False)
            kept.asked = time.monotonic()
            opened._kept.move_to_end(key)
        with kept.lock:
            if not kept.made:
                kept.answer, kept.made = make(opened), True
        answer: Answer = kept.answer
        return answer

    def _stamp(self) -> str:
        # A table that is not there yet and one that was just made are empty alike.
        versions = (max(version, 0) for version in self._lake.stamp(*TABLES))
        registry = self._registry()
        names = [*map(str, versions), f"{registry.revision:x}", f"{factors.revision(registry):x}"]
        if corrections := self._corrections().revision:
            names.append(f"{corrections:x}")
        return "-".join(names)

    def _is_behind(self, held: Opened) -> bool:
        try:
            return self._stamp() != held.version
        except GridkeeperError as error:  # a registry that cannot be read, say: what is open goes on
            log.warning("the books cannot be looked at", reason=str(error))
            return False

    def _open(self, version: str) -> Opened:
        books = Books(self._lake, self._registry(), corrections=self._corrections())
        books.prepare()
        (row,) = books.select(_NEWEST).to_pylist()
        return Opened(books, version, self._now(), row["newest"], row["received"])

    def _renew(self) -> None:
        """Look for a newer version, and open it, behind everybody's back. Holds the lock `_opening`, which the caller took."""
        try:
            held = self._opened
            too_old = time.monotonic() - self._opened_at > OPEN_AT_MOST_S
            if held is not None and (self._is_behind(held) or too_old):
                self._replace(held)
        except GridkeeperError as error:
            log.warning("the books are not renewed now", reason=str(error))
        finally:
            self._opening.release()

    def _replace(self, held: Opened) -> None:
        fresh = self._open(self._stamp())
        moment = time.monotonic()
        tried: set[Hashable] = set()
        while (found := self._asked_lately(held, tried)) and len(tried) < MOST_MADE_ANEW:
            key, make = found
            tried.add(key)
            try:
                self._kept_in(fresh, key, make)
            except GridkeeperError:
                continue  # who asks for it next hears why
        self._opened, self._opened_at = fresh, moment

    def _asked_lately(
        self, held: Opened, but: Collection[Hashable]
    ) -> tuple[Hashable, Callable[[Opened], Any]] | None:
        """What was asked for last, until this moment, and how it is made; None where nothing was but `but`."""
        moment = time.monotonic()
        with self._guard:
            for key, kept in reversed(held._kept.items()):
                if key not in but and kept.made and moment - kept.asked < ASKED_LATELY_S:
                    return key, kept.make
        return None


_NEWEST = "SELECT MAX(end_time) AS newest, MAX(received_at) AS received FROM usage_records"
