"""Runs the collector: its doors in this process, the loader behind them as a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from gridkeeper.cli.schedule import press_of
from gridkeeper.cli.wiring import Wired
from gridkeeper.clock import now
from gridkeeper.errors import BadConfiguration, UserMistake
from gridkeeper.intake import memory, waiting
from gridkeeper.intake.draining import Drain
from gridkeeper.intake.inbox import Inbox
from gridkeeper.intake.rolling_up import forget_hours, roll_up
from gridkeeper.lake import archive
from gridkeeper.lake.maintenance import LEAST_KEEP_DAYS, compact, summed
from gridkeeper.schedules.scheduler import Scheduler
from gridkeeper.settings import Server, Settings
from gridkeeper.trust.audit import SCHEDULER
from gridkeeper.trust.door import Door
from gridkeeper.web.app import make_app
from gridkeeper.web.connections import GuardedConnection
from gridkeeper.web.reading import Reading
from gridkeeper.web.services import Services

LONGEST_PAUSE_S = 30.0
# Threads that read what waits: more of them do not help one process's commits, and take from the door.
MOST_READERS = 2
# Who answers must not wait 5 ms, Python's default, at each step for a thread that makes pages anew behind everybody's back.
TURN_S = 0.0005
STOPS_WITHIN_S = 120.0
MOST_CONNECTIONS = 2_000
log = structlog.get_logger("serve")


def load_waiting(place: Wired, commit_seconds: int | None, once: bool, follow_stdin: bool) -> str | None:
    """Load what waits in the inbox: once, or until told to stop; what was done once, in words."""
    log_as_json()
    memory.take_sparingly()
    limits = with_options(place.settings, None, commit_seconds).intake
    loader = Drain(
        place.database(),
        place.lake,
        limits,
        lambda: place.refresh(registry=place.watch.registry()),
        min(os.cpu_count() or 1, MOST_READERS),
    )
    if once:
        drained = loader.once()
        place.refresh()
        failed = (
            f"; the loader failed over {drained.failed:,} more, its log says why" if drained.failed else ""
        )
        return f"loaded {drained.batches:,} batches with {drained.records:,} records{failed}"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if follow_stdin:  # the collector holds the other end: when it ends, however it ends, so does its loader
        threading.Thread(target=_follow, args=(stop,), daemon=True).start()
    loader.run(stop)
    return None


def _follow(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def with_options(settings: Settings, addresses: list[str] | None, commit_seconds: int | None) -> Settings:
    """The settings with what the command line says put in. Raises: UserMistake (permanent)."""
    changes: dict[str, Any] = {}
    if commit_seconds is not None:
        changes["intake"] = settings.intake.model_copy(update={"commit_seconds": commit_seconds})
    if addresses:
        try:
            more = tuple(ip_network(address) for address in addresses)
        except ValueError as error:
            raise UserMistake(
                f"--trust-address: {error}; write an address or a network, as 192.0.2.0/24"
            ) from None
        changes["trust"] = settings.trust.model_copy(update={"addresses": (*settings.trust.addresses, *more)})
    return settings.model_copy(update=changes)


def collect(
    place: Wired,
    host: str | None,
    port: int | None,
    addresses: list[str] | None,
    commit_seconds: int | None,
    *,
    scheduling: bool = False,
) -> None:
    """Listen until told to stop. Raises: UserMistake (permanent) where the address cannot be had."""
    log_as_json()
    settings = with_options(place.settings, addresses, commit_seconds)
    for network in settings.trust.addresses:
        log.warning("senders at this address need no credentials", address=str(network))
    engine = place.database()
    inbox = Inbox(engine, place.home.path, settings.intake)
    loader = Child(_loader_command(place.home.path, settings.intake.commit_seconds))
    door = Door(engine, settings.server, settings.trust)
    reading = Reading(place.lake, place.watch.registry, now, place.corrections)
    services = Services(
        place.home.path, settings, engine, inbox, door, place.watch, reading, now, {"loader": loader.fault}
    )
    scheduler = Scheduler(press_of(place, place.watch.registry), now, upkeep(place)) if scheduling else None
    config = server_config(services, host, port)
    listening = bound(config)
    where = listening.getsockname()
    sys.setswitchinterval(TURN_S)
    log.info("listening", address=where[0], port=where[1], home=str(place.home.path))
    loader.start()
    if scheduler is not None:
        scheduler.start()
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # the server ends well and then raises the signal again, for us
        signal.signal(number, lambda *_: None)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        inbox.close()
        reading.close()
        if scheduler is not None:
            scheduler.stop()
        loader.stop()
        log.info("stopped")


def server_config(services: Services, host: str | None, port: int | None) -> uvicorn.Config:
    """How the server listens and what it lets a connection do. Raises: BadConfiguration (permanent) where it cannot speak TLS."""
    server = services.settings.server
    _must_be_a_certificate(server)
    return uvicorn.Config(
        make_app(services),
        host=host or server.host,
        port=server.port if port is None else port,
        ssl_certfile=server.tls_certificate,
        ssl_keyfile=server.tls_key,
        log_config=None, access_log=False, server_header=False, proxy_headers=False,
        http=GuardedConnection, ws="none",
        limit_concurrency=MOST_CONNECTIONS, timeout_keep_alive=75, timeout_graceful_shutdown=20,
    )  # fmt: skip


def _must_be_a_certificate(server: Server) -> None:
    place = "gridkeeper.toml: server.tls_certificate"
    if server.tls_certificate is None:
        if server.tls_key is not None:
            raise BadConfiguration(f"{place} is not there beside server.tls_key; name the certificate, too")
        return
    for key, file in (("tls_certificate", server.tls_certificate), ("tls_key", server.tls_key)):
        try:
            if file is not None:
                file.open("rb").close()
        except OSError as error:
            raise BadConfiguration(
                f"gridkeeper.toml: server.{key}: {file} cannot be read: {error.strerror}; name a PEM file that this user may read"
            ) from error
    try:  # the empty password: else OpenSSL would ask somebody at the terminal
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            server.tls_certificate, server.tls_key, password=""
        )
    except ssl.SSLError as error:
        held_in = server.tls_key or server.tls_certificate
        raise BadConfiguration(
            f"{place}: {server.tls_certificate} with the key in {held_in} cannot be used: {error.reason or error}; "
            "it takes a certificate chain in PEM and its own key in PEM, without a password"
        ) from error


def bound(config: uvicorn.Config) -> socket.socket:
    """The socket that the server listens on. Raises: UserMistake (permanent) where the address cannot be had."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # With its protocol named, asyncio lets answers leave at once; else a kept connection waits 40 ms for each.
    listening = socket.socket(family, proto=socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
        listening.listen(config.backlog)  # who comes from here on waits for the server, and is not refused
    except OSError as error:
        raise UserMistake(
            f"{config.host}:{config.port} cannot be listened on: {error.strerror}; name another with --host and --port"
        ) from error
    return listening


def upkeep(place: Wired) -> dict[str, Callable[[], object]]:
    """What is done once a day: small files joined, old samples rolled up; old text, receipts and hours let go."""
    keep_days, kept_days = place.settings.archive.keep_days, place.settings.intake.kept_days
    probes = place.settings.probes

    def join() -> None:
        done = summed(compact(place.lake))
        if done["removed"] or done["files_before"] != done["files_after"]:
            place.audited("lake.compact", "all tables", {"keep_days": LEAST_KEEP_DAYS} | done, SCHEDULER)

    def forget_receipts() -> None:
        waiting.forget(place.database(), now() - timedelta(days=kept_days), who=SCHEDULER)

    def shorten_samples() -> None:
        before = now() - timedelta(days=probes.samples_days)
        if hours := roll_up(place.database(), before):
            place.audited(
                "probes.roll-up", f"samples before {before:%Y-%m-%d %H:%M}", {"hours": hours}, SCHEDULER
            )

    def forget_heard() -> None:
        before = now() - timedelta(days=probes.hours_days)
        if rows := forget_hours(place.database(), before):
            place.audited("probes.forget", f"hours before {before:%Y-%m-%d %H:%M}", {"rows": rows}, SCHEDULER)

    def forget_text(days: int) -> None:
        before = (now() - timedelta(days=days)).date()
        if files := archive.forget(place.lake.root, before):
            place.audited(
                "archive.forget",
                f"months before {before:%Y-%m}",
                {"keep_days": days, "files": files},
                SCHEDULER,
            )

    work: dict[str, Callable[[], object]] = {
        "join small files": join,
        "roll samples up": shorten_samples,
        "forget old hours": forget_heard,
        "forget old receipts": forget_receipts,
    }
    if keep_days is not None:
        work["forget old text"] = lambda: forget_text(keep_days)
    return work


def _loader_command(home: Path, commit_seconds: int) -> list[str]:
    return [
        sys.executable, "-m", "gridkeeper", "--home", str(home), "drain",
        "--follow-stdin", "--commit-seconds", str(commit_seconds),
    ]  # fmt: skip


class Child:
    """Keeps a process running: starts it again when it ends, after a pause that doubles."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="loader", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def fault(self) -> str | None:
        """Say what is wrong with it; None where it runs."""
        process = self._process
        return (
            None
            if process is not None and process.poll() is None
            else "the loader does not run; it is started again"
        )

    def stop(self) -> None:
        """End it: it finishes what it commits. One that does not end in time is killed, which loses nothing."""
        self._stopping.set()
        process = self._process
        if process is not None:
            self._end(process)
        self._thread.join(timeout=5)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _keep(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            began = now()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                start_new_session=True,
                env={**memory.sparing_environment(), **os.environ},
            )
            code = self._process.wait()
            if self._stopping.is_set():
                return
            log.error("the loader ended and is started again", code=code, pause_s=pause)
            if (now() - began).total_seconds() > 60:
                pause = 1.0
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def log_as_json() -> None:
    """Write one JSON object a line on stderr, with the request's id where there is one."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A line in one piece: the loader writes to the same stream.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    of_others = logging.StreamHandler(sys.stderr)  # what libraries log in Python's own way
    of_others.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[of_others], level=logging.WARNING)
