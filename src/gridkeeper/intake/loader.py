"""Loads texts: reads their blocks in order, keeps the text, keeps what was refused, appends the records once."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gridkeeper.errors import UnreadableInput
from gridkeeper.formats.contract import SNIFF_BYTES, Block
from gridkeeper.formats.registry import Unrecognised, format_named, recognise, refuse_utf_16
from gridkeeper.intake import sources
from gridkeeper.intake.reading import Outcome, Piece, Refused, Unit, joined, read
from gridkeeper.intake.sources import Parcel
from gridkeeper.intake.told_twice import BY_ATTEMPT, WHOLE, told_twice
from gridkeeper.lake.append import Appended, counted_each
from gridkeeper.lake.archive import digest
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
    """What a load did, in all and parcel by parcel.

    sentences:  what was refused of texts that could be read, the first MOST_SENTENCES.
    unreadable: a sentence for each text that was refused as a whole.
    empty:      how many of the files and folders named gave no record at all.
    """

    sentences: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unreadable_parcels: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    empty: int = 0
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


class Begun:
    """A load whose first blocks are being read, in threads where there are any; Loader.end takes it to its end.

    Threads, because formats work on whole columns outside the interpreter's lock: measured, two of them
    beat two processes, which must start, import and send every table through a pipe.
    loaded: what is known so far.
    """

    def __init__(self, units: Iterator[Unit], workers: int, loaded: Loaded) -> None:
        self.loaded = loaded
        self._units, self._most_ahead = units, workers * BLOCKS_AHEAD_PER_WORKER
        self._ahead: deque[Future[Outcome]] = deque()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="reading") if workers else None
        try:
            self._read_on()
        except BaseException:
            self.close()
            raise

    def outcomes(self) -> Iterator[Outcome]:
        """What reading gave, in the order of the units."""
        if self._pool is None:
            yield from map(read, self._units)
        while self._ahead:
            yield self._ahead.popleft().result()
            self._read_on()

    def close(self) -> None:
        """Read no more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._ahead.clear()

    def _read_on(self) -> None:
        while self._pool is not None and len(self._ahead) <= self._most_ahead:
            unit = next(self._units, None)
            if unit is None:
                return
            self._ahead.append(self._pool.submit(read, unit))


class Loader:
    """Loads texts into one lake.

    keep:     keeps refusals for good; called before the records of the same text are committed.
    workers:  threads that read blocks; 0 reads them here, between commits, and nothing ahead.
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
        found = {path: sources.find([path]) for path in paths}
        files = [file for path in paths for file in found[path]]
        loaded = self.load_parcels([Parcel.of_file(file, format_name, delivery) for file in files])
        nothing = [f"{path}: there is no file in this folder" for path in paths if not found[path]]
        nothing += [
            f"{Parcel.of_file(file, format_name, delivery).source}: no record was found in it"
            for number, file in enumerate(files)
            if not loaded.parcels[number].read
        ]
        loaded.empty = len(nothing)
        loaded.warnings += nothing[:MOST_SENTENCES]
        if len(nothing) > MOST_SENTENCES:
            loaded.warnings.append(f"and {len(nothing) - MOST_SENTENCES:,} more files without a record")
        return loaded

    def load_parcels(self, parcels: Iterable[Parcel]) -> Loaded:
        """Load texts; when this returns, everything they hold is on disk and counts once.

        Raises: UserMistake (permanent), LakeUnavailable (retryable; the same load may simply be repeated).
        """
        return self.end(self.begin(parcels))

    def load_units(self, units: Iterable[Unit]) -> Loaded:
        """Load what was cut into units already; see load_parcels."""
        return self.end(Begun(iter(units), self._workers, Loaded()))

    def begin(self, parcels: Iterable[Parcel]) -> Begun:
        """Begin to read texts, and commit nothing: that may be done while another load is committed; see load_parcels."""
        loaded = Loaded()
        return Begun(joined(self._units(parcels, loaded)), self._workers, loaded)

    def end(self, begun: Begun) -> Loaded:
        """Load what was begun; see load_parcels."""
        loaded, waiting = begun.loaded, _Waiting()
        with closing(begun):
            for outcome in begun.outcomes():
                self._take(outcome, loaded, waiting)
                if waiting.full():
                    self._commit(waiting, loaded)
                    waiting = _Waiting()
        self._commit(waiting, loaded)
        if loaded.formats & {WHOLE, BY_ATTEMPT}:
            loaded.warnings += told_twice(self._lake.snapshot())
        return loaded

    def _units(self, parcels: Iterable[Parcel], loaded: Loaded) -> Iterator[Unit]:
        for number, parcel in enumerate(parcels):
            named = None if parcel.format_name == AUTO else format_named(parcel.format_name)
            head = b""
            with parcel.opened() as opened:
                try:
                    head, stream = sources.text_with_head(opened, SNIFF_BYTES)
                    if not head.strip() and len(head) < SNIFF_BYTES:
                        if (
                            named is not None and parcel.original is not None
                        ):  # as a ping: the archive has it, too
                            yield Unit(named.name, Block(b"", 1), (Piece(1, number, parcel, 1),))
                        continue
                    refuse_utf_16(head)
                    named = named or recognise(head)
                    for block in named.blocks(stream):
                        yield Unit(
                            named.name, block, (Piece(block.first_line, number, parcel, block.first_line),)
                        )
                except UnreadableInput as error:
                    rule = error.rule if isinstance(error, Unrecognised) else Rule.UNREADABLE_BATCH
                    reject = Reject.of(rule, 1, str(error), head)
                    if named is not None and parcel.original is not None:  # the archive has it, too
                        yield Unit(
                            named.name, Block(b"", 1, refused=(reject,)), (Piece(1, number, parcel, 1),)
                        )
                    else:
                        self._refuse_whole(number, parcel, reject, loaded)
                except sources.BROKEN_STREAM as error:
                    broken = Reject.of(
                        Rule.TRUNCATED, 1, f"the compressed file breaks off or is damaged ({error})", head
                    )
                    if named is None:
                        self._refuse_whole(number, parcel, broken, loaded)
                    else:
                        pieces = (Piece(1, number, parcel, 1),)
                        yield Unit(named.name, Block(b"", 1, refused=(broken,)), pieces, breaks_off=True)

    def _refuse_whole(self, number: int, parcel: Parcel, reject: Reject, loaded: Loaded) -> None:
        """Refuse a text that no format can be asked about: its head is kept, and it counts as one refusal."""
        if len(reject.text) == SNIFF_BYTES:
            reject = replace(reject, text_bytes=SNIFF_BYTES + 1)  # at least: the rest was not read
        name = parcel.original.name if parcel.original else digest(reject.text, b"")
        self._keep([Refused(number, parcel, reject, b"", name, is_whole=True)], parcel.format_name)
        sentence = reject.sentence(parcel.source)
        loaded.unreadable.append(sentence)
        loaded.unreadable_parcels[number] = sentence
        loaded.read += 1
        loaded.parcels[number].read += 1
        _count_refusal(number, reject, loaded)

    def _take(self, outcome: Outcome, loaded: Loaded, waiting: _Waiting) -> None:
        loaded.read += outcome.read
        loaded.formats.add(outcome.format_name)
        for number, skipped in outcome.skipped.items():
            for counts in (loaded, loaded.parcels[number]):
                counts.skipped += skipped
            loaded.parcels[number].read += skipped.total()
        if outcome.refused:
            self._keep(outcome.refused, outcome.format_name)
            outcome.refused.sort(key=lambda one: (one.number, one.reject.line))  # found rule by rule
            for one in outcome.refused:
                _count_refusal(one.number, one.reject, loaded)
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
        """Put the text into the archive and, once it is there, the records that point to it, made ready meanwhile."""
        with ThreadPoolExecutor(1, thread_name_prefix="archiving") as beside:
            archived = beside.submit(self._lake.archive, waiting.received)
            for name, pieces in waiting.tables.items():
                rows = pa.concat_tables(pieces)
                fates = self._lake.append_each(RECORD_TABLES[name], rows, archived.result)
                _count_fates(fates, np.concatenate(waiting.numbers[name]), loaded)
            archived.result()


def _count_fates(fates: np.ndarray, numbers: np.ndarray, loaded: Loaded) -> None:
    """Count what became of rows, in all and for the parcel of each number."""
    parcels, places = np.unique(numbers, return_inverse=True)
    for number, appended in zip(parcels.tolist(), counted_each(fates, places, len(parcels)), strict=True):
        counts = loaded.parcels[number]
        counts.appended += appended
        counts.read += appended.rows
        loaded.appended += appended


def _count_refusal(number: int, reject: Reject, loaded: Loaded) -> None:
    for counts in (loaded, loaded.parcels[number]):
        counts.rejected += 1
        counts.rules[reject.rule.value] += 1
