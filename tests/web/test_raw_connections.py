"""What strangers do to connections: heads and bodies a byte at a time, requests with two ends, and no HTTP at all."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import uvicorn

from gridkeeper.cli.serving import bound, server_config
from gridkeeper.config import Home
from gridkeeper.trust.tokens import create
from gridkeeper.web import connections, receiving
from tests.collectors import collector
from tests.databases import settle
from tests.live_collector import Live, live_collector
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import BATCHES, sacct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
SOON_S = 1.0  # what is a minute in earnest
BOUNDED_S = 30.0  # far more than SOON_S, on however busy a machine
SECRET = "5ec2e7" * 8


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[uvicorn.Server, int]]:
    """The real server over a home, in a thread, with little patience; and its port."""
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", SOON_S)
    monkeypatch.setattr(receiving, "PATIENCE_S", SOON_S)
    settings = {"trust": {"addresses": ["127.0.0.1/32"]}, "intake": {"idle_seconds": 1}}
    made = collector(tmp_path / "home", settings)
    config = server_config(replace(made.services), "127.0.0.1", 0)
    server, listening = uvicorn.Server(config), bound(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield server, listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()
    made.close()


@pytest.fixture
def port(server: tuple[uvicorn.Server, int]) -> int:
    """Where the real server listens."""
    return server[1]


def all_of(connection: socket.socket) -> bytes:
    """What is answered until the other end closes the connection, which it must."""
    connection.settimeout(BOUNDED_S)
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            found += piece
    return found


def said(port: int, request: bytes) -> bytes:
    """The answers to bytes after which nothing comes."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        return all_of(connection)


def drip(port: int, begin: bytes, every_s: float = 0.05) -> bytes:
    """Send a beginning, and then a byte now and then, for ever; return what was answered before the end."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(every_s)
        connection.sendall(begin)
        found = b""
        until = time.monotonic() + BOUNDED_S
        while time.monotonic() < until:
            try:
                connection.sendall(b"a")
                piece = connection.recv(65_536)
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                return found
            if not piece:
                return found
            found += piece
    pytest.fail("a slow sender was never cut off")


def ask(port: int, path: str = "/healthz") -> bytes:
    return said(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


def test_who_sends_its_head_a_byte_at_a_time_is_cut_off_and_others_are_served(port: int) -> None:
    ended = []
    slow = [
        threading.Thread(
            target=lambda: ended.append(drip(port, b"POST /gratia-servlets/rmi HTTP/1.1\r\nX: "))
        )
        for _ in range(20)
    ]
    for one in slow:
        one.start()
    assert ask(port).startswith(b"HTTP/1.1 200")
    for one in slow:
        one.join()
    assert ended == [b""] * 20


def test_who_opens_a_connection_and_says_nothing_is_cut_off(port: int) -> None:
    assert said(port, b"") == b""


def test_who_sends_its_body_a_byte_at_a_time_is_cut_off_with_408(port: int) -> None:
    head = (
        b"POST /gratia-servlets/rmi HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\ncommand=update&arg1="
    )
    answer = drip(port, head)
    assert answer.startswith(b"HTTP/1.1 408")
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"Error: ")


def test_who_stops_in_the_middle_of_its_body_is_cut_off_with_408(port: int) -> None:
    answer = said(port, b"POST /gratia-servlets/rmi HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\ncomm")
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("sent", [0, 1, 200])
def test_who_dies_while_it_sends_a_batch_may_send_it_again_under_the_same_key(port: int, sent: int) -> None:
    """Nothing of the first try may stay: the key would be that of other bytes, and the batch refused for ever."""
    body = gzip.compress(sacct(*range(100)))
    head = (
        f"POST {BATCHES} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nIdempotency-Key: alpha.1.0123\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    assert sent < len(body)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + body[:sent])
        connection.shutdown(socket.SHUT_WR)
        assert b" 202 " not in all_of(connection)
    assert said(port, head + body).startswith(b"HTTP/1.1 202")
    assert said(port, head + body).startswith(b"HTTP/1.1 200")


def test_a_body_that_nobody_reads_ends_with_its_connection(port: int) -> None:
    answer = drip(port, b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")


def test_a_kept_connection_serves_request_after_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(BOUNDED_S)
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(SOON_S * 1.2)  # to be silent between requests is no offence


def test_an_answer_on_a_kept_connection_leaves_at_once(server: tuple[uvicorn.Server, int]) -> None:
    """Else the kernel holds back each answer's second part for 40 ms, until its first is acknowledged."""
    running, port = server
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(65_536)
        [kept] = [one.transport.get_extra_info("socket") for one in running.server_state.connections]
        assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


SMUGGLED = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = post("multiupdate", envelope(record(1)))


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5\r\n folded: yes\r\n X: chunked\r\nTransfer-Encoding:\tchunked\r\n",
    ],
)
def test_a_request_with_two_ends_is_refused_and_what_follows_is_no_request(port: int, lengths: bytes) -> None:
    head = b"POST /gratia-servlets/rmi HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n"
    answer = said(port, head + b"0\r\n\r\n" + SMUGGLED)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.split(b" ", 2)[1] in (b"400", b"501")
    assert not answer.endswith(b"OK")


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /gratia-servlets/rmi HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://169.254.0.1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_the_server_lives(port: int, bytes_sent: bytes) -> None:
    answer = said(port, bytes_sent)
    assert not answer.endswith(b"OK")
    assert b"root:" not in answer
    assert b"HTTP/1.1 5" not in answer
    assert ask(port).startswith(b"HTTP/1.1 200")


@pytest.fixture
def live(tmp_path: Path, on_each_engine: str | None) -> Iterator[Live]:
    Home(tmp_path / "home").create()
    settle(tmp_path / "home")
    with live_collector(tmp_path / "home", "--trust-address", "127.0.0.1/32") as running:
        yield running


def test_a_real_server_writes_no_secret_whatever_is_done_to_it(live: Live) -> None:
    from gridkeeper.cli.wiring import wired

    token = create(wired(live.home).database(), role="probe", who="local carol", resources=("alpha",)).text
    secrets = {
        token: token.rpartition("_")[2],
        f"gk_01234567_{SECRET}": SECRET,
        f"eyJhbGciOiJub25lIn0.e30.{SECRET}": SECRET,
    }
    answers = []
    for credential in secrets:
        bearer = f"Authorization: Bearer {credential}\r\n"
        requests = (
            f"GET /api/v1/batches/{credential}?token={credential} HTTP/1.1\r\nHost: x\r\n{bearer}Connection: close\r\n\r\n",
            f"POST /gratia-servlets/rmi HTTP/1.1\r\nHost: x\r\n{bearer}{bearer}Content-Length: 0\r\nConnection: close\r\n\r\n",
            f"POST /api/v1/batches?format=sacct&resource=alpha HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: 1\r\nConnection: close\r\n\r\nx",
            f"POST /api/v1/batches?format={credential} HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            f"GET /{credential} HTTP/9.9\r\nHost: x\r\n{bearer}Connection: close\r\n\r\n",
            f"GET /\xff{credential} HTTP/1.1\r\nHost: x\r\n{bearer}Connection: close\r\n\r\n",
            f"{bearer}\r\n",
            f"POST /api/v1/heartbeats HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: 3\r\nConnection: close\r\n\r\n[[[",
        )
        answers += [said(live.port, request.encode("latin-1")) for request in requests]
    answers.append(ask(live.port, "/metrics"))
    assert live.ask("GET", "/healthz")[0] == 200
    live.stop()
    for secret in set(secrets.values()):
        assert not [line for line in live.lines if secret in line]
        told = [answer for answer in answers if secret.encode() in answer]
        assert [answer for answer in told if b"there is no format" not in answer] == []
    for line in live.lines:
        assert line.startswith("{"), line
