"""A collector on the loopback that keeps what it is sent, and can be told to be difficult."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

TOKEN = "token-of-the-tests"


@dataclass
class Reply:
    """What the fake answers."""

    status: int
    body: dict[str, Any] | bytes = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Delivery:
    """A batch that was taken."""

    key: str
    format: str
    resource: str
    probe: str
    text: str


class FakeCollector:
    """What it was sent, in order. `difficult` may answer in its place: it gets the request and its number."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.resent: list[str] = []
        self.mistakes: list[str] = []
        self.difficult: Callable[[str, bytes], Reply | None] = lambda path, body: None
        self.keep: Callable[[str], str] = lambda text: text
        self.now = "2026-11-23T12:00:00Z"
        self.port = 0
        self._receipts: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[str]:
        """All lines of all batches, in the order they came, headers of sacct left out."""
        return [
            line
            for delivery in self.deliveries
            for line in delivery.text.splitlines()
            if line and not line.startswith("JobID|")
        ]

    def forget(self) -> None:
        """Begin anew."""
        self.deliveries.clear()
        self._receipts.clear()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        with self._lock:
            self.requests.append((target, headers))
            path = urlsplit(target).path
            difficulty = self.difficult(path, body)
            if difficulty is not None:
                return difficulty
            if headers.get("authorization") != f"Bearer {TOKEN}":
                return Reply(401, {"error": "this token is not known here"})
            if path == "/api/v1/clock":
                return Reply(200, {"now": self.now})
            if path == "/api/v1/heartbeats":
                self.heartbeats.append(json.loads(body))
                return Reply(202)
            return self._take(target, headers, body)

    def _take(self, target: str, headers: dict[str, str], body: bytes) -> Reply:
        key = headers["idempotency-key"]
        if key in self._receipts:
            self.resent.append(key)
            if self._receipts[key][0] != body:
                self.mistakes.append(f"{key} came with other bytes")
                return Reply(409, {"error": "this Idempotency-Key is that of another batch"})
            return Reply(200, self._receipts[key][1])
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        text = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        self.deliveries.append(
            Delivery(
                key,
                query["format"],
                query["resource"],
                query["probe"],
                self.keep(text.decode("utf-8", "replace")),
            )
        )
        number = f"b{len(self.deliveries)}"
        receipt = {"batch": number, "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
        self._receipts[key] = (body, receipt)
        return Reply(202, receipt)


class _Handler(BaseHTTPRequestHandler):
    collector: FakeCollector

    def do_POST(self) -> None:
        self._answer("POST")

    def do_GET(self) -> None:
        self._answer("GET")

    def _answer(self, method: str) -> None:
        announced = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(announced)
        if len(body) < announced:
            self.close_connection = True
            return  # the probe was killed while it sent: that was no batch
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.collector.answer(method, self.path, headers, body)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the probe was killed while it waited

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A probe that hangs up, because it trusts nobody here, is no error of the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def listening(collector: FakeCollector, tls: ssl.SSLContext | None = None) -> Iterator[FakeCollector]:
    """Let a collector listen; on the port it had before, if it had one."""
    handler = type("Handler", (_Handler,), {"collector": collector})
    server = _Server(("127.0.0.1", collector.port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fake_collector() -> Iterator[FakeCollector]:
    """A collector that listens."""
    with listening(FakeCollector()) as collector:
        yield collector
