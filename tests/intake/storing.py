"""Takes batches in and loads them, on command, in a process of its own: `python -m tests.intake.storing HOME`.

Commands on stdin, a line each: `send MONTH FIRST COUNT` (into the inbox), `load` (what waits), `refresh` (the
summaries). `done` is written when a command is finished, which means: what it did must survive anything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gridkeeper.cli.serving import log_as_json
from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.inbox import Arrival, Inbox, Upload
from gridkeeper.settings import Settings
from gridkeeper.summaries.refreshing import refresh
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from concurrent.futures import Future

PART = 64 * 1024


def jobs(month: str, first: int, count: int) -> bytes:
    """A text of `count` jobs that ended in a month."""
    return sacct(*range(first, first + count)).replace(b"2026-11-", month.encode() + b"-")


def send(inbox: Inbox, text: bytes) -> None:
    """Put a batch into the inbox, in parts; it is acknowledged when this returns."""
    upload = inbox.open_upload(Arrival("native", "sacct", "identity", "alice", "127.0.0.1", "alpha"))
    parts: list[Future[object]] = []
    assert isinstance(upload, Upload)
    while len(text) > PART:
        parts.append(inbox.add_part(upload, text[:PART]))
        text = text[PART:]
    for part in parts:
        part.result()
    inbox.finish(upload, text).result()


def main() -> None:
    """Obey."""
    log_as_json()  # not on stdout
    home = Home(Path(sys.argv[1]))
    home.create()
    place = wired(home.path)
    limits = Settings.model_validate({"intake": {"free_disk_bytes": 0}}).intake
    engine = place.database()
    inbox = Inbox(engine, home.path, limits)
    drain = Drain(engine, place.lake, limits, lambda: None)
    print("done", flush=True)
    for line in sys.stdin:
        what, *words = line.split()
        if what == "send":
            send(inbox, jobs(words[0], int(words[1]), int(words[2])))
        elif what == "load":
            drain.once()
        elif what == "refresh":
            refresh(place.lake, place.registry)
        print("done", flush=True)
    inbox.close()


if __name__ == "__main__":
    main()
