"""What every signed token (JWT) of somebody else must keep: a key that it names, times, a subject that can be shown."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt

from gridkeeper.trust.key_sets import ALGORITHMS
from gridkeeper.trust.refusals import NotRecognised, shown

if TYPE_CHECKING:
    from datetime import datetime

LEEWAY = timedelta(seconds=60)  # by so much an issuer's clock may be ahead of ours
MOST_TOKEN_CHARACTERS = 16 * 1024
MOST_SUBJECT_CHARACTERS = 255


def key_of(token: str) -> tuple[str, str]:
    """The algorithm and the key id that a token claims to be signed with; nothing of it is verified yet.

    Raises: NotRecognised (permanent) where it is no JWT, or by nothing that is believed.
    """
    if len(token) > MOST_TOKEN_CHARACTERS:
        raise NotRecognised(f"the token has more than {MOST_TOKEN_CHARACTERS:,} characters")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise NotRecognised("the token cannot be read; expected a signed JWT") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise NotRecognised(
            f"the token is signed by {shown(str(algorithm))!r}; only {', '.join(ALGORITHMS)} are believed"
        )
    if "crit" in header:
        raise NotRecognised("the token demands extensions (`crit`) that nobody here understands")
    if not isinstance(kid, str) or not kid:
        raise NotRecognised("the token does not name its key (`kid`)")
    return algorithm, kid


def subject_of(claims: dict[str, Any]) -> str:
    """Whom a token is about. Raises: NotRecognised (permanent) where that cannot be shown."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise NotRecognised("the token names no subject (`sub`)")
    if len(subject) > MOST_SUBJECT_CHARACTERS or not subject.isprintable():
        raise NotRecognised("the token's subject (`sub`) is too long or not printable")
    return subject


def check_times(claims: dict[str, Any], now: datetime) -> None:
    """Hold a token to its times. Raises: NotRecognised (permanent)."""
    moment = now.timestamp()
    if _seconds(claims, "exp") <= moment:
        raise NotRecognised("the token has expired (`exp`); get a new one from its issuer")
    for claim in ("nbf", "iat"):
        if claim in claims and _seconds(claims, claim) > moment + LEEWAY.total_seconds():
            raise NotRecognised(f"the token is not good yet (`{claim}`); are both clocks right?")


def _seconds(claims: dict[str, Any], claim: str) -> float:
    value = claims[claim]
    # Integers are compared as they are, since one of a thousand digits is no float.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise NotRecognised(f"the token's `{claim}` is no number of seconds")
    return value
