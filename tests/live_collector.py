"""A collector as operators run it: `gridkeeper serve` as a process of its own, with its loader, on a free port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).parents[1]
STARTS_WITHIN_S = 90.0
STOPS_WITHIN_S = 90.0


class Live:
    """The running process, and every line it wrote."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gridkeeper", "--home", str(home), "serve", "--port", "0", *options],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.wait_for("listening")["port"])

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name so far."""
        found = []
        for line in list(self.lines):
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and told.get("event") == name:
                    found.append(told)
        return found

    def wait_for(self, name: str) -> dict[str, Any]:
        """The first event of this name."""
        self.wait_until(lambda: bool(self.events(name)) or self.process.poll() is not None, STARTS_WITHIN_S)
        found = self.events(name)
        assert found, f"the collector never said {name!r}: {self.lines[-20:]}"
        return found[0]

    def wait_until(self, holds: Callable[[], bool], patience_s: float) -> None:
        """Wait until something holds; fail with the last lines where it never does."""
        until = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < until, f"waited {patience_s} s in vain: {self.lines[-20:]}"
            time.sleep(0.05)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """One request on a connection of its own: status, body, headers (names in lower case)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def stop(self) -> None:
        """End it as an operator does; nothing is left running."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(5)
            assert self.process.stderr is not None
            self.process.stderr.close()


@contextlib.contextmanager
def live_collector(home: Path, *options: str) -> Iterator[Live]:
    """Run a collector over a home that is there."""
    running = Live(home, *options)
    try:
        yield running
    finally:
        running.stop()
