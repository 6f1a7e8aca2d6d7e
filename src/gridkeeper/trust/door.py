"""The door: says of a request who sends it, by token, by certificate, or by address, or refuses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gridkeeper import clock
from gridkeeper.errors import BadConfiguration
from gridkeeper.trust.addresses import Client, client_of, listed
from gridkeeper.trust.issuers import Issuers
from gridkeeper.trust.own_tokens import OwnTokens
from gridkeeper.trust.refusals import NotRecognised, shown
from gridkeeper.trust.senders import Sender
from gridkeeper.trust.tokens import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    import sqlalchemy as sa

    from gridkeeper.settings import Server, Trust

MOST_SUBJECT_BYTES = 2048
FORWARDED = "x-forwarded-for"
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_TAKEN_NAMES = ("authorization", FORWARDED, "host", "cookie")


class Door:
    """Recognises senders; one for all threads of a server.

    Raises: BadConfiguration (permanent) where the settings contradict themselves or let everybody in.
    """

    def __init__(
        self,
        engine: sa.Engine,
        server: Server,
        trust: Trust,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        _check(server, trust)
        self._proxies = server.proxies
        self._certificate_header = server.certificate_header.lower()
        self._certificates = trust.certificates
        self._addresses = trust.addresses
        self._own_tokens = OwnTokens(engine, now)
        self._issuers = Issuers(trust.issuers, now)

    def recognise(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> Sender:
        """Say who sends a request.

        headers: as they came, repeated ones repeated. peer: the address at the other end of the connection.
        Order:   a token of this home; a token of a believed issuer; a certificate that a listed proxy vouches for; an
                 address of the list. A token that is not good is refused, and nothing after it is looked at.
        Blocks:  for a database read every few seconds, and for an issuer's keys every few hours.
        Raises:  NotRecognised (401, permanent), NotAllowed (403, permanent), CannotTell (503, retryable),
                 DatabaseUnavailable (retryable).
        """
        values = _by_name(headers)
        client = self._client(values, peer)
        token = _bearer(values.get("authorization", ()))
        if token is not None:
            tokens = self._own_tokens if token.startswith(PREFIX) else self._issuers
            return tokens.recognise(token, client.address)
        subject = self._certificate_subject(values, client)
        if subject in self._certificates:
            bound = frozenset(self._certificates[subject])
            return Sender(f"subject {subject}", "probe", bound, frozenset(), client.address)
        if client.trustable is not None and listed(client.trustable, self._addresses):
            return Sender(f"address {client.address}", "probe", None, frozenset(), client.address)
        raise _nobody(client, subject)

    def recognise_own(self, token: str, address: str) -> Sender:
        """Say whose a token of this home is that somebody typed in. Raises: NotRecognised (permanent), DatabaseUnavailable (retryable)."""
        return self._own_tokens.recognise(token, address)

    def address_of(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> str:
        """Say where a request comes from: the peer, or behind a listed proxy what that passes on."""
        return self._client(_by_name(headers), peer).address

    def _client(self, values: Mapping[str, list[bytes]], peer: str) -> Client:
        return client_of(peer, [line.decode("latin-1") for line in values.get(FORWARDED, ())], self._proxies)

    def _certificate_subject(self, values: Mapping[str, list[bytes]], client: Client) -> str:
        """The subject that a listed proxy passes on; empty where there is none, or nobody to believe it of."""
        if not client.proxied:
            return ""
        wanted = self._certificate_header
        lookalikes = [name for name in values if name != wanted and name.replace("_", "-") == wanted]
        if lookalikes:
            raise NotRecognised(
                f"the request has the header {shown(lookalikes[0])} beside {wanted}; "
                "a proxy lets neither pass from outside (docs/trust.md)"
            )
        lines = values.get(wanted, [])
        if len(lines) > 1:
            raise NotRecognised(
                f"the request has the header {wanted} {len(lines)} times; "
                "a proxy sets it once, in place of any from outside (docs/trust.md)"
            )
        return _subject(lines[0], wanted) if lines else ""


def _check(server: Server, trust: Trust) -> None:
    for place, networks in (("server.proxies", server.proxies), ("trust.addresses", trust.addresses)):
        for network in networks:
            if network.prefixlen == 0:
                raise BadConfiguration(f"{place}: {network} is everybody; name the addresses that are meant")
    header = server.certificate_header
    if not _HEADER_NAME.fullmatch(header) or header.lower() in _TAKEN_NAMES:
        raise BadConfiguration(
            f"server.certificate_header: {shown(header)!r} cannot be; expected letters, digits and hyphens, "
            "and no name that has a meaning of its own"
        )
    if trust.certificates and not server.proxies:
        raise BadConfiguration(
            "trust.certificates: nobody is believed to have seen a certificate; name the proxies in server.proxies"
        )
    if any(not subject.strip() for subject in trust.certificates):
        raise BadConfiguration("trust.certificates: a subject is empty; write it as the proxy passes it on")


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, list[bytes]]:
    values: dict[str, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.strip())
    return values


def _bearer(lines: Iterable[bytes]) -> str | None:
    """The token of the `Authorization` header; None where there is no such header."""
    found = list(lines)
    if not found:
        return None
    match = _BEARER.fullmatch(found[0])
    if len(found) > 1 or match is None:
        raise NotRecognised(
            "the request must have one header `Authorization: Bearer TOKEN`, and no other kind of it",
            "invalid_request",
        )
    return match[1].decode("ascii")


def _subject(value: bytes, header: str) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if len(value) > MOST_SUBJECT_BYTES or not text.isprintable():
        raise NotRecognised(
            f"the header {header} holds no subject: expected at most {MOST_SUBJECT_BYTES:,} printable bytes in UTF-8"
        )
    return text


def _nobody(client: Client, subject: str) -> NotRecognised:
    if subject:
        return NotRecognised(
            f"the certificate's subject {shown(subject)!r} is not known here; the operator names it, "
            "just so, in trust.certificates",
            None,
        )
    return NotRecognised(
        f"the request from {client.address} has no credentials; send `Authorization: Bearer TOKEN` "
        "with a token that the operator gives (`gridkeeper token create`)",
        None,
    )
