"""Whoever asks over TLS: requests byte by byte as they go over the wire, from any address of the loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.proxies.certificates import Certificate

PATIENCE_S = 30.0
ELSEWHERE = "127.0.0.66"  # an address of nobody


class Answer(NamedTuple):
    """What came back to one request."""

    status: int
    text: str

    @property
    def error(self) -> str:
        """The sentence of a refusal at the native door."""
        return str(json.loads(self.text)["error"])


class Caller:
    """Somebody at an address, with or without a certificate, who believes one authority."""

    def __init__(
        self,
        port: int,
        authority: Certificate,
        certificate: Certificate | None = None,
        address: str = ELSEWHERE,
    ) -> None:
        self.port, self.address = port, address
        self.context = ssl.create_default_context(cafile=authority.certificate)
        if certificate is not None:
            self.context.load_cert_chain(certificate.certificate, certificate.key)
        self.session: ssl.SSLSession | None = None
        self.resumed = False

    @contextlib.contextmanager
    def connected(self) -> Iterator[ssl.SSLSocket]:
        """A connection over TLS, which resumes the session of the one before where the server will."""
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (self.address, 0))
        with (
            plain,
            self.context.wrap_socket(plain, server_hostname="localhost", session=self.session) as safe,
        ):
            yield safe
            self.session, self.resumed = safe.session, bool(safe.session_reused)

    def say(self, request: bytes, silence_s: float | None = None) -> bytes:
        """Send bytes. Returns: everything that is answered until the other end closes the connection, or is silent for so long."""
        with self.connected() as connection:
            connection.sendall(request)
            return _all_of(connection, silence_s)

    def post(self, path: str, body: bytes, headers: Iterable[str] = ()) -> Answer:
        """Post with header lines exactly as they are."""
        lines = [
            f"POST {path} HTTP/1.1", "Host: collector.example.org", *headers, f"Content-Length: {len(body)}", "Connection: close",
        ]  # fmt: skip
        return read_answer(self.say("\r\n".join([*lines, "", ""]).encode("latin-1") + body))

    def get(self, path: str) -> Answer:
        """Get a page."""
        return read_answer(
            self.say(
                f"GET {path} HTTP/1.1\r\nHost: collector.example.org\r\nConnection: close\r\n\r\n".encode()
            )
        )


def read_answer(told: bytes) -> Answer:
    """Take one whole answer apart; one in chunks is put together."""
    head, _, body = told.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        whole = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        body = whole
    assert head.startswith(b"HTTP/1."), told
    return Answer(int(head.split(b" ", 2)[1]), body.decode())


def _all_of(connection: ssl.SSLSocket, silence_s: float | None) -> bytes:
    connection.settimeout(silence_s or PATIENCE_S)
    found = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        try:
            while piece := connection.recv(65_536):
                found += piece
        except TimeoutError:
            if silence_s is None:
                raise
    return found
