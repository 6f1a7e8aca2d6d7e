"""What a source is: something that reads a batch system's text piece by piece and can say what runs now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from gridkeeper.probes.cursor import Cursor
    from gridkeeper.probes.queues import Sample

# How the records of a text end; `WHOLE` is never cut.
LINES, BANNERS, BLANK_LINES, WHOLE = "lines", "banners", "blank lines", "whole"
# A record longer than this is shipped in pieces as they come, so that memory stays bounded; the collector
# refuses such a record and keeps it.
RECORD_LIMIT_BYTES = 8 * 1024 * 1024

# What a heartbeat may hold. The collector has these limits from here; a probe that is older or newer than it does
# without its samples where it meets another.
HEARTBEAT_BYTES = 1024 * 1024
# More accounts than any site has; what goes beyond is an error of the question, and is said.
MOST_SAMPLES = 5000
MOST_NAME_CHARACTERS = 256

PASSED, WARNING, CRITICAL = 0, 1, 2


@dataclass(frozen=True)
class Reading:
    """A piece of text, and what reading it means for the cursor.

    text: whole records, redacted if the site wants it, with their preamble; empty when only the cursor moves.
    move: handed to the source's `adopt` once the text is safe; JSON.
    """

    text: bytes
    move: dict[str, Any]
    manner: str = LINES
    preamble_bytes: int = 0
    newest_at: datetime | None = None


@dataclass(frozen=True)
class Finding:
    """What a check of the doctor found: how bad, a sentence, and the remedy."""

    level: int
    about: str
    sentence: str
    remedy: str = ""


@dataclass
class Notes:
    """What a source wants an admin to know though it goes on: collected anew in each round.

    sentences: what is so now. losses: what the batch system threw away before it could be read; kept for days.
    """

    sentences: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Note a sentence once."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def lose(self, sentence: str) -> None:
        """Note a loss once."""
        if sentence not in self.losses:
            self.losses.append(sentence)

    def clear(self) -> None:
        """Begin a new round."""
        self.sentences.clear()
        self.losses.clear()


class Source(Protocol):
    """One batch system at one site."""

    format: str
    notes: Notes

    def readings(self, cursor: Cursor, now: datetime) -> Generator[Reading, None, None]:
        """Yield what is new since `cursor`, oldest first. The cursor is moved between two readings, by `adopt`.

        Raises: SourceUnreadable (permanent), SourceFailed (retryable).
        """

    def adopt(self, cursor: Cursor, move: dict[str, Any], text: bytes) -> None:
        """Move the cursor by a reading whose text is safe. Doing it twice changes nothing more."""

    def read_again(self, cursor: Cursor, since: datetime) -> None:
        """Set the cursor back, so that what ended since then is shipped again."""

    def samples(self) -> list[Sample]:
        """Say what runs and waits now. Raises: SourceUnreadable (permanent), SourceFailed (retryable)."""

    def check(self, now: datetime) -> list[Finding]:
        """Say whether the source can be read, for the doctor. Never raises."""
