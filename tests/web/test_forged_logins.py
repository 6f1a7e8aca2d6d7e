"""What a provider, or somebody in its name, may say that lets nobody in; and settings that cannot be."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gridkeeper import clock
from gridkeeper.errors import BadConfiguration
from gridkeeper.settings import Settings
from gridkeeper.trust.provider import Provider
from gridkeeper.web.app import make_app
from tests.collectors import collector
from tests.trust.issuing import ec_key, rsa_key
from tests.web.fake_provider import CLIENT, SECRET, by_hand
from tests.web.federated import ALICE, CAROL, HERE, Federation, federation, provider, sentence

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["federation", "provider"]


FORGERIES: dict[str, Any] = {
    "no signature": lambda claims: by_hand({"alg": "none", "kid": "one"}, claims),
    "signed with the public key as a password": lambda claims: by_hand(
        {"alg": "HS256", "kid": "one"}, claims, rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "signed with our secret": lambda claims: by_hand({"alg": "HS256", "kid": "one"}, claims, SECRET.encode()),
    "another key": lambda claims: jwt.encode(claims, rsa_key("other"), "RS256", {"kid": "one"}),
    "an unknown key": lambda claims: jwt.encode(claims, rsa_key("other"), "RS256", {"kid": "two"}),
    "no key named": lambda claims: jwt.encode(claims, rsa_key(), "RS256"),
    "a key of another kind": lambda claims: jwt.encode(claims, ec_key(), "ES256", {"kid": "one"}),
    "a key brought along": lambda claims: jwt.encode(
        claims, rsa_key("other"), "RS256", {"kid": "one", "jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("other").public_key()))}
    ),
    "no token": lambda claims: "x.y",
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_id_token_lets_nobody_in(federation: Federation, forgery: str) -> None:
    federation.provider.sign = FORGERIES[forgery]
    mallory = federation.browser()
    answer = federation.logs_in(mallory, CAROL)
    assert answer.status_code == 403
    assert "hat Example ID says of you is not good" in sentence(answer)
    assert mallory.get("/me").url.path == "/login"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"nonce": "another"}, "answers another login (`nonce`)"),
        ({"nonce": None}, "answers another login (`nonce`)"),
        ({"nonce": "\N{SNOWMAN}"}, "answers another login (`nonce`)"),
        ({"aud": "another"}, "made for others than gridkeeper (`aud`)"),
        ({"aud": None}, "`aud`"),
        ({"aud": ["another", "third"]}, "made for others"),
        ({"aud": [CLIENT, "another"]}, "another party (`azp`)"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "another party (`azp`)"),
        ({"azp": "another"}, "another party (`azp`)"),
        ({"iss": "https://evil.example"}, "not good"),
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "`exp`"),
        ({"iat": 99999999999}, "not good yet"),
        ({"iat": None}, "`iat`"),
        ({"sub": None}, "`sub`"),
        ({"sub": "a\nb"}, "not printable"),
        ({"sub": 7}, "not good"),
    ],
    ids=str,
)
def test_an_id_token_for_another_login_lets_nobody_in(
    federation: Federation, said: dict[str, Any], words: str
) -> None:
    answer = federation.logs_in(federation.browser(), ALICE, **said)
    assert answer.status_code == 403
    assert words in sentence(answer)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((400, b'{"error": "invalid_grant"}'), 403, "does not know this login any more"),
        ((500, b"oops"), 503, "is no JSON"),
        ((200, b"[]"), 503, "is no JSON object"),
        ((200, b"{}"), 503, "without an ID token"),
        ((200, b'{"id_token": 7}'), 503, "without an ID token"),
        ((302, b"{}"), 503, "does not answer this server: 302"),
        ((200, b" " * 300_000), 503, "more than 262,144 bytes"),
    ],
    ids=str,
)
def test_a_provider_that_answers_badly_lets_nobody_in(
    federation: Federation, answer: Any, status: int, words: str
) -> None:
    federation.provider.redeem = lambda: answer
    said = federation.logs_in(federation.browser(), ALICE)
    assert said.status_code == status
    assert words in sentence(said)
    assert ("retry-after" in said.headers) == (status == 503)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://evil.example"}, "does not speak for"),
        ({"authorization_endpoint": None}, "names no authorization_endpoint"),
        ({"authorization_endpoint": "http://evil.example/auth"}, "it is not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "it names no host"),
    ],
    ids=str,
)
def test_a_provider_that_says_nonsense_of_itself_is_not_gone_to(
    federation: Federation, metadata: dict[str, Any], words: str
) -> None:
    federation.provider.metadata = metadata
    answer = federation.browser().get("/login/oidc", follow_redirects=False)
    assert answer.status_code == 503
    assert words in sentence(answer)


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"people": [{"subject": "a", "role": "viewer"}]}, "nobody logs in by a provider"),
        ({"oidc": {}, "people": [{"subject": "a", "role": "site-contact"}]}, "login.people.0: the role site-contact must say"),
        ({"oidc": {}, "people": [{"subject": "a", "role": "viewer", "users": ["*"]}]}, "a user is named whole"),
        ({"oidc": {"issuer": "http://login.example.org"}}, "it is not https"),
        ({"oidc": {"scopes": ["email"]}}, "without openid"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_end_the_start(tmp_path: Path, login: dict[str, Any], words: str) -> None:
    known = {"issuer": "https://login.example.org", "client_id": CLIENT}
    told = {**login, "oidc": {**known, **login["oidc"]}} if "oidc" in login else login
    gate = collector(tmp_path / "home", {"server": {"public_url": HERE}, "login": told})
    with pytest.raises(BadConfiguration, match=re.escape(words)):
        make_app(gate.services)
    gate.close()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"login": {"oidc": {"issuer": "https://x.example", "client_id": "g"}}}, "needs server.public_url"),
        ({"server": {"public_url": "http://accounting.example.org"}}, "must begin with https://"),
        ({"server": {"public_url": "https://accounting.example.org/x"}}, "is no such address"),
        ({"server": {"public_url": "accounting.example.org"}}, "is no such address"),
        ({"server": {"public_url": "https://a b"}}, "is no such address"),
        ({"login": {"people": [{"role": "viewer"}]}}, "write one of them"),
        ({"login": {"people": [{"role": "probe", "subject": "x"}]}}, "Input should be"),
    ],
)
def test_settings_that_cannot_be_are_refused(told: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Settings.model_validate(told)


def test_a_provider_elsewhere_leads_nobody_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Settings.model_validate(
        {"server": {"public_url": HERE}, "login": {"oidc": {"issuer": "https://login.example.org", "client_id": CLIENT}}}
    )  # fmt: skip
    assert told.login.oidc is not None
    made = Provider(told.login.oidc, clock.now)
    says = {"issuer": "https://login.example.org", "token_endpoint": "http://127.0.0.1:1/token"}
    monkeypatch.setattr(made, "_discovered", lambda: says)
    with pytest.raises(Exception, match="it is on this machine"):
        made._endpoint("token_endpoint")
