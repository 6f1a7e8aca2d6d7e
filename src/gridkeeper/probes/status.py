"""What a probe remembers of its last rounds, for the next one, for the doctor and for the status line."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gridkeeper.probes import clock
from gridkeeper.probes.contract import CRITICAL, PASSED, WARNING
from gridkeeper.probes.durable import write_durably
from gridkeeper.probes.errors import DiskRefused

if TYPE_CHECKING:
    from pathlib import Path

STATUS_FILE = "status.json"
UNKNOWN = 3
LEVEL_NAMES = {PASSED: "OK", WARNING: "WARNING", CRITICAL: "CRITICAL", UNKNOWN: "UNKNOWN"}
LOSSES_SHOWN_FOR = timedelta(days=7)
MOST_LOSSES = 20
LINE_LIMIT = 500


@dataclass
class Status:
    """The last rounds. Times as text, UTC.

    sends:           batches tried since the probe began; decides when the newest has its turn.
    failures:        how many tries failed one after another. retry_at: not before.
    refused, failed: why the last try was not taken; empty when it was.
    source_problem:  why the source could not be read, with source_permanent.
    limit:           which limit has stopped the reading.
    losses:          what the batch system threw away before it could be read, with the time.
    """

    last_round_at: str = ""
    last_receipt: str = ""
    last_receipt_at: str = ""
    last_heartbeat_at: str = ""
    newest_record_at: str = ""
    sends: int = 0
    delivered: int = 0
    failures: int = 0
    retry_at: str = ""
    refused: str = ""
    failed: str = ""
    rejected: str = ""
    source_problem: str = ""
    source_permanent: bool = False
    samples_problem: str = ""
    heartbeat_problem: str = ""
    disk_problem: str = ""
    limit: str = ""
    notes: list[str] = field(default_factory=list)
    losses: list[list[str]] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> Status:
        """Read the status; what cannot be read is forgotten, for nothing depends on it."""
        try:
            said = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
            known = {entry.name for entry in fields(cls)}
            return cls(**{name: value for name, value in said.items() if name in known})
        except (OSError, ValueError, TypeError, AttributeError):
            return cls()

    def save(self, folder: Path) -> None:
        """Write the status; a full disk must not stop the sending that may empty it."""
        with suppress(DiskRefused):
            write_durably(folder / STATUS_FILE, json.dumps(asdict(self), indent=1).encode())

    def lose(self, sentences: list[str], now: datetime) -> None:
        """Remember losses for some days, and forget old ones."""
        kept = [loss for loss in self.losses if abs(now - clock.from_text(loss[0])) < LOSSES_SHOWN_FOR]
        self.losses = [*kept, *([clock.as_text(now), sentence] for sentence in sentences)][-MOST_LOSSES:]

    def problems(self) -> list[tuple[int, str]]:
        """All that is wrong now, the worst first; the age of the backlog is judged elsewhere."""
        source_level = CRITICAL if self.source_permanent else WARNING
        found = [
            (CRITICAL, self.refused),
            (source_level, self.source_problem),
            (CRITICAL, self.disk_problem),
            (WARNING, self.limit and f"reading has stopped: {self.limit}"),
            *((WARNING, f"{sentence} (since {at})") for at, sentence in self.losses),
            (WARNING, self.failed),
            (WARNING, self.rejected),
            (WARNING, self.heartbeat_problem),
            (WARNING, self.samples_problem),
            *((WARNING, note) for note in self.notes),
        ]
        told = [(level, sentence) for level, sentence in found if sentence]
        return sorted(told, key=lambda problem: -problem[0])

    def problem_sentence(self) -> str | None:
        """All problems as one text for the heartbeat."""
        text = "; ".join(sentence for _, sentence in self.problems())
        return text[:LINE_LIMIT] or None


@dataclass(frozen=True)
class Verdict:
    """One Nagios status: a level, which is also the exit code, a sentence, and figures as performance data."""

    level: int
    sentence: str
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """`WARNING - what is wrong | backlog=3 ...`, one line; a bar inside the sentence would end it."""
        sentence = " ".join(self.sentence.replace("|", "/").split())[:LINE_LIMIT]
        figures = " ".join(f"{name}={value}" for name, value in self.figures.items())
        return f"{LEVEL_NAMES[self.level]} - {sentence}" + (f" | {figures}" if figures else "")


def backlog_problem(
    oldest_at: str | None, count: int, now: datetime, warn_hours: int, critical_hours: int
) -> tuple[int, str] | None:
    """Judge how long the oldest batch has waited."""
    age = age_s(oldest_at, now)
    if age is None or age < warn_hours * 3600:
        return None
    level = CRITICAL if age >= critical_hours * 3600 else WARNING
    return level, f"{count} batches wait, the oldest for {in_words(age)}"


def age_s(moment: str | None, now: datetime) -> float | None:
    """Say how long ago a moment was, in seconds; None where there is none. Never negative, whatever clocks do."""
    try:
        return max(0.0, (now - clock.from_text(moment)).total_seconds()) if moment else None
    except ValueError:
        return None


def in_words(seconds: float) -> str:
    """Say a length of time in its greatest unit."""
    for unit, size in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
