"""A real mail server on the loopback, small: it takes what it is told to take, and can break off where it is told to."""

from __future__ import annotations

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path


@dataclass(frozen=True)
class Received:
    """A message that the server took over: the envelope, and the bytes."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)


@dataclass
class Behaviour:
    """What the server does.

    refuses:   recipient → its answer. account: (user, password) it asks for. refuses_data: its answer to a message.
    breaks_at: closes the connection there: at rcpt, data (before it answers a whole message), quit.
    """

    refuses: dict[str, str] = field(default_factory=dict)
    account: tuple[str, str] | None = None
    refuses_data: str | None = None
    refuses_sender: str | None = None
    breaks_at: str | None = None
    certificate: ssl.SSLContext | None = None


class MailServer:
    """Listens on 127.0.0.1 until it is stopped; `taken` is what it has."""

    def __init__(self, port: int = 0, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.taken: list[Received] = []
        self.reached: dict[str, threading.Event] = {place: threading.Event() for place in ("rcpt", "data")}
        self.hold: dict[str, threading.Event] = {}
        outer = self

        class Handler(_Dialogue):
            house = outer

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        for held in self.hold.values():
            held.set()
        self._server.shutdown()
        self._server.server_close()

    def pass_by(self, place: str) -> None:
        """Tell that a dialogue is here, and hold it where a test asks for that."""
        self.reached[place].set()
        if place in self.hold:
            self.hold[place].wait(60)


class _Dialogue(socketserver.StreamRequestHandler):
    house: MailServer

    def handle(self) -> None:
        try:
            self._talk()
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            self.request.close()  # the encrypted one, which the server does not know

    def _talk(self) -> None:
        self._sender = ""
        self._recipients: list[str] = []
        self._known = self.house.behaviour.account is None
        self._say("220 mail.example.org")
        while line := self.rfile.readline():
            words = line.decode().strip()
            verb = words.split(" ")[0].upper()
            if not getattr(self, f"_{verb.lower()}", self._unknown)(words):
                return

    def _say(self, *lines: str) -> bool:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        return True

    def _unknown(self, words: str) -> bool:
        return self._say(f"502 {words} is not known here")

    def _ehlo(self, _words: str) -> bool:
        can = ["mail.example.org", "8BITMIME"]
        if self.house.behaviour.certificate and not isinstance(self.request, ssl.SSLSocket):
            can.append("STARTTLS")
        if self.house.behaviour.account:
            can.append("AUTH PLAIN")
        return self._say(*(f"250-{word}" for word in can[:-1]), f"250 {can[-1]}")

    def _starttls(self, _words: str) -> bool:
        assert self.house.behaviour.certificate is not None
        self._say("220 go on")
        self.request = self.house.behaviour.certificate.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
        return True

    def _auth(self, words: str) -> bool:
        _, user, password = base64.b64decode(words.split()[2]).decode().split("\0")
        self._known = (user, password) == self.house.behaviour.account
        return self._say("235 welcome" if self._known else "535 5.7.8 wrong account or password")

    def _mail(self, words: str) -> bool:
        if not self._known:
            return self._say("530 5.7.0 log in first")
        if self.house.behaviour.refuses_sender:
            return self._say(self.house.behaviour.refuses_sender)
        self._sender = words.partition("<")[2].partition(">")[0]
        return self._say("250 ok")

    def _rcpt(self, words: str) -> bool:
        self.house.pass_by("rcpt")
        if self.house.behaviour.breaks_at == "rcpt":
            return False
        recipient = words.partition("<")[2].partition(">")[0]
        if recipient in self.house.behaviour.refuses:
            return self._say(self.house.behaviour.refuses[recipient])
        self._recipients.append(recipient)
        return self._say("250 ok")

    def _data(self, _words: str) -> bool:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b"..") else line)
        if self.house.behaviour.refuses_data:
            return self._say(self.house.behaviour.refuses_data)
        self.house.taken.append(Received(self._sender, tuple(self._recipients), b"".join(lines)))
        self.house.pass_by("data")
        if self.house.behaviour.breaks_at == "data":
            return False
        return self._say("250 2.0.0 queued as 4711")

    def _rset(self, _words: str) -> bool:
        return self._say("250 ok")

    def _quit(self, _words: str) -> bool:
        if self.house.behaviour.breaks_at == "quit":
            return self._say("554 not like this") and False
        self._say("221 bye")
        return False


def certificate_of(folder: Path, address: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """A certificate for an address that signs itself: the server's context, and the file that a client believes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / "mail.pem", folder / "mail.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context, file
