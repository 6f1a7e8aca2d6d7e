"""Stories of tokens that other issuers make, and of those that somebody would have liked them to make."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gridkeeper.settings import Issuer, Trust
from gridkeeper.trust.refusals import NotAllowed, NotRecognised
from tests.trust.issuing import AUDIENCE, SUBJECT, IssuerServer, Signer, ec_key, public, rsa_key

if TYPE_CHECKING:
    from tests.trust.conftest import Collector


@pytest.fixture
def signer(collector: Collector, issuer: IssuerServer) -> Signer:
    """The issuer of Utah's and Nebraska's tokens, believed by the collector."""
    subjects = {
        SUBJECT: ("Utah-Kingspeak", "Utah-Notch*"),
        "red.example.edu": ("Nebraska",),
        "pilot-*": ("Pool",),
    }
    collector.reopen(
        trust=Trust(issuers=(Issuer(issuer=issuer.address, audience=(AUDIENCE, "other"), subjects=subjects),))
    )
    return Signer(issuer.address, lambda: collector.now)


def test_alices_token_of_the_issuer_sends_for_utah_only(collector: Collector, signer: Signer) -> None:
    alice = collector.ask(signer.sign())
    assert alice.name == f"subject {SUBJECT} of {signer.issuer}"
    assert alice.role == "probe"
    assert alice.may_send_for("Utah-Kingspeak")
    assert alice.may_send_for("Utah-Notchpeak")
    assert not alice.may_send_for("Nebraska")
    bob = collector.ask(signer.sign(sub="red.example.edu"))
    assert bob.may_send_for("Nebraska")
    assert not bob.may_send_for("Utah-Kingspeak")


def test_a_key_on_a_curve_does_as_well(collector: Collector, signer: Signer) -> None:
    assert collector.ask(signer.sign(ec_key(), "ES256", {"kid": "curve"}))


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_rsa_keys_sign_in_three_ways(collector: Collector, signer: Signer, algorithm: str) -> None:
    assert collector.ask(signer.sign(algorithm=algorithm))


def test_one_subject_may_stand_for_many(collector: Collector, signer: Signer) -> None:
    assert collector.ask(signer.sign(sub="pilot-7")).may_send_for("Pool")
    for other in ("apilot-7", "PILOT-7", "pilot"):
        with pytest.raises(NotAllowed, match="bound to no resource"):
            collector.ask(signer.sign(sub=other))


@pytest.mark.parametrize("audience", [AUDIENCE, "other", ["x", AUDIENCE]])
def test_a_token_for_us_among_others_is_for_us(collector: Collector, signer: Signer, audience: Any) -> None:
    assert collector.ask(signer.sign(aud=audience))


@pytest.mark.parametrize(
    "audience",
    [
        "https://collector.example.org/",
        "https://elsewhere.example.org",
        "https://wlcg.cern.ch/jwt/v1/any",
        "ANY",
        [],
        "",
        "*",
    ],
)
def test_a_token_for_another_audience_is_refused(collector: Collector, signer: Signer, audience: Any) -> None:
    with pytest.raises(NotRecognised, match=r"`?aud`?"):
        collector.ask(signer.sign(aud=audience))


def test_the_audience_any_counts_where_it_is_configured(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    wide = "https://wlcg.cern.ch/jwt/v1/any"
    believed = Issuer(issuer=issuer.address, audience=(wide,), subjects={SUBJECT: ("Utah",)})
    collector.reopen(trust=Trust(issuers=(believed,)))
    assert collector.ask(signer.sign(aud=wide))
    with pytest.raises(NotRecognised):
        collector.ask(signer.sign())


def test_an_expired_token_is_refused_to_the_second(collector: Collector, signer: Signer) -> None:
    token = signer.sign()
    collector.wait(seconds=1199)
    assert collector.ask(token)
    collector.wait(seconds=1)
    with pytest.raises(NotRecognised, match="has expired"):
        collector.ask(token)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_an_issuers_clock_may_be_a_minute_ahead_and_no_more(
    collector: Collector, signer: Signer, claim: str
) -> None:
    def ahead(seconds: int) -> dict[str, Any]:
        return {claim: int(collector.now.timestamp()) + seconds}

    assert collector.ask(signer.sign(**ahead(60)))
    with pytest.raises(NotRecognised, match=f"not good yet \\(`{claim}`\\)"):
        collector.ask(signer.sign(**ahead(61)))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": [9e9]},
        {"exp": -(10**400)},
        {"nbf": "now"},
        {"nbf": True},
        {"iat": {}},
        {"aud": None},
        {"aud": {AUDIENCE: 1}},
        {"aud": [AUDIENCE, 7]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\nb"},
        {"sub": "a" * 300},
        {"ver": "scitoken:1.0"},
        {"jti": 7},
    ],
)
def test_a_token_with_odd_claims_is_refused(
    collector: Collector, signer: Signer, claims: dict[str, Any]
) -> None:
    with pytest.raises(NotRecognised):
        collector.ask(signer.sign(**claims))


@pytest.mark.parametrize("other", [None, "", "https://issuer.example.org", 7, ["x"], "{}/", "{}#", "HTTP{}"])
def test_a_token_of_another_issuer_is_refused(collector: Collector, signer: Signer, other: Any) -> None:
    named = other.format(signer.issuer) if isinstance(other, str) else other
    forged = _by_hand({"alg": "RS256", "kid": "one"}, {"iss": named, "exp": 9e9}, b"x")
    with pytest.raises(NotRecognised, match="is not believed here"):
        collector.ask(forged)


@pytest.mark.parametrize(
    "scope", ["", "accounting.read", "accounting.writers", "xaccounting.write", "ACCOUNTING.WRITE", 7, None]
)
def test_a_token_without_the_scope_is_not_allowed(collector: Collector, signer: Signer, scope: Any) -> None:
    with pytest.raises(NotAllowed, match=r"has not the scope accounting\.write") as refused:
        collector.ask(signer.sign(scope=scope))
    assert refused.value.status == 403
    assert refused.value.challenge == 'Bearer realm="gridkeeper", error="insufficient_scope"'


def test_the_scope_is_a_word_among_others(collector: Collector, signer: Signer) -> None:
    assert collector.ask(signer.sign(scope="openid accounting.write storage.read:/"))
    assert collector.ask(signer.sign(scope=None, scp=["openid", "accounting.write"]))
    assert collector.ask(signer.sign(scope=None, scp="accounting.write openid"))


def test_a_path_in_the_scope_narrows(collector: Collector, signer: Signer) -> None:
    narrow = collector.ask(signer.sign(ver="scitoken:2.0", scope="accounting.write:/Utah-Kingspeak"))
    assert narrow.resources == frozenset({"Utah-Kingspeak"})
    both = collector.ask(
        signer.sign(scope="accounting.write:/Utah-Kingspeak accounting.write:/Utah-Notchpeak")
    )
    assert both.resources == frozenset({"Utah-Kingspeak", "Utah-Notchpeak"})
    root = collector.ask(signer.sign(scope="accounting.write:/"))
    assert root.resources == frozenset({"Utah-Kingspeak", "Utah-Notch*"})


@pytest.mark.parametrize(
    "path", ["/Nebraska", "/*", "/Utah-*", "/Utah-Kingspeak*", "/../Nebraska", "/Utah-Notchpeak*"]
)
def test_a_path_in_the_scope_never_widens(collector: Collector, signer: Signer, path: str) -> None:
    with pytest.raises(NotAllowed, match="may not send for"):
        collector.ask(signer.sign(scope=f"accounting.write:{path}"))


# Forgeries


def _part(content: object) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def _by_hand(header: object, claims: object, signature: bytes = b"") -> str:
    return b".".join((_part(header), _part(claims), _part(signature))).decode()


def _good_claims(signer: Signer) -> dict[str, Any]:
    moment = int(signer.now().timestamp())
    return {
        "iss": signer.issuer,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "scope": "accounting.write",
        "exp": moment + 60,
    }


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"]])
@pytest.mark.parametrize("signature", [b"", b"x"])
def test_a_token_that_says_it_needs_no_signature_is_refused(
    collector: Collector, signer: Signer, algorithm: Any, signature: bytes
) -> None:
    collector.ask(signer.sign())  # the keys are there, and change nothing
    with pytest.raises(NotRecognised):
        collector.ask(_by_hand({"alg": algorithm, "kid": "one"}, _good_claims(signer), signature))
    with pytest.raises(NotRecognised):
        collector.ask(_by_hand({"kid": "one"}, _good_claims(signer), signature))


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_the_public_key_is_no_secret_to_sign_with(collector: Collector, signer: Signer, digest: str) -> None:
    bare = rsa_key().public_key()
    for kid in ("one", "curve"):
        for secret in (
            bare.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            bare.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            json.dumps(public(rsa_key(), "one")).encode(),
            b"",
        ):
            header = {"alg": f"HS{digest[3:]}", "kid": kid}
            signed = b".".join((_part(header), _part(_good_claims(signer))))
            token = _by_hand(header, _good_claims(signer), hmac.new(secret, signed, digest).digest())
            with pytest.raises(NotRecognised, match="only RS256"):
                collector.ask(token)


def test_a_key_checks_only_what_it_is_made_for(collector: Collector, signer: Signer) -> None:
    with pytest.raises(NotRecognised, match=r"for which the key 'curve' .* is not made"):
        collector.ask(signer.sign(header={"kid": "curve"}))
    with pytest.raises(NotRecognised, match=r"for which the key 'one' .* is not made"):
        collector.ask(signer.sign(ec_key(), "ES256"))
    with pytest.raises(NotRecognised, match="only RS256"):
        collector.ask(signer.sign(algorithm="PS256"))


def test_a_strangers_key_under_a_known_id_is_refused(collector: Collector, signer: Signer) -> None:
    with pytest.raises(NotRecognised, match="signature"):
        collector.ask(signer.sign(rsa_key("mallory")))


def test_a_key_that_the_token_brings_along_is_not_looked_at(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    mallory = public(rsa_key("mallory"), "mallory")
    issuer.answers["/mallory"] = issuer.answers["/keys"]
    for header in (
        {"jwk": mallory},
        {"jwk": mallory, "kid": "mallory"},
        {"jku": f"{issuer.address}/mallory", "kid": "mallory"},
        {"x5u": f"{issuer.address}/mallory", "kid": "mallory"},
        {"kid": "../../../../dev/null"},
        {"kid": None},
        {"kid": ""},
    ):
        with pytest.raises(NotRecognised):
            collector.ask(signer.sign(rsa_key("mallory"), header=header))
    assert "/mallory" not in issuer.asked


@pytest.mark.parametrize("extension", [["exp"], ["b64"], [], "b64"])
def test_a_token_that_demands_extensions_is_refused(
    collector: Collector, signer: Signer, extension: Any
) -> None:
    header = {"alg": "RS256", "kid": "one", "crit": extension, "b64": True}
    with pytest.raises(NotRecognised):
        collector.ask(_by_hand(header, _good_claims(signer), b"x"))


def test_a_changed_claim_breaks_the_signature(collector: Collector, signer: Signer) -> None:
    head, _, tail = signer.sign().split(".")
    changed = _part({**_good_claims(signer), "sub": "red.example.edu"}).decode()
    with pytest.raises(NotRecognised, match="signature"):
        collector.ask(f"{head}.{changed}.{tail}")
    with pytest.raises(NotRecognised):
        collector.ask(f"{head}.{changed}.")


@pytest.mark.parametrize(
    "token",
    [
        "a",
        "a.b",
        "..",
        "e30.e30.",
        "e30.e30.e30",
        "a.b.c.d",
        "e30.e30.e30.e30.e30",
        "x" * 20_000,
        "=.=.=",
        "W10.W10.W10",
    ],
)
@pytest.mark.usefixtures("signer")
def test_what_is_no_token_is_refused(collector: Collector, token: str) -> None:
    with pytest.raises(NotRecognised):
        collector.ask(token)


@pytest.mark.usefixtures("signer")
def test_a_deep_or_endless_token_is_refused(collector: Collector) -> None:
    for claims in (b"[" * 9000, b'{"exp":' + b"9" * 9000 + b"}", b'{"a":' * 1500 + b"1" + b"}" * 1500):
        with pytest.raises(NotRecognised):
            collector.ask(_by_hand({"alg": "RS256", "kid": "one"}, claims, b"x"))
