"""Reads sets of public keys (JWKS) from an issuer or a file, and keeps of them only what may check a signature."""

from __future__ import annotations

import json
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gridkeeper.settings import Issuer

ANSWER_BYTES = 256 * 1024
STEP_SECONDS = 5.0  # to connect, and between two pieces of the answer
ANSWER_SECONDS = 10.0  # the whole answer
LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192
DISCOVERY = "/.well-known/openid-configuration"
# What each type of key may check. A token cannot choose beyond this: nothing symmetric, and never `none`.
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
CURVE_ALGORITHMS = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
ALGORITHMS = (*RSA_ALGORITHMS, *(name for names in CURVE_ALGORITHMS.values() for name in names))
_PUBLIC_PARTS = ("kty", "n", "e", "crv", "x", "y")

# Key id → algorithm → the key made ready for it.
KeySet = dict[str, dict[str, jwt.PyJWK]]


class UnreadableKeys(Exception):
    """A key set cannot be had or used; the words say why, and go on after `the keys of ...:`."""


def read_keys(issuer: Issuer, get: Callable[..., bytes] | None = None) -> KeySet:
    """Read the keys of an issuer: from its file, its address, or where its own configuration says they are.

    get: how to get a document, as `fetch` does.
    Raises: UnreadableKeys where they cannot be had, or none of them can check a signature.
    """
    get = get or fetch
    if issuer.jwks_file is not None:
        return parse(_from_file(issuer.jwks_file))
    if issuer.jwks_url is not None:
        return parse(get(issuer.jwks_url))
    address = issuer.issuer.rstrip("/") + DISCOVERY
    configuration = _object(get(address), address)
    if configuration.get("issuer") != issuer.issuer:
        raise UnreadableKeys(f"{address} does not speak for {issuer.issuer}")
    keys = configuration.get("jwks_uri")
    if not isinstance(keys, str):
        raise UnreadableKeys(f"{address} names no jwks_uri")
    # What a stranger's document names must not lead to this machine, unless the issuer itself is on it.
    return parse(get(keys, loopback_allowed=_on_loopback(address)))


def parse(text: bytes) -> KeySet:
    """The usable keys of a set, by id.

    Left out: symmetric keys, private keys, keys for encryption, keys without an id, ids that two keys share, RSA keys
    outside LEAST_RSA_BITS to MOST_RSA_BITS.
    Raises: UnreadableKeys where nothing is left.
    """
    members = _object(text, "the key set").get("keys")
    if not isinstance(members, list) or not members:
        raise UnreadableKeys("the key set is empty")
    ids = [member.get("kid") for member in members if isinstance(member, dict)]
    found: KeySet = {}
    for member in members:
        if not isinstance(member, dict):
            continue
        kid = member.get("kid")
        if isinstance(kid, str) and kid and ids.count(kid) == 1:
            ready = _ready(member)
            if ready:
                found[kid] = ready
    if not found:
        raise UnreadableKeys(
            f"none of its {len(members)} keys can check a signature; expected public RSA or EC keys, each with a `kid`"
        )
    return found


def _ready(member: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    operations = member.get("key_ops", ["verify"])
    if member.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return {}
    if "d" in member or "k" in member:  # a secret that was published is nobody's any more
        return {}
    names = _algorithms(member)
    if "alg" in member:
        names = tuple(name for name in names if name == member["alg"])
    public = {part: member[part] for part in _PUBLIC_PARTS if part in member}
    try:
        ready = {name: jwt.PyJWK(public, name) for name in names}
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    bits = next((key.key.key_size for key in ready.values() if member["kty"] == "RSA"), LEAST_RSA_BITS)
    return ready if LEAST_RSA_BITS <= bits <= MOST_RSA_BITS else {}


def _algorithms(member: Mapping[str, Any]) -> tuple[str, ...]:
    if member.get("kty") == "RSA":
        return RSA_ALGORITHMS
    curve = member.get("crv")
    return CURVE_ALGORITHMS.get(curve, ()) if member.get("kty") == "EC" and isinstance(curve, str) else ()


def fetch(url: str, *, loopback_allowed: bool = True) -> bytes:
    """Get a small document. Redirects are not followed. Raises: UnreadableKeys."""
    fault = fault_of(url) or ("it is on this machine" if _on_loopback(url) and not loopback_allowed else None)
    if fault:
        raise UnreadableKeys(f"{url} is not asked, as {fault}")
    deadline = time.monotonic() + ANSWER_SECONDS
    # Compressed answers are not asked for: the limit holds for what arrives.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    try:
        with (
            httpx.Client(
                timeout=STEP_SECONDS, follow_redirects=False, trust_env=not _on_loopback(url)
            ) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise UnreadableKeys(f"{url} answered {answer.status_code}")
            body = bytearray()
            for piece in answer.iter_raw():
                body += piece
                if len(body) > ANSWER_BYTES:
                    raise UnreadableKeys(f"{url} answered with more than {ANSWER_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise UnreadableKeys(f"{url} took longer than {ANSWER_SECONDS:.0f} s")
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise UnreadableKeys(f"{url} cannot be read: {error or type(error).__name__}") from error


def fault_of(url: str) -> str | None:
    """Say what is wrong with the address of keys; None: nothing."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "it is no address"
    if not host or parts.username is not None:
        return "it names no host, or a user"
    if parts.scheme == "https" or (parts.scheme == "http" and _on_loopback(url)):
        return None
    return "it is not https, so that anybody on the way could give other keys"


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            text = stream.read(ANSWER_BYTES + 1)
    except OSError as error:
        raise UnreadableKeys(f"{path} cannot be read: {error.strerror}") from error
    if len(text) > ANSWER_BYTES:
        raise UnreadableKeys(f"{path} has more than {ANSWER_BYTES:,} bytes")
    return text


def _object(text: bytes, place: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableKeys(f"{place} is no JSON") from error
    if not isinstance(content, dict):
        raise UnreadableKeys(f"{place} is no JSON object")
    return content
