"""HAProxy, nginx and collectors as processes of their own on the loopback; each is ended by its process id."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.databases import SERVICES_REQUIRED
from tests.live_collector import ROOT, Live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STARTS_WITHIN_S = 30.0
STOPS_WITHIN_S = 15.0
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_PLAIN = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
# Where the tests are killed, what they started ends with them.
_WITH_US = ("setpriv", "--pdeathsig", "TERM")


def program(name: str) -> str:
    """Where a server's program is; without it the test is skipped, or fails where services are required."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        reason = f"needs {name}; on Debian: apt-get install haproxy nginx-light"
        if SERVICES_REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_until(holds: Callable[[], bool], patience_s: float, what: str) -> None:
    """Wait until something is so."""
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, f"{what}: not in {patience_s:.0f} s"
        time.sleep(0.05)


class Collecting(Live):
    """`gridkeeper collect` on a port. Its first request may be sent when `be_ready` returned."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self.lines: list[str] = []
        gridkeeper = (sys.executable, "-m", "gridkeeper", "--home", str(home))
        self.process = subprocess.Popen(
            [*_WITH_US, *gridkeeper, "collect", "--port", str(port), "--commit-seconds", "1"],
            cwd=ROOT, env=_PLAIN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def be_ready(self) -> Collecting:
        """Wait until it listens. Returns: itself."""
        assert int(self.wait_for("listening")["port"]) == self.port
        return self

    def posts(self) -> int:
        """How many posts it answered well so far."""
        return sum(
            told["method"] == "POST" and int(told["status"]) in (200, 202) for told in self.events("answered")
        )

    def loaders(self) -> list[int]:
        """The processes that it started."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [
            int(word) for task in tasks for word in (task / "children").read_text(encoding="ascii").split()
        ]


@contextlib.contextmanager
def running(folder: Path, port: int, *words: str) -> Iterator[None]:
    """Run a proxy in the foreground until it is wanted no more; what it says lies in its folder."""
    said = folder / "said"
    with said.open("ab") as log:
        process = subprocess.Popen(
            [*_WITH_US, *words], cwd=folder, env=_PLAIN, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def listens() -> bool:
        assert process.poll() is None, f"{words[0]} ended: {said.read_text(encoding='utf-8')}"
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, STARTS_WITHIN_S, f"{words[0]} listens")
        yield
    finally:
        _end(process)


def haproxy(folder: Path, port: int, configuration: str) -> contextlib.AbstractContextManager[None]:
    """Run HAProxy with this `haproxy.cfg`, which listens on `port`."""
    name = program("haproxy")
    path = folder / "haproxy.cfg"
    path.write_text(configuration, encoding="utf-8")
    checked = subprocess.run([name, "-c", "-f", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
    return running(folder, port, name, "-db", "-f", str(path))


def nginx(folder: Path, port: int, server: str) -> contextlib.AbstractContextManager[None]:
    """Run nginx with this `server` block, which listens on `port`; all of its files lie in `folder`."""
    name = program("nginx")
    path = folder / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"    {kind}_temp_path {folder / kind};" for kind in kinds)
    path.write_text(
        f"daemon off;\nmaster_process off;\npid {folder / 'nginx.pid'};\nerror_log stderr warn;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{places}\n{server}\n}}\n",
        encoding="utf-8",
    )
    return running(folder, port, name, "-e", "stderr", "-p", str(folder), "-c", str(path))


class RuntimeSocket:
    """HAProxy's runtime socket, as an operator asks it with `socat`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def say(self, command: str) -> str:
        """Give a command. Returns: what is answered."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect(str(self._path))
            asking.sendall(command.encode() + b"\n")
            answer = b""
            while piece := asking.recv(65_536):
                answer += piece
        return answer.decode()

    def of(self, backend: str, server: str) -> dict[str, str]:
        """The line of `show stat` for one server: name of a column → value."""
        table = csv.DictReader(self.say("show stat").removeprefix("# ").strip().splitlines())
        (row,) = (row for row in table if (row["pxname"], row["svname"]) == (backend, server))
        return row


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
