"""Loads files: reads their blocks in order, keeps the text, keeps what was refused, appends the records once."""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.errors import UnreadableInput
from gridkeeper.formats.contract import SNIFF_BYTES, Block
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.intake import quarantine, sources
from gridkeeper.intake.reading import Outcome, Piece, Unit, joined, read
from gridkeeper.intake.told_twice import BY_ATTEMPT, WHOLE, told_twice
from gridkeeper.lake.append import Appended
from gridkeeper.records.rules import Reject, Rule
from gridkeeper.records.tables import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from gridkeeper.config import Home
    from gridkeeper.lake.archive import Received
    from gridkeeper.lake.lake import Lake
    from gridkeeper.records.draft import Delivery

COMMIT_ROWS = 250_000
COMMIT_ARCHIVE_BYTES = 64 * 1024 * 1024
BLOCKS_AHEAD_PER_WORKER = 5
MOST_SENTENCES = 10
AUTO = "auto"


@dataclass(frozen=True)
class Parcel:
    """One file to load, its format (or auto), and what is declared of it."""

    path: Path
    format_name: str
    delivery: Delivery


@dataclass
class Loaded:
    """What a load did. read = loaded + duplicates + revised + rejected + skipped."""

    read: int = 0
    appended: Appended = field(default_factory=Appended)
    rejected: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)
    kept_in: Path | None = None


@dataclass
class _Waiting:
    """What was read and is not yet committed."""

    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    rows: int = 0
    packed_bytes: int = 0

    def full(self) -> bool:
        return self.rows >= COMMIT_ROWS or self.packed_bytes >= COMMIT_ARCHIVE_BYTES


class Loader:
    """Loads files into one home.

    workers:  threads that read blocks; 0 reads them here, between commits.
    progress: told after each block how many bytes of plain text it had and how many records.
    """

    def __init__(
        self, home: Home, lake: Lake, workers: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self._home, self._lake, self._workers, self._progress = home, lake, workers, progress

    def load(self, paths: Sequence[Path], format_name: str, delivery: Delivery) -> Loaded:
        """Load files and folders of one delivery; see load_parcels."""
        return self.load_parcels([Parcel(path, format_name, delivery) for path in sources.find(paths)])

    def load_parcels(self, parcels: Sequence[Parcel]) -> Loaded:
        """Load files; when this returns, everything they hold is on disk and counts once.

        Raises: UserMistake (permanent), LakeUnavailable (retryable; the same load may simply be repeated).
        """
        for name in {parcel.format_name for parcel in parcels} - {AUTO}:
            format_named(name)
        loaded, waiting = Loaded(), _Waiting()
        for outcome in self._outcomes(joined(self._units(parcels, loaded))):
            self._take(outcome, loaded, waiting)
            if waiting.full():
                self._commit(waiting, loaded)
                waiting = _Waiting()
        self._commit(waiting, loaded)
        if loaded.formats & {WHOLE, BY_ATTEMPT}:
            loaded.warnings = told_twice(self._lake.snapshot())
        return loaded

    def _units(self, parcels: Iterable[Parcel], loaded: Loaded) -> Iterator[Unit]:
        for parcel in parcels:
            named = None if parcel.format_name == AUTO else format_named(parcel.format_name)
            source, delivery = str(parcel.path), parcel.delivery
            with sources.open_plain(parcel.path) as opened:
                try:
                    head, stream = sources.with_head(opened, SNIFF_BYTES)
                    if not head.strip():
                        continue
                    named = named or recognise(head, source)
                    for block in named.blocks(stream):
                        yield Unit(
                            named.name, block, delivery, (Piece(block.first_line, source, block.first_line),)
                        )
                except UnreadableInput as error:
                    loaded.unreadable.append(str(error))
                except sources.BROKEN_STREAM as error:
                    broken = Reject.of(
                        Rule.TRUNCATED, 1, f"the compressed file breaks off or is damaged ({error})", b""
                    )
                    if named is None:
                        loaded.unreadable.append(broken.sentence(source))
                    else:
                        yield Unit(
                            named.name, Block(b"", 1, refused=(broken,)), delivery, (Piece(1, source, 1),)
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
        parsed = outcome.parsed
        loaded.read += parsed.read
        loaded.skipped += parsed.skipped
        loaded.formats.add(outcome.format_name)
        if outcome.refused:
            loaded.rejected += len(outcome.refused)
            loaded.rules.update(reject.rule.value for _, reject in outcome.refused)
            room = max(MOST_SENTENCES - len(loaded.sentences), 0)
            loaded.sentences += [reject.sentence(source) for source, reject in outcome.refused[:room]]
            received = outcome.received
            kept = quarantine.keep(
                self._home.quarantine,
                received.sha256,
                outcome.format_name,
                received.received_at,
                outcome.refused,
            )
            loaded.kept_in = kept.parent
        for name, rows in parsed.tables.items():
            waiting.tables.setdefault(name, []).append(rows)
            waiting.rows += len(rows)
        if outcome.received.bytes:
            waiting.received.append(outcome.received)
            waiting.packed_bytes += len(outcome.received.payload)
        if self._progress:
            self._progress(outcome.received.bytes, parsed.read)

    def _commit(self, waiting: _Waiting, loaded: Loaded) -> None:
        """Put the text into the archive first, then the records that point to it."""
        if waiting.received:
            self._lake.archive(waiting.received)
        for name, pieces in waiting.tables.items():
            loaded.appended += self._lake.append(RECORD_TABLES[name], pa.concat_tables(pieces))
