"""Reads sets of public keys (JWKS) from an issuer or a file, and keeps of them only what may check a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from gridkeeper.trust import fetching
from gridkeeper.trust.fetching import ANSWER_BYTES, Unreadable, json_object, on_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gridkeeper.settings import Issuer

OK = 200
LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192
DISCOVERY = "/.well-known/openid-configuration"
# What each type of key may check. A token cannot choose beyond this: nothing symmetric, and never `none`.
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
CURVE_ALGORITHMS = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
ALGORITHMS = (*RSA_ALGORITHMS, *(name for names in CURVE_ALGORITHMS.values() for name in names))
_PUBLIC_PARTS = ("kty", "n", "e", "crv", "x", "y")

# Why a key set cannot be had or used; the words go on after `the keys of ...:`.
UnreadableKeys = Unreadable
# Key id → algorithm → the key made ready for it.
KeySet = dict[str, dict[str, jwt.PyJWK]]


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
    configuration = json_object(get(address), address)
    if configuration.get("issuer") != issuer.issuer:
        raise UnreadableKeys(f"{address} does not speak for {issuer.issuer}")
    keys = configuration.get("jwks_uri")
    if not isinstance(keys, str):
        raise UnreadableKeys(f"{address} names no jwks_uri")
    # What a stranger's document names must not lead to this machine, unless the issuer itself is on it.
    return parse(get(keys, loopback_allowed=on_loopback(address)))


def parse(text: bytes) -> KeySet:
    """The usable keys of a set, by id.

    Left out: symmetric keys, private keys, keys for encryption, keys without an id, ids that two keys share, RSA keys
    outside LEAST_RSA_BITS to MOST_RSA_BITS.
    Raises: UnreadableKeys where nothing is left.
    """
    members = json_object(text, "the key set").get("keys")
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
    answer = fetching.ask(url, loopback_allowed=loopback_allowed)
    if answer.status != OK:
        raise UnreadableKeys(f"{url} answered {answer.status}")
    return answer.body


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            text = stream.read(ANSWER_BYTES + 1)
    except OSError as error:
        raise UnreadableKeys(f"{path} cannot be read: {error.strerror}") from error
    if len(text) > ANSWER_BYTES:
        raise UnreadableKeys(f"{path} has more than {ANSWER_BYTES:,} bytes")
    return text
