"""Tokens of other issuers (WLCG profile, SciTokens): signed by a key of theirs, made for us, with our scope, in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from gridkeeper.errors import BadConfiguration
from gridkeeper.trust.fetching import fault_of
from gridkeeper.trust.key_ring import KeyRing
from gridkeeper.trust.refusals import NotAllowed, NotRecognised, shown
from gridkeeper.trust.senders import Sender, fits
from gridkeeper.trust.signed_tokens import check_times, key_of, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from gridkeeper.settings import Issuer

SCITOKENS_VERSIONS = ("scitoken:2.0", "scitokens:2.0")


class Issuers:
    """All issuers that are believed. Raises: BadConfiguration (permanent) where the settings of one cannot be."""

    def __init__(self, issuers: Iterable[Issuer], now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[str, tuple[Issuer, KeyRing]] = {}
        for issuer in issuers:
            _check(issuer)
            if issuer.issuer in self._known:
                raise BadConfiguration(f"trust.issuers: {issuer.issuer} is there twice; join the two")
            self._known[issuer.issuer] = (issuer, KeyRing(issuer, now))

    def recognise(self, token: str, address: str) -> Sender:
        """Say who sends a token that an issuer made.

        Raises: NotRecognised (permanent) where the token is not good; NotAllowed (permanent) where it is good and allows
                nothing here; CannotTell (retryable) where the issuer's keys cannot be had.
        """
        issuer, claims = self._verified(token)
        check_times(claims, self._now())
        _check_version(claims)
        subject = subject_of(claims)
        return Sender(
            name=f"subject {subject} of {issuer.issuer}",
            role="probe",
            resources=_resources(issuer, subject, _scopes(claims)),
            vos=frozenset(),
            address=address,
        )

    def _verified(self, token: str) -> tuple[Issuer, dict[str, Any]]:
        try:
            algorithm, kid = key_of(token)
            claimed = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError as error:
            raise NotRecognised("the token cannot be read; expected a signed JWT") from error
        if not isinstance(claimed, str) or claimed not in self._known:
            raise NotRecognised(f"the token's issuer {shown(str(claimed))!r} is not believed here")
        issuer, ring = self._known[claimed]
        return issuer, _decoded(token, ring.find(kid, algorithm), algorithm, issuer)


def _check(issuer: Issuer) -> None:
    place = f"trust.issuers: {issuer.issuer}"
    if not issuer.audience or not all(issuer.audience):
        raise BadConfiguration(
            f"{place}: `audience` is empty, so tokens made for others would do; name this collector"
        )
    if not issuer.scope or len(issuer.scope.split()) != 1:
        raise BadConfiguration(f"{place}: `scope` must be one word, such as accounting.write")
    for subject in issuer.subjects:
        if not subject or subject.count("*") > 1:
            raise BadConfiguration(f"{place}: the subject {subject!r} must be a name with at most one *")
    if issuer.jwks_url and issuer.jwks_file:
        raise BadConfiguration(f"{place}: both `jwks_url` and `jwks_file`; keep one of them")
    if issuer.jwks_file is None and (fault := fault_of(issuer.jwks_url or issuer.issuer)):
        raise BadConfiguration(
            f"{place}: {issuer.jwks_url or issuer.issuer} cannot be asked for keys, as {fault}"
        )


def _decoded(token: str, key: jwt.PyJWK, algorithm: str, issuer: Issuer) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=list(issuer.audience),
            issuer=issuer.issuer,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "enforce_minimum_key_length": True,
                # Times are compared with our own clock, in `_check_times`.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.InvalidAudienceError as error:
        raise NotRecognised(
            f"the token was made for others than {' or '.join(issuer.audience)} (`aud`)"
        ) from error
    except jwt.MissingRequiredClaimError as error:
        raise NotRecognised(f"the token does not say `{error.claim}`") from error
    except jwt.PyJWTError as error:
        raise NotRecognised(f"the token's signature or claims are not good: {shown(str(error))}") from error


def _check_version(claims: dict[str, Any]) -> None:
    version = claims.get("ver")
    if isinstance(version, str) and version.startswith("scitoken") and version not in SCITOKENS_VERSIONS:
        raise NotRecognised(f"the token is a SciToken of version {shown(version)!r}; expected scitoken:2.0")


def _scopes(claims: dict[str, Any]) -> list[str]:
    """The words of `scope`, or of `scp` where there is none, which may be a list."""
    value = claims.get("scope", claims.get("scp", ""))
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _resources(issuer: Issuer, subject: str, scopes: list[str]) -> frozenset[str]:
    """What this subject may send for: what the settings say, narrowed by the paths of the scope, if it has any."""
    paths = [path for word, colon, path in (scope.partition(":") for scope in scopes) if word == issuer.scope]
    if not paths:
        raise NotAllowed(f"the token has not the scope {issuer.scope}, which sending needs")
    patterns = {
        pattern
        for known, resources in issuer.subjects.items()
        if _is_subject(known, subject)
        for pattern in resources
    }
    if not patterns:
        raise NotAllowed(
            f"the subject {shown(subject)} of {issuer.issuer} is bound to no resource; "
            "the operator names it in `subjects` of this issuer"
        )
    names = {path.strip("/") for path in paths}
    if "" in names:  # the plain scope, or its root
        return frozenset(patterns)
    # A path is a name; were its `*` a pattern, a token could widen what the settings allow.
    allowed = {name for name in names if "*" not in name and any(fits(pattern, name) for pattern in patterns)}
    if not allowed:
        raise NotAllowed(
            f"the token's scope names resources that the subject {shown(subject)} may not send for"
        )
    return frozenset(allowed)


def _is_subject(known: str, subject: str) -> bool:
    # With case, unlike names of resources: two subjects of an issuer may differ by it alone.
    start, star, end = known.partition("*")
    if not star:
        return known == subject
    return len(subject) >= len(start) + len(end) and subject.startswith(start) and subject.endswith(end)
