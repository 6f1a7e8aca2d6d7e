"""A provider for tests that says what a test wants it to say, well or badly, with real keys on a real port."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

from gridkeeper import clock
from tests.trust.issuing import ec_key, public, rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT, SECRET = "gridkeeper", "a secret/of + ours"


class FakeProvider:
    """Discovery, keys, `/token` and `/me`; what a browser would do there is `lets_in`."""

    def __init__(self) -> None:
        self.codes: dict[str, dict[str, Any]] = {}
        self.posted: list[tuple[dict[str, str], dict[str, str]]] = []
        self.told_beside: dict[str, Any] = {}
        self._subject: Any = None
        self.metadata: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self._sign
        self.redeem: Callable[[], tuple[int, bytes]] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*outer.got(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                outer.posted.append((form, dict(self.headers)))
                self._say(*outer.redeemed(form, self.headers.get("authorization", "")))

            def _say(self, status: int, body: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def lets_in(self, location: str, person: dict[str, Any], **said: Any) -> str:
        """Where the browser is sent back to: the provider lets somebody in and has given a code.

        said: claims of the ID token said otherwise, or left out with None.
        """
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        moment = int(clock.now().timestamp())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": moment, "exp": moment + 300, "nonce": asked["nonce"], **person, **said,
        }  # fmt: skip
        code = f"code {len(self.codes)}"
        self.codes[code] = {
            "claims": {name: value for name, value in claims.items() if value is not None},
            "challenge": asked["code_challenge"],
            "redirect_uri": asked["redirect_uri"],
        }
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def got(self, path: str) -> tuple[int, bytes]:
        if path == "/.well-known/openid-configuration":
            said = {
                "issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", "authorization_endpoint": f"{self.issuer}/auth?tenant=1",
                "token_endpoint": f"{self.issuer}/token", "userinfo_endpoint": f"{self.issuer}/me", **self.metadata,
            }  # fmt: skip
            return 200, json.dumps(
                {name: value for name, value in said.items() if value is not None}
            ).encode()
        if path == "/keys":
            keys = [public(rsa_key(), "one"), public(ec_key(), "curve")]
            return 200, json.dumps({"keys": keys}).encode()
        said = {"sub": self._subject, **self.told_beside}
        return (200, json.dumps(said).encode()) if path == "/me" else (404, b"")

    def redeemed(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        if self.redeem is not None:
            return self.redeem()
        held = self.codes.pop(form.get("code", ""), None)
        if not _knows_us(form, authorization):
            return 401, b'{"error": "invalid_client"}'
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if (
            held is None
            or held["redirect_uri"] != form["redirect_uri"]
            or challenge.rstrip(b"=").decode() != held["challenge"]
        ):
            return 400, b'{"error": "invalid_grant"}'
        self._subject = held["claims"].get("sub")
        tokens = {"id_token": self.sign(held["claims"]), "access_token": "access", "token_type": "Bearer"}
        return 200, json.dumps(tokens).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @staticmethod
    def _sign(claims: dict[str, Any]) -> str:
        return jwt.encode(claims, rsa_key(), "RS256", {"kid": "one"})


def _knows_us(form: dict[str, str], authorization: str) -> bool:
    if authorization:
        kind, _, pair = authorization.partition(" ")
        expected = f"{CLIENT}:a+secret%2Fof+%2B+ours"
        return kind == "Basic" and base64.b64decode(pair).decode() == expected
    return form.get("client_id") == CLIENT and form.get("client_secret", SECRET) == SECRET


def by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None = None) -> str:
    """A token that no library would make: unsigned, or signed with a password."""
    signed = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)
    )
    signature = b"" if secret is None else hmac.new(secret, signed, "sha256").digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
