"""Remembers, in eight bytes each, which identities (or names) a table's files hold, so that what is new is known without reading files.

Most of what comes is new, and to learn that from the files means to read every identity of the same days again at each
append. This is a memory of one process, made of the files and thrown away with it: it may say "perhaps" of what is not
there, and never "no" of what is. It lies in nameless files beside the tables (8 bytes a record, twice that while two of them
are joined), which the system keeps in memory as far as it has room.
"""

from __future__ import annotations

import mmap
import tempfile
import threading
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridkeeper.lake.files import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from deltalake.transaction import AddAction

    from gridkeeper.lake.files import DataFile

IDENTITY_BYTES = 16
# Of files not read yet, at one look-up; the others are asked themselves meanwhile.
READ_AT_ONCE_ROWS = 1_000_000
JOINED_AT_ONCE = 500_000
STEP = 64  # a power of two


class Seen:
    """What identities a table's files hold. May be asked from several threads.

    folder: where the nameless files lie: beside the tables, as no other place is known to have room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, int] = {}  # of each file that was read
        self._runs: list[_Run] = []  # each at least twice as long as the next
        self._is_first = True
        self._lock = threading.Lock()

    def perhaps(
        self,
        identities: pa.ChunkedArray,
        files: Sequence[DataFile],
        listed: Sequence[DataFile],
        read: Callable[[Sequence[DataFile]], pa.ChunkedArray],
    ) -> tuple[np.ndarray, list[DataFile]]:
        """Say of each identity whether one of `files` perhaps holds it, and which of them must be asked themselves.

        The first look-up of a process asks all files: there may be no second.

        listed: all files of the table now; read: gives the identities that some files hold.
        """
        with self._lock:
            if self._is_first:
                self._is_first = False
                return np.zeros(len(identities), dtype=bool), list(files)
            self._forget_if_mostly_gone(listed)
            try:
                self._read_more(files, read)
            except OSError:  # no room: the files know it all
                self._forget()
            unread = [file for file in files if file.path not in self._rows]
            return self._held(_heads(identities)), unread

    def learn(self, written: Sequence[AddAction], identities: pa.ChunkedArray) -> None:
        """Remember the identities that this process wrote into files of the table, so that they need not be read again."""
        with self._lock:
            try:
                self._add(identities, {file.path: rows_of(file) for file in written})
            except OSError:
                self._forget()

    def _read_more(
        self, files: Sequence[DataFile], read: Callable[[Sequence[DataFile]], pa.ChunkedArray]
    ) -> None:
        chosen: list[DataFile] = []
        rows = 0
        for file in files:
            if file.path not in self._rows and (not chosen or rows + file.rows <= READ_AT_ONCE_ROWS):
                chosen.append(file)
                rows += file.rows
        if rows:  # an empty file cannot be mapped, and holds nothing
            self._add(read(chosen), {file.path: file.rows for file in chosen})

    def _add(self, identities: pa.ChunkedArray, rows: Mapping[str, int]) -> None:
        """Remember the identities that some files hold. Raises: OSError."""
        self._runs.append(_Run(self._folder, [np.sort(_heads(identities))]))
        while len(self._runs) > 1 and len(self._runs[-2].heads) < 2 * len(self._runs[-1].heads):
            one, other = self._runs[-2:]
            self._runs[-2:] = [_Run(self._folder, _joined(one.heads, other.heads))]
        self._rows |= rows

    def _forget_if_mostly_gone(self, listed: Sequence[DataFile]) -> None:
        """Begin anew when most of what was read is in no file of the table any more: files are joined now and then."""
        there = sum(self._rows.get(file.path, 0) for file in listed)
        if sum(self._rows.values()) > 2 * there:
            self._forget()

    def _forget(self) -> None:
        self._rows, self._runs = {}, []

    def _held(self, heads: np.ndarray) -> np.ndarray:
        order = np.argsort(heads)
        wanted = heads[order]  # in order, so that neighbours are looked for in the same place
        found = np.zeros(len(heads), dtype=bool)
        for run in self._runs:
            found |= run.holds(wanted)
        held = np.empty(len(heads), dtype=bool)
        held[order] = found
        return held


def _heads(identities: pa.ChunkedArray) -> np.ndarray:
    """The first eight bytes of each identity, as a number."""
    parts = []
    for chunk in identities.chunks:
        whole = pc.cast(chunk, pa.binary(IDENTITY_BYTES))
        numbers = np.frombuffer(whole.buffers()[1], dtype=np.uint64) if len(whole) else np.zeros(0, np.uint64)
        parts.append(numbers[2 * whole.offset : 2 * (whole.offset + len(whole)) : 2])
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def begin_differently(identities: pa.ChunkedArray) -> bool:
    """Whether no two identities have the same first eight bytes; then no two of them are the same."""
    heads = np.sort(_heads(identities))
    return bool((heads[1:] != heads[:-1]).all())


def _joined(one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """Two sorted runs as one, in parts: neither is ever in memory as a whole."""
    place = 0
    for first in range(0, len(one), JOINED_AT_ONCE):
        of_one = one[first : first + JOINED_AT_ONCE]
        is_last = first + JOINED_AT_ONCE >= len(one)
        until = len(other) if is_last else int(np.searchsorted(other, of_one[-1], side="right"))
        both = np.concatenate([of_one, other[place:until]])
        yield np.sort(both, kind="stable")  # fast on what is sorted in parts
        place = until


class _Run:
    """Sorted heads, in a nameless file that the system reads them from, and every STEP-th of them in memory.

    Of tens of millions of numbers, a search from end to end meets a place that is not at hand at each of its two dozen
    steps; one that begins with what is in memory meets only one or two. Measured with 22 million: a third of the time.
    """

    def __init__(self, folder: Path, parts: Iterable[np.ndarray]) -> None:
        """Put numbers into a file. Raises: OSError."""
        with tempfile.TemporaryFile(dir=folder) as file:
            for part in parts:
                file.write(part.data)
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.heads = np.frombuffer(mapped, dtype=np.uint64)
        self._steps = self.heads[::STEP].copy()

    def holds(self, wanted: np.ndarray) -> np.ndarray:
        """Which of some heads, in order, it has."""
        # The greatest head that is not greater than the wanted one is at `places` or less than `step` behind it.
        places = np.maximum(np.searchsorted(self._steps, wanted, side="right") - 1, 0) * STEP
        step = STEP
        while step > 1:
            step //= 2
            behind = np.minimum(places + step, len(self.heads) - 1)
            places = np.where(self.heads[behind] <= wanted, behind, places)
        held: np.ndarray = self.heads[places] == wanted
        return held
