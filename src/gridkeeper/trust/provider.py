"""The provider at which people log in (OpenID Connect): where to send them, and who it says they are, checked.

The authorization code flow with PKCE: a code comes back through the browser, and is redeemed here for an ID token, which
must be signed by a key of the provider, made for us, in time, and an answer to the very login that this browser began.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import jwt

from gridkeeper.errors import BadConfiguration
from gridkeeper.settings import Issuer
from gridkeeper.trust.fetching import Unreadable, ask, fault_of, on_loopback
from gridkeeper.trust.key_ring import KeyRing
from gridkeeper.trust.key_sets import DISCOVERY, OK
from gridkeeper.trust.refusals import CannotTell, NotAllowed, NotRecognised, shown
from gridkeeper.trust.signed_tokens import check_times, key_of, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from gridkeeper.login_settings import Oidc
    from gridkeeper.trust.attempts import Attempt

FRESH = timedelta(hours=1)
KEPT = timedelta(hours=24)  # so long what it said of itself serves on where it does not answer
ASKED_AGAIN = timedelta(seconds=10)  # where it did not answer, so long nobody else waits for it
SECRET_CHARACTERS = 4096
_MAIL = ("email", "email_verified")


class Provider:
    """One provider, for many threads. Raises: BadConfiguration (permanent) where the settings of it cannot be."""

    def __init__(self, oidc: Oidc, now: Callable[[], datetime]) -> None:
        if fault := fault_of(oidc.issuer):
            raise BadConfiguration(f"login.oidc.issuer: {oidc.issuer} cannot be believed, as {fault}")
        if "openid" not in oidc.scopes:
            raise BadConfiguration("login.oidc.scopes: without openid the provider says of nobody who it is")
        self._oidc = oidc
        self._now = now
        self._ring = KeyRing(Issuer(issuer=oidc.issuer, audience=(oidc.client_id,)), now)
        self._asking = Lock()
        self._said: dict[str, Any] | None = None
        self._said_at = now()
        self._refused: tuple[datetime, str] | None = None

    def address_for(self, attempt: Attempt, state: str, redirect_uri: str) -> str:
        """Where to send a browser that wants to log in. Blocks for a document an hour. Raises: CannotTell (retryable)."""
        address = self._endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._oidc.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._oidc.scopes),
            "state": state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def must_have_answered(self, issuer: str | None) -> None:
        """Hold what came back through the browser to being of this provider (RFC 9207), where it says whose it is.

        Raises: NotAllowed (permanent), CannotTell (retryable).
        """
        must = self._metadata().get("authorization_response_iss_parameter_supported") is True
        if (issuer is None and must) or (issuer is not None and issuer != self._oidc.issuer):
            raise NotAllowed(f"this answer to a login is of another provider than {self._oidc.issuer}")

    def claims(self, code: str, attempt: Attempt, redirect_uri: str) -> dict[str, Any]:
        """Redeem a code, and say what the provider vouches for: `sub`, and what else it says of the person.

        Blocks: for two or three questions to the provider.
        Raises: NotAllowed (permanent) where the code or the ID token is not good; CannotTell (retryable) where the provider
                does not answer, or not as it should.
        """
        tokens = self._redeemed(code, attempt, redirect_uri)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise CannotTell(
                f"{self._oidc.name} answered without an ID token; an operator looks at login.oidc.scopes"
            )
        try:
            verified = self._verified(token, attempt.nonce)
        except NotRecognised as error:
            raise NotAllowed(f"what {self._oidc.name} says of you is not good: {error}") from error
        access = tokens.get("access_token")
        more = self._more(access, verified["sub"]) if isinstance(access, str) else {}
        return _joined(verified, more)

    def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token. Raises: NotRecognised (permanent); CannotTell (retryable)."""
        algorithm, kid = key_of(token)
        key = self._ring.find(kid, algorithm)
        claims = _decoded(token, key, algorithm, self._oidc)
        # A token for several parties may have been made for another of them, who could then use it here.
        if claims.get("azp", self._oidc.client_id) != self._oidc.client_id or (
            isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        ):
            raise NotRecognised("the token was made for another party (`azp`)")
        check_times(claims, self._now())
        answered = claims.get("nonce")
        if (
            not isinstance(answered, str)
            or not answered.isascii()
            or not hmac.compare_digest(answered, nonce)
        ):
            raise NotRecognised("the token answers another login (`nonce`)")
        return claims | {"sub": subject_of(claims)}

    def _redeemed(self, code: str, attempt: Attempt, redirect_uri: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": attempt.verifier,
        }  # fmt: skip
        login = None
        secret = self._secret()
        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if secret is None:
            form["client_id"] = self._oidc.client_id
        elif isinstance(methods, list) and "client_secret_basic" not in methods:
            form |= {"client_id": self._oidc.client_id, "client_secret": secret}
        else:
            login = (quote_plus(self._oidc.client_id), quote_plus(secret))  # RFC 6749, 2.3.1
        try:
            answer = ask(
                self._endpoint("token_endpoint"), form=form, login=login, loopback_allowed=on_loopback(self._oidc.issuer)
            )  # fmt: skip
            said = answer.json()
        except Unreadable as error:
            raise CannotTell(
                f"{self._oidc.name} cannot be asked who you are: {error}; try again later"
            ) from error
        if answer.status == OK:
            return said
        fault = shown(str(said.get("error", answer.status)), 60)
        if fault == "invalid_grant":
            raise NotAllowed(f"{self._oidc.name} does not know this login any more ({fault}); log in again")
        raise CannotTell(
            f"{self._oidc.name} does not answer this server: {fault}; an operator looks at login.oidc"
        )

    def _more(self, access_token: str, subject: str) -> dict[str, Any]:
        """What the provider says of the person beside the ID token; many say mail and groups only here."""
        if "userinfo_endpoint" not in self._metadata():
            return {}
        url = self._endpoint("userinfo_endpoint")
        try:
            answer = ask(
                url, headers={"authorization": f"Bearer {access_token}"}, loopback_allowed=on_loopback(self._oidc.issuer)
            )  # fmt: skip
            if answer.status != OK:
                raise Unreadable(f"{url} answered {answer.status}")
            said = answer.json()
        except (Unreadable, ValueError) as error:  # ValueError: a token that no header can hold
            raise CannotTell(
                f"{self._oidc.name} cannot be asked who you are: {error}; try again later"
            ) from error
        if said.get("sub") != subject:
            raise NotAllowed(f"{self._oidc.name} speaks of two people at once; log in again")
        return said

    def _endpoint(self, name: str) -> str:
        address = self._metadata().get(name)
        fault = fault_of(address) if isinstance(address, str) else "it is not there"
        if fault is None and on_loopback(str(address)) and not on_loopback(self._oidc.issuer):
            fault = "it is on this machine"
        if fault:
            raise CannotTell(
                f"{self._oidc.name} names no {name} that can be used, as {fault}; an operator looks at login.oidc"
            )
        return str(address)

    def _metadata(self) -> dict[str, Any]:
        with self._asking:
            now = self._now()
            is_due = self._said is None or not timedelta() <= now - self._said_at < FRESH
            if is_due and (self._refused is None or not timedelta() <= now - self._refused[0] < ASKED_AGAIN):
                try:
                    self._said, self._said_at, self._refused = self._discovered(), now, None
                except Unreadable as error:
                    self._refused = self._now(), str(error)
            if self._said is None or now - self._said_at > KEPT:
                fault = self._refused[1] if self._refused else "it was not asked yet"
                raise CannotTell(
                    f"{self._oidc.name} does not answer: {fault}; try again later, or log in with a token"
                )
            return self._said

    def _discovered(self) -> dict[str, Any]:
        url = self._oidc.issuer.rstrip("/") + DISCOVERY
        answer = ask(url)
        if answer.status != OK:
            raise Unreadable(f"{url} answered {answer.status}")
        said = answer.json()
        if said.get("issuer") != self._oidc.issuer:
            raise Unreadable(f"{url} does not speak for {self._oidc.issuer}")
        return said

    def _secret(self) -> str | None:
        file = self._oidc.client_secret_file
        if file is None:
            return None
        try:
            with file.open(encoding="utf-8") as stream:
                secret = stream.read(SECRET_CHARACTERS).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CannotTell(
                f"this server cannot read its secret for {self._oidc.name}; an operator looks at login.oidc.client_secret_file"
            ) from error
        if not secret:
            raise CannotTell(
                f"this server's secret for {self._oidc.name} is empty; an operator looks at login.oidc"
            )
        return secret


def _decoded(token: str, key: jwt.PyJWK, algorithm: str, oidc: Oidc) -> dict[str, Any]:
    try:
        return jwt.decode(
            token, key, algorithms=[algorithm], audience=oidc.client_id, issuer=oidc.issuer,
            options={
                "require": ["exp", "iat", "iss", "aud", "sub"], "enforce_minimum_key_length": True,
                "verify_exp": False, "verify_nbf": False, "verify_iat": False,  # with our own clock, in check_times
            },
        )  # fmt: skip
    except jwt.InvalidAudienceError as error:
        raise NotRecognised(f"the token was made for others than {oidc.client_id} (`aud`)") from error
    except jwt.MissingRequiredClaimError as error:
        raise NotRecognised(f"the token does not say `{error.claim}`") from error
    except jwt.PyJWTError as error:
        raise NotRecognised(f"the token's signature or claims are not good: {shown(str(error))}") from error


def _joined(verified: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of both answers; where both say one, the ID token's. An address and that it is verified stay together."""
    joined = {**more, **verified}
    source = verified if "email" in verified else more
    if source is verified and "email_verified" not in verified and more.get("email") == verified["email"]:
        source = more
    for claim in _MAIL:
        joined.pop(claim, None)
    return joined | {claim: source[claim] for claim in _MAIL if claim in source}
