"""Slurm on the loopback: munged, slurmdbd, slurmctld and slurmd with a configuration of their own, for one test run.

Nothing of the machine is touched: configuration, state and sockets lie in a temporary folder, the ports are free ones,
the database is made and dropped, and all daemons are ended by their process ids.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.slurm.configuration import PARTITION, PROGRAMS, Ports, write_configuration

if TYPE_CHECKING:
    from collections.abc import Callable

DATABASE_HOST = "127.0.0.1"
PATIENCE_S = 60.0
COMMAND_S = 60
_PATH = f"/usr/sbin:/sbin:{os.environ.get('PATH', os.defpath)}"


def why_not() -> str | None:
    """Why no Slurm can be started here; None: one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if missing:
        return f"needs {', '.join(missing)}; `make test-slurm` says which packages have them"
    if os.geteuid() != 0:
        return "needs root: slurmd starts jobs as their users"
    with suppress(OSError):
        if not socket.gethostbyname(socket.gethostname()).startswith("127."):
            return "needs this host's name on the loopback (in /etc/hosts): Slurm listens where its host's name is"
    if _mariadb("SELECT 1").returncode != 0:
        return f"needs MariaDB at {DATABASE_HOST}:3306, for root without a password"
    return None


@dataclass
class _Daemon:
    name: str
    process: subprocess.Popen[bytes]


class Cluster:
    """One cluster of one node. `environment`: for Slurm's commands, so that they ask this one."""

    name = "loopback"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = f"gridkeeper_slurm_{secrets.token_hex(4)}"
        self._ports = Ports(*(_free_port() for _ in range(3)))
        self._daemons: list[_Daemon] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SACCT"))},
            "PATH": _PATH,
            "SLURM_CONF": str(folder / "etc" / "slurm.conf"),
            "TZ": "UTC",
        }

    def start(self) -> None:
        """Start the daemons, one after the other, each when the one before it answers."""
        write_configuration(self._folder, self.name, self._database, self._ports)
        _mariadb(f"CREATE DATABASE {self._database}").check_returncode()
        self._run_munged()
        self._start_slurmdbd()
        self.sacctmgr("add", "cluster", self.name)
        self._start("slurmctld", "slurmctld", "-D", "-i")
        self._wait("slurmctld", lambda: self.command("scontrol", "ping", check=False).returncode == 0)
        self._start("slurmd", "slurmd", "-D")
        self._wait(
            "slurmd", lambda: "idle" in self.command("sinfo", "--noheader", "--format=%t", check=False).stdout
        )

    def stop(self) -> None:
        """End the jobs and the daemons, and drop the database."""
        if len(self._daemons) == 4:
            with suppress(AssertionError):
                self.command("scancel", f"--partition={PARTITION}", check=False)
                self.wait(
                    "an empty node", lambda: not self.command("squeue", "--noheader", check=False).stdout, 15
                )
        for daemon in reversed(self._daemons):
            self._end(daemon)
        self._daemons.clear()
        _mariadb(f"DROP DATABASE IF EXISTS {self._database}")

    def command(
        self, *words: str, check: bool = True, more: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Slurm's commands."""
        done = subprocess.run(
            words, env={**self.environment, **(more or {})}, capture_output=True, text=True, timeout=COMMAND_S, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
        return done

    def sacctmgr(self, *words: str) -> str:
        """Change or ask Slurm's database."""
        return self.command("sacctmgr", "--immediate", *words).stdout

    def wait(self, what: str, reached: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until something is so."""
        until = time.monotonic() + patience_s
        while not reached():
            assert time.monotonic() < until, (
                f"{what} does not come about in {patience_s:.0f} s\n{self.logs()}"
            )
            time.sleep(0.2)

    def logs(self) -> str:
        """The last lines of what each daemon said."""
        texts = []
        for path in sorted((self._folder / "log").iterdir()):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            texts.append("\n".join([f"--- {path.name}", *lines[-15:]]))
        return "\n".join(texts)

    def listening_addresses(self) -> set[str]:
        """Where the daemons listen."""
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        ours = {f"{port:04X}" for port in self._ports}
        sockets = [line.split()[1].split(":") for line in lines if line.split()[3] == "0A"]
        return {socket.inet_ntoa(bytes.fromhex(address)[::-1]) for address, port in sockets if port in ours}

    def _run_munged(self) -> None:
        run = self._folder / "munge"
        self._start(
            "munged", "munged", "--foreground", f"--socket={run / 'socket'}", f"--key-file={run / 'key'}",
            f"--pid-file={run / 'pid'}", f"--seed-file={run / 'seed'}", f"--log-file={self._folder / 'log' / 'munged'}",
        )  # fmt: skip
        self._wait("munged", lambda: (run / "socket").exists())

    def _start_slurmdbd(self) -> None:
        self._start("slurmdbd", "slurmdbd", "-D")
        self._wait(
            "slurmdbd", lambda: self.command("sacctmgr", "-n", "list", "cluster", check=False).returncode == 0
        )

    def _start(self, name: str, *words: str) -> None:
        # Where the tests are killed, their daemons end with them.
        with (self._folder / "log" / f"{name}.said").open("ab") as said:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *words], env=self.environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        self._daemons.append(_Daemon(name, process))

    def _wait(self, name: str, answers: Callable[[], bool]) -> None:
        def well() -> bool:
            process = self._daemons[-1].process
            assert process.poll() is None, f"{name} ended with {process.returncode}\n{self.logs()}"
            return answers()

        self.wait(f"that {name} answers", well)

    def _end(self, daemon: _Daemon) -> None:
        daemon.process.send_signal(signal.SIGTERM)
        try:
            daemon.process.wait(20)
        except subprocess.TimeoutExpired:
            daemon.process.kill()
            daemon.process.wait()


def _mariadb(statement: str) -> subprocess.CompletedProcess[str]:
    words = ["mariadb", f"--host={DATABASE_HOST}", "--user=root", "--batch", f"--execute={statement}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S, check=False)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
