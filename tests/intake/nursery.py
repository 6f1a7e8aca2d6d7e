"""Starts collectors and loaders quickly, so that many can be killed: imports once, then forks each from here.

`python -m tests.intake.nursery HOME` reads commands on stdin, a line each: `collector PORT`, `loader NUMBER`; it answers
with the process id of what it started. Nothing here starts a thread or an engine, so that a fork is safe.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import uvicorn

from gridkeeper import clock
from gridkeeper.cli.wiring import wired
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.inbox import Inbox
from gridkeeper.settings import Settings
from gridkeeper.trust.door import Door
from gridkeeper.web.app import make_app
from gridkeeper.web.reading import Reading
from gridkeeper.web.services import Services

SETTINGS = Settings.model_validate(
    {
        "trust": {"addresses": ["127.0.0.1/32"]},
        "intake": {"commit_seconds": 1, "requests_per_minute": 1_000_000},
    }
)


def collector(home: Path, port: int) -> None:
    """Serve until killed."""
    place = wired(home)
    engine = place.database()
    inbox = Inbox(engine, home, SETTINGS.intake)
    door = Door(engine, SETTINGS.server, SETTINGS.trust)
    reading = Reading(place.lake, place.watch.registry, clock.now)
    services = Services(home, SETTINGS, engine, inbox, door, place.watch, reading, clock.now)
    uvicorn.run(make_app(services), host="127.0.0.1", port=port, log_config=None, access_log=False)


def loader(home: Path) -> None:
    """Load until killed."""
    place = wired(home)
    Drain(place.database(), place.lake, SETTINGS.intake, lambda: None, workers=2).run(threading.Event())


def main() -> None:
    """Obey."""
    home = Path(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who dies is nobody's business here
    print("ready", flush=True)
    for line in sys.stdin:
        what, *words = line.split()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            try:
                collector(home, int(words[0])) if what == "collector" else loader(home)
            finally:
                os._exit(1)
        print(child, flush=True)


if __name__ == "__main__":
    main()
