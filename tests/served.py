"""A collector as operators run it: `gridkeeper serve` in a process of its own on the loopback, and real probes beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.intake import waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE_S = 60.0
COMMAND_S = 120


class Served:
    """A home and the collector that serves it."""

    def __init__(self, folder: Path, federation: str) -> None:
        self.home = folder / "home"
        self._log = folder / "serve.log"
        home = Home(self.home)
        home.create()
        home.federation.write_text(federation, encoding="utf-8")
        self.place = wired(self.home)
        self.engine = self.place.database()
        words = [*_GRIDKEEPER, "--home", str(self.home), "serve", "--port", "0", "--commit-seconds", "1"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, stderr=log, stdin=subprocess.DEVNULL, env=_environment())
        self.port = self._port()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, resource: str) -> str:
        """Make a token as an operator makes it."""
        return self.command("token", "create", "--probe", "--resource", resource, "--name", "a test").strip()

    def usage(self, *by: str) -> dict[tuple[str | None, ...], dict[str, float]]:
        """Ask for jobs and hours, as anybody asks, once all that was received is in the books."""
        self.wait_until_loaded()
        measures = "jobs,records,wall_hours,core_hours,cpu_hours"
        told = self.command(
            "usage", "--by", ",".join(by), "--measure", measures, "--grid", "any", "--format", "json"
        )
        return {
            tuple(row[name] for name in by): {name: row[name] or 0 for name in measures.split(",")}
            for row in json.loads(told)
        }

    def wait_until_loaded(self) -> None:
        """Wait until nothing waits in the inbox."""
        until = time.monotonic() + PATIENCE_S
        while waiting.oldest(self.engine)[0] is not None:
            assert time.monotonic() < until, f"what was received is not loaded: {self.said()}"
            time.sleep(0.2)

    def command(self, *words: str) -> str:
        """Run a command of `gridkeeper` on this home."""
        asked = [*_GRIDKEEPER, "--home", str(self.home), *words]
        done = subprocess.run(
            asked, capture_output=True, text=True, timeout=COMMAND_S, check=False, env=_environment()
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        """End the collector."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.engine.dispose()

    def _port(self) -> int:
        until = time.monotonic() + PATIENCE_S
        while True:
            for line in self.said().splitlines():
                said = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
                if said.get("event") == "listening":
                    return int(said["port"])
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.1)

    def said(self) -> str:
        """What it logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")


class RealProbe:
    """A probe in a folder of its own, run as cron runs it. sections: the configuration beyond where to send."""

    def __init__(
        self,
        folder: Path,
        served: Served,
        resource: str,
        kind: str,
        environment: Mapping[str, str] | None = None,
        **sections: Mapping[str, object],
    ) -> None:
        folder.mkdir()
        self.name = f"{kind}-probe"
        self._config = folder / "probe.ini"
        self._environment = _environment(environment)
        secret = folder / "token"
        secret.touch(mode=0o600)
        secret.write_text(served.token(resource) + "\n", encoding="ascii")
        told: dict[str, Mapping[str, object]] = {
            "probe": {"name": self.name, "resource": resource, "kind": kind, "state_dir": folder / "state"},
            "collector": {"url": served.url, "token_file": secret},
            "outbox": {"keep_free_mb": 0},
            **sections,
        }
        lines = [
            line
            for section, settings in told.items()
            for line in (f"[{section}]", *(f"{name} = {value}" for name, value in settings.items()))
        ]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def once(self) -> str:
        """Run one round, which must be OK. Returns: its line."""
        words = [sys.executable, "-m", "gridkeeper.probes", "run", "--once", "--config", str(self._config)]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=COMMAND_S, check=False, env=self._environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("OK"), done.stdout
        return done.stdout


@contextmanager
def served(folder: Path, federation: str) -> Iterator[Served]:
    """Serve a new home as long as it is wanted."""
    collector = Served(folder, federation)
    try:
        yield collector
    finally:
        collector.close()


def _environment(more: Mapping[str, str] | None = None) -> dict[str, Any]:
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    return {name: value for name, value in (more or os.environ).items() if name.lower() not in proxies}


_GRIDKEEPER = (sys.executable, "-m", "gridkeeper")
