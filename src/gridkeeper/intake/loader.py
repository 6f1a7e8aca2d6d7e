"""Loads texts: reads their blocks in order, keeps the text, keeps what was refused, appends the records once."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gridkeeper.errors import UnreadableInput
from gridkeeper.formats.contract import SNIFF_BYTES, Block
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.intake import sources
from gridkeeper.intake.reading import Outcome, Piece, Refused, Unit, joined, read
from gridkeeper.intake.sources import Parcel
from gridkeeper.intake.told_twice import BY_ATTEMPT, WHOLE, told_twice
from gridkeeper.lake.append import Appended, counted
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from gridkeeper.lake.archive import Received
    from gridkeeper.lake.lake import Lake
    from gridkeeper.records.draft import Delivery

COMMIT_ROWS = 250_000
COMMIT_ARCHIVE_BYTES = 64 * 1024 * 1024
BLOCKS_AHEAD_PER_WORKER = 5
MOST_SENTENCES = 10
AUTO = "auto"


@dataclass
class Counts:
    """What became of the records of a parcel or a load. read = loaded + duplicates + revised + rejected + skipped."""

    read: int = 0
    appended: Appended = field(default_factory=Appended)
    rejected: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)


@dataclass
class Loaded(Counts):
    """What a load did, in all and parcel by parcel."""

    sentences: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unreadable_parcels: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)
    parcels: defaultdict[int, Counts] = field(default_factory=lambda: defaultdict(Counts))


@dataclass
class _Waiting:
    """What was read and is not yet committed."""

    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    numbers: dict[str, list[np.ndarray]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    rows: int = 0
    packed_bytes: int = 0

    def full(self) -> bool:
        return self.rows >= COMMIT_ROWS or self.packed_bytes >= COMMIT_ARCHIVE_BYTES


class Loader:
    """Loads texts into one lake.

    keep:     keeps refusals for good; called before the records of the same text are committed.
    workers:  threads that read blocks; 0 reads them here, between commits.
    progress: told after each block how many bytes of plain text it had and how many records.
    """

    def __init__(
        self,
        lake: Lake,
        keep: Callable[[Sequence[Refused], str], None],
        workers: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._lake, self._keep, self._workers, self._progress = lake, keep, workers, progress

    def load(self, paths: Sequence[Path], format_name: str, delivery: Delivery) -> Loaded:
        """Load files and folders of one delivery; see load_parcels."""
        return self.load_parcels(
            [Parcel.of_file(path, format_name, delivery) for path in sources.find(paths)]
        )

    def load_parcels(self, parcels: Iterable[Parcel]) -> Loaded:
        """Load texts; when this returns, everything they hold is on disk and counts once.

        Raises: UserMistake (permanent), LakeUnavailable (retryable; the same load may simply be repeated).
        """
        loaded = Loaded()
        return self.load_units(joined(self._units(parcels, loaded)), loaded)

    def load_units(self, units: Iterable[Unit], loaded: Loaded | None = None) -> Loaded:
        """Load what was cut into units already; see load_parcels."""
        loaded, waiting = loaded or Loaded(), _Waiting()
        for outcome in self._outcomes(iter(units)):
            self._take(outcome, loaded, waiting)
            if waiting.full():
                self._commit(waiting, loaded)
                waiting = _Waiting()
        self._commit(waiting, loaded)
        if loaded.formats & {WHOLE, BY_ATTEMPT}:
            loaded.warnings = told_twice(self._lake.snapshot())
        return loaded

    def _units(self, parcels: Iterable[Parcel], loaded: Loaded) -> Iterator[Unit]:
        for number, parcel in enumerate(parcels):
            named = None if parcel.format_name == AUTO else format_named(parcel.format_name)
            with parcel.opened() as opened:
                try:
                    head, stream = sources.with_head(opened, SNIFF_BYTES)
                    if not head.strip():
                        if (
                            named is not None and parcel.original is not None
                        ):  # as a ping: the archive has it, too
                            yield Unit(named.name, Block(b"", 1), (Piece(1, number, parcel, 1),))
                        continue
                    named = named or recognise(head, parcel.source)
                    for block in named.blocks(stream):
                        yield Unit(
                            named.name, block, (Piece(block.first_line, number, parcel, block.first_line),)
                        )
                except UnreadableInput as error:
                    loaded.unreadable.append(str(error))
                    loaded.unreadable_parcels[number] = str(error)
                except sources.BROKEN_STREAM as error:
                    broken = Reject.of(
                        Rule.TRUNCATED, 1, f"the compressed file breaks off or is damaged ({error})", b""
                    )
                    if named is None:
                        loaded.unreadable.append(broken.sentence(parcel.source))
                        loaded.unreadable_parcels[number] = broken.sentence(parcel.source)
                    else:
                        yield Unit(
                            named.name, Block(b"", 1, refused=(broken,)), (Piece(1, number, parcel, 1),)
                        )

    def _outcomes(self, units: Iterator[Unit]) -> Iterator[Outcome]:
        """Read units, in threads where there are any, and give the outcomes in the order of the units.

        Threads, because formats work on whole columns outside the interpreter's lock: measured, two of them
        beat two processes, which must start, import and send every table through a pipe.
        """
        if not self._workers:
            yield from map(read, units)
            return
        with ThreadPoolExecutor(self._workers, thread_name_prefix="reading") as pool:
            ahead: deque[Future[Outcome]] = deque()
            for unit in units:
                ahead.append(pool.submit(read, unit))
                if len(ahead) > self._workers * BLOCKS_AHEAD_PER_WORKER:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _take(self, outcome: Outcome, loaded: Loaded, waiting: _Waiting) -> None:
        loaded.read += outcome.read
        loaded.formats.add(outcome.format_name)
        for number, skipped in outcome.skipped.items():
            for counts in (loaded, loaded.parcels[number]):
                counts.skipped += skipped
            loaded.parcels[number].read += skipped.total()
        if outcome.refused:
            self._keep(outcome.refused, outcome.format_name)
            for one in outcome.refused:
                for counts in (loaded, loaded.parcels[one.number]):
                    counts.rejected += 1
                    counts.rules[one.reject.rule.value] += 1
                loaded.parcels[one.number].read += 1
            room = max(MOST_SENTENCES - len(loaded.sentences), 0)
            loaded.sentences += [one.reject.sentence(one.parcel.source) for one in outcome.refused[:room]]
        for name, rows in outcome.tables.items():
            waiting.tables.setdefault(name, []).append(rows)
            waiting.numbers.setdefault(name, []).append(outcome.numbers[name])
            waiting.rows += len(rows)
        waiting.received += outcome.received
        waiting.packed_bytes += sum(len(one.payload) for one in outcome.received)
        if self._progress:
            self._progress(sum(one.bytes for one in outcome.received), outcome.read)

    def _commit(self, waiting: _Waiting, loaded: Loaded) -> None:
        """Put the text into the archive first, then the records that point to it."""
        if waiting.received:
            self._lake.archive(waiting.received)
        for name, pieces in waiting.tables.items():
            fates = self._lake.append_each(RECORD_TABLES[name], pa.concat_tables(pieces))
            loaded.appended += counted(fates)
            numbers = np.concatenate(waiting.numbers[name])
            for number in np.unique(numbers).tolist():
                counts = loaded.parcels[number]
                of_parcel = fates[numbers == number] if len(waiting.numbers[name]) > 1 else fates
                counts.appended += counted(of_parcel)
                counts.read += len(of_parcel)
