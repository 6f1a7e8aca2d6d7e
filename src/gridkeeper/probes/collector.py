"""Speaks with the collector over HTTP, and says what its answers mean for what was sent."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from gridkeeper import __version__
from gridkeeper.probes import clock
from gridkeeper.probes.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gridkeeper.probes.outbox import Batch
    from gridkeeper.probes.settings import CollectorSettings

ANSWER_LIMIT_BYTES = 64 * 1024
SENTENCE_LIMIT = 300
# A collector cannot put a probe off for longer than this.
LONGEST_RETRY_AFTER_S = 3600

DELIVERED = "delivered"  # safe at the collector
REFUSED = "refused"  # the token or what it may do
TOO_LARGE = "too large"  # split it
BUSY = "busy"  # come again later
REJECTED = "rejected"  # this batch is not wanted, others may be
FAILED = "failed"  # no answer, or one that means nothing

_KIND_OF_STATUS = {401: REFUSED, 403: REFUSED, 413: TOO_LARGE, 429: BUSY, 503: BUSY}
_NOT_THE_BATCH = (404, 405, 407, 408)


@dataclass(frozen=True)
class Answer:
    """What came of a request. receipt: the collector's name for the batch. answered: whether anybody answered."""

    kind: str
    sentence: str = ""
    receipt: str = ""
    retry_after_s: float | None = None
    answered: bool = True


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for the configured address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Collector:
    """The collector at one address.

    read_token: called before each request, so that a renewed token holds at once.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        probe: str,
        resource: str,
        read_token: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._probe = probe
        self._resource = resource
        self._read_token = read_token
        self._now = now
        self._opener: urllib.request.OpenerDirector | None = None

    def send(self, batch: Batch, body: bytes) -> Answer:
        """Send a batch. Never raises for what the network or the collector does.

        Only a receipt with the checksum of what was sent counts as delivered: a proxy's friendly 200 does not.
        Raises: BadSettings (permanent) when there is no token.
        """
        query = urlencode(
            {"format": batch.format, "resource": self._resource, "probe": self._probe}, quote_via=quote
        )
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Encoding": "gzip",
            "Idempotency-Key": batch.key,
        }
        answer, said, _ = self._request("POST", f"/api/v1/batches?{query}", body, headers)
        if answer.kind != DELIVERED:
            return answer
        if said.get("sha256") not in (batch.body_sha256, batch.text_sha256) or not said.get("batch"):
            return Answer(
                FAILED,
                f"{self._host} answered without a receipt for these bytes; is [collector] url really the "
                "collector, and not a proxy's page?",
            )
        return Answer(DELIVERED, receipt=_plain(str(said["batch"])))

    def heartbeat(self, said: bytes) -> Answer:
        """Say that the probe is alive, and what it sees. Raises: BadSettings (permanent) when there is no token."""
        headers = {"Content-Type": "application/json"}
        return self._request("POST", "/api/v1/heartbeats", said, headers)[0]

    def clock_offset_s(self) -> tuple[float | None, Answer]:
        """Say by how many seconds this host's clock is ahead of the collector's; None where it is not told.

        Raises: BadSettings (permanent) when there is no token.
        """
        before = self._now()
        answer, said, date = self._request("GET", "/api/v1/clock", None, {})
        middle = before + (self._now() - before) / 2
        theirs = _moment(said.get("now")) or date
        return (None if theirs is None else (middle - theirs).total_seconds()), answer

    @property
    def _host(self) -> str:
        return urlsplit(self._settings.url).netloc

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[Answer, dict[str, Any], datetime | None]:
        """Ask. Returns: what the status means, the JSON of the answer (or nothing), and its date."""
        token = self._read_token()
        headers = {
            **headers,
            "Authorization": f"Bearer {token}",
            "User-Agent": f"gridkeeper-probe/{__version__}",
            "Accept": "application/json",
        }
        request = urllib.request.Request(self._settings.url + path, body, headers, method=method)
        try:
            with self._open(request) as response:
                text = response.read(ANSWER_LIMIT_BYTES)
                kind = DELIVERED if response.status in (200, 202) else FAILED
                sentence = f"{self._host} answers {response.status}"
                return Answer(kind, sentence), _json(text), _date(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                text = _read(error)
                return self._meaning(error, text, token), _json(text), _date(error.headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(FAILED, self._no_answer(error, token), answered=False), {}, None

    def _open(self, request: urllib.request.Request) -> Any:
        if self._opener is None:
            handlers: list[urllib.request.BaseHandler] = [_StayHere()]
            if self._settings.url.startswith("https:"):
                handlers.append(urllib.request.HTTPSHandler(context=self._tls()))
            self._opener = urllib.request.build_opener(*handlers)
        return self._opener.open(request, timeout=self._settings.timeout_s)

    def _tls(self) -> ssl.SSLContext:
        ca_file = self._settings.ca_file
        try:
            return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise BadSettings(
                f"{ca_file} cannot be used to verify the collector: {error}; it must hold the certificates of "
                "its authorities, as PEM ([collector] ca_file)"
            ) from error

    def _meaning(self, error: urllib.error.HTTPError, text: bytes, token: str) -> Answer:
        status = error.code
        said = _plain(str(_json(text).get("error") or "")).replace(token, "(token)")
        sentence = f"{self._host} answers {status}" + (f": {said}" if said else "")
        if 300 <= status < 400:
            there = _plain(str(error.headers.get("Location", "")))
            return Answer(
                FAILED,
                f"{sentence} and points to {there or 'another address'}; the token goes to no other address: "
                "write the right one into [collector] url",
            )
        kind = _KIND_OF_STATUS.get(status, FAILED)
        if kind == FAILED and 400 <= status < 500 and status not in _NOT_THE_BATCH:
            kind = REJECTED
        return Answer(kind, sentence, retry_after_s=self._retry_after(error))

    def _retry_after(self, error: urllib.error.HTTPError) -> float | None:
        text = (error.headers.get("Retry-After") or "").strip()
        if text.isdecimal():
            return float(min(int(text[:9]), LONGEST_RETRY_AFTER_S))
        try:
            wait = (parsedate_to_datetime(text) - self._now()).total_seconds() if text else None
        except (TypeError, ValueError):
            return None
        return None if wait is None else min(max(wait, 0.0), LONGEST_RETRY_AFTER_S)

    def _no_answer(self, error: Exception, token: str) -> str:
        reason = getattr(error, "reason", None) or error
        remedy = "look at the network, the firewall and [collector] url"
        if isinstance(reason, ssl.SSLCertVerificationError):
            remedy = "is it the right address, and does [collector] ca_file hold its authority?"
        said = _plain(str(reason) or type(error).__name__).replace(token, "(token)")
        return f"{self._host} does not answer: {said}; {remedy}"


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(ANSWER_LIMIT_BYTES)
    except (OSError, http.client.HTTPException):
        return b""


def _json(text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _date(headers: Any) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None


def _moment(text: Any) -> datetime | None:
    try:
        return clock.from_text(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _plain(text: str) -> str:
    """Text of others as one short line without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[
        :SENTENCE_LIMIT
    ]
