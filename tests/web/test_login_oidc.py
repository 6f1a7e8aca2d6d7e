"""Alice, Bob and Carol log in at a provider, and what strangers try on the way there and back."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from gridkeeper import clock
from gridkeeper.web.app import make_app
from tests.collectors import Browser
from tests.trust.issuing import ec_key
from tests.web.fake_provider import CLIENT, SECRET, FakeProvider
from tests.web.federated import ALICE, BOB, CAROL, HERE, Federation, federation, provider, sentence

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["federation", "provider"]


def test_alice_logs_in_at_her_provider_and_out_again(federation: Federation) -> None:
    alice = federation.browser()
    assert "Log in with Example ID" in alice.get("/login").text
    page = federation.logs_in(alice, ALICE)
    assert page.status_code == 200
    assert page.url.path == "/me"
    assert "<h1>Alice Example</h1>" in page.text
    assert "Alice Example (oidc a-1)" in page.text
    assert "site-contact" in page.text
    assert "at the sites Utah." in page.text
    assert "token expires" not in page.text
    alice.submit("/logout")
    assert alice.get("/me").url.path == "/login"


def test_what_is_sent_to_the_provider_is_what_the_standards_say(federation: Federation) -> None:
    first, second = federation.leaves(federation.browser()), federation.leaves(federation.browser())
    assert first.startswith(f"{federation.provider.issuer}/auth?tenant=1&")
    asked, other = (parse_qs(urlsplit(location).query) for location in (first, second))
    assert asked["redirect_uri"] == [f"{HERE}/login/oidc/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid profile email"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name][0]) >= 43
        assert asked[name] != other[name]


def test_roles_come_from_mail_group_and_subject(federation: Federation) -> None:
    bob = federation.logs_in(federation.browser(), BOB).text
    assert "vo-contact" in bob
    assert "The users of the VOs cms, by name." in bob
    assert "in the name bob." in bob, "all entries that fit add user names"
    assert "<dd>operator</dd>" in federation.logs_in(federation.browser(), CAROL).text


def test_mail_and_groups_may_stand_beside_the_id_token(federation: Federation) -> None:
    federation.provider.told_beside = {"email": "alice@example.org", "email_verified": True}
    assert "site-contact" in federation.logs_in(federation.browser(), {"sub": "a-1"}).text
    federation.provider.told_beside = {"groups": ["cms-liaisons"]}
    assert "vo-contact" in federation.logs_in(federation.browser(), {"sub": "b-2"}).text


@pytest.mark.parametrize(
    "mail",
    [
        {"email": "alice@example.org"},
        {"email": "alice@example.org", "email_verified": False},
        {"email": "alice@example.org", "email_verified": "true"},
        {"email": "alice@example.org", "email_verified": 1},
        {"email": "ali\N{KELVIN SIGN}e@example.org", "email_verified": True},
        {"email": ["alice@example.org"], "email_verified": True},
        {"email": "alice@example.org\n", "email_verified": True},
        {"preferred_username": "alice@example.org", "email_verified": True},
    ],
)
def test_an_address_that_nobody_verified_is_nobodys(federation: Federation, mail: dict[str, Any]) -> None:
    mallory = federation.browser()
    answer = federation.logs_in(mallory, {"sub": "m-9", **mail})
    assert answer.status_code == 403
    assert "knows you as subject 'm-9'" in sentence(answer)
    assert "gridkeeper" not in mallory.cookies


def test_one_answers_verification_does_not_verify_the_others_address(federation: Federation) -> None:
    federation.provider.told_beside = {"email": "mallory@example.org", "email_verified": True}
    answer = federation.logs_in(federation.browser(), {"sub": "m-9", "email": "alice@example.org"})
    assert answer.status_code == 403


@pytest.mark.parametrize("groups", [None, "cms", ["CMS-liaisons"], [["cms-liaisons"]], {"cms-liaisons": 1}])
def test_groups_are_compared_letter_by_letter(federation: Federation, groups: Any) -> None:
    assert federation.logs_in(federation.browser(), {"sub": "m-9", "groups": groups}).status_code == 403


def test_strangers_become_viewers_where_the_settings_say_so(tmp_path: Path, provider: FakeProvider) -> None:
    federation = Federation(tmp_path, provider, strangers="viewer")
    page = federation.logs_in(federation.browser(), {"sub": "m-9"}).text
    assert "<dd>viewer</dd>" in page
    assert "no names of users" in page
    federation.gate.close()


def test_a_refused_stranger_is_in_the_audit_once(federation: Federation) -> None:
    for _ in range(3):
        federation.logs_in(federation.browser(), {"sub": "m-9"})
    (row,) = federation.refusals()
    assert row.subject == "oidc m-9"
    assert row.address == "203.0.113.9"


def test_a_name_that_looks_like_another_is_still_told_apart(federation: Federation) -> None:
    page = federation.logs_in(federation.browser(), {**CAROL, "name": "local carol\x00 (oidc a-1)\n<b>"}).text
    assert (
        html.escape("local carol\N{REPLACEMENT CHARACTER} oidc a-1\N{REPLACEMENT CHARACTER}<b> (oidc c-3)")
        in page
    )


def test_an_answer_comes_back_once(federation: Federation) -> None:
    alice = federation.browser()
    back = federation.provider.lets_in(federation.leaves(alice), ALICE)
    assert alice.get(back).status_code == 200
    again = alice.get(back)
    assert again.status_code == 403
    assert "or it came before" in sentence(again)
    assert alice.get("/me").status_code == 200


def test_an_answer_comes_back_to_the_browser_that_asked(federation: Federation) -> None:
    """Else Mallory could send Alice a link that logs her in as him."""
    mallory, alice = federation.browser(), federation.browser()
    back = federation.provider.lets_in(federation.leaves(mallory), {**CAROL})
    federation.leaves(alice)
    for victim in (alice, federation.browser()):
        assert victim.get(back).status_code == 403
        assert victim.get("/me").url.path == "/login"
    assert mallory.get(back).status_code == 200, "who looks at another's answer does not use it up"


def test_an_answer_may_come_back_to_another_collector(federation: Federation) -> None:
    alice = federation.browser()
    back = federation.provider.lets_in(federation.leaves(alice), ALICE)
    other = Browser(make_app(federation.gate.services), HERE, client=("203.0.113.9", 1))
    other.cookies = alice.cookies
    assert "Alice Example (oidc a-1)" in other.get(back).text
    assert alice.get("/me").status_code == 200, "and the session is good at both"


def test_an_answer_that_comes_too_late_is_refused(federation: Federation) -> None:
    alice = federation.browser()
    back = federation.provider.lets_in(federation.leaves(alice), ALICE)
    federation.gate.services.now = lambda: clock.now() + timedelta(minutes=11)
    assert alice.get(back).status_code == 403


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ("", 403, "not the answer to a login"),
        ("code=x&state=forged", 403, "not the answer to a login"),
        ("code=x&state=a&state=b", 400, "parameter state must be there once"),
        ("code=x&state=" + "a" * 5000, 400, "at most 4,096"),
    ],
)
def test_an_answer_that_nobody_asked_for_is_refused(
    federation: Federation, question: str, status: int, words: str
) -> None:
    alice = federation.browser()
    federation.leaves(alice)
    answer = alice.get(f"/login/oidc/callback?{question}")
    assert answer.status_code == status
    assert words in answer.text


def test_what_the_provider_refuses_is_told(federation: Federation) -> None:
    alice = federation.browser()
    state = parse_qs(urlsplit(federation.leaves(alice)).query)["state"][0]
    said = {"state": state, "error": "access_denied", "error_description": "<script>x</script>"}
    answer = alice.get("/login/oidc/callback", params=said)
    assert answer.status_code == 403
    assert "did not let you in: access_denied" in sentence(answer)
    assert "<script>x" not in answer.text


def test_an_answer_of_another_provider_is_refused(federation: Federation) -> None:
    alice = federation.browser()
    back = federation.provider.lets_in(federation.leaves(alice), ALICE)
    assert "of another provider" in sentence(alice.get(f"{back}&iss=https://evil.example"))
    assert alice.get(f"{back}&iss={federation.provider.issuer}").status_code == 200


def test_a_provider_that_says_whose_its_answers_are_must_do_so(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    federation = Federation(tmp_path, provider)
    assert "of another provider" in sentence(federation.logs_in(federation.browser(), ALICE))
    federation.gate.close()


def test_an_id_token_for_us_among_others_says_so(federation: Federation) -> None:
    answer = federation.logs_in(federation.browser(), ALICE, aud=[CLIENT, "another"], azp=CLIENT)
    assert answer.status_code == 200
    federation.provider.sign = lambda claims: jwt.encode(claims, ec_key(), "ES256", {"kid": "curve"})
    assert federation.logs_in(federation.browser(), ALICE).status_code == 200


def test_what_is_told_beside_must_be_of_the_same_person(federation: Federation) -> None:
    federation.provider.told_beside = {"sub": "c-3"}
    answer = federation.logs_in(federation.browser(), {"sub": "m-9"})
    assert "speaks of two people" in sentence(answer)


def test_the_secret_goes_to_the_provider_and_nowhere_else(
    tmp_path: Path, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    federation = Federation(tmp_path, provider)
    assert federation.logs_in(federation.browser(), ALICE).status_code == 200
    form, headers = provider.posted[0]
    assert form["client_secret"] == SECRET
    assert "Authorization" not in headers
    provider.redeem = lambda: (401, b'{"error": "invalid_client"}')
    answer = federation.logs_in(federation.browser(), ALICE)
    assert answer.status_code == 503
    assert "invalid_client; an operator looks at login.oidc" in sentence(answer)
    everything = answer.text + "".join(capfd.readouterr())
    assert SECRET not in everything
    assert "code 1" not in everything
    federation.gate.close()


def test_while_the_provider_is_away_tokens_do(federation: Federation, provider: FakeProvider) -> None:
    provider.metadata = {"issuer": None}
    alice = federation.browser()
    answer = alice.get("/login/oidc")
    assert answer.status_code == 503
    assert "or log in with a token" in sentence(answer)
    provider.metadata = {}
    assert alice.get("/login/oidc", follow_redirects=False).status_code == 503, "not asked anew for seconds"
    federation.gate.services.now = lambda: clock.now() + timedelta(seconds=11)
    assert alice.get("/login/oidc", follow_redirects=False).status_code == 303
    assert federation.browser().log_in(federation.gate.token(role="viewer")).status_code == 200


def test_nobody_is_sent_elsewhere_by_the_provider_either(federation: Federation) -> None:
    alice = federation.browser()
    back = federation.provider.lets_in(federation.leaves(alice, "//evil.example\r\nX: y"), ALICE)
    answer = alice.get(back, follow_redirects=False)
    assert answer.headers["location"] == "/me"
    assert "x" not in answer.headers
    back = federation.provider.lets_in(federation.leaves(alice, "/about?x=1"), ALICE)
    assert alice.get(back, follow_redirects=False).headers["location"] == "/about?x=1"


def test_a_login_at_the_provider_makes_a_new_session(federation: Federation) -> None:
    alice = federation.browser()
    alice.log_in(federation.gate.token(role="viewer"))
    before = alice.cookies["gridkeeper"]
    federation.logs_in(alice, ALICE)
    assert alice.cookies["gridkeeper"] != before
    stale = Browser(federation.app, HERE, client=("203.0.113.9", 1))
    stale.cookies.set("gridkeeper", before, domain="127.0.0.1", path="/")
    assert stale.get("/me").url.path == "/login"


def test_only_so_many_logins_are_begun_in_a_minute(tmp_path: Path, provider: FakeProvider) -> None:
    federation = Federation(tmp_path, provider, begun_per_minute=2)
    alice = federation.browser()
    for _ in range(2):
        federation.leaves(alice)
    answer = alice.get("/login/oidc", follow_redirects=False)
    assert answer.status_code == 429
    assert "login.begun_per_minute" in sentence(answer)
    federation.gate.close()


def test_whom_the_settings_no_longer_name_is_logged_out(federation: Federation) -> None:
    alice = federation.browser()
    federation.logs_in(alice, ALICE)
    told = federation.gate.settings
    fewer = told.login.model_copy(update={"people": told.login.people[1:]})
    federation.gate.services.settings = told.model_copy(update={"login": fewer})
    assert alice.get("/me").url.path == "/login"
