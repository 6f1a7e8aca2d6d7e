"""An issuer of tokens for tests: real keys, and a real server on this machine that publishes them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

AUDIENCE = "https://collector.example.org"
SUBJECT = "ce.utah.example.edu"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key that is made once for all tests; another name is another key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: PrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    """A key as an issuer publishes it."""
    bare = key.public_key()
    said = (
        RSAAlgorithm.to_jwk(bare, as_dict=True)
        if isinstance(bare, rsa.RSAPublicKey)
        else ECAlgorithm.to_jwk(bare, as_dict=True)
    )
    kept = {part: value for part, value in said.items() if part != "key_ops"}
    return {**kept, "kid": kid, **more}


@dataclass
class Answer:
    """What the issuer's server says at a path."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class IssuerServer:
    """Publishes keys on a port of this machine, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.answers.get(self.path, Answer(b"", 404))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, *keys: dict[str, Any]) -> None:
        self.answers["/keys"] = Answer(json.dumps({"keys": list(keys)}).encode())

    def configure(self, **says: Any) -> None:
        content = {"issuer": self.address, "jwks_uri": f"{self.address}/keys"} | says
        self.answers["/.well-known/openid-configuration"] = Answer(json.dumps(content).encode())

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@dataclass
class Signer:
    """Signs tokens as the issuer would; each claim and header can be said otherwise, or left out with None."""

    issuer: str
    now: Callable[[], datetime]

    def sign(
        self,
        key: PrivateKey | str | bytes | None = None,
        algorithm: str = "RS256",
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        moment = int(self.now().timestamp())
        said = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "scope": "accounting.write",
            "iat": moment,
            "nbf": moment,
            "exp": moment + 1200,
            "wlcg.ver": "1.0",
        } | claims
        headers = {"kid": "one"} | (header or {})
        return jwt.encode(
            {name: value for name, value in said.items() if value is not None},
            rsa_key() if key is None else key,
            algorithm,
            headers={name: value for name, value in headers.items() if value is not None},
        )
