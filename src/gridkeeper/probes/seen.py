"""Remembers what was shipped of the time that is read again and again: a bounded set of hashes, kept on disk."""

from __future__ import annotations

import hashlib
import sys
from array import array
from typing import TYPE_CHECKING

from gridkeeper.probes.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAGIC = b"gridkeeper-seen-1\n"
_HASH_BYTES = 8
_CHECK_BYTES = 16
# When the set is full, this part of it goes at once, so that sorting is rare.
_SHARE_FORGOTTEN = 10


class Seen:
    """Hashes with a stamp (seconds since 1970) each; both must agree for something to count as seen.

    At most `limit` are kept, the latest stamps. Losing one costs a resend, which the collector counts once.
    forgotten_to: the greatest stamp that was given up for the limit, 0 for none.
    """

    def __init__(self, limit: int) -> None:
        self._stamps: dict[int, int] = {}
        self._limit = limit
        self.forgotten_to = 0
        self.changed = False

    def __len__(self) -> int:
        return len(self._stamps)

    def has(self, text: bytes, stamp: int) -> bool:
        """Say whether this text with this stamp was added before."""
        return self._stamps.get(_hash(text)) == stamp

    def add(self, text: bytes, stamp: int) -> None:
        """Remember a text."""
        self._stamps[_hash(text)] = stamp
        self.changed = True
        if len(self._stamps) > self._limit:
            self._make_room()

    def forget_before(self, stamp: int) -> None:
        """Drop what is older than `stamp`; it will not be read again."""
        kept = {key: value for key, value in self._stamps.items() if value >= stamp}
        self.changed |= len(kept) != len(self._stamps)
        self._stamps = kept

    def forget_from(self, stamp: int) -> None:
        """Drop what is of `stamp` or later: it is shipped again."""
        kept = {key: value for key, value in self._stamps.items() if value < stamp}
        self.changed |= len(kept) != len(self._stamps)
        self._stamps = kept

    def keep_only(self, texts: Iterable[bytes]) -> None:
        """Drop all but these texts."""
        present = {_hash(text) for text in texts}
        kept = {key: value for key, value in self._stamps.items() if key in present}
        self.changed |= len(kept) != len(self._stamps)
        self._stamps = kept

    def clear(self) -> None:
        """Forget everything: all is shipped again."""
        self._stamps, self.forgotten_to, self.changed = {}, 0, True

    def _make_room(self) -> None:
        stamps = sorted(self._stamps.values())
        border = stamps[len(stamps) // _SHARE_FORGOTTEN]
        self._stamps = {key: value for key, value in self._stamps.items() if value > border}
        self.forgotten_to = max(self.forgotten_to, border)

    def save(self, path: Path) -> None:
        """Write the set if it changed. Raises: DiskRefused (retryable)."""
        if not self.changed:
            return
        numbers = array("Q", [self.forgotten_to, *self._stamps.keys(), *self._stamps.values()])
        if sys.byteorder == "big":
            numbers.byteswap()
        body = numbers.tobytes()
        write_durably(path, _MAGIC + _check(body) + body)
        self.changed = False

    @classmethod
    def load(cls, path: Path, limit: int) -> Seen:
        """Read the set; a missing or damaged file is an empty set, which costs a resend and loses nothing."""
        seen = cls(limit)
        try:
            content = path.read_bytes()
        except OSError:
            return seen
        body = content[len(_MAGIC) + _CHECK_BYTES :]
        if not content.startswith(_MAGIC + _check(body)):
            return seen
        numbers = array("Q")
        numbers.frombytes(body)
        if sys.byteorder == "big":
            numbers.byteswap()
        count = (len(numbers) - 1) // 2
        seen.forgotten_to = numbers[0]
        seen._stamps = {numbers[place]: numbers[place + count] for place in range(1, count + 1)}
        return seen


def _hash(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=_HASH_BYTES).digest(), "little")


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES).digest()
